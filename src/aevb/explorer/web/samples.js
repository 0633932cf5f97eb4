/** Decoded samples from the prior, and the training example nearest to one of them. */

import { row } from "./linear.js";
import { keyed } from "./pointer.js";
import { uniforms } from "./statistics.js";

const COUNTS = { image: [48, 12], cloud: [600, 1], curve: [8, 1], row: [40, 40] };

export class Samples {
  constructor(explorer) {
    this.explorer = explorer;
    this.seed = 1;
    [this.count, this.columns] = COUNTS[explorer.model.facts.view];
    const part = (name) => explorer.part(name);
    part("resample").addEventListener("click", () => {
      this.seed += 1;
      this.show();
    });
    part("temperature").addEventListener("input", () => this.show());
    explorer.addEventListener("recolored", () => this.show());
    new ResizeObserver(() => this.show()).observe(part("samples"));
    if (part("nearest")) this.listen(part("samples"));
    part("samples").style.aspectRatio = `${this.proportion}`;
  }

  get proportion() {
    const [count, columns] = [this.count, this.columns];
    const one = this.explorer.view.proportion(columns);
    return this.explorer.model.facts.view === "image" ? 1 / (one * (count / columns)) : 1 / one;
  }

  async show() {
    const { model, view } = this.explorer;
    const temperature = Number(this.explorer.part("temperature").value);
    this.explorer.part("temperature-text").textContent = temperature.toFixed(2);
    this.z = model.sampled(uniforms(this.seed), this.count, temperature);
    this.means = (await model.decode(this.z)).mean;
    view.grid(this.explorer.part("samples"), this.means, this.count, this.columns);
    if (this.explorer.part("nearest")) this.choose(this.number ?? 0);
  }

  listen(canvas) {
    const under = (event) => {
      const [across, down] = [event.offsetX / canvas.clientWidth, event.offsetY / canvas.clientHeight];
      const rows = this.count / this.columns;
      return (
        Math.min(rows - 1, Math.floor(down * rows)) * this.columns +
        Math.min(this.columns - 1, Math.floor(across * this.columns))
      );
    };
    canvas.addEventListener("pointermove", (event) => this.choose(under(event)));
    canvas.addEventListener("click", () => this.go());
    const does = {
      nudge: (x, y) => this.choose(Math.max(0, Math.min(this.count - 1, this.number + x + this.columns * y))),
      choose: () => this.go(),
    };
    canvas.addEventListener("keydown", (event) => {
      if ((event.key.startsWith("Arrow") || event.key === "Enter") && !event.shiftKey && keyed(event, does))
        event.preventDefault();
    });
  }

  go() {
    this.explorer.goTo(row(this.z, this.explorer.model.latent, this.number));
  }

  choose(number) {
    if (!this.means || number < 0) return;
    const { model, view } = this.explorer;
    const part = (name) => this.explorer.part(name);
    this.number = number;
    const values = row(this.means, model.size, number);
    const { number: nearest, distance } = model.nearest(values);
    view.single(part("sample"), values);
    view.single(part("training"), model.trainingExample(nearest));
    part("distance").textContent = `; pixel distance ${distance.toFixed(2)}`;
    const frame = part("frame");
    frame.hidden = false;
    const rows = this.count / this.columns;
    frame.style.width = `${100 / this.columns}%`;
    frame.style.height = `${100 / rows}%`;
    frame.style.left = `${(100 * (number % this.columns)) / this.columns}%`;
    frame.style.top = `${(100 * Math.floor(number / this.columns)) / rows}%`;
  }
}
