/** What a person gives, a drawing or a file, to what the model was trained on: one size, one range, perhaps two values. */

/** Of MNIST: a digit's longer side is 20 of 28 pixels, and its centre of mass is in the middle. */
const FILLED = 20 / 28;
const BLANK = 0.02;

/** Shades of a canvas's pixels [r, g, b, a, ...], on black, to (C, H, W) in [0, 1]. */
export function channels(pixels, count) {
  const size = pixels.length / 4;
  const found = new Float32Array(count * size);
  for (let p = 0; p < size; p++) {
    const colour = [0, 1, 2].map((c) => (pixels[4 * p + c] * pixels[4 * p + 3]) / 65025);
    if (count === 1) found[p] = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2];
    else for (let c = 0; c < count; c++) found[c * size + p] = colour[c];
  }
  return found;
}

/** Dark ink on light paper turned to light on dark, as the models of ink see it. */
export function inked(shades) {
  const mean = shades.reduce((sum, value) => sum + value, 0) / shades.length;
  return mean > 0.5 ? shades.map((value) => 1 - value) : shades;
}

/** Shades in [0, 1] to values of the data. */
export function toValues(shades, { low, high }, binarized) {
  return shades.map((shade) => low + (high - low) * (binarized ? Number(shade >= 0.5) : shade));
}

/** The box [left, top, right, bottom] of what is drawn, and its centre of mass; null where nothing is. */
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
  return mass ? { box, centre: [x / mass, y / mass] } : null;
}

/** How to draw a picture so that what is in it is as large as MNIST's digits and centred as they are. */
export function centred({ box, centre }, width, height) {
  const scale = (FILLED * Math.min(width, height)) / Math.max(box[2] - box[0], box[3] - box[1]);
  return { scale, x: width / 2 - scale * centre[0], y: height / 2 - scale * centre[1] };
}
