import { exitCodes } from "./exit-codes.js";
import { program } from "./program.js";

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(exitCodes.ok.code); // the reader, like head, has seen enough
});
const exit = await program(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
});
process.exitCode = exitCodes[exit].code;
