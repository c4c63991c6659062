/** What can be made of a run folder. */
export { writeComparison } from "./comparison.js";
export { toCsv } from "./csv.js";
export { ReportError } from "./error.js";
export { confusionOf, perClassOf } from "./figures.js";
export {
  type ClassFigures,
  currentRecords,
  type Metric,
  type MetricOf,
  type MetricRecord,
  readMetrics,
} from "./metrics.js";
export {
  type PredictionRecorder,
  type Predictions,
  type PredictionsOptions,
  predictionsOf,
  recordPredictions,
} from "./predictions.js";
export { writeReport } from "./report.js";
export { writeTensorBoard } from "./tensorboard-files.js";
