/**
 * The decoded plane as tiles on a lattice that stays where it is in the plane, so that panning decodes what is new alone.
 *
 * The spacing is a power of two times that of the start; tiles nearest to the middle come first, in pieces as large as
 * fit into a frame, so that the page never waits for them.
 */

const FRAME = 8;
const MOST = 3000;

/** Power of two times `base` at which tiles are between `least` and twice as many pixels wide. */
export function spacing(unit, least, base = 1) {
  return base * 2 ** Math.ceil(Math.log2(least / (unit * base)));
}

/** The lattice's cells [i, j] whose tiles a box touches, from its middle out. */
export function cells([left, right, bottom, top], step) {
  const found = [];
  for (let i = Math.round(left / step); i <= Math.round(right / step); i++) {
    for (let j = Math.round(bottom / step); j <= Math.round(top / step); j++) found.push([i, j]);
  }
  const middle = [(left + right) / 2 / step, (bottom + top) / 2 / step];
  const away = ([i, j]) => (i - middle[0]) ** 2 + (j - middle[1]) ** 2;
  return found.sort((one, other) => away(one) - away(other));
}

export class Lattice {
  /**
   * @param decode points [a, b, a, b, ...] to a promise of as many tiles
   * @param drawn called when tiles have come
   * @param cost milliseconds that one tile takes, by what is known so far
   */
  constructor(decode, drawn, cost) {
    Object.assign(this, { decode, drawn, cost, tiles: new Map(), wanted: [], step: 1, busy: false, era: 0 });
  }

  /** Forget all tiles: another slice, or other colours. */
  clear() {
    this.tiles.clear();
    this.wanted = [];
    this.era += 1;
  }

  want(box, step) {
    this.step = step;
    if (this.tiles.size > MOST) this.tiles.clear();
    this.wanted = cells(box, step).filter((cell) => !this.tiles.has(this.key(cell)));
    this.work();
  }

  key([i, j]) {
    return `${this.step}:${i}:${j}`;
  }

  /** The tiles of a box that are there, each with the place of its middle. */
  *seen(box) {
    for (const cell of cells(box, this.step)) {
      const tile = this.tiles.get(this.key(cell));
      if (tile) yield { tile, at: [cell[0] * this.step, cell[1] * this.step] };
    }
  }

  async work() {
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.wanted.length) await this.some();
    } finally {
      this.busy = false;
    }
  }

  async some() {
    const count = Math.max(1, Math.min(64, Math.floor(FRAME / (this.cost() || 1))));
    const chosen = this.wanted.splice(0, count);
    const [keys, era] = [chosen.map((cell) => this.key(cell)), this.era];
    const tiles = await this.decode(chosen.flatMap(([i, j]) => [i * this.step, j * this.step]));
    if (era === this.era) {
      keys.forEach((key, n) => this.tiles.set(key, tiles[n]));
      this.drawn();
    }
    await new Promise((resume) => setTimeout(resume));
  }
}
