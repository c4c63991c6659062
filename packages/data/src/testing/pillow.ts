import { readFileSync } from "node:fs";
import type { Picture } from "../picture.js";

type Size = readonly [height: number, width: number];

/** What Pillow 12.3 made of `wavePicture`s and of small files; bytes in base64, planes one after the other. */
export interface PillowAnswers {
  /** Image.resize with BILINEAR. */
  readonly resized: readonly { readonly from: Size; readonly to: Size; readonly pixels: string }[];
  /** torchvision's Resize and CenterCrop, by their formulas, on Image.resize. */
  readonly fitted: readonly { readonly from: Size; readonly size: number; readonly pixels: string }[];
  /** Files that Pillow wrote, and what it reads from them: as RGB and as L, upright. */
  readonly files: readonly {
    readonly name: string;
    readonly file: string;
    readonly size: Size;
    readonly rgb: string;
    readonly grey: string;
  }[];
}

export const pillow = JSON.parse(readFileSync(new URL("pillow.json", import.meta.url), "utf8")) as PillowAnswers;

export const bytesOf = (base64: string): Uint8Array => Uint8Array.from(Buffer.from(base64, "base64"));

/** A picture in which neighbours differ. */
export const wavePicture = ([height, width]: Size, channels = 3): Picture => {
  const plane = height * width;
  const pixels = new Uint8Array(channels * plane);
  for (let i = 0; i < plane; i++)
    for (let c = 0; c < channels; c++) {
      const at = i * channels + c;
      pixels[c * plane + i] = ((at * 37 + 11) * (1 + (at % 7))) % 251;
    }
  return { pixels, channels, height, width };
};
