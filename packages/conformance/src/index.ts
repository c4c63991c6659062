/** The conformance suite of Striate: a function from a backend to a report. */
export type { ModelBuilder, ModelUnderTest } from "./groups/models.js";
export type { TrainingImages } from "./groups/training.js";
export {
  type IsolatedLaunch,
  type IsolatedMessage,
  type IsolatedOptions,
  type IsolatedPort,
  IsolatedRunError,
  type IsolatedWorker,
  runIsolated,
  serveIsolated,
} from "./isolated.js";
export { type KnownFailure, parseKnownFailures } from "./known-failures.js";
export {
  type CaseResult,
  type Column,
  type ConformanceReport,
  type EngineRow,
  type Group,
  groups,
  groupTexts,
  type Status,
  type Summary,
  schemaVersion,
  summarize,
  summaryLine,
} from "./results.js";
export { type ConformanceOptions, runConformance, type StartEvent } from "./run.js";
export { buildScorecard, type Cell, type Native, type Row, type Scorecard } from "./scorecard/build.js";
export { renderHtml } from "./scorecard/html.js";
export { renderMarkdown } from "./scorecard/markdown.js";
export { parseShard, type Shard } from "./shard.js";
export { type Precision, precisions } from "./tolerance.js";
export { loadVectorFiles, type VectorFile } from "./vectors/load.js";
export type { Vectors } from "./vectors/parse.js";
