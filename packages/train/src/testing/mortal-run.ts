// A process that trains in a run folder: FOLDER BACKEND [AT all|saving|interrupt]. On the way it kills itself, or sends
// itself a SIGINT, if it is told to.
import { createCpuBackend } from "@striate/backend-cpu";
import { createWasmBackend } from "@striate/backend-wasm";
import { openOrCreateRunFolder } from "../node/run-folder.js";
import { InterruptedError, withSignals } from "../node/signals.js";
import { trainRun } from "../node/train-run.js";
import { mortal } from "./mortal.js";
import { openSmallRun } from "./small-run.js";

const [, , folder = "", backendName = "cpu", at, how] = process.argv;
const backend = backendName === "wasm" ? await createWasmBackend({ threads: 1 }) : await createCpuBackend();
const dies = at !== undefined && how !== "interrupt";
const disk = mortal(dies ? { at: Number(at), saving: how === "saving" } : undefined);
let interruptIn = how === "interrupt" ? Number(at) : 0;
const point = (): void => {
  disk.point();
  if (--interruptIn === 0) process.kill(process.pid, "SIGINT");
};

const { files, lineFiles } = disk;
const run = await openOrCreateRunFolder(folder, { config: { net: "small" }, files, lineFiles });
await withSignals(async (signal) => {
  const { ended } = await trainRun(run, {
    open: () => openSmallRun(backend, { point, signal }),
    checkpoint: { everySteps: 3 },
    validation: { everyEpochs: 1, everySteps: 5 },
    select: "best",
  });
  if (ended === "aborted" && signal.reason instanceof InterruptedError) process.exitCode = signal.reason.exitCode;
});
await run.close();
console.log(JSON.stringify(disk.passed));
