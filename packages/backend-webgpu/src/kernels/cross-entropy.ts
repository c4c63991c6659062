import { floatBits, type Stream } from "../stream.js";
import { f32, reads, u32, writes } from "../wgsl/shader.js";
import { reportIndex } from "./gather.js";
import { dispatchLines, logSumExp } from "./lines.js";
import type { GpuKernels } from "./types.js";

const params = [...u32("check"), ...f32("keep", "others")];

const checkedLabel = `
let label = labels[line];
let wrong = label < 0 || label >= i32(p.extent);
if (wrong && only) { reportIndex(line, label); }`;

export const crossEntropyKernels = (stream: Stream): Pick<GpuKernels, "crossEntropy" | "crossEntropyGrad"> => {
  /** The check's number, the weight of the label's own class, and what smoothing gives to each class. */
  const wordsFor = (id: number, labelSmoothing: number, classes: number): number[] => [
    id,
    floatBits(1 - labelSmoothing),
    floatBits(labelSmoothing / classes),
  ];
  return {
    // -Σ t·log softmax(x) with t = (1-s) one-hot + s/C
    crossEntropy: {
      run: ({ inputs: [logits, labels], outputs: [loss], attrs: { labelSmoothing } }) => {
        const classes = logits.shape[1] as number;
        const check = stream.indexCheck({ what: "crossEntropy: labels", extent: classes, where: "" });
        // Without smoothing, a logit of -Infinity must not meet a factor of 0.
        const smooth = labelSmoothing !== 0;
        dispatchLines(stream, {
          op: "crossEntropy",
          variant: `${smooth}`,
          bindings: [reads("x", "f32"), reads("labels", "i32"), writes("check", "atomic<u32>"), writes("loss", "f32")],
          params,
          words: wordsFor(check.id, labelSmoothing, classes),
          declarations: reportIndex,
          body: `${checkedLabel}
${logSumExp}
${smooth ? "var spread = 0.0;\nEACH { spread += most - x[i] + logSum; }\nlet all = total(lane, spread);" : ""}
if (only) {
  let chosen = x[start + u32(select(label, 0, wrong))];
  loss[line] = p.keep * (most - chosen + logSum)${smooth ? " + p.others * all" : ""};
}`,
          shape: logits.shape,
          axis: 1,
          inputs: [logits.storage, labels.storage],
          outputs: [check.storage, loss.storage],
        });
      },
    },

    // gx = gy (softmax(x) - t)
    crossEntropyGrad: {
      run: ({ inputs: [logits, labels, gy], outputs: [gx], attrs: { labelSmoothing } }) => {
        const classes = logits.shape[1] as number;
        const check = stream.indexCheck({ what: "crossEntropyGrad: labels", extent: classes, where: "" });
        dispatchLines(stream, {
          op: "crossEntropyGrad",
          variant: "",
          bindings: [
            reads("x", "f32"),
            reads("labels", "i32"),
            reads("gy", "f32"),
            writes("check", "atomic<u32>"),
            writes("gx", "f32"),
          ],
          params,
          words: wordsFor(check.id, labelSmoothing, classes),
          declarations: reportIndex,
          body: `${checkedLabel}
${logSumExp}
EACH {
  let t = p.others + select(0.0, p.keep, i == start + u32(label));
  gx[i] = gy[line] * (expOf(x[i] - most - logSum) - t);
}`,
          shape: logits.shape,
          axis: 1,
          inputs: [logits.storage, labels.storage, gy.storage],
          outputs: [check.storage, gx.storage],
        });
      },
    },
  };
};
