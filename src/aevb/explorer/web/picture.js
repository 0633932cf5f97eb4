/** Values of an image to the colours of a screen: ink on the page's paper, or shades from black to white. */

import { between } from "./colours.js";

/** What is printed on white, whatever the page looks like: for files. */
export const WHITE = { paper: [255, 255, 255], ink: [17, 20, 24] };

/**
 * Print an image.
 * @param values (C, H, W)
 * @param facts of the run: shape and shades
 * @param colours with paper and ink
 * @returns ImageData's bytes, (H, W, 4)
 */
export function printed(values, { shape, shades }, colours) {
  const [channels, height, width] = shape;
  const pixels = height * width;
  const bytes = new Uint8ClampedArray(4 * pixels);
  const scale = 1 / (shades.high - shades.low);
  const table = shades.ink ? inks(colours) : null;
  for (let p = 0; p < pixels; p++) {
    const first = (values[p] - shades.low) * scale;
    if (table) {
      const at = 3 * Math.max(0, Math.min(255, Math.round(255 * first)));
      bytes.set([table[at], table[at + 1], table[at + 2], 255], 4 * p);
    } else {
      const shade = (channel) => 255 * (values[(channel % channels) * pixels + p] - shades.low) * scale;
      bytes.set([shade(0), shade(1), shade(2), 255], 4 * p);
    }
  }
  return bytes;
}

/** 256 colours from paper to ink, [r, g, b, r, g, b, ...]. */
function inks({ paper, ink }) {
  const table = new Uint8ClampedArray(3 * 256);
  for (let i = 0; i < 256; i++) table.set(between(paper, ink, i / 255), 3 * i);
  return table;
}

/** An image as a canvas of its own size, to be drawn enlarged. */
export function stamp(values, facts, colours) {
  const [, height, width] = facts.shape;
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(new ImageData(printed(values, facts, colours), width, height), 0, 0);
  return canvas;
}

/** Draw an image into a rectangle, as large as its proportions allow, in pixels with sharp edges where they are large. */
export function place(context, image, x, y, width, height) {
  const scale = Math.min(width / image.width, height / image.height);
  const [w, h] = [image.width * scale, image.height * scale];
  context.imageSmoothingEnabled = scale < 3;
  context.drawImage(image, x + (width - w) / 2, y + (height - h) / 2, w, h);
}

/** Make a canvas as sharp as the screen; its size in units of the page. */
export function sharpen(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = Math.min(3, globalThis.devicePixelRatio || 1);
  const wanted = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wanted[0] || canvas.height !== wanted[1]) [canvas.width, canvas.height] = wanted;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}
