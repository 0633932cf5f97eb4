/**
 * The latent plane: a background (decoded images or density), the latent means of the test examples, and the current
 * point with the posterior of the chosen example.
 */

import { css, diverging, lookOf, theme } from "./colors.js";
import { ellipse } from "./linear.js";
import { place, sharpen } from "./picture.js";
import { Scale, ticks } from "./scale.js";
import { minus } from "./words.js";

const NEAR = 9;
/** Opacity of the decoded plane behind points. */
const BEHIND = 0.5;
/** The share of its place that a tile of less than SMALL pixels fills: such images often have no margins of their own. */
const FILLED = 0.72;
const SMALL = 16;
/** The value of log q(z)/p(z) with full color, in nats. */
export const FULL = 3;
const RINGS = [1, 2, 3];

export class Plane {
  /**
   * @param below, above: canvases of the static and the moving layer
   * @param facts of the run
   */
  constructor(below, above, facts) {
    Object.assign(this, { below, above, facts, scale: null, hidden: new Set(), behind: "none" });
    this.looks = new Map();
  }

  /** Show a box of the plane. */
  show(box) {
    this.home = box;
    this.scale = Scale.showing(box, this.below.clientWidth, this.below.clientHeight);
  }

  /** Adapt to the size of the element, also after it had none, as in a frame that was hidden. */
  resize() {
    if (!this.scale.width) this.show(this.home);
    else this.scale = this.scale.resized(this.below.clientWidth, this.below.clientHeight);
  }

  /**
   * Draw the static layer.
   * @param points [a, b, ...] of the examples
   * @param labels of the examples, or null
   * @param scene { tiles, density, rings, axes }: the background and the names of the axes
   */
  drawScene(points, labels, { tiles, density, rings, axes }) {
    const { context, width, height } = sharpen(this.below);
    const colors = theme();
    if (density) this.drawDensity(context, density, colors);
    if (tiles) this.drawTiles(context, tiles);
    if (rings) this.drawRings(context, colors);
    this.drawPoints(context, points, labels, css(colors.paper, 0.8));
    this.drawAxes(context, width, height, axes, colors);
  }

  drawTiles(context, { step, seen }) {
    const size = step * this.scale.unit * (this.isSmall ? FILLED : 1);
    context.globalAlpha = this.hidden.size < this.looks.size ? BEHIND : 1;
    for (const { tile, at } of seen) {
      const [x, y] = this.scale.toScreen(at);
      place(context, tile, x - size / 2, y - size / 2, size, size);
    }
    context.globalAlpha = 1;
  }

  /** Whether images are too small to be distinguished without gaps. */
  get isSmall() {
    return Math.max(...this.facts.shape.slice(1)) < SMALL;
  }

  /** Draw log q(z)/p(z) where q or p is not negligible. */
  drawDensity(context, { across, up, ratio, weight }, colors) {
    const image = new OffscreenCanvas(across.length, up.length);
    const pixels = new ImageData(across.length, up.length);
    for (let j = 0; j < up.length; j++) {
      for (let i = 0; i < across.length; i++) {
        const from = j * across.length + i;
        const color = diverging(ratio[from] / FULL, colors);
        pixels.data.set([...color, 255 * weight[from]], 4 * ((up.length - 1 - j) * across.length + i));
      }
    }
    const pen = image.getContext("2d");
    pen.putImageData(pixels, 0, 0);
    const half = [(across[1] - across[0]) / 2, (up[1] - up[0]) / 2];
    const [left, top] = this.scale.toScreen([across[0] - half[0], up.at(-1) + half[1]]);
    const [right, bottom] = this.scale.toScreen([across.at(-1) + half[0], up[0] - half[1]]);
    context.imageSmoothingEnabled = true;
    context.drawImage(image, left, top, right - left, bottom - top);
  }

  drawRings(context, colors) {
    const [x, y] = this.scale.toScreen([0, 0]);
    context.strokeStyle = css(colors.ink, 0.45);
    context.lineWidth = 1;
    context.setLineDash([4, 4]);
    for (const ring of RINGS) {
      context.beginPath();
      context.arc(x, y, ring * this.scale.unit, 0, 2 * Math.PI);
      context.stroke();
    }
    context.setLineDash([]);
  }

  lookOf(label) {
    if (!this.looks.has(label)) this.looks.set(label, lookOf(label, this.facts.classes, this.facts.colors));
    return this.looks.get(label);
  }

  drawPoints(context, points, labels, edge) {
    const count = points.length / 2;
    const size = Math.max(2.2, Math.min(4, 80 / Math.sqrt(count))) * Math.min(2, Math.sqrt(this.scale.width / 500));
    Object.assign(context, { strokeStyle: edge, lineWidth: 1 });
    for (let n = 0; n < count; n++) {
      const label = labels ? labels[n] : 0;
      if (this.hidden.has(label)) continue;
      const { color, form } = this.lookOf(label);
      const [x, y] = this.scale.toScreen([points[2 * n], points[2 * n + 1]]);
      context.fillStyle = color;
      mark(context, form, x, y, size);
      context.fill();
      context.stroke();
    }
  }

