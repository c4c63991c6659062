/** Trained weights for other classes: a new head, the rest loaded or frozen, rates by layer. */
import { ArgumentError, type Tensor } from "@striate/core";
import type { Forward, Layer, Module } from "@striate/nn";

const replaceAt =
  <F extends Forward>(layer: Layer<F>, path: readonly string[], depth: number, replacement: Layer): Layer<F> =>
  (m) => {
    const names: string[] = [];
    const child = <G extends Forward>(name: string, sublayer: Layer<G>): G => {
      names.push(name);
      if (name !== path[depth]) return m.child(name, sublayer);
      const isLast = depth === path.length - 1;
      // In its place the replacement is called as the sublayer was.
      const next = isLast ? (replacement as unknown as Layer<G>) : replaceAt(sublayer, path, depth + 1, replacement);
      return m.child(name, next);
    };
    // On the prototype the definition's getters live on.
    const forward = layer(Object.create(m, { child: { value: child } }));
    if (!names.includes(path[depth] as string))
      throw new ArgumentError(
        `replaceLayer: there is no layer ${path.slice(0, depth + 1).join(".")}; there are ${names.join(", ") || "none"}`,
      );
    return forward;
  };

/**
 * The same network with another sublayer at `path`: `replaceLayer(resnet18(), "fc", sequential([dropout(), linear(512, 5)]))`.
 * The other layers keep their names, and so their initial values.
 *
 * @throws ArgumentError, when the network is built, unless there is a sublayer at that path.
 */
export const replaceLayer = <F extends Forward>(layer: Layer<F>, path: string, replacement: Layer): Layer<F> =>
  replaceAt(layer, path.split("."), 0, replacement);

const isWithin = (name: string, layer: string): boolean => name === layer || name.startsWith(`${layer}.`);

/**
 * Whether a name of the state dict lies within one of these layers: for `freeze`, and for `skip` of @striate/checkpoint's
 * `loadWeights`, as in `loadWeightsFile(net, "resnet18.pth", { skip: within(models.resnet18.heads) })`.
 *
 * @param layers paths: "fc", "layer4.1"
 */
export const within =
  (layers: readonly string[]) =>
  (name: string): boolean =>
    layers.some((layer) => isWithin(name, layer));

/** Which parameters a group takes: those within the layer of this path, or those whose names are accepted. */
export type Match = string | RegExp | ((name: string) => boolean);

const accepts = (match: Match, name: string): boolean => {
  if (typeof match === "string") return isWithin(name, match);
  // Unlike `test`, `search` has no memory of the last name where the expression has the flag g or y.
  return typeof match === "function" ? match(name) : name.search(match) >= 0;
};

/**
 * Groups for an optimizer of @striate/optim, by name: `sgd(parameterGroups(net, [{ match: "fc", lr: 0.1 }]), { lr: 0.001 })`. A
 * parameter goes into the group of the first rule that takes it; those that none takes are a last group, with the optimizer's
 * own hyperparameters. Frozen ones are among them: optimizers pass over these as long as they are.
 *
 * @throws ArgumentError for a rule that takes nothing.
 */
export const parameterGroups = <H extends object>(
  net: Module<Forward>,
  rules: readonly ({ readonly match: Match } & H)[],
): ({ readonly params: readonly Tensor[] } & Partial<H>)[] => {
  const groups = rules.map((): Tensor[] => []);
  const rest: Tensor[] = [];
  const named = net.namedParameters();
  for (const [name, parameter] of named) {
    const rule = rules.findIndex(({ match }) => accepts(match, name));
    (groups[rule] ?? rest).push(parameter);
  }
  const made = rules.map(({ match, ...hyper }, i) => {
    const params = groups[i] as readonly Tensor[];
    if (params.length === 0)
      throw new ArgumentError(
        `parameterGroups: rule ${i} (${String(match)}) takes no parameter; there are ${[...named.keys()].join(", ")}`,
      );
    return { params, ...(hyper as unknown as Partial<H>) };
  });
  const others = { params: rest } as unknown as (typeof made)[number];
  return rest.length > 0 ? [...made, others] : made;
};
