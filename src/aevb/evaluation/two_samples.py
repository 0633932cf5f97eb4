"""Distances and tests between two samples, such as samples of a model and data.

Legend: x_i are N real points, y_j M fake ones, in F dimensions, such as the features of images; all in float64.

    Fréchet distance      |m_x - m_y|² + tr(C_x + C_y - 2 (C_x C_y)^½), of means and covariances
                          (Heusel, Ramsauer, Unterthiner, Nessler & Hochreiter 2017)
    precision, recall     the share of fake points within the manifold of the real points, and vice versa; a manifold is
                          the union of the balls that reach from each point to its k-th nearest neighbor
                          (Kynkäänniemi, Karras, Laine, Lehtinen & Aila 2019)
    density, coverage     how many balls of real points contain a fake one, over k; the share of balls that contain any
                          (Naeem, Oh, Uh, Choi & Yoo 2020)
    two-sample accuracy   of a classifier of real and fake points, on points it was not trained on
                          (Lopez-Paz & Oquab 2017)
    MMD²                  mean k(x, x') + mean k(y, y') - 2 mean k(x, y), over pairs of different points, unbiased
                          (Gretton, Borgwardt, Rasch, Schölkopf & Smola 2012)
    sliced Wasserstein    (E_θ W₂²(θᵀx, θᵀy))^½, θ uniform on the sphere (Rabin, Peyré, Delon & Bernot 2011; Bonneel,
                          Rabin, Peyré & Pfister 2015); in one dimension W₂² = ∫₀¹ (F_x⁻¹(q) - F_y⁻¹(q))² dq

For equal distributions, only density, accuracy and MMD² have a mean that does not depend on the sample size: compare
the others between equally many points, and with their value for data against data. The p-values are valid for any
distribution: for independent points with equal distributions, one is α or less with a probability of at most α.

The arguments are tensors or arrays of points ``(N, F)``. Each function raises `BadInput` if they have other shapes or
different numbers of features, are not finite, or are too few.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import hypergeom
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor

from aevb.errors import BadInput

Points = Tensor | NDArray[np.float64] | NDArray[np.float32]

_PERMUTATIONS = 200
_MAX_POINTS = 1000  # of each sample, where all pairs are compared at once
_DISTANCES = 2**22  # in memory at once: 32 MB
_ACCURACY, _DISCREPANCY, _DIRECTIONS = range(3)  # purposes with separate random number streams


class Overlap(NamedTuple):
    """The overlap of two manifolds: shares, except for the density, whose mean is 1 for equal distributions."""

    precision: float
    recall: float
    density: float
    coverage: float


class Accuracy(NamedTuple):
    """The accuracy of a classifier of real and fake points: 0.5 is chance."""

    accuracy: float
    stderr: float
    p_value: float


class Neighbors(NamedTuple):
    """Distances to the nearest training example.

    Attributes:
        fake: of each fake point, ``(M,)``.
        real: of each held-out example, ``(N,)``.
        ratio: median of the first over median of the second, about 1 if samples are as new as data; NaN or infinite if
            at least half of the held-out examples repeat training examples.
        copied: share of the samples that are closer than 99 % of the held-out examples: about 0.01 if samples are as
            new as data. It misses copies if more than 1 % of the held-out examples repeat training examples.
    """

    fake: Tensor
    real: Tensor
    ratio: float
    copied: float


class Discrepancy(NamedTuple):
    """MMD², which may be negative by chance; its standard error, about √2 too large for equal distributions."""

    value: float
    stderr: float
    p_value: float


class Sliced(NamedTuple):
    """Sliced Wasserstein distance, in the points' unit, and its standard error from the choice of directions."""

    value: float
    stderr: float


def frechet_distance(real: Points, fake: Points) -> float:
    """Return the squared Fréchet distance between the normals with the moments of two samples, in squared units.

    With C_x = AᵀA and C_y = BᵀB, tr (C_x C_y)^½ is the sum of the singular values of A Bᵀ. This needs no inverse and no
    square root of a matrix, so covariances may be singular.
    """
    x, y = _clouds(real, fake, least=2)
    a, b = _factor(x), _factor(y)
    spread = a.square().sum() + b.square().sum() - 2 * torch.linalg.svdvals(a @ b.T).sum()
    return float((x.mean(0) - y.mean(0)).square().sum() + spread.clamp(min=0))


def manifold_overlap(real: Points, fake: Points, neighbors: int = 5) -> Overlap:
    """Return precision, recall, density and coverage, with k = `neighbors`.

    For equal distributions, the expected density is 1 and the expected coverage of equally many points about 1 - 2⁻ᵏ.
    """
    x, y = _clouds(real, fake, least=neighbors + 1)
    reach_x, reach_y = _reach(x, neighbors), _reach(y, neighbors)
    counts, recalled, covered = [], torch.zeros(len(x), dtype=torch.bool), torch.zeros(len(x), dtype=torch.bool)
    for rows, distance in _distances(y, x):
        inside = distance <= reach_x
        counts.append(inside.sum(1))
        recalled |= (distance <= reach_y[rows, None]).any(0)
        covered |= inside.any(0)
    balls = torch.cat(counts)
    return Overlap(*(_mean(values) for values in (balls > 0, recalled, balls / neighbors, covered)))


