/**
 * The decoded plane as tiles on a lattice fixed in the plane: panning decodes only the new tiles.
 *
 * The spacing is a power of two times that of the start; tiles nearest to the middle come first, in batches that fit
 * into a frame, so that the page stays responsive.
 */

const FRAME = 8;
const MOST = 3000;

/** Return `base` times a power of two such that tiles are between `least` and 2 `least` pixels wide. */
export function spacing(unit, least, base = 1) {
  return base * 2 ** Math.ceil(Math.log2(least / (unit * base)));
}

/** Return the lattice cells [i, j] whose tiles touch a box, from its center outward. */
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

  /** Discard all tiles. */
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

  /** Return the available tiles of a box with their centers. */
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
