/** Image values as screen colors: ink on paper, or shades from black to white. */

import { between } from "./colors.js";

/** The colors of image files, independent of the color scheme. */
export const WHITE = { paper: [255, 255, 255], ink: [17, 20, 24] };

/**
 * Return an image as pixels.
 * @param values (C, H, W)
 * @param facts of the run: shape and shades
 * @param colors with paper and ink
 * @returns ImageData's bytes, (H, W, 4)
 */
export function printed(values, { shape, shades }, colors) {
  const [channels, height, width] = shape;
  const pixels = height * width;
  const bytes = new Uint8ClampedArray(4 * pixels);
  const scale = 1 / (shades.high - shades.low);
  const table = shades.ink ? inks(colors) : null;
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

/** 256 colors from paper to ink, [r, g, b, r, g, b, ...]. */
function inks({ paper, ink }) {
  const table = new Uint8ClampedArray(3 * 256);
  for (let i = 0; i < 256; i++) table.set(between(paper, ink, i / 255), 3 * i);
  return table;
}

/** Return an image as a canvas of its size. */
export function stamp(values, facts, colors) {
  const [, height, width] = facts.shape;
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(new ImageData(printed(values, facts, colors), width, height), 0, 0);
  return canvas;
}

/** Draw an image into a rectangle with its aspect ratio, with sharp pixels if enlarged. */
export function place(context, image, x, y, width, height) {
  const scale = Math.min(width / image.width, height / image.height);
  const [w, h] = [image.width * scale, image.height * scale];
  context.imageSmoothingEnabled = scale < 3;
  context.drawImage(image, x + (width - w) / 2, y + (height - h) / 2, w, h);
}

/** Return a text, or its beginning with an ellipsis if it is wider than `width` pixels. */
export function fitted(context, text, width) {
  const fits = (shown) => context.measureText(shown).width <= width;
  if (fits(text)) return text;
  let end = text.length - 1;
  while (end > 1 && !fits(`${text.slice(0, end)}…`)) end -= 1;
  return `${text.slice(0, end)}…`;
}

/** Match a canvas to the resolution of the screen; return its context and size in CSS pixels. */
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
