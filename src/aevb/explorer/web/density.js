/**
 * The aggregate posterior against the prior: log q(z) - log p(z) on a grid over a box of the plane, with
 * q(z) = 1/N Σ_n q(z|x_n) over the examples of the page, both as marginals in the plane.
 *
 * For priors other than the standard normal: log q(z) relative to its maximum, in units of 2 nats, from 3 to 0.
 */

import { logMixture, logStandardNormal } from "./statistics.js";

const SIDE = 120;
const WIDER = 1.5;
/** Nats below its maximum from which log p(z) or log q(z) is not shown. */
const FAINT = 6;

export function densityOf(model, plane, [left, right, bottom, top]) {
  const line = (low, high) => {
    const more = ((WIDER - 1) / 2) * (high - low);
    return Float64Array.from({ length: SIDE }, (_, i) => low - more + ((i + 0.5) / SIDE) * (high - low + 2 * more));
  };
  const [across, up] = [line(left, right), line(bottom, top)];
  const means = new Float64Array(2 * model.count);
  const covariances = [];
  for (let n = 0; n < model.count; n++) {
    const code = model.code(n);
    plane.forEach((u, k) => {
      means[2 * n + k] = u.reduce((sum, value, i) => sum + value * code[i], 0);
    });
    covariances.push(broadened(model.covariance(plane, n), ((across[1] - across[0]) / 2) ** 2));
  }
  const log_q = logMixture(means, covariances, across, up);
  const normal = model.facts.prior.kind === "normal";
  const highest = log_q.reduce((most, value) => Math.max(most, value), -Infinity);
  const [ratio, weight] = [new Float64Array(log_q.length), new Float64Array(log_q.length)];
  for (let at = 0; at < log_q.length; at++) {
    const log_p = logStandardNormal(across[at % SIDE], up[Math.floor(at / SIDE)]);
    const below = highest - log_q[at];
    ratio[at] = normal ? log_q[at] - log_p : Math.max(0, FAINT - below) / 2;
    const faint = Math.min(below, normal ? logStandardNormal(0, 0) - log_p : 0) / FAINT;
    weight[at] = Math.max(0, Math.min(1, 2 - 2 * faint));
  }
  return { across, up, ratio, weight };
}

/** Return a normal broadened by the grid spacing: a much narrower one would fall between the grid points. */
const broadened = ([aa, ab, bb], variance) => [aa + variance, ab, bb + variance];
