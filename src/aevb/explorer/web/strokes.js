/** Conversion of a drawing or file to model input: its size, its range, and possibly two values. */

/** As in MNIST: the longer side of a digit is 20 of 28 pixels, and its center of mass is centered. */
const FILLED = 20 / 28;
const BLANK = 0.02;

/** Return canvas pixels [r, g, b, a, ...] on black as (C, H, W) in [0, 1]. */
export function channels(pixels, count) {
  const size = pixels.length / 4;
  const found = new Float32Array(count * size);
  for (let p = 0; p < size; p++) {
    const color = [0, 1, 2].map((c) => (pixels[4 * p + c] * pixels[4 * p + 3]) / 65025);
    if (count === 1) found[p] = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2];
    else for (let c = 0; c < count; c++) found[c * size + p] = color[c];
  }
  return found;
}

/** Invert dark ink on light paper to light on dark. */
export function inked(shades) {
  const mean = shades.reduce((sum, value) => sum + value, 0) / shades.length;
  return mean > 0.5 ? shades.map((value) => 1 - value) : shades;
}

/** Return the data values of shades in [0, 1]. */
export function toValues(shades, { low, high }, binarized) {
  return shades.map((shade) => low + (high - low) * (binarized ? Number(shade >= 0.5) : shade));
}

/** Return the box [left, top, right, bottom] of the drawing and its center of mass; null if it is empty. */
export function extent(shades, width, height) {
  const box = [width, height, 0, 0];
  let [mass, x, y] = [0, 0, 0];
  for (let p = 0; p < shades.length; p++) {
    if (shades[p] < BLANK) continue;
    const [i, j] = [p % width, Math.floor(p / width)];
    [box[0], box[1]] = [Math.min(box[0], i), Math.min(box[1], j)];
    [box[2], box[3]] = [Math.max(box[2], i + 1), Math.max(box[3], j + 1)];
    [mass, x, y] = [mass + shades[p], x + shades[p] * (i + 0.5), y + shades[p] * (j + 0.5)];
  }
  return mass ? { box, center: [x / mass, y / mass] } : null;
}

/** Return scale and shift that give a drawing the size and position of MNIST digits. */
export function centered({ box, center }, width, height) {
  const scale = (FILLED * Math.min(width, height)) / Math.max(box[2] - box[0], box[3] - box[1]);
  return { scale, x: width / 2 - scale * center[0], y: height / 2 - scale * center[1] };
}
