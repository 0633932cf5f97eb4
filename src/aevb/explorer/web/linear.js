/**
 * Vectors, and a plane in latent space.
 *
 * A plane is two orthonormal directions u, v. The coordinates of z are (u·z, v·z). Moving z to (a, b) gives
 * z + (a - u·z) u + (b - v·z) v, which leaves the components orthogonal to the plane unchanged.
 */

export function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

export const mixed = (from, to, share) => Float32Array.from(from, (value, i) => value + share * (to[i] - value));

export const row = (rows, width, number) => rows.subarray(number * width, (number + 1) * width);

export function squaredDistance(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return sum;
}

/** Return the unit vector of one dimension. */
export const direction = (dimension, size) => Float32Array.from({ length: size }, (_, i) => Number(i === dimension));

export const placeOf = (plane, z) => plane.map((u) => dot(u, z));

/** Return the coordinates of every row, [a, b, a, b, ...]. */
export function places(plane, rows, width) {
  const count = rows.length / width;
  const found = new Float32Array(2 * count);
  for (let n = 0; n < count; n++) {
    const z = row(rows, width, n);
    found[2 * n] = dot(plane[0], z);
    found[2 * n + 1] = dot(plane[1], z);
  }
  return found;
}

export function movedTo(plane, z, place) {
  const moved = Float32Array.from(z);
  plane.forEach((u, k) => {
    const step = place[k] - dot(u, z);
    for (let i = 0; i < z.length; i++) moved[i] += step * u[i];
  });
  return moved;
}

/** Return the covariance in the plane [aa, ab, bb] of a normal, from its standard stddevs or its covariance matrix. */
export function covarianceIn(plane, stddevs, covariance) {
  const [u, v] = plane;
  const times = (a, b) => {
    let sum = 0;
    for (let i = 0; i < a.length; i++) {
      if (!covariance) sum += a[i] * b[i] * stddevs[i] ** 2;
      else for (let j = 0; j < b.length; j++) sum += a[i] * covariance[i * a.length + j] * b[j];
    }
    return sum;
  };
  return [times(u, u), times(u, v), times(v, v)];
}

/** Return semi-axes [long, short] of the ellipse of one standard deviation, and the angle of the long one. */
export function ellipse([aa, ab, bb]) {
  const middle = (aa + bb) / 2;
  const reach = Math.hypot((aa - bb) / 2, ab);
  return {
    axes: [Math.sqrt(middle + reach), Math.sqrt(Math.max(0, middle - reach))],
    angle: 0.5 * Math.atan2(2 * ab, aa - bb),
  };
}

/**
 * Return the first two principal components of rows.
 * @returns { plane, shares }: the directions and their shares of the variance
 */
export function principal(rows, width) {
  const { values, vectors } = eigen(covarianceOf(rows, width), width);
  const order = [...values.keys()].sort((i, j) => values[j] - values[i]).slice(0, 2);
  const total = values.reduce((sum, value) => sum + value, 0) || 1;
  const plane = order.map((k) => {
    const vector = Float32Array.from({ length: width }, (_, i) => vectors[i * width + k]);
    const largest = vector.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
    return largest < 0 ? vector.map((value) => -value) : vector;
  });
  return { plane, shares: order.map((k) => values[k] / total) };
}

export function covarianceOf(rows, width) {
  const count = rows.length / width;
  const mean = new Float64Array(width);
  for (let i = 0; i < rows.length; i++) mean[i % width] += rows[i] / count;
  const found = new Float64Array(width * width);
  for (let n = 0; n < count; n++) {
    for (let i = 0; i < width; i++) {
      const left = (rows[n * width + i] - mean[i]) / count;
      for (let j = 0; j <= i; j++) found[i * width + j] += left * (rows[n * width + j] - mean[j]);
    }
  }
  for (let i = 0; i < width; i++) for (let j = i + 1; j < width; j++) found[i * width + j] = found[j * width + i];
  return found;
}

/** Return eigenvalues and eigenvectors (columns) of a symmetric matrix, by Jacobi rotations. */
export function eigen(symmetric, width) {
  const a = Float64Array.from(symmetric);
  const vectors = Float64Array.from({ length: width * width }, (_, i) => Number(i % (width + 1) === 0));
  const scale = Math.max(...a.map(Math.abs), 1e-300);
  for (let sweep = 0; sweep < 50; sweep++) {
    let off = 0;
    for (let i = 0; i < width; i++) {
      for (let j = i + 1; j < width; j++) {
        off = Math.max(off, Math.abs(a[i * width + j]));
        rotate(a, vectors, width, i, j);
      }
    }
    if (off < 1e-12 * scale) break;
  }
  return { values: Float64Array.from({ length: width }, (_, i) => a[i * width + i]), vectors };
}

function rotate(a, vectors, width, i, j) {
  if (a[i * width + j] === 0) return;
  const angle = 0.5 * Math.atan2(2 * a[i * width + j], a[j * width + j] - a[i * width + i]);
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  const turn = (matrix, first, second, stride) => {
    for (let k = 0; k < width; k++) {
      const [p, q] = [first + k * stride, second + k * stride];
      [matrix[p], matrix[q]] = [c * matrix[p] - s * matrix[q], s * matrix[p] + c * matrix[q]];
    }
  };
  turn(a, i, j, width);
  turn(a, i * width, j * width, 1);
  turn(vectors, i, j, width);
}
