/** Interpolation between two points in latent space, beside the cross-fade of their decoded images. */

import { mixed } from "./linear.js";

const STEPS = 11;
const SIDE = 112;

export class Morph {
  constructor(explorer) {
    this.explorer = explorer;
    const part = (name) => explorer.part(name);
    part("from").addEventListener("click", () => this.set(this.here(), this.to));
    part("to").addEventListener("click", () => this.set(this.from, this.here()));
    part("pair-random").addEventListener("click", () => this.random());
    part("share").addEventListener("input", () => this.slide(Number(part("share").value) / 100));
    part("save")?.addEventListener("click", () => this.save());
    explorer.addEventListener("recolored", () => this.show());
    for (const name of ["line", "fade"]) {
      if (part(name)) part(name).style.aspectRatio = `${1 / explorer.view.proportion(STEPS)}`;
    }
    new ResizeObserver(() => this.show()).observe(part("line"));
  }

  here() {
    return { z: Float32Array.from(this.explorer.z), example: this.explorer.chosen };
  }

  /** Choose two random examples, of different classes if possible. */
  random(uniform = Math.random) {
    const { model } = this.explorer;
    const any = () => Math.floor(uniform() * model.count);
    const first = any();
    let second = any();
    for (let again = 0; again < 50 && model.labelOf(second) === model.labelOf(first); again++) second = any();
    this.set(...[first, second].map((example) => ({ z: model.code(example), example })));
  }

  async set(from, to) {
    Object.assign(this, { from, to });
    this.explorer.stage.setPath(from.z, to.z);
    this.ends = await Promise.all([from, to].map((end) => this.pixels(end)));
    await this.show();
  }

  /** Return the pixels of an end: the example, or its decoded point. */
  async pixels({ z, example }) {
    const { model } = this.explorer;
    return example === null ? (await model.decode(z)).mean : model.example(example);
  }

  async show() {
    if (!this.ends) return;
    const { model, view } = this.explorer;
    const shares = Array.from({ length: STEPS }, (_, n) => n / (STEPS - 1));
    const rows = Float32Array.from(shares.flatMap((share) => [...mixed(this.from.z, this.to.z, share)]));
    this.line = (await model.decode(rows)).mean;
    this.fade = Float32Array.from(shares.flatMap((share) => [...mixed(...this.ends, share)]));
    this.draw();
  }

  draw() {
    const { view } = this.explorer;
    const here = Math.round((Number(this.explorer.part("share").value) / 100) * (STEPS - 1));
    view.strip(this.explorer.part("line"), this.line, STEPS, here);
    if (this.explorer.part("fade")) view.strip(this.explorer.part("fade"), this.fade, STEPS, here);
  }

  slide(share) {
    this.explorer.part("share-text").textContent = `${Math.round(100 * share)} %`;
    if (!this.ends) return;
    this.explorer.goTo(mixed(this.from.z, this.to.z, share));
    this.draw();
  }

  async save() {
    const blob = await this.explorer.view.png([this.line, this.fade], STEPS, SIDE);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${this.explorer.model.facts.name}-morph.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
}
