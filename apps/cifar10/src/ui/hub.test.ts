import { describe, expect, test } from "vitest";
import { createHub, type Listener } from "./hub.js";

const begun = async (listener: Listener): Promise<Listener> => {
  expect(await listener.next()).toEqual([{ event: "state", data: "state" }]);
  return listener;
};

describe("a listener", () => {
  test("begins with the state, which has all that came before", async () => {
    const hub = createHub({ state: () => "state" });
    hub.metric("1");
    const listener = await begun(hub.listen());
    hub.metric("2");
    expect(await listener.next()).toEqual([{ event: "metrics", data: "[2]" }]);
  });

  test("waits for news", async () => {
    const hub = createHub({ state: () => "state" });
    const listener = await begun(hub.listen());
    const next = listener.next();
    hub.message("hello");
    expect(await next).toEqual([{ event: "message", data: "hello" }]);
  });

  test("that falls behind gets the state instead, however long it sleeps", async () => {
    let metrics = 0;
    const hub = createHub({ state: () => `${metrics} metrics`, mostWaiting: 3 });
    const slow = hub.listen();
    const quick = hub.listen();
    await Promise.all([slow.next(), quick.next()]);
    for (metrics = 0; metrics < 10; ) {
      metrics++;
      hub.metric(`${metrics}`);
      expect(await quick.next()).toEqual([{ event: "metrics", data: `[${metrics}]` }]);
    }
    expect(await slow.next()).toEqual([{ event: "state", data: "10 metrics" }]);
    hub.metric("11");
    expect(await slow.next()).toEqual([{ event: "metrics", data: "[11]" }]);
  });

  test("messages count as well", async () => {
    const hub = createHub({ state: () => "state", mostWaiting: 2 });
    const listener = await begun(hub.listen());
    for (const text of ["a", "b", "c"]) hub.message(text);
    await begun(listener);
  });

  test("hears the last news of a hub that closes, then the end", async () => {
    const hub = createHub({ state: () => "state" });
    const listener = await begun(hub.listen());
    hub.metric("1");
    hub.close();
    expect(await listener.next()).toEqual([{ event: "metrics", data: "[1]" }]);
    expect(await listener.next()).toBeUndefined();
  });

  test("that comes after the end gets the state and the end", async () => {
    const hub = createHub({ state: () => "state" });
    hub.close();
    const listener = await begun(hub.listen());
    expect(await listener.next()).toBeUndefined();
  });

  test("that closes ends its wait", async () => {
    const hub = createHub({ state: () => "state" });
    const listener = await begun(hub.listen());
    const next = listener.next();
    listener.close();
    expect(await next).toBeUndefined();
  });
});
