/** Modules: docs/decisions/0010-modules.md has the why. */
import {
  ArgumentError,
  type Backend,
  type DType,
  keep,
  StriateError,
  scope,
  type Tensor,
  tensor,
  zeros,
} from "@striate/core";
import { type Fans, fansOf, type Initialiser } from "./init.js";
import { randomSource } from "./random.js";

/** Any forward pass. */
export type Forward = (...inputs: never[]) => unknown;
/** The forward pass of most layers, and of all that go into `sequential`. */
export interface UnaryForward {
  (x: Tensor): Tensor;
  /** The layer and a ReLU behind it, to the bit, in one kernel where the backend has one. */
  readonly withRelu?: ((x: Tensor) => Tensor) | undefined;
  /** The layer is a ReLU. */
  readonly isRelu?: boolean | undefined;
}

/**
 * A layer before it has parameters: a function that declares them, and its sublayers, on `m` and returns its forward
 * pass. It may be built any number of times; each build has parameters of its own.
 */
export type Layer<F extends Forward = UnaryForward> = (m: Definition) => F;

export interface Context {
  readonly backend: Backend;
  /** A non-negative integer. Parameters depend on the seed and their names, on nothing else. */
  readonly seed: number;
  /** Of parameters and running statistics. Default "float32". */
  readonly dtype?: "float32" | "float64";
  /** false leaves all parameters 0, which saves the time of drawing what a state dict will replace. Default true. */
  readonly initialise?: boolean;
}

/** A number on the host that training advances. */
export interface Counter {
  value: number;
}

/** What a layer declares itself on. */
export interface Definition {
  readonly backend: Backend;
  readonly seed: number;
  readonly dtype: "float32" | "float64";
  /** The mode now; for use in the forward pass. */
  readonly training: boolean;
  /** Somebody observes or intercepts layers: each has to run by itself. For use in the forward pass. */
  readonly watched: boolean;
  /** A trainable tensor. `fans` are those of its own shape; a bias takes its weight's. */
  parameter(name: string, shape: readonly number[], init: Initialiser, fans?: Fans): Tensor;
  /** A tensor that is saved but not trained, every element `value`. */
  buffer(name: string, shape: readonly number[], value: number): Tensor;
  /** A saved int32 scalar, counted on the host and written when the state is read: no kernel runs for it in a step. */
  tally(name: string): { increment(): void };
  /** A saved number that the forward pass needs on the host. It goes into `counters()`, not into the state dict. */
  counter(name: string): Counter;
  /** A tensor that is neither trained nor saved, like a table of indices. */
  constant(data: Float32Array | Float64Array | Int32Array, shape: readonly number[], dtype: DType): Tensor;
  /** Build a sublayer and get its forward pass. */
  child<F extends Forward>(name: string, layer: Layer<F>): F;
  /** A random stream of this layer's own: no parameter or other layer of the module has it. */
  stream(name: string): number;
}

/**
 * `output` is what the layer `name` just returned. The step frees it, as all that the observer makes and does not `keep`:
 * read or copy it at once.
 */
export type Observer = (name: string, output: unknown) => void;

/** `inputs` are what the layer `name` is called with; it and the layers below it run next. */
export type EntryObserver = (name: string, inputs: readonly unknown[]) => void;

/** As an observer. The tensor that it returns, if any, goes on in the output's place, and is freed as the output is. */
export type Interceptor = (name: string, output: unknown) => Tensor | undefined;

export type StateDict = Map<string, Tensor>;

/** Names that a module and a state do not have in common: what PyTorch's `load_state_dict` returns. */
export interface IncompatibleKeys {
  /** In the module, not in the state. */
  readonly missing: readonly string[];
  /** In the state, not in the module. */
  readonly unexpected: readonly string[];
}

