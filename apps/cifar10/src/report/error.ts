/** A run folder lacks what a report needs, or holds something that this program did not write. */
export class ReportError extends Error {
  override readonly name = "ReportError";
}
