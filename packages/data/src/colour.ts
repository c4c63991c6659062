/** Brightness, contrast and lighting: in an image, every byte of a channel becomes another one, wherever it stands. */
import type { AugmentOptions, DrawAddress } from "./augment.js";
import { colourShift } from "./lighting.js";
import { type Geometry, type Movement, noMovement, sumMoved } from "./movement.js";
import { drawsFor, streams, uniformNumber } from "./streams.js";

/** An image in `source`, from byte `from` on, and how it will move. */
export interface SourceImage {
  readonly source: Uint8Array;
  readonly from: number;
  readonly movement: Movement | undefined;
}

/** What the 256 values of a channel become. */
type Table = Uint8ClampedArray;

const tableOf = (f: (value: number) => number): Table => {
  const table = new Uint8ClampedArray(256);
  for (let value = 0; value < 256; value++) table[value] = f(value);
  return table;
};

export const changesColour = ({ brightness = 0, contrast = 0, lighting }: AugmentOptions): boolean =>
  brightness > 0 || contrast > 0 || lighting !== undefined;

/** Mean luma (ITU-R BT.601, as torchvision) of a colour image; plain mean for any other number of channels. */
const meanGrey = ({ source, from, movement }: SourceImage, table: Table, geometry: Geometry): number => {
  const { channels, height, width } = geometry;
  const weights = channels === 3 ? [0.299, 0.587, 0.114] : new Array<number>(channels).fill(1 / channels);
  const plane = height * width;
  const moved = movement ?? noMovement(geometry);
  let mean = 0;
  weights.forEach((weight, channel) => {
    mean += (weight * sumMoved(moved, table, source, from + channel * plane, geometry)) / plane;
  });
  return mean;
};

const randomFactor = (amount: number, stream: number, { seed, epoch }: DrawAddress, index: number): number =>
  1 + amount * (2 * uniformNumber(drawsFor(seed, stream, epoch, index)[0] as number) - 1);

/**
 * What becomes of the bytes of image `index` once it has moved, channel by channel. After each change they are rounded and kept
 * within 0 to 255.
 */
export const colourTables = (
  { brightness = 0, contrast = 0, lighting }: AugmentOptions,
  geometry: Geometry,
  address: DrawAddress,
  index: number,
  image: SourceImage,
): readonly Table[] => {
  let table = tableOf((value) => value);
  const change = (f: (value: number) => number): Table => {
    const before = table;
    return tableOf((value) => f(before[value] as number));
  };
  if (brightness > 0) {
    const factor = randomFactor(brightness, streams.brightness, address, index);
    table = change((value) => value * factor);
  }
  if (contrast > 0) {
    const factor = randomFactor(contrast, streams.contrast, address, index);
    const grey = meanGrey(image, table, geometry);
    table = change((value) => grey + factor * (value - grey));
  }
  return lighting
    ? colourShift(lighting, address, index).map((shift) => change((value) => value + shift))
    : new Array<Table>(geometry.channels).fill(table);
};