  drawAxes(context, width, height, axes, colors) {
    const [left, right, bottom, top] = this.scale.box;
    context.font = `${Math.max(11, Math.min(18, width / 50))}px system-ui, sans-serif`;
    const label = (text, x, y, align, baseline) => {
      Object.assign(context, { textAlign: align, textBaseline: baseline, lineWidth: 4, lineJoin: "round" });
      context.strokeStyle = css(colors.paper, 0.85);
      context.strokeText(text, x, y);
      context.fillStyle = css(colors.ink);
      context.fillText(text, x, y);
    };
    for (const value of ticks(left, right, this.scale.unit)) {
      const [x] = this.scale.toScreen([value, 0]);
      if (x > 24 && x < width - 60) label(minus(value), x, height - 6, "center", "bottom");
    }
    for (const value of ticks(bottom, top, this.scale.unit)) {
      const [, y] = this.scale.toScreen([0, value]);
      if (y > 30 && y < height - 24) label(minus(value), 6, y, "left", "middle");
    }
    context.font = `600 ${context.font}`;
    label(axes[0], width - 6, height - 6, "right", "bottom");
    label(axes[1], 6, 6, "left", "top");
  }

  /**
   * Draw the moving layer.
   * @param at the current point
   * @param others { covariance, own, hover, path }: of the chosen example, the user's image, the example under the pointer, and the interpolation
   */
  drawPoint(at, { posterior, own, hover, path }) {
    const { context } = sharpen(this.above);
    const colors = theme();
    if (path) this.drawPath(context, path, colors);
    for (const normal of [posterior, own]) if (normal) this.drawEllipse(context, normal, colors, normal === own);
    if (hover) this.drawCircle(context, hover, NEAR, css(colors.ink), 1.5, colors);
    this.drawCross(context, at, colors);
  }

  drawPath(context, path, colors) {
    context.beginPath();
    for (const point of path) context.lineTo(...this.scale.toScreen(point));
    for (const [color, wide] of [
      [colors.paper, 5],
      [colors.ink, 2],
    ]) {
      Object.assign(context, { strokeStyle: css(color), lineWidth: wide });
      context.stroke();
    }
    Object.assign(context, { font: "600 12px system-ui, sans-serif", textAlign: "center", textBaseline: "middle" });
    path.forEach((point, n) => {
      const [x, y] = this.scale.toScreen(point);
      context.fillStyle = css(colors.ink);
      context.fillRect(x - 8, y - 8, 16, 16);
      context.fillStyle = css(colors.paper);
      context.fillText("AB"[n], x, y + 0.5);
    });
  }

  drawEllipse(context, { mean, covariance }, colors, dashed) {
    const [x, y] = this.scale.toScreen(mean);
    const { axes, angle } = ellipse(covariance);
    for (const [color, wide] of [
      [colors.paper, 4],
      [dashed ? colors.more : colors.accent, 2],
    ]) {
      Object.assign(context, { strokeStyle: css(color), lineWidth: wide });
      for (const stddevs of [1, 2]) {
        context.beginPath();
        const [long, short] = axes.map((axis) => Math.max(1, stddevs * axis * this.scale.unit));
        context.ellipse(x, y, long, short, -angle, 0, 2 * Math.PI);
        context.stroke();
      }
    }
  }

  drawCircle(context, at, radius, color, wide, colors) {
    const [x, y] = this.scale.toScreen(at);
    for (const [style, width] of [
      [css(colors.paper), wide + 3],
      [color, wide],
    ]) {
      Object.assign(context, { strokeStyle: style, lineWidth: width });
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  drawCross(context, at, colors) {
    this.drawCircle(context, at, 10, css(colors.ink), 2.5, colors);
    const [x, y] = this.scale.toScreen(at);
    context.fillStyle = css(colors.ink);
    context.beginPath();
    context.arc(x, y, 2.5, 0, 2 * Math.PI);
    context.fill();
  }

  /** Return the example under a point of the screen, or null. */
  under([x, y], points, labels) {
    let [best, least] = [null, NEAR];
    for (let n = 0; n < points.length / 2; n++) {
      if (this.hidden.has(labels ? labels[n] : 0)) continue;
      const [px, py] = this.scale.toScreen([points[2 * n], points[2 * n + 1]]);
      const distance = Math.hypot(px - x, py - y);
      if (distance < least) [best, least] = [n, distance];
    }
    return best;
  }
}

/** Begin a path of a shape around a point. */
export function mark(context, form, x, y, size) {
  context.beginPath();
  if (form === "disc") {
    context.arc(x, y, size, 0, 2 * Math.PI);
    return;
  }
  const wide = 1.25 * size;
  context.moveTo(x, y - wide);
  context.lineTo(x + wide, y + 0.8 * wide);
  context.lineTo(x - wide, y + 0.8 * wide);
  context.closePath();
}
