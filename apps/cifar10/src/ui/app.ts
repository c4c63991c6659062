/** What the live page's server answers. Nothing here listens: see server.ts. */
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { secureHeaders } from "hono/secure-headers";
import { streamSSE } from "hono/streaming";
import { z } from "zod";
import type { Hub } from "./hub.js";
import { importMapHash, type PageFiles } from "./page-files.js";
import { type CellView, type UiRequest, uiRequestSchema } from "./protocol.js";

export interface AppOptions {
  /** A secret: whoever knows it may watch and control the run. */
  readonly token: string;
  /** Values of the Host header that the server goes by; others come from names that somebody points at this machine. */
  readonly hosts: () => readonly string[];
  readonly files: PageFiles;
  readonly hub: Hub;
  readonly cell: (label: number, predicted: number) => CellView | undefined;
  readonly onRequest: (request: UiRequest) => void;
  /** Milliseconds that news are gathered for. Default 500. */
  readonly pace?: number;
}

const policy = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'", `'${importMapHash}'`],
  styleSrc: ["'self'"],
  imgSrc: ["'self'", "data:"],
  connectSrc: ["'self'"],
  baseUri: ["'none'"],
  formAction: ["'none'"],
  frameAncestors: ["'none'"],
};

const largestBody = 4096;

export const createApp = ({ token, hosts, files, hub, cell, onRequest, pace = 500 }: AppOptions): Hono => {
  const app = new Hono();

  app.use(
    secureHeaders({
      contentSecurityPolicy: policy,
      referrerPolicy: "no-referrer",
      xFrameOptions: "DENY",
      // Of https alone.
      strictTransportSecurity: false,
    }),
  );
  app.use(async (c, next) => {
    const host = c.req.header("host");
    if (host === undefined || !hosts().includes(host)) return c.text("wrong host", 403);
    const origin = c.req.header("origin");
    if (origin !== undefined && origin !== `http://${host}`) return c.text("wrong origin", 403);
    c.header("Cache-Control", "no-store");
    return next();
  });

  const run = new Hono();

  run.get("/events", (c) =>
    streamSSE(c, async (stream) => {
      const listener = hub.listen();
      stream.onAbort(listener.close);
      for (;;) {
        const news = await listener.next();
        if (!news) return;
        for (const { event, data } of news) await stream.writeSSE({ event, data });
        // Steps come faster than anybody looks.
        await stream.sleep(pace);
      }
    }),
  );

  run.get("/cell/:label/:predicted", (c) => {
    const view = cell(Number(c.req.param("label")), Number(c.req.param("predicted")));
    return view ? c.json(view) : c.text("there is no such cell", 404);
  });

  run.post(
    "/request",
    bodyLimit({ maxSize: largestBody, onError: (c) => c.text("the request is too large", 413) }),
    async (c) => {
      // What a form of another page can send is none of these.
      if (c.req.header("content-type") !== "application/json") return c.text("expected application/json", 415);
      const body: unknown = await c.req.json().catch(() => undefined);
      const parsed = uiRequestSchema.safeParse(body);
      if (!parsed.success) return c.text(z.prettifyError(parsed.error), 400);
      onRequest(parsed.data);
      return c.body(null, 204);
    },
  );

  run.get("/:file{.*}", (c) => {
    const file = files.get(c.req.param("file"));
    return file ? c.body(file.content, 200, { "Content-Type": file.type }) : c.notFound();
  });

  app.route(`/${token}`, run);
  return app;
};
