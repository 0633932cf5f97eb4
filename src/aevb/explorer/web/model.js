/** A trained model: networks, examples and latent space. */

import { array } from "./content.js";
import { covarianceIn, movedTo, row, squaredDistance } from "./linear.js";
import { normals, variances } from "./statistics.js";

export class Model {
  /**
   * @param facts of the run
   * @param open name of a network's file to a network
   */
  static async load(facts, open) {
    const model = new Model();
    const names = ["codes", "stddevs", "covariances", "labels", "numbers", "examples", "training", "bounds"];
    const loaded = names.map(async (name) => {
      model[name] = await array(facts[name]);
    });
    model.priorSamples = await array(facts.prior.samples);
    const networks = Object.entries(facts.networks).map(async ([name, at]) => {
      model[name] = await open(at);
    });
    await Promise.all([...loaded, ...networks]);
    return Object.assign(model, {
      facts,
      latent: facts.latent,
      count: facts.codes.shape[0],
      size: product(facts.shape),
    });
  }

  /** Return the mean of p(x|z) and the other outputs of the decoder for rows of z. */
  decode(z) {
    return this.decoder.run({ z: [z, [z.length / this.latent, this.latent]] });
  }

  /** Return mean and standard deviation of q(z|x) for one x. */
  encode(x) {
    return this.encoder.run({ x: [x, [1, ...this.facts.shape]] });
  }

  /** Return log p(x|z) in nats for one x, from the decoder output of one z. */
  async logLikelihood(output, x) {
    const { shape, output: wide } = this.facts;
    return (await this.likelihood.run({ output: [output, [1, ...wide]], x: [x, [1, ...shape]] })).log_likelihood[0];
  }

  code(number) {
    return row(this.codes, this.latent, number);
  }

  example(number) {
    return this.values(row(this.examples, this.size, number));
  }

  trainingExample(number) {
    return this.values(row(this.training, this.size, number));
  }

  /** Return the values that bytes encode. */
  values(stored) {
    if (!(stored instanceof Uint8Array)) return stored;
    const { low, high } = this.facts.shades;
    return Float32Array.from(stored, (byte) => low + ((high - low) * byte) / 255);
  }

  labelOf(number) {
    return this.labels ? this.labels[number] : 0;
  }

  className(number) {
    return this.labels ? this.facts.classes[this.labels[number]] : "";
  }

  /** Return the covariance of q(z|x) of an example in a plane; null for an autoencoder. */
  covariance(plane, number) {
    if (!this.stddevs) return null;
    const whole = this.covariances && row(this.covariances, this.latent ** 2, number);
    return covarianceIn(plane, row(this.stddevs, this.latent, number), whole);
  }

  /** Return the dimensions of z in decreasing order of their KL or, if unknown, the variance of their latent means. */
  get order() {
    const weights = this.facts.rates ?? variances(this.codes, this.latent);
    return [...Array(this.latent).keys()].sort((i, j) => weights[j] - weights[i]);
  }

  /** Return samples from the prior; `temperature` scales the standard deviation of a normal prior. */
  sampled(uniform, count, temperature) {
    if (!this.priorSamples) return normals(uniform, count * this.latent).map((value) => temperature * value);
    const found = new Float32Array(count * this.latent);
    const all = this.priorSamples.length / this.latent;
    for (let n = 0; n < count; n++)
      found.set(row(this.priorSamples, this.latent, Math.floor(uniform() * all)), n * this.latent);
    return found;
  }

  /** Return the training example nearest in pixel space. */
  nearest(values) {
    const { low, high } = this.facts.shades;
    const bytes = Float32Array.from(values, (value) => (255 * (value - low)) / (high - low));
    let [best, least] = [0, Infinity];
    for (let n = 0; n < this.training.length / this.size; n++) {
      const distance = squaredDistance(bytes, row(this.training, this.size, n));
      if (distance < least) [best, least] = [n, distance];
    }
    return { number: best, distance: (Math.sqrt(least) * (high - low)) / 255 };
  }

  /** Return rows of z for points [a, b, a, b, ...] of the plane through z. */
  slice(plane, z, points) {
    const rows = new Float32Array((points.length / 2) * this.latent);
    for (let n = 0; n < points.length / 2; n++) {
      rows.set(movedTo(plane, z, [points[2 * n], points[2 * n + 1]]), n * this.latent);
    }
    return rows;
  }
}

export const product = (numbers) => numbers.reduce((all, number) => all * number, 1);