/** Parameters, buffers and a forward pass. Names are PyTorch's: `layer1.0.conv1.weight`, relative to the module. */
export interface Module<F extends Forward = UnaryForward> {
  /** Frees what it makes besides its result. In evaluation, call it under `noGrad`. */
  readonly forward: F;
  /** What the module was built from. */
  readonly layer: Layer<F>;
  readonly children: ReadonlyMap<string, Module<Forward>>;
  /** New modules are in training mode. */
  readonly training: boolean;
  /** Set the mode of this module and all below. */
  train(mode?: boolean): Module<F>;
  /** `train(false)` */
  eval(): Module<F>;
  /** All parameters, frozen ones included. */
  parameters(): Tensor[];
  namedParameters(): Map<string, Tensor>;
  /** Running statistics and tallies. */
  namedBuffers(): Map<string, Tensor>;
  /** Parameters and buffers in PyTorch's order. The module's own handles, not copies; tallies are as of this call. */
  stateDict(): StateDict;
  /**
   * Take over values by name; the tensors stay the caller's. Shapes, dtypes and backend must fit; `strict: false`
   * permits missing and unexpected names, and returns them.
   *
   * @throws ArgumentError listing everything that does not fit; nothing is changed then.
   */
  loadStateDict(state: Iterable<readonly [string, Tensor]>, options?: { readonly strict?: boolean }): IncompatibleKeys;
  /** Host counters, as dropout's: with parameters and buffers they are all that a checkpoint needs. */
  counters(): Map<string, number>;
  /** @throws ArgumentError unless names are exactly `counters()`' and values counts; nothing is changed then. */
  loadCounters(counters: Iterable<readonly [string, number]>): void;
  /** Parameters whose name `match` accepts (default: all) get no gradient; optimizers pass over them. */
  freeze(match?: (name: string) => boolean): Module<F>;
  /** Undoes `freeze`. */
  unfreeze(match?: (name: string) => boolean): Module<F>;
  /** Watch every layer of the whole network that this module belongs to. Call the result to stop. */
  observe(observer: Observer, entry?: EntryObserver): () => void;
  /** Change what layers of the whole network hand on, before observers see it. Call the result to stop. */
  intercept(interceptor: Interceptor): () => void;
  /** Frees parameters, buffers and constants. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** Adds `member` until the result is called. */
const during = <T>(members: Set<T>, member: T): (() => void) => {
  members.add(member);
  return () => {
    members.delete(member);
  };
};

/** What all modules of one network share. */
interface Network extends Required<Context> {
  readonly streams: Set<number>;
  readonly observers: Set<Observer>;
  readonly entryObservers: Set<EntryObserver>;
  readonly interceptors: Set<Interceptor>;
  /** Errors that say already in which layer they arose. */
  readonly located: WeakSet<Error>;
}

const join = (path: string, name: string): string => (path === "" ? name : `${path}.${name}`);

/** 32-bit FNV-1a. */
const hash = (text: string): number => {
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) h = Math.imul(h ^ byte, 0x01000193);
  return h;
};

/** In [2^30, 2^31): callers count their own streams up from 0, and @striate/data has its own above. */
const moduleStream = (n: number): number => (n & 0x3fffffff) | 0x40000000;

/** Named after its path, so that a layer added elsewhere changes nothing here. */
const claimStream = ({ streams }: Network, path: string): number => {
  let stream = moduleStream(hash(path));
  while (streams.has(stream)) stream = moduleStream(stream + 1);
  streams.add(stream);
  return stream;
};

const describe = (t: Tensor): string => `${t.dtype} [${t.shape.join(", ")}] on ${t.backend.name}`;

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

/** Own entries, then the children's under their names. */
const collect = <T>(
  own: ReadonlyMap<string, T>,
  children: ReadonlyMap<string, Module<Forward>>,
  below: (child: Module<Forward>) => ReadonlyMap<string, T>,
): Map<string, T> => {
  const all = new Map(own);
  for (const [name, child] of children) for (const [rest, value] of below(child)) all.set(join(name, rest), value);
  return all;
};

