/** What every part of the backend says of itself in messages. */
export const BACKEND = "webgpu";
