import type { DataSource } from "./manifest.js";

/** What `onProgress` hears. Counts are bytes of the named step; `total` is undefined while it is unknown. */
export type DataProgress =
  | {
      readonly phase: "download" | "decode" | "verify";
      /** The source, or the folder that is being read. */
      readonly source: string;
      readonly received: number;
      readonly total: number | undefined;
    }
  /** Something a person should know although it is no failure: a damaged file that is fetched again, a wait. */
  | { readonly phase: "notice"; readonly message: string };

export interface DatasetOptions {
  /**
   * A folder that has the files already. It is only read, nothing else is searched, and a missing or damaged file in
   * it is an error.
   */
  readonly dir?: string | undefined;
  /** Default: `striate` in the user's cache folder (XDG_CACHE_HOME or its kin). */
  readonly cacheDir?: string | undefined;
  /** Never touch the network. */
  readonly offline?: boolean | undefined;
  /** Tried in turn for what the cache lacks. Default: those of the dataset. */
  readonly sources?: readonly DataSource[] | undefined;
  readonly onProgress?: ((event: DataProgress) => void) | undefined;
  /** Ends a download or a wait; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}
