/** One run on the page: the point that is looked at, and word of it to everything that follows. */

import { CloudView } from "./cloud.js";
import { ImageView } from "./image.js";
import { movedTo, squaredDistance } from "./linear.js";
import { RowView } from "./row.js";
import { Stage } from "./stage.js";
import { minus } from "./words.js";

const VIEWS = { image: ImageView, cloud: CloudView, row: RowView };
const PATIENCE = 120;
/** What moves a point out of its plane, and is no rounding. */
const AWAY = 1e-5;

/**
 * It tells: `moved`, where a hand has moved the point; `decoded`, once per frame; `sliced`, where the plane has other
 * points than before; `recoloured`, by day or by night.
 */
export class Explorer extends EventTarget {
  /** @param root the run's element; model: loaded */
  constructor(root, model) {
    super();
    Object.assign(this, { root, model, chosen: null, dirty: true, busy: false, waiting: new Map() });
    this.z = new Float32Array(model.latent);
    this.view = new VIEWS[model.facts.view](this.part("now"), model);
    this.stage = new Stage(this);
    this.stage.setAxes(...model.order.slice(0, 2).sort((i, j) => i - j));
    this.part("origin").addEventListener("click", () => this.goTo(new Float32Array(model.latent)));
    this.part("random").addEventListener("click", () => this.choose(Math.floor(Math.random() * model.count)));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
  }

  part(name) {
    return this.root.querySelector(`[data-part="${name}"]`);
  }

  tell(name) {
    this.dispatchEvent(new Event(name));
  }

  /** Do something once, when nobody has asked for it again for a while. */
  later(what, action, patience = PATIENCE) {
    clearTimeout(this.waiting.get(what));
    this.waiting.set(what, setTimeout(action, patience));
  }

  recolour() {
    this.tell("sliced");
    this.changed();
    this.tell("recoloured");
  }

  // The point.

  /** Look at a point; `chosen` is the example whose code it is; nobody is told of a quiet move. */
  goTo(z, { chosen = null, quiet = false } = {}) {
    const rest = (point) => movedTo(this.stage.directions, point, [0, 0]);
    const [before, after] = [rest(this.z), rest(z)];
    this.z = Float32Array.from(z);
    this.chosen = chosen;
    if (after.some((value, i) => Math.abs(value - before[i]) > AWAY)) this.tell("sliced");
    this.changed();
    if (!quiet) this.tell("moved");
  }

  goToPlace(place, options) {
    this.goTo(movedTo(this.stage.directions, this.z, place), options);
  }

  choose(number, options) {
    this.goTo(this.model.code(number), { chosen: number, ...options });
  }

  /** The example whose code is nearest to the point, in all of latent space. */
  get nearestExample() {
    let [best, least] = [0, Infinity];
    for (let n = 0; n < this.model.count; n++) {
      const distance = squaredDistance(this.model.code(n), this.z);
      if (distance < least) [best, least] = [n, distance];
    }
    return best;
  }

  /** Something is to be decoded and drawn, in the next frame. */
  changed() {
    this.dirty = true;
    if (!this.busy) this.frame();
  }

  async frame() {
    this.busy = true;
    while (this.dirty) {
      await new Promise(requestAnimationFrame);
      this.dirty = false;
      this.found = await this.model.decode(Float32Array.from(this.z));
      this.view.show(this.found);
      this.read();
      this.tell("decoded");
    }
    this.busy = false;
    this.later("said", () => this.say(), 600);
  }

  // What is said of it.

  read() {
    const [a, b] = this.stage.place;
    const [first, second] = this.stage.axes.map((name) => name.replace(/ \(.*/, ""));
    this.part("place").textContent = `${first} ${minus(a.toFixed(2))}${second && `, ${second} ${minus(b.toFixed(2))}`}`;
    this.part("chosen").textContent = this.chosen === null ? "" : this.nameOf(this.chosen);
    const { median } = this.model.decoder;
    this.part("time").textContent = Number.isFinite(median) ? `${median.toFixed(1)} ms` : "–";
    const example = this.chosen === null ? null : this.model.example(this.chosen);
    this.view.mark?.(example);
    this.showOriginal(example);
    this.showInset(this.stage.plane.scale.toScreen([a, b]));
  }

  nameOf(number) {
    const name = this.model.className(number);
    return `test example ${this.model.numbers[number]}${name ? `, class ${name}` : ""}`;
  }

  /** To those who hear the page, when the point has come to rest. */
  say() {
    this.part("said").textContent = `${this.part("place").textContent} ${this.part("chosen").textContent}`;
  }

  /** The chosen example beside what its code decodes to. */
  showOriginal(example) {
    const pair = this.part("pair");
    if (!pair) return;
    pair.hidden = !example;
    if (example) this.view.single(this.part("original"), example);
  }

  /** What is decoded, within the plane, where that is all that a small screen shows: out of the point's way. */
  showInset([x, y]) {
    const inset = this.part("inset");
    if (!inset?.clientWidth) return;
    const { width, height } = this.stage.plane.scale;
    inset.classList.toggle("left", x > width / 2 && y < height / 2);
    this.view.single(inset, this.found.mean);
  }
}
