/** An image of the user's: encoded, shown in the plane, reconstructed and scored. */

import { add } from "./elements.js";
import { row } from "./linear.js";
import { Pad } from "./pad.js";
import { sharpen, stamp } from "./picture.js";
import { meanAndError, normals, rate, shareBelow, uniforms } from "./statistics.js";
import { percent, short } from "./words.js";

const DRAWS = 64;
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
    part("centre")?.addEventListener("change", () => {
      this.setCentring(part("centre").checked);
      changed();
    });
    part("pen")?.addEventListener("input", () => (this.pad.colour = part("pen").value));
    part("own").addEventListener("dragover", (event) => event.preventDefault());
    part("own").addEventListener("drop", (event) => {
      event.preventDefault();
      this.read(event.dataTransfer.files[0]);
    });
    explorer.addEventListener("recoloured", () => this.draw());
    this.setCentring(Boolean(part("centre")));
    this.clear();
  }

  setCentring(centring) {
    this.pad.centring = centring;
    if (this.explorer.part("centre")) this.explorer.part("centre").checked = centring;
  }

  clear() {
    Object.assign(this, { x: null, again: null });
    this.pad.clear();
    this.explorer.stage.setOwn(null);
    this.draw();
    this.tell([["", "Nothing is drawn yet."]]);
  }

  async read(given) {
    if (!given) return;
    try {
      this.pad.picture(await createImageBitmap(given), this.explorer.model.facts.shades.ink);
    } catch {
      this.tell([["", `${given.name} is no image that this browser can read.`]]);
    }
  }

  /** The chosen example as it is, or the one that is nearest. */
  take() {
    const { model, chosen, nearestExample } = this.explorer;
    const colours = { paper: [0, 0, 0], ink: [255, 255, 255] };
    this.setCentring(false);
    this.pad.picture(stamp(model.example(chosen ?? nearestExample), model.facts, colours), false);
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
    this.tell([...(model.bounds ? await this.bound(x, mean, stddev) : []), this.error]);
  }

  get error() {
    const error = this.again.reduce((sum, value, i) => sum + (value - this.x[i]) ** 2, 0);
    return ["squared error", `${short(error)}, of the reconstruction, summed over the image`];
  }

  /** The evidence lower bound: log p(x|z) over draws of z from the posterior, less the KL in closed form. */
  async bound(x, mean, stddev) {
    const { model } = this.explorer;
    const noise = normals(uniforms(0), DRAWS * model.latent);
    const z = noise.map((value, i) => mean[i % model.latent] + stddev[i % model.latent] * value);
    const { output } = await model.decode(z);
    const size = output.length / DRAWS;
    const log_likelihoods = [];
    for (let k = 0; k < DRAWS; k++) log_likelihoods.push(await model.logLikelihood(row(output, size, k), x));
    const [log_likelihood, stderr] = meanAndError(log_likelihoods);
    const kl = rate(mean, stddev);
    const below = shareBelow(model.bounds, log_likelihood - kl);
    return [
      ["bound (ELBO)", `${short(log_likelihood - kl)} ± ${short(stderr)} nats, over ${DRAWS} draws of z`],
      ["rate (KL)", `${short(kl)} nats`],
      ["distortion", `${short(-log_likelihood)} nats`],
      ["among the data", `higher than the bound of ${percent(below)} of ${model.bounds.length} test examples`],
    ];
  }

  tell(lines) {
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
