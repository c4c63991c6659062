import { relu } from "../reference/elementwise.js";
import { type NdArray, zip } from "../reference/ndarray.js";
import { type Definition, type Fields, list } from "../suite.js";

type Reference<I, A> = (inputs: Fields<I, NdArray>, attrs: A) => readonly NdArray[];

/** What differs where the first output of an op goes through a ReLU; `run` and `kernels` are still the op's own. */
export const thenRelu = <I, A extends object>(definition: Definition<I, A>): Definition<I, A> => {
  const plain: Reference<I, A> = (inputs, attrs) => list<NdArray>(definition.reference(inputs, attrs));
  return {
    ...definition,
    reference: (inputs, attrs) => {
      const [y, ...rest] = plain(inputs, attrs) as [NdArray, ...NdArray[]];
      return [relu(y), ...rest];
    },
    // Next to these inputs, what is positive here passes and the rest is 0: linear.
    nextTo: (inputs, attrs) => {
      const [here] = plain(inputs, attrs) as [NdArray];
      return (at) =>
        zip([(plain(at, attrs) as [NdArray])[0], here], (y, place) => ((place as number) > 0 ? (y as number) : 0));
    },
  };
};
