/** Random numbers, densities and quantiles. */

/** Return a seeded generator of uniform numbers in [0, 1) (mulberry32). */
export function uniforms(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Return standard normal numbers from a uniform generator (Box & Muller 1958). */
export function normals(uniform, count) {
  const found = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    found[i] = radius * Math.cos(angle);
    if (i + 1 < count) found[i + 1] = radius * Math.sin(angle);
  }
  return found;
}

/**
 * log q(a, b) of a mixture of equally likely normals in the plane, on a grid.
 * @param means [a, b, a, b, ...]
 * @param covariances [aa, ab, bb] of each
 * @param across, up: the coordinates of the grid in each direction
 * @returns nats, row by row
 */
export function logMixture(means, covariances, across, up) {
  const count = means.length / 2;
  const density = new Float64Array(across.length * up.length);
  for (let n = 0; n < count; n++) {
    const [aa, ab, bb] = covariances[n];
    const determinant = aa * bb - ab * ab;
    const volume = 1 / (2 * Math.PI * Math.sqrt(determinant) * count);
    const reach = 6 * Math.sqrt(bb);
    for (let j = 0; j < up.length; j++) {
      const y = up[j] - means[2 * n + 1];
      if (Math.abs(y) > reach) continue;
      for (let i = 0; i < across.length; i++) {
        const x = across[i] - means[2 * n];
        const square = (bb * x * x - 2 * ab * x * y + aa * y * y) / determinant;
        if (square < 60) density[j * across.length + i] += volume * Math.exp(-0.5 * square);
      }
    }
  }
  return density.map((value) => Math.log(value));
}

export const logStandardNormal = (a, b) => -0.5 * (a * a + b * b) - Math.log(2 * Math.PI);

/** KL(N(μ, σ²) || N(0, I)) in nats. */
export function rate(mean, stddevs) {
  let sum = 0;
  for (let i = 0; i < mean.length; i++) {
    sum += 0.5 * (stddevs[i] ** 2 + mean[i] ** 2 - 1) - Math.log(stddevs[i]);
  }
  return sum;
}

export function meanAndError(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return [mean, Math.sqrt(variance / values.length)];
}

/** Return the share of values below a value. */
export const shareBelow = (values, limit) => values.reduce((sum, value) => sum + (value < limit), 0) / values.length;

export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(share * (sorted.length - 1))))];
}

export function variances(rows, width) {
  const found = new Float64Array(width);
  const count = rows.length / width;
  for (let j = 0; j < width; j++) {
    const column = Float64Array.from({ length: count }, (_, n) => rows[n * width + j]);
    const mean = column.reduce((sum, value) => sum + value, 0) / count;
    found[j] = column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count;
  }
  return found;
}

/** The probabilities below the ends of a 90 % interval. */
export const ENDS = [0.05, 0.95];

/** Coefficients of the inverse error function near 0 and far from it, the highest power first (Giles 2010). */
const NEAR = [2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 2.1858087e-4, -1.25372503e-3, -4.17768164e-3, 0.246640727, 1.50140941];
const FAR = [-2.00214257e-4, 1.00950558e-4, 1.34934322e-3, -3.67342844e-3, 5.73950773e-3, -7.6224613e-3, 9.43887047e-3, 1.00167406, 2.83297682];

/** Return a quantile of the standard normal. */
export function normalQuantile(share) {
  const x = 2 * share - 1;
  const w = -Math.log((1 - x) * (1 + x));
  const [coefficients, at] = w < 5 ? [NEAR, w - 2.5] : [FAR, Math.sqrt(w) - 3];
  return Math.SQRT2 * x * coefficients.reduce((sum, coefficient) => sum * at + coefficient);
}

/** Return the quantiles of a normal, by default the ends of its 90 % interval; so do the following functions. */
export const normalInterval = (mean, stddev, ends = ENDS) => ends.map((share) => mean + normalQuantile(share) * stddev);

/** Return the interval of a log-normal with this mean and this standard deviation of its logarithm. */
export const logNormalInterval = (mean, stddev, ends = ENDS) =>
  normalInterval(Math.log(mean) - stddev ** 2 / 2, stddev, ends).map(Math.exp);

/**
 * Return a quantile of a mixture.
 * @param spikes [value, chance] of numbers with chances of their own, in ascending order
 * @param remaining the chance of all other numbers
 * @param quantile share to quantile of these
 */
export function mixtureQuantile(share, spikes, remaining, quantile) {
  const at = (chance) => (chance <= 0 ? -Infinity : chance >= remaining ? Infinity : quantile(chance / remaining));
  for (const [value, chance] of spikes) {
    if (at(share) < value) break;
    if (at(share - chance) <= value) return value;
    share -= chance;
  }
  return at(share);
}

/** Beyond these, e^-exponent is zero, or counting takes long. */
const MOST_EXPONENT = 700;
const MOST_COUNTED = 1e5;

/** Return the interval of a gamma distribution with the moments of a large count (Wilson & Hilferty 1931). */
function largeCountInterval(mean, r, ends) {
  const inverse = 1 / mean + 1 / r;
  const end = (reach) => mean * Math.max(0, 1 - inverse / 9 + (reach * Math.sqrt(inverse)) / 3) ** 3;
  return ends.map((share) => Math.round(end(normalQuantile(share))));
}

/** Return the interval of a negative binomial with mean m and variance m + m²/r. */
export function countInterval(mean, r, ends = ENDS) {
  if (r * Math.log1p(mean / r) > MOST_EXPONENT || mean > MOST_COUNTED) return largeCountInterval(mean, r, ends);
  const odds = mean / (r + mean);
  let chance = Math.exp(-r * Math.log1p(mean / r));
  let below = chance;
  let low = null;
  for (let count = 0; count < 1e6; count++) {
    if (low === null && below >= ends[0]) low = count;
    if (below >= ends[1] || (chance < 1e-14 && count > mean)) return [low ?? count, count];
    chance *= (odds * (count + r)) / (count + 1);
    below += chance;
  }
  return [mean, mean];
}
