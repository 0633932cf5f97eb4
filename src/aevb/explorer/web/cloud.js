/** Two-dimensional data: the test examples, the decoded grid of the latent plane, and p(x|z). */

import { css, lookOf, theme } from "./colors.js";
import { mark } from "./plane.js";
import { sharpen } from "./picture.js";
import { Scale, ticks } from "./scale.js";
import { quantile } from "./statistics.js";
import { minus } from "./words.js";

const MARGIN = 0.15;

export class CloudView {
  constructor(canvas, model) {
    Object.assign(this, { canvas, model, net: [], path: null });
    this.box = boxOf(model.examples, MARGIN);
  }

  show(found) {
    this.found = found;
    this.draw();
  }

  /** Set the decoded grid lines, [[x, y, x, y, ...], ...]. */
  setNet(net) {
    this.net = net;
    this.look = null;
    this.draw();
  }

  /** Return the static layer, redrawn only if the scale or the colors change. */
  scene(scale, colors) {
    const look = JSON.stringify([scale, colors, this.canvas.width]);
    if (this.look !== look) {
      this.look = look;
      this.still = new OffscreenCanvas(this.canvas.width, this.canvas.height);
      const context = this.still.getContext("2d");
      context.scale(this.canvas.width / scale.width, this.canvas.height / scale.height);
      this.points(context, scale, this.model.examples, this.model.labels);
      this.lines(context, scale, colors);
      this.axes(context, scale, colors);
    }
    return this.still;
  }

  draw() {
    const { context, width, height } = sharpen(this.canvas);
    const [scale, colors] = [Scale.showing(this.box, width, height), theme()];
    context.drawImage(this.scene(scale, colors), 0, 0, width, height);
    if (!this.found) return;
    const { mean, stddev } = this.found;
    const [x, y] = scale.toScreen(mean);
    for (const [color, wide] of [
      [css(colors.paper), 5],
      [css(colors.ink), 2],
    ]) {
      Object.assign(context, { strokeStyle: color, lineWidth: wide });
      for (const stddevs of [1, 2]) {
        context.beginPath();
        context.ellipse(x, y, stddevs * stddev[0] * scale.unit, stddevs * stddev[1] * scale.unit, 0, 0, 7);
        context.stroke();
      }
    }
    context.fillStyle = css(colors.ink);
    mark(context, "disc", x, y, 4);
    context.fill();
  }

  points(context, scale, rows, labels) {
    const { classes, colors } = this.model.facts;
    context.globalAlpha = 0.55;
    for (let n = 0; n < rows.length / 2; n++) {
      const { color, form } = lookOf(labels ? labels[n] : 0, classes, colors);
      context.fillStyle = color;
      mark(context, form, ...scale.toScreen([rows[2 * n], rows[2 * n + 1]]), 2);
      context.fill();
    }
    context.globalAlpha = 1;
  }

  lines(context, scale, colors) {
    Object.assign(context, { strokeStyle: css(colors.soft, 0.75), lineWidth: 1 });
    for (const line of this.net) {
      context.beginPath();
      for (let n = 0; n < line.length; n += 2) context.lineTo(...scale.toScreen([line[n], line[n + 1]]));
      context.stroke();
    }
  }

  axes(context, scale, colors) {
    const [left, right, bottom, top] = scale.box;
    Object.assign(context, { fillStyle: css(colors.soft), font: "12px system-ui, sans-serif" });
    Object.assign(context, { textAlign: "center", textBaseline: "bottom" });
    for (const value of ticks(left, right, scale.unit)) {
      const [x] = scale.toScreen([value, 0]);
      if (x > 24 && x < scale.width - 40) context.fillText(minus(value), x, scale.height - 4);
    }
    Object.assign(context, { textAlign: "left", textBaseline: "middle" });
    for (const value of ticks(bottom, top, scale.unit)) {
      const [, y] = scale.toScreen([0, value]);
      if (y > 24 && y < scale.height - 20) context.fillText(minus(value), 4, y);
    }
    const [first, second] = this.model.facts.columns.map(({ name }) => name);
    Object.assign(context, { fillStyle: css(colors.ink), font: "600 13px system-ui, sans-serif" });
    Object.assign(context, { textAlign: "right", textBaseline: "bottom" });
    context.fillText(first, scale.width - 4, scale.height - 4);
    Object.assign(context, { textAlign: "left", textBaseline: "top" });
    context.fillText(second, 4, 4);
  }

  proportion() {
    return 1;
  }

  /** Draw a traversal as a curve through the data. */
  strip(canvas, means, count, marked = -1) {
    const { context, width, height } = sharpen(canvas);
    const [scale, colors] = [Scale.showing(this.box, width, height), theme()];
    this.points(context, scale, this.model.examples, this.model.labels);
    Object.assign(context, { strokeStyle: css(colors.ink), lineWidth: 2.5 });
    context.beginPath();
    for (let n = 0; n < count; n++) context.lineTo(...scale.toScreen([means[2 * n], means[2 * n + 1]]));
    context.stroke();
    const ends = [0, count - 1, ...(marked >= 0 ? [marked] : [])];
    for (const n of ends) {
      context.fillStyle = n === marked ? css(colors.accent) : css(colors.ink);
      mark(context, "disc", ...scale.toScreen([means[2 * n], means[2 * n + 1]]), n === marked ? 6 : 4);
      context.fill();
    }
  }

  /** Draw samples over the data. */
  grid(canvas, means, count) {
    const { context, width, height } = sharpen(canvas);
    const [scale, colors] = [Scale.showing(this.box, width, height), theme()];
    this.points(context, scale, this.model.examples, this.model.labels);
    context.fillStyle = css(colors.ink);
    for (let n = 0; n < count; n++) {
      mark(context, "disc", ...scale.toScreen([means[2 * n], means[2 * n + 1]]), 2.5);
      context.fill();
    }
  }
}

/** Return a box [left, right, bottom, top] around nearly all points, with a margin. */
export function boxOf(points, margin, share = 0.002) {
  const column = (k) => Float64Array.from({ length: points.length / 2 }, (_, n) => points[2 * n + k]);
  return [0, 1].flatMap((k) => {
    const values = column(k);
    const [low, high] = [quantile(values, share), quantile(values, 1 - share)];
    const more = margin * (high - low || 1);
    return [low - more, high + more];
  });
}
