/** Decoded rows that are curves: the value of each column over its number, with the spread of p(x_j|z). */

import { between, css, theme } from "./colors.js";
import { sharpen } from "./picture.js";
import { chancePlaces, intervalWithSpikes } from "./row.js";
import { ticks } from "./scale.js";
import { minus } from "./words.js";

/** The space for the numbers of the axes, in pixels, and that above and below the curves, as a share of their range. */
const MARGINS = { left: 46, right: 10, top: 8, bottom: 22 };
const ROOM = 0.15;
/** Height / width of a panel. */
const PROPORTION = 0.5;

export class CurveView {
  constructor(canvas, model) {
    Object.assign(this, { canvas, model, marked: null });
    const { columns, table } = model.facts;
    Object.assign(this, { columns, table, order: model.facts.order, places: table && chancePlaces(columns) });
    const [low, high] = [Math.min(...columns.map((column) => column.low)), Math.max(...columns.map((column) => column.high))];
    this.range = [low - ROOM * (high - low), high + ROOM * (high - low)];
  }

  show(found) {
    this.found = found;
    this.draw();
  }

  /** Mark an example, or none. */
  mark(values) {
    if (values === this.marked) return;
    this.marked = values;
    this.draw();
  }

  draw() {
    if (!this.found) return;
    const colors = theme();
    const { mean } = this.found;
    const panel = this.panel(this.canvas, colors);
    const limits = this.order.map((j) => this.limits(j));
    panel.context.fillStyle = css(colors.more, 0.2);
    this.area(panel, limits);
    if (this.marked) this.line(panel, this.marked, css(colors.less), 1.2);
    this.line(panel, mean, css(colors.ink), 1.8);
  }

  /** Return the ends of the band of a column: one standard deviation, or the 90 % interval for tables. */
  limits(j) {
    const { mean, stddev } = this.found;
    if (!this.table) return [mean[j] - stddev[j], mean[j] + stddev[j]];
    return intervalWithSpikes(this.columns[j], this.found, j, this.places[j]);
  }

  /** Draw the axes; return the context and the map from a point of a curve to the canvas. */
  panel(canvas, colors) {
    const { context, width, height } = sharpen(canvas);
    const { left, right, top, bottom } = MARGINS;
    const [low, high] = this.range;
    const across = (width - left - right) / (this.order.length - 1);
    const up = (height - top - bottom) / (high - low);
    const panel = { context, x: (n) => left + n * across, y: (value) => height - bottom - (value - low) * up };
    Object.assign(context, { font: "12px system-ui, sans-serif", lineWidth: 1 });
    Object.assign(context, { fillStyle: css(colors.soft), strokeStyle: css(colors.soft, 0.25) });
    Object.assign(context, { textAlign: "right", textBaseline: "middle" });
    for (const value of ticks(low, high, up, 40)) {
      context.fillText(minus(value), left - 6, panel.y(value));
      stroke(context, [[left, panel.y(value)], [width - right, panel.y(value)]]);
    }
    Object.assign(context, { textAlign: "center", textBaseline: "bottom" });
    for (const n of ticks(0, this.order.length - 1, across)) {
      if (Number.isInteger(n)) context.fillText(String(n), panel.x(n), height - 3);
    }
    context.beginPath();
    context.rect(left, 0, width - left, height - bottom + 2);
    context.clip();
    context.lineJoin = "round";
    return panel;
  }

  area({ context, x, y }, limits) {
    context.beginPath();
    limits.forEach(([, high], n) => context.lineTo(x(n), y(high)));
    for (let n = limits.length - 1; n >= 0; n--) context.lineTo(x(n), y(limits[n][0]));
    context.fill();
  }

  /** Draw one row as a curve, with gaps where values are missing. */
  line({ context, x, y }, values, color, wide) {
    Object.assign(context, { strokeStyle: color, lineWidth: wide });
    let points = [];
    this.order.forEach((j, n) => {
      if (!Number.isNaN(values[j])) points.push([x(n), y(values[j])]);
      else [, points] = [stroke(context, points), []];
    });
    stroke(context, points);
  }

  proportion() {
    return PROPORTION;
  }

  /** Draw rows over one another, from one color to another. */
  strip(canvas, means, count, marked = -1) {
    const colors = theme();
    const panel = this.panel(canvas, colors);
    const row = (n) => means.subarray(n * this.model.size, (n + 1) * this.model.size);
    for (let n = 0; n < count; n++) this.line(panel, row(n), css(between(colors.less, colors.more, n / (count - 1))), 1.2);
    if (marked >= 0) this.line(panel, row(marked), css(colors.ink), 2.2);
  }

  /** Draw samples over one another, each in its own color. */
  grid(canvas, means, count) {
    const panel = this.panel(canvas, theme());
    const { colors } = this.model.facts;
    for (let n = 0; n < count; n++) {
      this.line(panel, means.subarray(n * this.model.size, (n + 1) * this.model.size), colors[n % colors.length], 1.3);
    }
  }
}

function stroke(context, points) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.stroke();
}
