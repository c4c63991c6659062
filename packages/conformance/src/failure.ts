/** Thrown by a check that does not hold. The message is the report. */
export class ConformanceFailure extends Error {
  override readonly name = "ConformanceFailure";
}

/** Thrown by a case that does not apply; `message` is the reason, which must lie in what the backend declares. */
export class SkipCase extends Error {
  override readonly name = "SkipCase";
}

/** @throws ConformanceFailure with `message` unless `condition`. */
export function check(condition: boolean, message: string | (() => string)): asserts condition {
  if (!condition) throw new ConformanceFailure(typeof message === "string" ? message : message());
}
