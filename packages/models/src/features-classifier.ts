import { dropout, type InitOptions, type Layer, linear, relu, sequential } from "@striate/nn";

/** Torchvision's form of AlexNet and VGG: `features`, a pool, and on the flattened images a `classifier`. */
export const featuresClassifier =
  (features: readonly Layer[], pool: Layer, classifier: readonly Layer[]): Layer =>
  (m) => {
    const stages = [m.child("features", sequential(features)), m.child("avgpool", pool)] as const;
    const classify = m.child("classifier", sequential(classifier));
    return (x) => {
      const y = stages[0](x);
      return classify(stages[1](y).flatten(1));
    };
  };

/** The second half of AlexNet: two hidden layers with dropout before them. `inits` are of the hidden layers, the last. */
export const dropoutFirst = (
  inputs: number,
  {
    hidden = 4096,
    classes,
    dropout: p,
  }: { readonly hidden?: number; readonly classes: number; readonly dropout: number },
  inits: { readonly hidden?: InitOptions; readonly last?: InitOptions } = {},
): Layer[] => [
  dropout(p),
  linear(inputs, hidden, inits.hidden),
  relu(),
  dropout(p),
  linear(hidden, hidden, inits.hidden),
  relu(),
  linear(hidden, classes, inits.last),
];
