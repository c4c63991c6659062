/** Stable codes: `docs/errors.md` has a paragraph for each. */
export type ErrorCode =
  | "shape"
  | "dtype"
  | "index"
  | "argument"
  | "unsupported"
  | "disposed"
  | "gradient"
  | "out-of-memory"
  | "backend-lost"
  | "kernel";

/** Base of every error that Striate throws on purpose. */
export class StriateError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** Shapes do not fit the op. */
export class ShapeError extends StriateError {
  constructor(message: string) {
    super("shape", message);
  }
}

/** Element types do not fit the op. */
export class DTypeError extends StriateError {
  constructor(message: string) {
    super("dtype", message);
  }
}

/** An index (a class label, a gather position) lies outside its axis. Never clamped. */
export class IndexError extends StriateError {
  constructor(message: string) {
    super("index", message);
  }
}

/** An argument or option that is neither a shape nor a dtype is wrong. */
export class ArgumentError extends StriateError {
  constructor(message: string) {
    super("argument", message);
  }
}

/** The backend cannot do this, and core has no decomposition for it. */
export class UnsupportedError extends StriateError {
  readonly op: string;
  readonly backend: string;
  constructor(op: string, backend: string, why: string) {
    super("unsupported", `${op}: not supported by backend ${backend}: ${why}`);
    this.op = op;
    this.backend = backend;
  }
}

/** A tensor (or backend) was used after `dispose()`. */
export class DisposedError extends StriateError {
  constructor(message: string) {
    super("disposed", message);
  }
}

/** A gradient was asked for where there is none: no path, not a scalar, graph already consumed. */
export class GradientError extends StriateError {
  constructor(message: string) {
    super("gradient", message);
  }
}

/** The backend could not allocate. The backend stays usable; dispose something and try again. */
export class OutOfMemoryError extends StriateError {
  readonly bytes: number;
  constructor(backend: string, bytes: number, why = "", options?: ErrorOptions) {
    super("out-of-memory", `backend ${backend} could not allocate ${bytes} bytes${why && `: ${why}`}`, options);
    this.bytes = bytes;
  }
}

/** The device behind the backend is gone. Every later call on that backend throws this too. */
export class BackendLostError extends StriateError {
  readonly backend: string;
  readonly reason: "destroyed" | "unknown";
  constructor(backend: string, reason: "destroyed" | "unknown", message: string) {
    super("backend-lost", `backend ${backend} was lost (${reason}): ${message}`);
    this.backend = backend;
    this.reason = reason;
  }
}

/** A kernel threw something that is no StriateError: a bug in the backend. `cause` has the original. */
export class KernelError extends StriateError {
  readonly op: string;
  readonly attrs: unknown;
  constructor(op: string, backend: string, attrs: unknown, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super("kernel", `${op}: kernel of backend ${backend} failed with attrs ${JSON.stringify(attrs)}: ${why}`, {
      cause,
    });
    this.op = op;
    this.attrs = attrs;
  }
}