const instantiate = <F extends Forward>(layer: Layer<F>, path: string, network: Network): Module<F> => {
  const { backend, seed, dtype, initialise } = network;
  const parameters = new Map<string, Tensor>();
  const buffers = new Map<string, Tensor>();
  const tallies: { readonly total: Tensor; pending: number }[] = [];
  const counters = new Map<string, Counter>();
  const constants: Tensor[] = [];
  const children = new Map<string, Module<Forward>>();
  const names = new Set<string>();
  let training = true;

  const claim = (name: string): void => {
    if (name === "" || name.includes("."))
      throw new ArgumentError(`module ${path}: "${name}" is no name, expected a text without dots`);
    if (names.has(name)) throw new ArgumentError(`module ${path}: "${name}" is declared twice`);
    names.add(name);
  };

  const add = (name: string, value: Tensor): Tensor => {
    buffers.set(name, keep(value));
    return value;
  };

  const definition: Definition = {
    backend,
    seed,
    dtype,
    get training() {
      return training;
    },
    get watched() {
      return network.observers.size + network.entryObservers.size + network.interceptors.size > 0;
    },
    parameter: (name, shape, init, fans = fansOf(shape)) => {
      claim(name);
      const stream = claimStream(network, join(path, name));
      const draw = (): Tensor => {
        const size = shape.reduce((a, b) => a * b, 1);
        const values = dtype === "float64" ? new Float64Array(size) : new Float32Array(size);
        init({ values, shape, ...fans, random: randomSource(seed, stream) });
        return tensor(values, { backend, shape, dtype, requiresGrad: true });
      };
      const parameter = keep(initialise ? draw() : zeros(shape, { backend, dtype, requiresGrad: true }));
      parameters.set(name, parameter);
      return parameter;
    },
    buffer: (name, shape, value) => {
      claim(name);
      const values = new Float64Array(shape.reduce((a, b) => a * b, 1)).fill(value);
      return add(name, tensor(dtype === "float64" ? values : new Float32Array(values), { backend, shape, dtype }));
    },
    tally: (name) => {
      claim(name);
      const total = add(name, tensor(new Int32Array(1), { backend, shape: [], dtype: "int32" }));
      const entry = { total, pending: 0 };
      tallies.push(entry);
      return {
        increment: () => {
          entry.pending++;
        },
      };
    },
    counter: (name) => {
      claim(name);
      const counter = { value: 0 };
      counters.set(name, counter);
      return counter;
    },
    constant: (data, shape, dtype) => {
      const value = keep(tensor(data, { backend, shape, dtype }));
      constants.push(value);
      return value;
    },
    child: (name, sublayer) => {
      claim(name);
      const child = instantiate(sublayer, join(path, name), network);
      children.set(name, child);
      return child.forward;
    },
    stream: (name) => claimStream(network, join(path, name)),
  };

  const dispose = (): void => {
    for (const child of children.values()) child.dispose();
    for (const t of [...parameters.values(), ...buffers.values(), ...constants]) t.dispose();
  };

  const build = (): F => {
    try {
      return layer(definition);
    } catch (error) {
      dispose();
      throw error;
    }
  };
  const run = build();

  /** `inner` within a scope, watched, its errors located. */
  const guarded =
    <G extends Forward>(inner: G) =>
    (...inputs: Parameters<G>): ReturnType<G> => {
      try {
        for (const entryObserver of network.entryObservers) entryObserver(path, inputs);
        // Within the scope, which frees an output that another one replaces, and all if a watcher throws.
        return scope(() => {
          let output = inner(...inputs);
          for (const interceptor of network.interceptors) output = interceptor(path, output) ?? output;
          for (const observer of network.observers) observer(path, output);
          return output;
        }) as ReturnType<G>;
      } catch (error) {
        if (error instanceof StriateError && !network.located.has(error)) {
          network.located.add(error);
          if (path !== "") error.message += ` (in layer ${path})`;
        }
        throw error;
      }
    };
  const { withRelu, isRelu } = run as Partial<UnaryForward>;
  const forward = Object.assign(guarded(run), { withRelu: withRelu && guarded(withRelu), isRelu }) as unknown as F;

  const settle = (): void => {
    for (const entry of tallies) {
      if (entry.pending === 0) continue;
      scope(() => entry.total.assign(entry.total.add(entry.pending)));
      entry.pending = 0;
    }
  };

  const setTrainable = (match: (name: string) => boolean, trainable: boolean): void => {
    for (const [name, parameter] of module.namedParameters()) if (match(name)) parameter.setRequiresGrad(trainable);
  };

  const module: Module<F> = {
    forward,
    layer,
    children,
    get training() {
      return training;
    },
    train: (mode = true) => {
      training = mode;
      for (const child of children.values()) child.train(mode);
      return module;
    },
    eval: () => module.train(false),
    parameters: () => [...module.namedParameters().values()],
    namedParameters: () => collect(parameters, children, (child) => child.namedParameters()),
    namedBuffers: () => {
      settle();
      return collect(buffers, children, (child) => child.namedBuffers());
    },
    stateDict: () => {
      settle();
      return collect(new Map([...parameters, ...buffers]), children, (child) => child.stateDict());
    },
    loadStateDict: (state, { strict = true } = {}) => {
      const own = module.stateDict();
      const given = new Map(state);
      const missing = [...own.keys()].filter((name) => !given.has(name));
      const unexpected = [...given.keys()].filter((name) => !own.has(name));
      const mismatched = [...own].flatMap(([name, expected]) => {
        const value = given.get(name);
        return value && describe(value) !== describe(expected)
          ? [`${name} is ${describe(value)}, expected ${describe(expected)}`]
          : [];
      });
      const problems = [
        ...(strict && missing.length > 0 ? [`missing: ${missing.join(", ")}`] : []),
        ...(strict && unexpected.length > 0 ? [`unexpected: ${unexpected.join(", ")}`] : []),
        ...mismatched,
      ];
      if (problems.length > 0)
        throw new ArgumentError(`loadStateDict: the state does not fit the module\n  ${problems.join("\n  ")}`);
      for (const [name, handle] of own) {
        const value = given.get(name);
        if (value) handle.assign(value);
      }
      return { missing, unexpected };
    },
    counters: () =>
      collect(new Map([...counters].map(([name, counter]) => [name, counter.value])), children, (child) =>
        child.counters(),
      ),
    loadCounters: (given) => {
      const values = new Map(given);
      const own = module.counters();
      const problems = [
        ...[...own.keys()].filter((name) => !values.has(name)).map((name) => `missing: ${name}`),
        ...[...values].flatMap(([name, value]) => {
          if (!own.has(name)) return [`unexpected: ${name}`];
          return isCount(value) ? [] : [`${name} is ${value}, expected an integer >= 0`];
        }),
      ];
      if (problems.length > 0)
        throw new ArgumentError(`loadCounters: the counters do not fit the module\n  ${problems.join("\n  ")}`);
      for (const [name, counter] of counters) counter.value = values.get(name) as number;
      for (const [name, child] of children) {
        const prefix = join(name, "");
        const below = [...values].filter(([key]) => key.startsWith(prefix));
        child.loadCounters(below.map(([key, value]) => [key.slice(prefix.length), value]));
      }
    },
    freeze: (match = () => true) => {
      setTrainable(match, false);
      return module;
    },
    unfreeze: (match = () => true) => {
      setTrainable(match, true);
      return module;
    },
    observe: (observer, entry) => {
      const stops = [during(network.observers, observer), ...(entry ? [during(network.entryObservers, entry)] : [])];
      return () => {
        for (const stop of stops) stop();
      };
    },
    intercept: (interceptor) => during(network.interceptors, interceptor),
    dispose,
    [Symbol.dispose]: dispose,
  };
  return module;
};

/**
 * Give a layer its parameters.
 *
 * @throws ArgumentError for a bad seed or name; nothing leaks if a declaration throws.
 */
export const build = <F extends Forward>(layer: Layer<F>, context: Context): Module<F> => {
  const { backend, seed, dtype = "float32", initialise = true } = context;
  if (!isCount(seed)) throw new ArgumentError(`build: seed is ${seed}, expected an integer >= 0`);
  return instantiate(layer, "", {
    backend,
    seed,
    dtype,
    initialise,
    streams: new Set(),
    observers: new Set(),
    entryObservers: new Set(),
    interceptors: new Set(),
    located: new WeakSet(),
  });
};