def two_sample_accuracy(real: Points, fake: Points, *, seed: int = 0) -> Accuracy:
    """Return the accuracy of a classifier of real and fake points, fitted to one half and tested on the other.

    The classifier consists of boosted trees, which need no scaling, accept constant and discrete columns, and find
    differences of any kind. Unlike in cross-validation, each prediction is independent. For equal distributions, the
    real points among those predicted as real are a sample without replacement (Fisher's exact test).

    Args:
        real, fake: points, at least some hundreds for trees to grow; equally many of both are used, chosen at random.
        seed: seed of the choice and of the halves.
    """
    rng = np.random.default_rng([seed, _ACCURACY])
    x, y = _clouds(real, fake, least=2)
    size = min(len(x), len(y))
    (x_train, x_test), (y_train, y_test) = (_halves(_permuted(points, size, rng)) for points in (x, y))
    trees = _fitted(x_train, y_train, int(rng.integers(2**32)))
    right, wrong = (int(trees.predict(points.numpy()).sum()) for points in (x_test, y_test))
    count = len(x_test)
    accuracy = (right + count - wrong) / (2 * count)
    p_value = float(hypergeom.sf(right - 1, 2 * count, count, right + wrong))
    return Accuracy(accuracy, math.sqrt(accuracy * (1 - accuracy) / (2 * count)), p_value)


def nearest_neighbors(train: Points, real: Points, fake: Points) -> Neighbors:
    """Return the distances of samples and of held-out examples to their nearest training examples.

    Args:
        train: points that the model was trained on.
        real: points that it was not trained on.
        fake: its samples.
    """
    t, x, y = _clouds(train, real, fake, least=1)
    held_out, sampled = _to_nearest(t, x), _to_nearest(t, y)
    ratio = float(sampled.quantile(0.5) / held_out.quantile(0.5))
    return Neighbors(sampled, held_out, ratio, _mean(sampled < held_out.quantile(0.01)))


def maximum_mean_discrepancy(x: Points, y: Points, *, seed: int = 0) -> Discrepancy:
    """Return MMD² with the kernel exp(-|x - y|²/2σ²), σ the median distance between different points of both samples.

    The standard error is that of the jackknife. The p-value is that of 200 permutations, (1 + the number of
    permutations with a value at least as large) / 201.

    Args:
        x, y: points; at most 1,000 of each are used, chosen at random.
        seed: seed of the choice and of the permutations.
    """
    rng = np.random.default_rng([seed, _DISCREPANCY])
    x, y = (_permuted(points, _MAX_POINTS, rng) for points in _clouds(x, y, least=2))
    kernel = _kernel(torch.cat([x, y]))
    first = torch.arange(len(kernel)) < len(x)
    orders = rng.permuted(np.tile(first.numpy(), (_PERMUTATIONS, 1)), axis=1)
    value, *chance = _discrepancies(kernel, torch.cat([first[None], torch.from_numpy(orders)]).double()).tolist()
    larger = sum(other >= value - 1e-12 for other in chance)  # equal values may differ by rounding
    return Discrepancy(value, _jackknife(kernel, len(x)), (1 + larger) / (1 + _PERMUTATIONS))


def sliced_wasserstein(x: Points, y: Points, *, projections: int = 200, seed: int = 0) -> Sliced:
    """Return the sliced Wasserstein distance of order 2.

    Args:
        x, y: points, any number of each: in one dimension the distance is exact.
        projections: the number of directions, two or more.
        seed: seed of the directions.
    """
    x, y = _clouds(x, y, least=1)
    normal = np.random.default_rng([seed, _DIRECTIONS]).normal(size=(projections, x.shape[1]))
    directions = torch.nn.functional.normalize(torch.from_numpy(normal), dim=1)
    squares = torch.stack([_squared_wasserstein(x @ direction, y @ direction) for direction in directions])
    value, stderr = float(squares.mean().sqrt()), float(squares.std()) / projections**0.5
    return Sliced(value, stderr / (2 * value) if value else 0.0)


def _fitted(real: Tensor, fake: Tensor, seed: int) -> HistGradientBoostingClassifier:
    """Return trees that classify points as real."""
    trees = HistGradientBoostingClassifier(max_leaf_nodes=8, early_stopping=False, random_state=seed)
    return trees.fit(torch.cat([real, fake]).numpy(), np.arange(len(real) + len(fake)) < len(real))


# Points.


