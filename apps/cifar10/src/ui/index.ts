/** The live page: the server for the main thread. The worker's end is port.ts. */
export type { UiMessage, UiRequest } from "./protocol.js";
export { openUi, type Ui, UiError, type UiOptions } from "./server.js";
