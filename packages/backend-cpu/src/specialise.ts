/**
 * A copy of `loop` with feedback of its own.
 *
 * V8 optimises a function for the callbacks it has met. One loop shared by all kinds of an op meets many, and then calls
 * its callback for every element (7 ns for an addition); a loop that only ever meets one inlines it (1 ns), as fast as
 * if written by hand. So each kind gets a copy, compiled from the loop's own source under a distinct `id`: equal sources
 * share their feedback. `loop` must therefore name nothing outside itself. Where a page's Content Security Policy forbids
 * compiling, the shared loop does the same work more slowly.
 */
export type Specialise = <L extends (...args: never[]) => unknown>(loop: L, id: string) => L;

const canCompile = (): boolean => {
  try {
    return new Function("return true")() === true;
  } catch {
    return false;
  }
};

/** `codegen: false` never compiles at run time. Otherwise it is tried once, for each refusal is logged by browsers. */
export const createSpecialise = (codegen: boolean): Specialise => {
  const compile = codegen && canCompile();
  return (loop, id) => (compile ? new Function(`return (${loop}) // ${id}`)() : loop);
};

/** A table whose entries are made when first asked for. */
export const lazyTable = <K, V>(make: (key: K) => V): ((key: K) => V) => {
  const made = new Map<K, V>();
  return (key) => {
    let value = made.get(key);
    if (value === undefined) {
      value = make(key);
      made.set(key, value);
    }
    return value;
  };
};