def _clouds(*points: Points, least: int) -> list[Tensor]:
    """Return the points as float64 after checking them."""
    clouds = [torch.as_tensor(values).detach().cpu().double() for values in points]
    shapes = [tuple(cloud.shape) for cloud in clouds]
    if any(len(shape) != 2 for shape in shapes) or len({shape[1] for shape in shapes}) > 1 or not shapes[0][1]:
        raise BadInput(f"points have the shapes {shapes}: expected (N, F) and (M, F), one point a row; flatten events")
    if min(map(len, clouds)) < least:
        raise BadInput(f"points have the shapes {shapes}: expected at least {least} rows in each; give more points")
    if not all(cloud.isfinite().all() for cloud in clouds):
        raise BadInput("points hold NaN or infinite values: expected finite numbers; remove or replace these rows")
    return clouds


def _permuted(points: Tensor, most: int, rng: np.random.Generator) -> Tensor:
    """Return at most `most` points in random order."""
    return points[torch.from_numpy(rng.permutation(len(points))[:most])]


def _halves(points: Tensor) -> tuple[Tensor, Tensor]:
    return points[: len(points) // 2], points[len(points) // 2 :]


def _factor(points: Tensor) -> Tensor:
    """Return A ``(min(N, F), F)`` with AᵀA the covariance."""
    centered = (points - points.mean(0)) / (len(points) - 1) ** 0.5
    factor: Tensor = torch.linalg.qr(centered, mode="r").R
    return factor


def _mean(values: Tensor) -> float:
    return float(values.double().mean())


# Distances, in blocks of rows of the distance matrix.


def _blocks(count: int, columns: int) -> Iterator[slice]:
    rows = max(1, _DISTANCES // columns)
    return (slice(start, start + rows) for start in range(0, count, rows))


def _distances(a: Tensor, b: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield slices of the rows of a, with their distances ``(rows, len(b))``.

    They are computed from differences, not from products: equal distances must stay equal on the surface of a ball.
    """
    for rows in _blocks(len(a), len(b)):
        yield rows, torch.cdist(a[rows], b, compute_mode="donot_use_mm_for_euclid_dist")


def _reach(points: Tensor, neighbors: int) -> Tensor:
    """Return the distance of each point to its k-th nearest other point, ``(N,)``."""
    blocks = (distance for _, distance in _distances(points, points))  # each point is its own nearest
    return torch.cat([block.topk(neighbors + 1, largest=False).values[:, -1] for block in blocks])


def _to_nearest(train: Tensor, points: Tensor) -> Tensor:
    """Return the distance of each point to the nearest of `train`.

    Fast products find the nearest point; its distance comes from the difference, which is exactly zero for a copy.
    """
    t, x = train - train.mean(0), points - train.mean(0)
    nearest = [torch.cdist(x[rows], t).argmin(1) for rows in _blocks(len(x), len(t))]
    distance: Tensor = torch.linalg.vector_norm(points - train[torch.cat(nearest)], dim=1)
    return distance


def _squared_wasserstein(x: Tensor, y: Tensor) -> Tensor:
    """Return W₂² between points ``(N,)`` and ``(M,)``; their quantile functions are steps at i/N and j/M."""
    n, m = len(x), len(y)
    # In units of 1/(NM) the ends of the steps are integers.
    ends = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique()
    lengths: Tensor = ends.diff(prepend=ends.new_zeros(1)).double() / (n * m)
    gaps: Tensor = x.sort().values[(ends - 1) // m] - y.sort().values[(ends - 1) // n]
    return lengths @ gaps.square()


# Maximum mean discrepancy.


def _kernel(points: Tensor) -> Tensor:
    """Return exp(-d²/2σ²) between all points, and 0 on the diagonal."""
    distance = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    between = distance[distance > 0]
    median = between.median() if len(between) else 1.0
    return (-0.5 * (distance / median).square()).exp().fill_diagonal_(0)


def _discrepancies(kernel: Tensor, first: Tensor) -> Tensor:
    """Return MMD², ``(P,)``, for each assignment of the points to x (1) and y (0), ``(P, N + M)``."""
    n = int(first[0].sum())
    m = len(kernel) - n
    within_x = ((first @ kernel) * first).sum(1)
    between = first @ kernel.sum(1) - within_x
    within_y = kernel.sum() - within_x - 2 * between
    return within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * between / (n * m)


def _jackknife(kernel: Tensor, n: int) -> float:
    """Return the standard error of MMD², whose first n points are x.

    It is 2 (Var a/N + Var b/M)^½, where a_i is the mean of k(x_i, x) minus that of k(x_i, y), and b_j likewise.
    """
    m = len(kernel) - n
    to_x, to_y = kernel[:, :n].sum(1), kernel[:, n:].sum(1)
    a = to_x[:n] / (n - 1) - to_y[:n] / m
    b = to_y[n:] / (m - 1) - to_x[n:] / n
    return 2 * math.sqrt(float(a.var() / n + b.var() / m))
