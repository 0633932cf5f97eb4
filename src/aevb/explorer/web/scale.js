/** From places in the plane to places on the screen and back; up is up. One unit is as long in both directions. */

export class Scale {
  /** @param centre [a, b] amid the screen; unit: pixels for 1 */
  constructor(centre, unit, width, height) {
    Object.assign(this, { centre, unit, width, height });
  }

  /** What shows a box [left, right, bottom, top] whole. */
  static showing([left, right, bottom, top], width, height) {
    const unit = Math.min(width / (right - left), height / (top - bottom));
    return new Scale([(left + right) / 2, (bottom + top) / 2], unit, width, height);
  }

  toScreen([a, b]) {
    return [this.width / 2 + (a - this.centre[0]) * this.unit, this.height / 2 - (b - this.centre[1]) * this.unit];
  }

  toPlane([x, y]) {
    return [this.centre[0] + (x - this.width / 2) / this.unit, this.centre[1] - (y - this.height / 2) / this.unit];
  }

  /** The box that the screen shows. */
  get box() {
    const [left, top] = this.toPlane([0, 0]);
    const [right, bottom] = this.toPlane([this.width, this.height]);
    return [left, right, bottom, top];
  }

  panned(dx, dy) {
    return new Scale(
      [this.centre[0] - dx / this.unit, this.centre[1] + dy / this.unit],
      this.unit,
      this.width,
      this.height,
    );
  }

  /** Nearer by a factor, with the place under a point of the screen kept there. */
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
    return new Scale(this.centre, (this.unit * width) / this.width, width, height);
  }
}

/** Round numbers from low to high, about so many pixels apart. */
export function ticks(low, high, unit, apart = 70) {
  const least = apart / unit;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= least);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}
