/** How a camera was held: the one thing of a photograph's EXIF data that pixels need. */
import type { Picture } from "../picture.js";

const orientationTag = 0x0112;
const entrySize = 12;

/**
 * 1 (upright) to 8, from the TIFF structure of an EXIF block; 1 where it has none or is damaged, since the picture
 * itself may well be sound.
 */
export const exifOrientation = (tiff: Uint8Array): number => {
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.length);
  if (tiff.length < 8) return 1;
  const little = view.getUint16(0) === 0x4949;
  if ((!little && view.getUint16(0) !== 0x4d4d) || view.getUint16(2, little) !== 42) return 1;
  const directory = view.getUint32(4, little);
  if (directory + 2 > tiff.length) return 1;
  const entries = view.getUint16(directory, little);
  for (let i = 0; i < entries; i++) {
    const at = directory + 2 + i * entrySize;
    if (at + entrySize > tiff.length) return 1;
    if (view.getUint16(at, little) !== orientationTag) continue;
    const value = view.getUint16(at + 8, little);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
};

/** Whether rows and columns change places, and which of them run backwards in the stored picture. */
const turns: Readonly<Record<number, { swap: boolean; down: boolean; right: boolean }>> = {
  2: { swap: false, down: false, right: true },
  3: { swap: false, down: true, right: true },
  4: { swap: false, down: true, right: false },
  5: { swap: true, down: false, right: false },
  6: { swap: true, down: true, right: false },
  7: { swap: true, down: true, right: true },
  8: { swap: true, down: false, right: true },
};

/** The picture upright. */
export const orientPicture = (picture: Picture, orientation: number): Picture => {
  const turn = turns[orientation];
  if (!turn) return picture;
  const { pixels, channels } = picture;
  const [height, width] = turn.swap ? [picture.width, picture.height] : [picture.height, picture.width];
  const result = new Uint8Array(pixels.length);
  const plane = height * width;
  for (let channel = 0; channel < channels; channel++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        // The place in the stored picture.
        const [row, column] = turn.swap ? [x, y] : [y, x];
        const storedRow = turn.down ? picture.height - 1 - row : row;
        const storedColumn = turn.right ? picture.width - 1 - column : column;
        result[channel * plane + y * width + x] = pixels[
          channel * plane + storedRow * picture.width + storedColumn
        ] as number;
      }
  return { pixels: result, channels, height, width };
};
