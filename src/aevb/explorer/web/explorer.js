/** One run on the page: the point that is looked at, and everything that follows it. */

import { boxOf, CloudView } from "./cloud.js";
import { theme } from "./colours.js";
import { densityOf } from "./density.js";
import { ImageView } from "./image.js";
import { covarianceIn, direction, movedTo, placeOf, places, principal } from "./linear.js";
import { Lattice, spacing } from "./lattice.js";
import { stamp } from "./picture.js";
import { Plane } from "./plane.js";
import { listen } from "./pointer.js";
import { RowView } from "./row.js";
import { minus, subscript } from "./words.js";

const VIEWS = { image: ImageView, cloud: CloudView, row: RowView };
const NUDGE = 0.05;
const TILE = 30;
const PATIENCE = 120;
const NET = { reach: 3, lines: 13, points: 61 };

export class Explorer extends EventTarget {
  /** @param root the run's element; model: loaded */
  constructor(root, model) {
    super();
    Object.assign(this, { root, model, chosen: null, own: null, hover: null, path: null, dirty: true, busy: false });
    this.view = new VIEWS[model.facts.view](this.part("now"), model);
    this.plane = new Plane(this.part("below"), this.part("above"), model.facts);
    this.z = new Float32Array(model.latent);
    this.lattice = new Lattice(
      (points) => this.tiles(points),
      () => this.later("scene", () => this.drawScene(), 0),
      () => model.decoder.each,
    );
    this.waiting = new Map();
    this.controls();
    this.setAxes(model.order[0], model.order[1] ?? 1);
    new ResizeObserver(() => this.resized()).observe(this.part("plane"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
  }

  part(name) {
    return this.root.querySelector(`[data-part="${name}"]`);
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /** Do something once, when nobody has asked for it again for a while. */
  later(what, action, patience = PATIENCE) {
    clearTimeout(this.waiting.get(what));
    this.waiting.set(what, setTimeout(action, patience));
  }

  // The plane.

  setAxes(first, second) {
    const [across, up] = [first, second].sort((i, j) => i - j);
    const size = this.model.latent;
    this.axes = size === 1 ? ["z₁", ""] : [across, up].map((k) => `z${subscript(k + 1)}`);
    this.setPlane(size === 1 ? [direction(0, 1), new Float32Array(1)] : [direction(across, size), direction(up, size)]);
  }

  setPrincipal() {
    const { plane, shares } = principal(this.model.codes, this.model.latent);
    this.axes = shares.map((share, k) => `component ${k + 1} (${(100 * share).toFixed(0)} %)`);
    this.setPlane(plane);
  }

  setPlane(plane) {
    this.directions = plane;
    this.points = places(plane, this.model.codes, this.model.latent);
    this.density = null;
    const [left, right, bottom, top] = boxOf(this.points, 0.06, 0.005);
    const most = Math.max(3.2, -left, right, -bottom, top);
    this.plane.show([-most, most, -most, most]);
    this.sliced();
    this.changed();
  }

  /** The points of the plane are others than before, or have other colours. */
  sliced() {
    this.lattice.clear();
    this.later("net", () => this.drawNet());
    this.later("look", () => this.look());
  }

  /** The plane is looked at from elsewhere. */
  look() {
    this.setBehind();
    if (this.plane.behind === "tiles") {
      const least = Math.max(TILE, this.plane.scale.width / 22);
      this.lattice.want(this.plane.scale.box, spacing(this.plane.scale.unit, least));
    }
    if (this.plane.behind === "density" && !this.density) {
      this.density = densityOf(this.model, this.directions, this.plane.home);
    }
    this.drawScene();
  }

  setBehind() {
    const chosen = this.part("behind").querySelector("input:checked").value;
    this.plane.behind = chosen;
    this.part("key").hidden = chosen !== "density" || this.model.facts.prior.kind !== "normal";
  }

  drawScene() {
    const { behind, scale } = this.plane;
    const { posterior, prior } = this.model.facts;
    this.plane.drawScene(this.points, this.model.labels, {
      axes: this.axes,
      rings: behind !== "tiles" && posterior !== "point" && prior.kind === "normal",
      density: behind === "density" && this.density,
      tiles: behind === "tiles" && { step: this.lattice.step, seen: this.lattice.seen(scale.box) },
    });
    this.drawPoint();
  }

  async tiles(points) {
    const { mean } = await this.model.decode(this.model.slice(this.directions, this.z, Float32Array.from(points)));
    const [size, colours] = [this.model.size, theme()];
    return Array.from({ length: points.length / 2 }, (_, n) =>
      stamp(mean.subarray(n * size, (n + 1) * size), this.model.facts, colours),
    );
  }

  async drawNet() {
    if (!this.view.setNet) return;
    const net = [];
    for (let k = 0; k < NET.lines; k++) {
      const fixed = NET.reach * ((2 * k) / (NET.lines - 1) - 1);
      for (const along of [0, 1]) {
        const line = Array.from({ length: NET.points }, (_, n) => {
          const moving = NET.reach * ((2 * n) / (NET.points - 1) - 1);
          return along ? [fixed, moving] : [moving, fixed];
        });
        const rows = this.model.slice(this.directions, this.z, Float32Array.from(line.flat()));
        net.push((await this.model.decode(rows)).mean);
      }
    }
    this.view.setNet(net);
  }

  resized() {
    if (!this.part("below").clientWidth) return;
    this.plane.resize();
    this.look();
    this.changed();
  }

  recolour() {
    this.sliced();
    this.changed();
    this.tell("recoloured");
  }

  // The point.

  get place() {
    return placeOf(this.directions, this.z);
  }

  /** Look at a point; `chosen` is the example whose code it is, `by` whose hand it was. */
  goTo(z, { chosen = null, by = "hand", quiet = false } = {}) {
    const away = (point) => movedTo(this.directions, point, [0, 0]);
    const before = away(this.z);
    this.z = Float32Array.from(z);
    this.chosen = chosen;
    if (away(this.z).some((value, i) => Math.abs(value - before[i]) > 1e-5)) this.sliced();
    this.changed();
    if (!quiet) this.tell("moved", { by });
  }

  goToPlace(place, options) {
    this.goTo(movedTo(this.directions, this.z, place), options);
  }

  choose(number, options) {
    this.goTo(this.model.code(number), { chosen: number, ...options });
  }

  /** The example whose code is nearest to the point, in all of latent space. */
  get nearestExample() {
    let [best, least] = [0, Infinity];
    for (let n = 0; n < this.model.count; n++) {
      const code = this.model.code(n);
      let distance = 0;
      for (let i = 0; i < code.length; i++) distance += (code[i] - this.z[i]) ** 2;
      if (distance < least) [best, least] = [n, distance];
    }
    return best;
  }

  /** Something is to be drawn, in the next frame. */
  changed() {
    this.dirty = true;
    if (!this.busy) this.frame();
  }

  async frame() {
    this.busy = true;
    while (this.dirty) {
      await new Promise(requestAnimationFrame);
      this.dirty = false;
      const z = Float32Array.from(this.z);
      this.found = await this.model.decode(z);
      this.view.show(this.found);
      this.drawPoint();
      this.read();
      this.tell("decoded");
    }
    this.busy = false;
    this.later("said", () => this.say(), 600);
  }

  drawPoint() {
    const of = (number) => ({ mean: [this.points[2 * number], this.points[2 * number + 1]] });
    const covariance = this.chosen === null ? null : this.model.covariance(this.directions, this.chosen);
    this.plane.drawPoint(this.place, {
      posterior: covariance && { ...of(this.chosen), covariance },
      own: this.own && {
        mean: placeOf(this.directions, this.own.mean),
        covariance: covarianceIn(this.directions, this.own.stddev, this.own.covariance),
      },
      hover: this.hover === null ? null : of(this.hover).mean,
      path: this.path && this.path.map((z) => placeOf(this.directions, z)),
    });
  }

  read() {
    const [a, b] = this.place;
    this.showInset(this.plane.scale.toScreen([a, b]));
    const names = this.axes.map((name) => name.replace(/ \(.*/, ""));
    this.part("place").textContent =
      `${names[0]} ${minus(a.toFixed(2))}${names[1] && `, ${names[1]} ${minus(b.toFixed(2))}`}`;
    this.part("chosen").textContent = this.chosen === null ? "" : this.nameOf(this.chosen);
    this.part("time").textContent = Number.isFinite(this.model.decoder.median)
      ? `${this.model.decoder.median.toFixed(1)} ms`
      : "–";
    this.showPair();
    this.view.mark?.(this.chosen === null ? null : this.model.example(this.chosen));
  }

  nameOf(number) {
    const name = this.model.className(number);
    return `test example ${this.model.numbers[number]}${name ? `, class ${name}` : ""}`;
  }

  say() {
    this.part("said").textContent = `${this.part("place").textContent} ${this.part("chosen").textContent}`;
  }

  /** What is decoded, within the plane, where that is all that a small screen shows: out of the point's way. */
  showInset([x, y]) {
    const inset = this.part("inset");
    if (!inset?.clientWidth) return;
    inset.classList.toggle("left", x > this.plane.scale.width / 2 && y < this.plane.scale.height / 2);
    this.view.single(inset, this.found.mean);
  }

  /** The chosen example beside what its code decodes to. */
  showPair() {
    const pair = this.part("pair");
    if (!pair) return;
    pair.hidden = this.chosen === null;
    if (this.chosen === null) return;
    this.view.single(this.part("original"), this.model.example(this.chosen));
  }

  // Hands.

  controls() {
    const scaled = (scale) => {
      this.plane.scale = scale;
      this.drawScene();
      this.later("look", () => this.look());
    };
    const does = {
      press: (at) => {
        const under = this.plane.under(at, this.points, this.model.labels);
        if (under === null) does.move(at);
        else this.choose(under);
      },
      move: (at) => {
        this.setHover(null);
        this.goToPlace(this.plane.scale.toPlane(at));
      },
      click: (at) => this.setHover(this.plane.under(at, this.points, this.model.labels), at),
      hover: (at) => this.setHover(this.plane.under(at, this.points, this.model.labels), at),
      leave: () => this.setHover(null),
      choose: () => this.choose(this.nearestExample),
      nudge: (x, y) => this.goToPlace([this.place[0] + x * NUDGE, this.place[1] - y * NUDGE]),
      pan: (x, y) => scaled(this.plane.scale.panned(x, y)),
      zoom: (factor, at) => scaled(this.plane.scale.zoomed(factor, at ?? this.plane.scale.toScreen(this.place))),
      reset: () => {
        this.plane.show(this.plane.home);
        this.look();
      },
    };
    listen(this.part("plane"), does);
    this.part("nearer").addEventListener("click", () => does.zoom(1.5));
    this.part("farther").addEventListener("click", () => does.zoom(1 / 1.5));
    this.part("whole").addEventListener("click", () => does.reset());
    this.part("behind").addEventListener("change", () => this.look());
    this.part("origin").addEventListener("click", () => this.goTo(new Float32Array(this.model.latent)));
    this.part("random").addEventListener("click", () => this.choose(Math.floor(Math.random() * this.model.count)));
  }

  setHover(number, at) {
    if (number === this.hover) return;
    this.hover = number;
    this.drawPoint();
    const tip = this.part("tip");
    tip.hidden = number === null;
    if (number === null) return;
    this.part("tip-text").textContent = this.nameOf(number);
    tip.style.translate = `${Math.min(at[0] + 14, this.plane.scale.width - 150)}px ${Math.max(4, at[1] - 60)}px`;
    const image = this.part("tip-image");
    image.hidden = this.model.facts.view !== "image";
    if (!image.hidden) this.view.single(image, this.model.example(number));
  }

  /** Follow a walk in the plane: its ends, or null. */
  setPath(from, to) {
    this.path = from && [from, to];
    this.drawPoint();
  }
}
