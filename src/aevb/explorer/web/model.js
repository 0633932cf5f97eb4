/** A trained model: its networks, its examples, its latent space. */

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
    const names = ["codes", "deviations", "covariances", "labels", "numbers", "examples", "training", "bounds"];
    const loaded = names.map(async (name) => {
      model[name] = await array(facts[name]);
    });
    model.draws = await array(facts.prior.draws);
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

  /** The mean of p(x|z), and what else the decoder gives, for rows of z. */
  decode(z) {
    return this.decoder.run({ z: [z, [z.length / this.latent, this.latent]] });
  }

  /** Mean and deviation of q(z|x) for one x. */
  encode(x) {
    return this.encoder.run({ x: [x, [1, ...this.facts.shape]] });
  }

  /** log p(x|z) in nats of one x, by what the decoder gave for one z. */
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

  /** Bytes to the values that they stand for. */
  values(stored) {
    if (stored instanceof Float32Array) return stored;
    const { low, high } = this.facts.shades;
    return Float32Array.from(stored, (byte) => low + ((high - low) * byte) / 255);
  }

  labelOf(number) {
    return this.labels ? this.labels[number] : 0;
  }

  className(number) {
    return this.labels ? this.facts.classes[this.labels[number]] : "";
  }

  /** The covariance in a plane of q(z|x) of an example; null of an autoencoder. */
  covariance(plane, number) {
    if (!this.deviations) return null;
    const whole = this.covariances && row(this.covariances, this.latent ** 2, number);
    return covarianceIn(plane, row(this.deviations, this.latent, number), whole);
  }

  /** Dimensions of z, those that hold most first: by their KL, or where it is not known by the variance of the codes. */
  get order() {
    const weights = this.facts.rates ?? variances(this.codes, this.latent);
    return [...Array(this.latent).keys()].sort((i, j) => weights[j] - weights[i]);
  }

  /** Draws from the prior; `temperature` scales the deviation of a normal one. */
  sampled(uniform, count, temperature) {
    if (!this.draws) return normals(uniform, count * this.latent).map((value) => temperature * value);
    const found = new Float32Array(count * this.latent);
    const all = this.draws.length / this.latent;
    for (let n = 0; n < count; n++)
      found.set(row(this.draws, this.latent, Math.floor(uniform() * all)), n * this.latent);
    return found;
  }

  /** The training example that is nearest to stored values, by the distance between pixels. */
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

  /** Points of the plane to rows of z through a point, [a, b, a, b, ...]. */
  slice(plane, z, points) {
    const rows = new Float32Array((points.length / 2) * this.latent);
    for (let n = 0; n < points.length / 2; n++) {
      rows.set(movedTo(plane, z, [points[2 * n], points[2 * n + 1]]), n * this.latent);
    }
    return rows;
  }
}

export const product = (numbers) => numbers.reduce((all, number) => all * number, 1);
