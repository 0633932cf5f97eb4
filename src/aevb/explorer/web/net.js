/** A square grid in the latent plane, decoded into the data plane. */

const REACH = 3;
const LINES = 13;
const POINTS = 61;

export class Net {
  constructor(explorer) {
    this.explorer = explorer;
    explorer.addEventListener("sliced", () => explorer.later("net", () => this.show()));
    this.show();
  }

  async show() {
    const { model, stage, view, z } = this.explorer;
    const found = [];
    for (const line of lines()) {
      const rows = model.slice(stage.directions, z, Float32Array.from(line.flat()));
      found.push((await model.decode(rows)).mean);
    }
    view.setNet(found);
  }
}

/** Return the horizontal and vertical lines, each of points [[a, b], ...]. */
export function lines() {
  const at = (n, count) => REACH * ((2 * n) / (count - 1) - 1);
  const one = (fixed, turn) =>
    Array.from({ length: POINTS }, (_, n) => (turn ? [fixed, at(n, POINTS)] : [at(n, POINTS), fixed]));
  return Array.from({ length: LINES }, (_, k) => [one(at(k, LINES), false), one(at(k, LINES), true)]).flat();
}
