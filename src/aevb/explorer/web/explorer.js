/** One run on the page: the current point, and events for all views of it. */

import { CloudView } from "./cloud.js";
import { CurveView } from "./curve.js";
import { ImageView } from "./image.js";
import { movedTo, squaredDistance } from "./linear.js";
import { RowView } from "./row.js";
import { Stage } from "./stage.js";
import { fixed } from "./words.js";

const VIEWS = { image: ImageView, cloud: CloudView, curve: CurveView, row: RowView };
const PATIENCE = 120;
/** The smallest distance from the plane that is not a rounding error. */
const AWAY = 1e-5;

/**
 * Events: `moved` when the user moves the point; `decoded` once per frame; `sliced` when the points of the plane
 * change; `recolored` when the color scheme changes.
 */
export class Explorer extends EventTarget {
  /** @param root the element of the run; model: a loaded model */
  constructor(root, model) {
    super();
    Object.assign(this, { root, model, chosen: null, dirty: true, busy: false, waiting: new Map() });
    this.z = new Float32Array(model.latent);
    this.view = new VIEWS[model.facts.view](this.part("now"), model);
    this.stage = new Stage(this);
    this.stage.setAxes(...model.order.slice(0, 2).sort((i, j) => i - j));
    this.part("origin").addEventListener("click", () => this.goTo(new Float32Array(model.latent)));
    this.part("random").addEventListener("click", () => this.choose(Math.floor(Math.random() * model.count)));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolor());
  }

  part(name) {
    return this.root.querySelector(`[data-part="${name}"]`);
  }

  notify(name) {
    this.dispatchEvent(new Event(name));
  }

  /** Debounce an action: run it once, after the last call. */
  later(what, action, patience = PATIENCE) {
    clearTimeout(this.waiting.get(what));
    this.waiting.set(what, setTimeout(action, patience));
  }

  recolor() {
    this.notify("sliced");
    this.changed();
    this.notify("recolored");
  }

  // The point.

  /** Move to a point. `chosen` is the example with this latent mean; a quiet move fires no `moved` event. */
  goTo(z, { chosen = null, quiet = false } = {}) {
    const rest = (point) => movedTo(this.stage.directions, point, [0, 0]);
    const [before, after] = [rest(this.z), rest(z)];
    this.z = Float32Array.from(z);
    this.chosen = chosen;
    if (after.some((value, i) => Math.abs(value - before[i]) > AWAY)) this.notify("sliced");
    this.changed();
    if (!quiet) this.notify("moved");
  }

  goToPlace(place, options) {
    this.goTo(movedTo(this.stage.directions, this.z, place), options);
  }

  choose(number, options) {
    this.goTo(this.model.code(number), { chosen: number, ...options });
  }

  /** Return the example whose latent mean is nearest to the point. */
  get nearestExample() {
    let [best, least] = [0, Infinity];
    for (let n = 0; n < this.model.count; n++) {
      const distance = squaredDistance(this.model.code(n), this.z);
      if (distance < least) [best, least] = [n, distance];
    }
    return best;
  }

  /** Decode and draw in the next frame. */
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
      this.notify("decoded");
    }
    this.busy = false;
    this.later("said", () => this.say(), 600);
  }

  // Text.

  read() {
    const [a, b] = this.stage.place;
    const [first, second] = this.stage.axes.map((name) => name.replace(/ \(.*/, ""));
    this.part("place").textContent = `${first} ${fixed(a, 2)}${second && `, ${second} ${fixed(b, 2)}`}`;
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

  /** Announce the point to screen readers once it rests. */
  say() {
    this.part("said").textContent = `${this.part("place").textContent} ${this.part("chosen").textContent}`;
  }

  /** Show the chosen example beside its reconstruction. */
  showOriginal(example) {
    const pair = this.part("pair");
    if (!pair) return;
    pair.hidden = !example;
    if (example) this.view.single(this.part("original"), example);
  }

  /** Show the decoded image inside the plane on small screens, away from the point. */
  showInset([x, y]) {
    const inset = this.part("inset");
    if (!inset?.clientWidth) return;
    const { width, height } = this.stage.plane.scale;
    inset.classList.toggle("left", x > width / 2 && y < height / 2);
    this.view.single(inset, this.found.mean);
  }
}
