import { ARGUMENTS_OFFSET, Control, MAX_ARGUMENTS, MAX_MESSAGE, MESSAGE_OFFSET, TASK_BITS } from "./protocol.js";

/** What a worker is given at its start. */
export interface WorkerData {
  readonly memory: WebAssembly.Memory;
  readonly control: SharedArrayBuffer;
  /** 1 for the first worker; the calling thread is 0. */
  readonly thread: number;
}

/**
 * The program of a worker, as text: a worker needs a module of its own, and no way of naming a file works alike from
 * sources, from a package in Node and through every bundler. It says "ready", sleeps until a job is published, claims
 * tasks while there are any, and compiles programs when it first meets them.
 */
export const workerSource = `"use strict";
const run = ({ memory, control: buffer, thread }) => {
  const control = new Int32Array(buffer, 0, ${Control.Words});
  const args = new Float64Array(buffer, ${ARGUMENTS_OFFSET}, ${MAX_ARGUMENTS});
  const text = new Uint16Array(buffer, ${MESSAGE_OFFSET}, ${MAX_MESSAGE});
  const host = { memory, sin: Math.sin, cos: Math.cos };
  const programs = [];
  const at = (word) => Atomics.load(control, word);
  // The arguments of the job that the last task was claimed of.
  let list;
  let listed;
  const claim = () => {
    for (;;) {
      const ticket = at(${Control.Ticket});
      const left = ticket & ${2 ** TASK_BITS - 1};
      if (left === 0) {
        list = undefined;
        return -1;
      }
      if (Atomics.compareExchange(control, ${Control.Ticket}, ticket, ticket - 1) !== ticket) continue;
      const job = ticket >> ${TASK_BITS};
      if (list === undefined || job !== listed) {
        list = Array.from(args);
        listed = job;
      }
      return left - 1;
    }
  };
  const program = () => {
    const slot = at(${Control.Slot});
    const generation = at(${Control.Generation});
    const known = programs[slot];
    if (known !== undefined && known.generation === generation) return known.main;
    const code = new Uint8Array(memory.buffer, at(${Control.Code}) >>> 0, at(${Control.CodeLength})).slice();
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), { host });
    programs[slot] = { generation, main: exports.main };
    return exports.main;
  };
  const perform = (task) => {
    try {
      const scratch = (at(${Control.Scratch}) >>> 0) + thread * at(${Control.ScratchBytes});
      program()(at(${Control.FirstTask}) + task, scratch, ...list);
    } catch (error) {
      const message = String(error).slice(0, ${MAX_MESSAGE});
      for (let i = 0; i < message.length; i++) text[i] = message.charCodeAt(i);
      control[${Control.MessageLength}] = message.length;
      Atomics.store(control, ${Control.Failed}, 1);
    }
    const tasks = at(${Control.Tasks});
    if (Atomics.add(control, ${Control.Done}, 1) + 1 === tasks) Atomics.notify(control, ${Control.Done});
  };
  for (let job = 0; ; ) {
    for (let task = claim(); task >= 0; task = claim()) perform(task);
    let next = job;
    for (let spin = 0; spin < 5000 && next === job; spin++) next = at(${Control.Job});
    if (next === job) {
      Atomics.add(control, ${Control.Sleeping}, 1);
      Atomics.wait(control, ${Control.Job}, job);
      Atomics.sub(control, ${Control.Sleeping}, 1);
      next = at(${Control.Job});
    }
    if (at(${Control.Stop}) === 1) return;
    job = next;
  }
};
if (typeof self === "undefined") {
  const { parentPort, workerData } = require("node:worker_threads");
  parentPort.postMessage("ready");
  run(workerData);
} else self.onmessage = ({ data }) => { self.onmessage = null; self.postMessage("ready"); run(data); self.close(); };
`;
