/** The latent plane on the page: the choice of the plane, its background, and its input. */

import { boxOf } from "./cloud.js";
import { theme } from "./colors.js";
import { densityOf } from "./density.js";
import { Lattice, spacing } from "./lattice.js";
import { covarianceIn, direction, placeOf, places, principal } from "./linear.js";
import { stamp } from "./picture.js";
import { Plane } from "./plane.js";
import { listen } from "./pointer.js";
import { percent, subscript } from "./words.js";

const NUDGE = 0.05;
const ZOOM = 1.5;
/** The smallest width of a tile in pixels, and the largest number of tiles across the plane, also of small images. */
const TILE = 30;
const TILES = 22;
const SMALL_TILES = 16;
/** The plane shows at least -REACH to REACH. */
const REACH = 3.2;
/** Height / width for one latent dimension, slightly less than that of its element. */
const LINE = 0.19;

export class Stage {
  constructor(explorer) {
    const { model } = explorer;
    Object.assign(this, { explorer, model, hover: null, path: null, own: null });
    this.plane = new Plane(explorer.part("below"), explorer.part("above"), model.facts);
    this.lattice = new Lattice(
      (points) => this.tiles(points),
      () => explorer.later("scene", () => this.drawScene(), 0),
      () => model.decoder.each,
    );
    this.controls();
    new ResizeObserver(() => this.resized()).observe(explorer.part("plane"));
    explorer.addEventListener("sliced", () => this.sliced());
    explorer.addEventListener("decoded", () => this.drawPoint());
  }

  // The choice of the plane.

  /** Show two dimensions; with one latent dimension, a line. */
  setAxes(across, up) {
    const size = this.model.latent;
    this.axes = size === 1 ? ["z₁", ""] : [across, up].map((k) => `z${subscript(k + 1)}`);
    this.setPlane(size === 1 ? [direction(0, 1), new Float32Array(1)] : [direction(across, size), direction(up, size)]);
  }

  setPrincipal() {
    const { plane, shares } = principal(this.model.codes, this.model.latent);
    this.axes = shares.map((share, k) => `component ${k + 1} (${percent(share)})`);
    this.setPlane(plane);
  }

  setPlane(directions) {
    this.directions = directions;
    this.points = places(directions, this.model.codes, this.model.latent);
    this.density = null;
    const [left, right, bottom, top] = boxOf(this.points, 0.06, 0.005);
    const most = Math.max(REACH, -left, right, -bottom, top);
    const high = this.model.latent === 1 ? most * LINE : most;
    this.plane.show([-most, most, -high, high]);
    this.explorer.notify("sliced");
    this.explorer.changed();
  }

  // The background.

  /** Handle a change of the points of the plane or of the colors. */
  sliced() {
    this.lattice.clear();
    this.explorer.later("look", () => this.look());
  }

  /** Handle a change of the view or of the background. */
  look() {
    const behind = this.explorer.part("behind").querySelector("input:checked").value;
    this.behind = behind;
    this.explorer.part("key").hidden = behind !== "density";
    const { scale, home, isSmall } = this.plane;
    const least = Math.max(TILE, scale.width / (isSmall ? SMALL_TILES : TILES));
    if (behind === "tiles") this.lattice.want(scale.box, spacing(scale.unit, least));
    if (behind === "density") this.density ??= densityOf(this.model, this.directions, home);
    this.drawScene();
  }

  drawScene() {
    const { posterior, prior } = this.model.facts;
    this.plane.drawScene(this.points, this.model.labels, {
      axes: this.axes,
      rings: this.behind !== "tiles" && posterior !== "point" && prior.kind === "normal",
      density: this.behind === "density" && this.density,
      tiles: this.behind === "tiles" && { step: this.lattice.step, seen: this.lattice.seen(this.plane.scale.box) },
    });
    this.drawPoint();
  }

  /** Return the decoded images of points of the plane. */
  async tiles(points) {
    const { model, explorer } = this;
    const { mean } = await model.decode(model.slice(this.directions, explorer.z, Float32Array.from(points)));
    const [size, colors] = [model.size, theme()];
    return Array.from({ length: points.length / 2 }, (_, n) =>
      stamp(mean.subarray(n * size, (n + 1) * size), model.facts, colors),
    );
  }

  resized() {
    if (!this.explorer.part("below").clientWidth) return;
    this.plane.resize();
    this.look();
    this.explorer.changed();
  }

  // The point.

  get place() {
    return placeOf(this.directions, this.explorer.z);
  }

  drawPoint() {
    const { chosen } = this.explorer;
    const of = (number) => [this.points[2 * number], this.points[2 * number + 1]];
    const covariance = chosen === null ? null : this.model.covariance(this.directions, chosen);
    this.plane.drawPoint(this.place, {
      posterior: covariance && { mean: of(chosen), covariance },
      own: this.own && {
        mean: placeOf(this.directions, this.own.mean),
        covariance: covarianceIn(this.directions, this.own.stddev, this.own.covariance),
      },
      hover: this.hover === null ? null : of(this.hover),
      path: this.path && this.path.map((z) => placeOf(this.directions, z)),
    });
  }

  /** Show the posterior of the user's image, or none. */
  setOwn(own) {
    this.own = own;
    this.drawPoint();
  }

  /** Show the ends of the interpolation and the line between them. */
  setPath(from, to) {
    this.path = [from, to];
    this.drawPoint();
  }

  /** Show the example under the pointer. */
  setHover(number, at) {
    if (number === this.hover) return;
    this.hover = number;
    this.drawPoint();
    const { explorer } = this;
    const tip = explorer.part("tip");
    tip.hidden = number === null;
    if (number === null) return;
    explorer.part("tip-text").textContent = explorer.nameOf(number);
    tip.style.translate = `${Math.min(at[0] + 14, this.plane.scale.width - 150)}px ${Math.max(4, at[1] - 60)}px`;
    const image = explorer.part("tip-image");
    image.hidden = this.model.facts.view !== "image";
    if (!image.hidden) explorer.view.single(image, this.model.example(number));
  }

  // Input.

  controls() {
    const { explorer } = this;
    const under = (at) => this.plane.under(at, this.points, this.model.labels);
    const scaled = (scale) => {
      this.plane.scale = scale;
      this.drawScene();
      explorer.later("look", () => this.look());
    };
    const does = {
      press: (at) => (under(at) === null ? does.move(at) : explorer.choose(under(at))),
      move: (at) => {
        this.setHover(null);
        explorer.goToPlace(this.plane.scale.toPlane(at));
      },
      click: (at) => this.setHover(under(at), at),
      hover: (at) => this.setHover(under(at), at),
      leave: () => this.setHover(null),
      choose: () => explorer.choose(explorer.nearestExample),
      nudge: (x, y) => explorer.goToPlace([this.place[0] + x * NUDGE, this.place[1] - y * NUDGE]),
      pan: (x, y) => scaled(this.plane.scale.panned(x, y)),
      zoom: (factor, at) => scaled(this.plane.scale.zoomed(factor, at ?? this.plane.scale.toScreen(this.place))),
      reset: () => {
        this.plane.show(this.plane.home);
        this.look();
      },
    };
    listen(explorer.part("plane"), does);
    explorer.part("nearer").addEventListener("click", () => does.zoom(ZOOM));
    explorer.part("farther").addEventListener("click", () => does.zoom(1 / ZOOM));
    explorer.part("whole").addEventListener("click", () => does.reset());
    explorer.part("behind").addEventListener("change", () => this.look());
  }
}
