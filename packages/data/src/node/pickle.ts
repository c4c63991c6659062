import {
  CheckpointError,
  type PickleCall,
  type Pickled,
  PickledName,
  type PickleRules,
  parsePickle,
} from "@striate/checkpoint";
import { DataError } from "../errors.js";

/** A numpy array of uint8, row-major. */
export class PickledArray {
  /** Empty until its state gives shape and data. */
  shape: readonly number[] = [];
  data: Uint8Array = new Uint8Array(0);
}
class DTypeMarker {}

type Part = PickledArray | DTypeMarker;

const latin1 = new TextDecoder("latin1");

const reconstruct: PickleCall<Part> = ([type], fail) => {
  if (!(type instanceof PickledName) || type.name !== "numpy.ndarray") throw fail("call is not how an array is made");
  return new PickledArray();
};

/** How numpy pickles an array: made empty by `_reconstruct`, then given (version, shape, dtype, order, bytes). */
const rules: PickleRules<Part> = {
  names: new Map<string, PickleCall<Part> | undefined>([
    ["numpy.core.multiarray._reconstruct", reconstruct],
    ["numpy._core.multiarray._reconstruct", reconstruct],
    ["numpy.ndarray", undefined],
    [
      "numpy.dtype",
      ([given], fail) => {
        const name = given instanceof Uint8Array ? latin1.decode(given) : given;
        if (name !== "u1") throw fail(`array of dtype ${String(name)}, expected u1`);
        return new DTypeMarker();
      },
    ],
  ]),
  build: (target, state, fail) => {
    if (!Array.isArray(state) || !Object.isFrozen(state)) throw fail("state is no tuple");
    // A dtype's state (byte order and the like) says nothing about bytes.
    if (target instanceof DTypeMarker) return;
    if (!(target instanceof PickledArray)) throw fail("state for something that is no array");
    const [, shape, dtype, fortranOrder, data] = state as readonly Pickled<Part>[];
    if (!Array.isArray(shape) || !(dtype instanceof DTypeMarker) || !(data instanceof Uint8Array))
      throw fail("state of the array is not (version, shape, dtype, order, bytes)");
    if (fortranOrder !== false) throw fail("array is in Fortran order, expected C order");
    const dimensions = (shape as readonly Pickled<Part>[]).map((n) => {
      if (typeof n !== "number" || !(n >= 0)) throw fail(`array has dimension ${String(n)}`);
      return n;
    });
    const size = dimensions.reduce((a, b) => a * b, 1);
    if (size !== data.length) throw fail(`array of ${dimensions.join(" x ")} has ${data.length} bytes`);
    target.shape = dimensions;
    target.data = data;
  },
};

/**
 * Reads a pickle of protocol 2 to 4 that holds nothing but plain data (see `parsePickle` of @striate/checkpoint) and
 * uint8 arrays. No name is looked up and nothing is called; any other opcode or name is an error.
 * @throws DataError (data-corrupt)
 */
export const parseNumpyPickle = (bytes: Uint8Array): Pickled<Part> => {
  try {
    return parsePickle(bytes, rules);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    throw new DataError("data-corrupt", error.message, { cause: error });
  }
};
