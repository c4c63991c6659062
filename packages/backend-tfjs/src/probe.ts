/** Which of several ways to compute something is right on this backend: the first that gives the known answers. */
import type { Device, Info } from "./device.js";
import type { ReportRow, Status } from "./report.js";

/** Absolute error that a result may have. */
export type Limit = (expected: number) => number;

export interface Probe<F> {
  /** What the probe computes, as tfjs's users write it. */
  readonly code: string;
  /** The same for one element of a pointwise function. */
  readonly element?: (i: number) => string;
  readonly run: (f: F) => Info;
  readonly expected: readonly number[];
  /** Default: none. */
  readonly limit?: Limit;
}

export interface Way<F> {
  readonly status: Exclude<Status, "decomposed">;
  /** The kernels of tfjs that it calls. */
  readonly kernels: readonly string[];
  readonly f: F;
}

/** Something that kernels are made of. */
export interface Primitive<F> {
  readonly op: string;
  readonly dtype?: "float32" | "int32";
  /** Core decomposes it if no way is right; then loops on the host must not cost a wait for a GPU. */
  readonly optional?: boolean;
  /** Best first: tfjs's own kernel, if it has one; the first name in the list is that kernel's. */
  readonly ways: readonly Way<F>[];
  /** Take the second way even where tfjs's own is right. */
  readonly passOver?: boolean;
  readonly probes: readonly Probe<F>[];
}

export interface Chosen<F> {
  /** undefined where no way is right. */
  readonly f: F | undefined;
  /** tfjs's own kernel, where that is right and yet not chosen. */
  readonly own?: F;
  readonly row: ReportRow;
}

/** NaN and infinities are no JSON: results are written out. */
const show = (values: readonly number[]): string =>
  values.length === 1 ? `${values[0]}` : `[${values.map((x) => (Object.is(x, -0) ? 0 : x)).join(", ")}]`;

type Failure = Pick<Extract<NonNullable<ReportRow["reason"]>, { kind: "wrong" }>, "code" | "expected" | "got">;

/** NaN is NaN, and -0 is 0. */
const isRight = (got: number, expected: number, limit: number): boolean =>
  got === expected ||
  (Number.isNaN(got) && Number.isNaN(expected)) ||
  (Number.isFinite(expected) && Math.abs(got - expected) <= limit);

const failureOf = async <F>(device: Device, f: F, probes: readonly Probe<F>[]): Promise<Failure | undefined> => {
  for (const { code, element, run, expected, limit = () => 0 } of probes) {
    const results: Info[] = [];
    try {
      device.everywhere(() => device.scoped(() => results.push(device.keep(run(f)))));
      for (const result of results) {
        const got = Array.from(await device.read(result));
        if (got.length !== expected.length) return { code, expected: show(expected), got: show(got) };
        const wrong = expected.findIndex((value, i) => !isRight(got[i] as number, value, limit(value)));
        if (wrong < 0) continue;
        if (!element) return { code, expected: show(expected), got: show(got) };
        return { code: element(wrong), expected: `${expected[wrong]}`, got: `${got[wrong]}` };
      }
    } catch (error) {
      return {
        code,
        expected: show(expected),
        got: error instanceof Error ? `an error: ${error.message}` : String(error),
      };
    } finally {
      results.forEach(device.release);
    }
  }
  return undefined;
};

interface Finding {
  /** Places in the list of ways; -1 for none. */
  readonly chosen: number;
  readonly own: number;
  readonly row: ReportRow;
}

const find = async <F>(device: Device, primitive: Primitive<F>): Promise<Finding> => {
  const { op, dtype = "float32", optional = false, passOver = false, ways, probes } = primitive;
  const kernel = (ways[0] as Way<F>).kernels[0] as string;
  let reason: ReportRow["reason"];
  let own = -1;
  let last = -1;
  for (const [i, way] of ways.entries()) {
    if (way.status === "host" && !(optional ? device.hostMemory : device.syncRead)) continue;
    if (!way.kernels.every(device.has)) {
      if (i === 0) reason = { kind: "missing" };
      continue;
    }
    const failure = await failureOf(device, way.f, probes);
    if (failure) {
      if (i === 0) reason = { kind: "wrong", ...failure };
      last = i;
    } else if (i === 0 && passOver) {
      own = i;
      reason = { kind: "passed over" };
    } else return { chosen: i, own, row: { op, dtype, kernel, status: way.status, ...(reason && { reason }) } };
  }
  if (own >= 0) return { chosen: own, own: -1, row: { op, dtype, kernel, status: "native" } };
  const status = optional ? "decomposed" : "wrong";
  return { chosen: optional ? -1 : last, own, row: { op, dtype, kernel, status, ...(reason && { reason }) } };
};

/** The first way that the backend has the kernels for and that answers all probes rightly. */
export const choose = async <F>(device: Device, primitive: Primitive<F>): Promise<Chosen<F>> => {
  const { op, dtype = "float32", passOver = false, ways } = primitive;
  const key = `${op} ${dtype} ${passOver}`;
  const finding = (device.findings.get(key) as Finding | undefined) ?? (await find(device, primitive));
  device.findings.set(key, finding);
  const own = ways[finding.own]?.f;
  return { f: ways[finding.chosen]?.f, ...(own && { own }), row: { ...finding.row } };
};
