/** The map between the plane and the screen, with equal units in both directions. */

export class Scale {
  /** @param center [a, b] at the center of the screen; unit: pixels per 1 */
  constructor(center, unit, width, height) {
    Object.assign(this, { center, unit, width, height });
  }

  /** Return a scale that shows the whole box [left, right, bottom, top]. */
  static showing([left, right, bottom, top], width, height) {
    const unit = Math.min(width / (right - left), height / (top - bottom));
    return new Scale([(left + right) / 2, (bottom + top) / 2], unit, width, height);
  }

  toScreen([a, b]) {
    return [this.width / 2 + (a - this.center[0]) * this.unit, this.height / 2 - (b - this.center[1]) * this.unit];
  }

  toPlane([x, y]) {
    return [this.center[0] + (x - this.width / 2) / this.unit, this.center[1] - (y - this.height / 2) / this.unit];
  }

  /** Return the visible box. */
  get box() {
    const [left, top] = this.toPlane([0, 0]);
    const [right, bottom] = this.toPlane([this.width, this.height]);
    return [left, right, bottom, top];
  }

  panned(dx, dy) {
    return new Scale(
      [this.center[0] - dx / this.unit, this.center[1] + dy / this.unit],
      this.unit,
      this.width,
      this.height,
    );
  }

  /** Zoom by a factor around a point of the screen. */
  zoomed(factor, [x, y] = [this.width / 2, this.height / 2]) {
    const unit = Math.min(1e5, Math.max(1, this.unit * factor));
    const [a, b] = this.toPlane([x, y]);
    return new Scale(
      [a - (x - this.width / 2) / unit, b + (y - this.height / 2) / unit],
      unit,
      this.width,
      this.height,
    );
  }

  resized(width, height) {
    return new Scale(this.center, (this.unit * width) / this.width, width, height);
  }
}

/** Return round numbers from low to high, a fixed number of pixels apart. */
export function ticks(low, high, unit, apart = 70) {
  const least = apart / unit;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= least);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}
