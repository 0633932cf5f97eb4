/** An image of the user: encoded, shown in the plane, reconstructed and scored. */

import { add } from "./elements.js";
import { row } from "./linear.js";
import { Pad } from "./pad.js";
import { sharpen, stamp } from "./picture.js";
import { meanAndError, normals, rate, shareBelow, uniforms } from "./statistics.js";
import { percent, short } from "./words.js";

const SAMPLES = 64;
const PATIENCE = 60;

export class Own {
  constructor(explorer) {
    this.explorer = explorer;
    const part = (name) => explorer.part(name);
    const changed = () => explorer.later("own", () => this.encode(), PATIENCE);
    this.pad = new Pad(part("pad"), explorer.model.facts, changed);
    part("clear").addEventListener("click", () => this.clear());
    part("take").addEventListener("click", () => this.take());
    part("file").addEventListener("change", (event) => this.read(event.target.files[0]));
    part("center")?.addEventListener("change", () => {
      this.setCentering(part("center").checked);
      changed();
    });
    part("pen")?.addEventListener("input", () => (this.pad.color = part("pen").value));
    part("own").addEventListener("dragover", (event) => event.preventDefault());
    part("own").addEventListener("drop", (event) => {
      event.preventDefault();
      this.read(event.dataTransfer.files[0]);
    });
    explorer.addEventListener("recolored", () => this.draw());
    this.setCentering(Boolean(part("center")));
    this.clear();
  }

  setCentering(centering) {
    this.pad.centering = centering;
    if (this.explorer.part("center")) this.explorer.part("center").checked = centering;
  }

  clear() {
    Object.assign(this, { x: null, again: null });
    this.pad.clear();
    this.explorer.stage.setOwn(null);
    this.draw();
    this.report([["", "Nothing drawn yet."]]);
  }

  async read(given) {
    if (!given) return;
    try {
      this.pad.picture(await createImageBitmap(given), this.explorer.model.facts.shades.ink);
    } catch {
      this.report([["", `${given.name} is not an image that this browser can read.`]]);
    }
  }

  /** Copy the chosen example, or the nearest one. */
  take() {
    const { model, chosen, nearestExample } = this.explorer;
    const colors = { paper: [0, 0, 0], ink: [255, 255, 255] };
    this.setCentering(false);
    this.pad.picture(stamp(model.example(chosen ?? nearestExample), model.facts, colors), false);
  }

  async encode() {
    if (this.pad.blank) return;
    const { model, stage } = this.explorer;
    const x = this.pad.values;
    const { mean, stddev, covariance } = await model.encode(x);
    stage.setOwn(model.facts.posterior === "point" ? null : { mean, stddev, covariance });
    this.explorer.goTo(mean);
    const again = (await model.decode(Float32Array.from(mean))).mean;
    Object.assign(this, { x, again });
    this.draw();
    this.report([...(model.bounds ? await this.bound(x, mean, stddev) : []), this.error]);
  }

  get error() {
    const error = this.again.reduce((sum, value, i) => sum + (value - this.x[i]) ** 2, 0);
    return ["squared error", `${short(error)}, summed over the image`];
  }

  /** Return the evidence lower bound: the mean log p(x|z) over posterior samples minus the KL in closed form. */
  async bound(x, mean, stddev) {
    const { model } = this.explorer;
    const noise = normals(uniforms(0), SAMPLES * model.latent);
    const z = noise.map((value, i) => mean[i % model.latent] + stddev[i % model.latent] * value);
    const { output } = await model.decode(z);
    const size = output.length / SAMPLES;
    const log_likelihoods = [];
    for (let k = 0; k < SAMPLES; k++) log_likelihoods.push(await model.logLikelihood(row(output, size, k), x));
    const [log_likelihood, stderr] = meanAndError(log_likelihoods);
    const kl = rate(mean, stddev);
    const below = shareBelow(model.bounds, log_likelihood - kl);
    return [
      ["bound (ELBO)", `${short(log_likelihood - kl)} ± ${short(stderr)} nats, with ${SAMPLES} posterior samples`],
      ["rate (KL)", `${short(kl)} nats`],
      ["distortion", `${short(-log_likelihood)} nats`],
      ["percentile", `higher than the bound of ${percent(below)} of ${model.bounds.length} test examples`],
    ];
  }

  report(lines) {
    const list = this.explorer.part("verdict");
    list.replaceChildren();
    for (const [title, text] of lines) {
      const line = add(list, "div");
      add(line, "dt").textContent = title;
      add(line, "dd").textContent = text;
    }
  }

  draw() {
    this.pad.draw();
    const shown = Object.entries({ seen: this.x, rebuilt: this.again });
    for (const [name, values] of shown) {
      if (values) this.explorer.view.single(this.explorer.part(name), values);
      else sharpen(this.explorer.part(name));
    }
  }
}
