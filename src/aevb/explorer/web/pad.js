/** The drawing area for pointer, keys and image files: white on black internally, ink on paper on the screen. */

import { css, theme } from "./colors.js";
import { sharpen } from "./picture.js";
import { keyed } from "./pointer.js";
import { centered, channels, extent, inked, toValues } from "./strokes.js";

const SIDE = 280;
/** Width of the pen, and length of a step with the keys. */
const WIDTH = SIDE / 14;
const STEP = SIDE / 28;

export class Pad {
  /**
   * @param canvas the visible canvas; facts: of the run
   * @param changed called after each change
   */
  constructor(canvas, facts, changed) {
    const [, height, width] = facts.shape;
    Object.assign(this, { canvas, facts, changed, centering: false, color: "#fff" });
    this.sheet = new OffscreenCanvas(SIDE, Math.round((SIDE * height) / width));
    this.pen = this.sheet.getContext("2d", { willReadFrequently: true });
    this.cursor = [SIDE / 2, this.sheet.height / 4];
    this.pointer();
    this.keys();
    new ResizeObserver(() => this.draw()).observe(canvas);
    this.clear();
  }

  clear() {
    this.pen.fillStyle = "#000";
    this.pen.fillRect(0, 0, this.sheet.width, this.sheet.height);
    this.blank = true;
    this.draw();
  }

  // Input.

  pointer() {
    let last = null;
    const { canvas, sheet } = this;
    const at = (event) => [
      (event.offsetX / canvas.clientWidth) * SIDE,
      (event.offsetY / canvas.clientHeight) * sheet.height,
    ];
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      last = at(event);
      this.line(last, last);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (last) this.line(last, (last = at(event)));
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (last = null));
  }

  /** Arrow keys move the pen, Shift + arrow keys draw a line, Space draws a dot. */
  keys() {
    const does = {
      nudge: (x, y) => this.move(x, y, false),
      pan: (x, y) => this.move(-Math.sign(x), -Math.sign(y), true),
    };
    this.canvas.addEventListener("keydown", (event) => {
      if (event.key === " ") this.line(this.cursor, this.cursor);
      else if (!event.key.startsWith("Arrow") || !keyed(event, does)) return;
      event.preventDefault();
    });
    for (const name of ["focus", "blur"]) this.canvas.addEventListener(name, () => this.draw());
  }

  move(x, y, down) {
    const before = this.cursor;
    const within = (value, most) => Math.max(STEP, Math.min(most - STEP, value));
    this.cursor = [within(before[0] + STEP * x, SIDE), within(before[1] + STEP * y, this.sheet.height)];
    if (down) this.line(before, this.cursor);
    else this.draw();
  }

  line(from, to) {
    Object.assign(this.pen, { strokeStyle: this.color, lineWidth: WIDTH, lineCap: "round" });
    this.pen.beginPath();
    this.pen.moveTo(...from);
    this.pen.lineTo(to[0] + 0.01, to[1]); // a line of no length would not be drawn
    this.pen.stroke();
    this.put();
  }

  /** Show an image at the largest size; if it `may`, invert dark ink on light paper. */
  picture(image, may) {
    this.clear();
    const scale = Math.min(this.sheet.width / image.width, this.sheet.height / image.height);
    const [width, height] = [image.width * scale, image.height * scale];
    this.pen.imageSmoothingEnabled = scale < 3;
    this.pen.drawImage(image, (this.sheet.width - width) / 2, (this.sheet.height - height) / 2, width, height);
    const gray = this.gray;
    if (may && inked(gray) !== gray) over(this.pen, "difference", "#fff");
    this.put();
  }

  put() {
    this.blank = false;
    this.draw();
    this.changed();
  }

  // Output.

  get gray() {
    return channels(this.pen.getImageData(0, 0, this.sheet.width, this.sheet.height).data, 1);
  }

  /** Return the model input, (C, H, W). */
  get values() {
    const { shape, shades, binarized } = this.facts;
    const [count, height, width] = shape;
    const pen = new OffscreenCanvas(width, height).getContext("2d");
    pen.imageSmoothingQuality = "high";
    const drawn = this.centering && extent(this.gray, this.sheet.width, this.sheet.height);
    const { scale, x, y } = drawn ? centered(drawn, width, height) : { scale: width / SIDE, x: 0, y: 0 };
    pen.drawImage(this.sheet, x, y, this.sheet.width * scale, this.sheet.height * scale);
    return toValues(channels(pen.getImageData(0, 0, width, height).data, count), shades, binarized);
  }

  draw() {
    const { context, width, height } = sharpen(this.canvas);
    const colors = theme();
    context.drawImage(this.sheet, 0, 0, width, height);
    if (this.facts.shades.ink) tint(context, colors);
    if (document.activeElement !== this.canvas) return;
    Object.assign(context, { strokeStyle: css(colors.accent), lineWidth: 2 });
    context.beginPath();
    context.arc((this.cursor[0] / SIDE) * width, (this.cursor[1] / this.sheet.height) * height, width / 28, 0, 7);
    context.stroke();
  }
}

/** Convert white on black to ink on paper. */
function tint(context, { ink, paper }) {
  const isDay = ink[0] < paper[0];
  if (isDay) over(context, "difference", "#fff");
  const [low, high] = isDay ? [ink, paper] : [paper, ink];
  over(context, "lighten", css(low));
  over(context, "darken", css(high));
}

/** Blend one color over the whole canvas. */
function over(context, how, color) {
  Object.assign(context, { globalCompositeOperation: how, fillStyle: color });
  context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  context.globalCompositeOperation = "source-over";
}
