import { scope, type Tensor } from "@striate/core";

/** One image a view, or six of arXiv 2404.00498: mirrored or not, at its place or moved by one pixel along the diagonal. */
export type Views = 1 | 6;

/** Logits averaged over an image and its mirror image. */
const mirrored = (forward: (x: Tensor) => Tensor, images: Tensor): Tensor =>
  forward(images)
    .add(forward(images.flip(3)))
    .mul(0.5);

const sixViews =
  (forward: (x: Tensor) => Tensor) =>
  (images: Tensor): Tensor =>
    scope(() => {
      const [n, channels, height, width] = images.shape as readonly [number, number, number, number];
      const padded = images.pad2d([1, 1, 1, 1], { mode: "reflect" });
      const moved = (by: number): Tensor =>
        padded.slice({ begin: [0, 0, by, by], end: [n, channels, by + height, by + width] });
      const shifted = mirrored(forward, moved(0)).add(mirrored(forward, moved(2)));
      return mirrored(forward, images).mul(0.5).add(shifted.mul(0.25));
    });

/**
 * Test-time augmentation: the forward pass that shows the network `views` views of each image [N, C, H, W] and averages the
 * logits. For `logits` of `evaluate`.
 */
export const withViews = (forward: (x: Tensor) => Tensor, views: Views): ((x: Tensor) => Tensor) =>
  views === 6 ? sixViews(forward) : forward;
