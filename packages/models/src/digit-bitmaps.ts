/** The digits 0 to 4, then 5 to 9, side by side: 12 rows of 7 pixels each, "#" for ink. */
const drawings = [
  "..###.. ...##.. .#####. ####### .....#.",
  ".##.##. ..###.. ##...## .....## ....##.",
  "##...## .####.. ##...## ....##. ...###.",
  "##...## ...##.. .....## ...##.. ..#.##.",
  "##...## ...##.. .....## ..####. .#..##.",
  "##...## ...##.. ....##. .....## #...##.",
  "##...## ...##.. ...##.. .....## #...##.",
  "##...## ...##.. ..##... .....## #######",
  "##...## ...##.. .##.... .....## #######",
  "##...## ...##.. ##..... .....## ....##.",
  ".##.##. ...##.. ##..... ##...## ....##.",
  "..###.. .###### ####### .#####. ....##.",

  "####### ...###. ####### .#####. .####..",
  "####### ..##... ####### ##...## ##..##.",
  "##..... .##.... ##...## ##...## ##...##",
  "##..... ##..... ....##. ##...## ##...##",
  "##..... ##..... ....##. .##.##. ##...##",
  "######. ##.###. ...##.. ..###.. .##..##",
  "....### ###..## ...##.. .#####. ..#####",
  ".....## ##...## ..##... ##...## .....##",
  ".....## ##...## ..##... ##...## .....##",
  ".....## ##...## .##.... ##...## ....##.",
  "##..##. .##..## .##.... ##...## ...##..",
  "#####.. ..####. .##.... .#####. .###...",
] as const;

/** [height, width] of a bitmap: 84 pixels, one for each unit of F6. */
export const digitBitmapSize = [12, 7] as const;

/**
 * The digits 0 to 9 as bitmaps, row-major, +1 for ink and -1 for paper: ten codes of 84 elements, of which each two
 * differ in 21 places at least. LeNet-5's output units measure the distance to such codes (Y. LeCun et al., 1998,
 * section II.B and figure 3); these drawings are our own.
 */
export const digitBitmaps: readonly (readonly number[])[] = /* @__PURE__ */ Array.from({ length: 10 }, (_, digit) => {
  const [height] = digitBitmapSize;
  const band = Math.floor(digit / 5) * height;
  const rows = drawings.slice(band, band + height).map((line) => line.split(" ")[digit % 5] as string);
  return Array.from(rows.join(""), (pixel) => (pixel === "#" ? 1 : -1));
});
