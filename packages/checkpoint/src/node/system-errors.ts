/** The `code` of an error of the system, such as `ENOSPC`; undefined for any other error. */
export const systemCode = (error: unknown): string | undefined =>
  error instanceof Error && "syscall" in error ? (error as NodeJS.ErrnoException).code : undefined;

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
