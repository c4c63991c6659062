/** Brings news to any number of pages, each at its own pace and in bounded memory. */

export interface News {
  readonly event: "state" | "metrics" | "message";
  /** JSON. */
  readonly data: string;
}

export interface Listener {
  /** What is new since the last call; waits until there is something. Undefined when it was closed. */
  next(): Promise<readonly News[] | undefined>;
  close(): void;
}

export interface HubOptions {
  /** All that a page has to know which begins now, or has fallen behind. */
  readonly state: () => string;
  /** Metrics that may wait for a page before it gets the whole state instead. Default 5000. */
  readonly mostWaiting?: number;
}

export interface Hub {
  listen(): Listener;
  /** One metric, as JSON. Those that wait go out together. */
  metric(json: string): void;
  /** One message, as JSON. */
  message(json: string): void;
  close(): void;
}

export const createHub = ({ state, mostWaiting = 5000 }: HubOptions): Hub => {
  const wakers = new Set<{ metrics: string[]; messages: string[]; behind: boolean; closed: boolean; wake(): void }>();
  let closed = false;

  const listen = (): Listener => {
    const own = {
      metrics: [] as string[],
      messages: [] as string[],
      // A page begins with the state.
      behind: true,
      closed,
      wake: () => {},
    };
    wakers.add(own);
    return {
      next: async () => {
        if (!own.behind && own.metrics.length + own.messages.length === 0 && !own.closed)
          await new Promise<void>((resolve) => {
            own.wake = resolve;
          });
        if (own.behind) {
          Object.assign(own, { behind: false, metrics: [], messages: [] });
          return [{ event: "state", data: state() }];
        }
        const { metrics, messages } = own;
        Object.assign(own, { metrics: [], messages: [] });
        const news: News[] = [
          ...(metrics.length > 0 ? [{ event: "metrics", data: `[${metrics.join()}]` } as const] : []),
          ...messages.map((data) => ({ event: "message", data }) as const),
        ];
        return news.length === 0 && own.closed ? undefined : news;
      },
      close: () => {
        wakers.delete(own);
        own.closed = true;
        own.wake();
      },
    };
  };

  return {
    listen,
    metric: (json) => {
      for (const own of wakers) {
        own.metrics.push(json);
        // The state has them all.
        if (own.metrics.length > mostWaiting) Object.assign(own, { behind: true, metrics: [] });
        own.wake();
      }
    },
    message: (json) => {
      for (const own of wakers) {
        own.messages.push(json);
        if (own.messages.length > mostWaiting) Object.assign(own, { behind: true, messages: [] });
        own.wake();
      }
    },
    close: () => {
      closed = true;
      for (const own of wakers) {
        own.closed = true;
        own.wake();
      }
    },
  };
};
