import type { Runtime } from "../runtime.js";
import type { WasmKernels } from "../storage.js";
import { activationKernels } from "./activation.js";
import { argReduceKernels } from "./arg-reduce.js";
import { batchNormKernels } from "./batch-norm.js";
import { binaryKernels } from "./binary.js";
import { castKernels } from "./cast.js";
import { chainKernels } from "./chain.js";
import { conv2dKernels } from "./conv2d.js";
import { crossEntropyKernels } from "./cross-entropy.js";
import { cumsumKernels } from "./cumsum.js";
import { fillKernels } from "./fill.js";
import { gatherKernels } from "./gather.js";
import { localResponseNormKernels } from "./local-response-norm.js";
import { matmulKernels } from "./matmul.js";
import { movementKernels } from "./movement.js";
import { pool2dKernels } from "./pool2d.js";
import { randomBitsKernels } from "./random-bits.js";
import { reduceKernels } from "./reduce.js";
import { remapLookUpKernels } from "./remap-look-up.js";
import { softmaxKernels } from "./softmax.js";
import { unaryKernels } from "./unary.js";
import { unfold2dKernels } from "./unfold2d.js";
import { whereKernels } from "./where.js";

export const createKernels = (runtime: Runtime): WasmKernels => ({
  ...fillKernels(runtime),
  ...castKernels(runtime),
  ...unaryKernels(runtime),
  ...activationKernels(runtime),
  ...chainKernels(runtime),
  ...binaryKernels(runtime),
  ...whereKernels(runtime),
  ...reduceKernels(runtime),
  ...argReduceKernels(runtime),
  ...matmulKernels(runtime),
  ...movementKernels(runtime),
  ...gatherKernels(runtime),
  ...remapLookUpKernels(runtime),
  ...unfold2dKernels(runtime),
  ...conv2dKernels(runtime),
  ...pool2dKernels(runtime),
  ...batchNormKernels(runtime),
  ...localResponseNormKernels(runtime),
  ...softmaxKernels(runtime),
  ...crossEntropyKernels(runtime),
  ...cumsumKernels(runtime),
  ...randomBitsKernels(runtime),
});
