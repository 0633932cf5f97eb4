/** Decoded images. */

import { theme } from "./colors.js";
import { place, sharpen, stamp, WHITE } from "./picture.js";

export class ImageView {
  constructor(canvas, model) {
    Object.assign(this, { canvas, model, gap: 2 });
  }

  /** Show the decoded mean at one point. */
  show({ mean }) {
    this.mean = mean;
    const { context, width, height } = sharpen(this.canvas);
    place(context, stamp(mean, this.model.facts, theme()), 0, 0, width, height);
  }

  /** Draw one image so that it fills a canvas. */
  single(canvas, values) {
    const { context, width, height } = sharpen(canvas);
    place(context, stamp(values, this.model.facts, theme()), 0, 0, width, height);
  }

  /** Return height / width of a strip of `count` images. */
  proportion(count) {
    const [, height, width] = this.model.facts.shape;
    return height / width / count;
  }

  /** Draw images side by side. */
  strip(canvas, means, count, marked = -1) {
    const { context, width, height } = sharpen(canvas);
    this.tiles(context, means, count, count, width, height, theme());
    if (marked >= 0) outline(context, (marked * width) / count, 0, width / count, height);
  }

  grid(canvas, means, count, columns) {
    const { context, width, height } = sharpen(canvas);
    this.tiles(context, means, count, columns, width, height, theme());
  }

  tiles(context, means, count, columns, width, height, colors) {
    const [rows, size] = [Math.ceil(count / columns), this.model.size];
    for (let n = 0; n < count; n++) {
      const image = stamp(means.subarray(n * size, (n + 1) * size), this.model.facts, colors);
      const [x, y] = [((n % columns) * width) / columns, (Math.floor(n / columns) * height) / rows];
      place(context, image, x + this.gap / 2, y + this.gap / 2, width / columns - this.gap, height / rows - this.gap);
    }
  }

  /** Return a promise of a PNG with strips below each other on white, each image `side` pixels wide. */
  png(strips, count, side) {
    const [, height, width] = this.model.facts.shape;
    const tall = Math.round((side * height) / width);
    const sheet = new OffscreenCanvas(count * side, strips.length * tall);
    const context = sheet.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, sheet.width, sheet.height);
    strips.forEach((means, n) => {
      context.setTransform(1, 0, 0, 1, 0, n * tall);
      this.tiles(context, means, count, count, sheet.width, tall, WHITE);
    });
    return sheet.convertToBlob({ type: "image/png" });
  }
}

function outline(context, x, y, width, height) {
  const { accent } = theme();
  context.strokeStyle = `rgb(${accent.join(" ")})`;
  context.lineWidth = 3;
  context.strokeRect(x + 1.5, y + 1.5, width - 3, height - 3);
}
