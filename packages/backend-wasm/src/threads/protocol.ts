/**
 * How threads share work: one job at a time, as a number of tasks that threads claim one by one. What a task computes
 * depends on its number alone, so the results do not depend on which thread ran it, nor on how many there are.
 *
 * A job is published by writing its description, then the ticket, then the job number. Whoever has claimed a task may
 * read the description: the next job is not published before every claimed task is done.
 */

/** Places in the control words (int32). */
export const Control = {
  /** Number of the job; changes last when a job is published. Workers sleep on it. */
  Job: 0,
  /** The job's number in the upper bits, the tasks that are left in the lower `TASK_BITS`. Counted down by claiming. */
  Ticket: 1,
  /** Tasks finished of the present job. The caller sleeps on it. */
  Done: 2,
  Tasks: 3,
  /** Which program: a slot, and how often the slot has changed hands. */
  Slot: 4,
  Generation: 5,
  /** Where the program's binary module lies in the memory. */
  Code: 6,
  CodeLength: 7,
  /** The first thread's scratch memory, and bytes for each thread. */
  Scratch: 8,
  ScratchBytes: 9,
  /** Workers asleep. */
  Sleeping: 10,
  /** 1 after a task of the present job threw. */
  Failed: 11,
  /** 1: workers end. */
  Stop: 12,
  /** Length of the message in characters. */
  MessageLength: 13,
  /** Added to the number of each task. */
  FirstTask: 14,
  Words: 16,
} as const;

export const TASK_BITS = 14;
/** The most tasks a job may have; more are several jobs. */
export const MAX_TASKS = 2 ** TASK_BITS - 1;
/** The most arguments a program may take. */
export const MAX_ARGUMENTS = 32;
export const MAX_MESSAGE = 256;

/** Byte offsets in the control buffer: arguments (float64: they hold every int32 and float32), a message (uint16). */
export const ARGUMENTS_OFFSET = Control.Words * 4;
export const MESSAGE_OFFSET = ARGUMENTS_OFFSET + MAX_ARGUMENTS * 8;
export const CONTROL_BYTES = MESSAGE_OFFSET + MAX_MESSAGE * 2;
