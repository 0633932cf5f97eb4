"""How near samples come to data: distances and tests between two clouds of points.

Legend: x_i are N real points, y_j M fake ones, in F dimensions, such as the features of images; all in float64.

    Fréchet distance      |m_x - m_y|² + tr(C_x + C_y - 2 (C_x C_y)^½), of means and covariances
                          (Heusel, Ramsauer, Unterthiner, Nessler & Hochreiter 2017)
    precision, recall     the share of fakes within the manifold of the real points, and the other way round; a manifold
                          is the union of the balls that reach from each point to its k-th nearest neighbour
                          (Kynkäänniemi, Karras, Laine, Lehtinen & Aila 2019)
    density, coverage     how many real points' balls hold a fake, over k; the share of real points' balls that hold any
                          (Naeem, Oh, Uh, Choi & Yoo 2020)
    two-sample accuracy   of a classifier that tells real from fake on points it has not seen
                          (Lopez-Paz & Oquab 2017)
    MMD²                  mean k(x, x') + mean k(y, y') - 2 mean k(x, y), over pairs of different points, without bias
                          (Gretton, Borgwardt, Rasch, Schölkopf & Smola 2012)
    sliced Wasserstein    (E_θ W₂²(θᵀx, θᵀy))^½, θ uniform on the sphere (Rabin, Peyré, Delon & Bernot 2011; Bonneel,
                          Rabin, Peyré & Pfister 2015); in one dimension W₂² = ∫₀¹ (F_x⁻¹(q) - F_y⁻¹(q))² dq

Only density, accuracy and MMD² have the same mean in small samples as in large ones where the clouds agree: compare the
others between equally many points, and with their value for data against data. The p-values are right, whatever the
distribution: where independent points agree in it, one is α or less with a probability of at most α.

The arguments called points are tensors or arrays ``(N, F)``. Each function raises `BadInput` where they have other
shapes, do not fit together, are not finite or are too few.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import hypergeom
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor

from aevb.errors import BadInput

Points = Tensor | NDArray[Any]

_PERMUTATIONS = 200
_MOST = 1000  # points of each cloud where every pair is compared at once
_DISTANCES = 2**22  # held at once: 32 megabytes
_FOR_ACCURACY, _FOR_DISCREPANCY, _FOR_DIRECTIONS = range(3)  # purposes, each with a stream of random numbers of its own


class Overlap(NamedTuple):
    """How two manifolds overlap: shares, but for the density, which is 1 on average where the clouds agree."""

    precision: float
    recall: float
    density: float
    coverage: float


class Accuracy(NamedTuple):
    """Of telling real from fake: 0.5 is chance."""

    accuracy: float
    stderr: float
    p_value: float


class Neighbours(NamedTuple):
    """Distances to the nearest training example.

    Attributes:
        fake: of each sample, ``(M,)``.
        real: of each held-out example, ``(N,)``.
        ratio: median of the first over median of the second, about 1 where samples are as new as data; NaN or infinite
            where half of the held-out examples or more repeat training examples.
        copied: share of the samples that are nearer than 99 % of the held-out examples: about 0.01 where samples are as
            new as data. Copies go unseen where more than 1 % of the held-out examples repeat training examples.
    """

    fake: Tensor
    real: Tensor
    ratio: float
    copied: float


class Discrepancy(NamedTuple):
    """MMD², by chance also below zero; its standard error, too large by about √2 where the clouds agree."""

    value: float
    stderr: float
    p_value: float


class Sliced(NamedTuple):
    """Sliced Wasserstein distance, in the points' unit, and its standard error from the choice of directions."""

    value: float
    stderr: float


def frechet_distance(real: Points, fake: Points) -> float:
    """The squared Fréchet distance between the normals with the moments of two clouds, in the points' unit squared.

    With C_x = AᵀA and C_y = BᵀB, tr (C_x C_y)^½ is the sum of the singular values of A Bᵀ. Nothing is inverted and no
    root is taken of what rounding made negative: covariances may be singular.
    """
    x, y = _clouds(real, fake, least=2)
    a, b = _factor(x), _factor(y)
    spread = a.square().sum() + b.square().sum() - 2 * torch.linalg.svdvals(a @ b.T).sum()
    return float((x.mean(0) - y.mean(0)).square().sum() + spread.clamp(min=0))


def manifold_overlap(real: Points, fake: Points, neighbours: int = 5) -> Overlap:
    """Precision, recall, density and coverage; k = `neighbours`.

    Where the clouds agree, the expected density is 1 and the expected coverage of equally many points about 1 - 2⁻ᵏ.
    """
    x, y = _clouds(real, fake, least=neighbours + 1)
    reach_x, reach_y = _reach(x, neighbours), _reach(y, neighbours)
    balls, recalled, covered = [], torch.zeros(len(x), dtype=torch.bool), torch.zeros(len(x), dtype=torch.bool)
    for part, distance in _distances(y, x):
        held = distance <= reach_x
        balls.append(held.sum(1))
        recalled |= (distance <= reach_y[part, None]).any(0)
        covered |= held.any(0)
    holding = torch.cat(balls)
    return Overlap(*(_mean(values) for values in (holding > 0, recalled, holding / neighbours, covered)))


def two_sample_accuracy(real: Points, fake: Points, *, seed: int = 0) -> Accuracy:
    """How well a classifier tells real from fake: taught by one half of the points, judged on the other.

    It is made of boosted trees, which ask for no scale, are at ease with columns that are constant or take few values,
    and find differences of any kind. Judged once, unlike in cross-validation, its answers are independent. Where the
    clouds agree, the real points among those it calls real are a draw without replacement (Fisher's exact test).

    Args:
        real, fake: points, some hundreds at least for trees to grow; equally many of both are used, drawn at random.
        seed: of that and of the halves.
    """
    rng = np.random.default_rng([seed, _FOR_ACCURACY])
    x, y = _clouds(real, fake, least=2)
    size = min(len(x), len(y))
    (x_taught, x_judged), (y_taught, y_judged) = (_halves(_drawn(points, size, rng)) for points in (x, y))
    trees = _taught(x_taught, y_taught, int(rng.integers(2**32)))
    right, wrong = (int(trees.predict(points.numpy()).sum()) for points in (x_judged, y_judged))
    judged = len(x_judged)
    accuracy = (right + judged - wrong) / (2 * judged)
    p_value = float(hypergeom.sf(right - 1, 2 * judged, judged, right + wrong))
    return Accuracy(accuracy, math.sqrt(accuracy * (1 - accuracy) / (2 * judged)), p_value)


def nearest_neighbours(train: Points, real: Points, fake: Points) -> Neighbours:
    """Whether samples repeat training examples: their distance to the nearest, against that of held-out examples.

    Args:
        train: what the model was trained on.
        real: points it was not trained on.
        fake: its samples.
    """
    t, x, y = _clouds(train, real, fake, least=1)
    held_out, sampled = _to_nearest(t, x), _to_nearest(t, y)
    ratio = float(sampled.quantile(0.5) / held_out.quantile(0.5))
    return Neighbours(sampled, held_out, ratio, _mean(sampled < held_out.quantile(0.01)))


def maximum_mean_discrepancy(x: Points, y: Points, *, seed: int = 0) -> Discrepancy:
    """MMD² with the kernel exp(-|x - y|²/2σ²), σ the median distance between different points of both clouds.

    The standard error is the jackknife's, from how far each point's part is from the mean. The p-value is that of 200
    permutations, (1 + those with a value as large) / 201.

    Args:
        x, y: points; at most 1,000 of each are used, drawn at random.
        seed: of that and of the permutations.
    """
    rng = np.random.default_rng([seed, _FOR_DISCREPANCY])
    x, y = (_drawn(points, _MOST, rng) for points in _clouds(x, y, least=2))
    kernel = _kernel(torch.cat([x, y]))
    first = torch.arange(len(kernel)) < len(x)
    orders = rng.permuted(np.tile(first.numpy(), (_PERMUTATIONS, 1)), axis=1)
    value, *chance = _discrepancies(kernel, torch.cat([first[None], torch.from_numpy(orders)]).double()).tolist()
    larger = sum(other >= value - 1e-12 for other in chance)  # rounding must not tell equal values apart
    return Discrepancy(value, _jackknife(kernel, len(x)), (1 + larger) / (1 + _PERMUTATIONS))


def sliced_wasserstein(x: Points, y: Points, *, projections: int = 200, seed: int = 0) -> Sliced:
    """The sliced Wasserstein distance of order 2.

    Args:
        x, y: points, any number of each: in one dimension the distance is exact.
        projections: how many directions, two or more.
        seed: of the directions.
    """
    x, y = _clouds(x, y, least=1)
    normal = np.random.default_rng([seed, _FOR_DIRECTIONS]).normal(size=(projections, x.shape[1]))
    directions = torch.nn.functional.normalize(torch.from_numpy(normal), dim=1)
    squares = torch.stack([_squared_wasserstein(x @ direction, y @ direction) for direction in directions])
    value, stderr = float(squares.mean().sqrt()), float(squares.std()) / projections**0.5
    return Sliced(value, stderr / (2 * value) if value else 0.0)


def _taught(real: Tensor, fake: Tensor, seed: int) -> HistGradientBoostingClassifier:
    """Trees that tell which points are real."""
    trees = HistGradientBoostingClassifier(max_leaf_nodes=8, early_stopping=False, random_state=seed)
    return trees.fit(torch.cat([real, fake]).numpy(), np.arange(len(real) + len(fake)) < len(real))


# Points.


def _clouds(*points: Points, least: int) -> list[Tensor]:
    """The points as float64, checked."""
    clouds = [torch.as_tensor(values).detach().cpu().double() for values in points]
    shapes = [tuple(cloud.shape) for cloud in clouds]
    if any(len(shape) != 2 for shape in shapes) or len({shape[1] for shape in shapes}) > 1 or not shapes[0][1]:
        raise BadInput(f"points have the shapes {shapes}: expected (N, F) and (M, F), one point a row; flatten events")
    if min(map(len, clouds)) < least:
        raise BadInput(f"points have the shapes {shapes}: expected at least {least} rows in each; give more points")
    if not all(cloud.isfinite().all() for cloud in clouds):
        raise BadInput("points hold NaN or infinite values: expected finite numbers; look at where they come from")
    return clouds


def _drawn(points: Tensor, most: int, rng: np.random.Generator) -> Tensor:
    """Points in random order, `most` of them at most."""
    return points[torch.from_numpy(rng.permutation(len(points))[:most])]


def _halves(points: Tensor) -> tuple[Tensor, Tensor]:
    return points[: len(points) // 2], points[len(points) // 2 :]


def _factor(points: Tensor) -> Tensor:
    """A ``(min(N, F), F)`` with the covariance AᵀA."""
    centred = (points - points.mean(0)) / (len(points) - 1) ** 0.5
    factor: Tensor = torch.linalg.qr(centred, mode="r").R
    return factor


def _mean(values: Tensor) -> float:
    return float(values.double().mean())


# Distances, a few rows of the matrix at a time.


def _parts(count: int, columns: int) -> Iterator[slice]:
    rows = max(1, _DISTANCES // columns)
    return (slice(start, start + rows) for start in range(0, count, rows))


def _distances(a: Tensor, b: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Which rows of a, and their distances ``(rows, len(b))``.

    From differences, not from products: what is equally far must stay so where a ball's surface decides.
    """
    for part in _parts(len(a), len(b)):
        yield part, torch.cdist(a[part], b, compute_mode="donot_use_mm_for_euclid_dist")


def _reach(points: Tensor, neighbours: int) -> Tensor:
    """The distance of each point to its k-th nearest other, ``(N,)``: each is itself the nearest to itself."""
    blocks = (distance for _, distance in _distances(points, points))
    return torch.cat([block.topk(neighbours + 1, largest=False).values[:, -1] for block in blocks])


def _to_nearest(train: Tensor, points: Tensor) -> Tensor:
    """The distance of each point to the nearest of `train`.

    Which one that is, fast products tell; how far it is, the difference tells, which is exactly zero for a copy.
    """
    t, x = train - train.mean(0), points - train.mean(0)
    found = [torch.cdist(x[part], t).argmin(1) for part in _parts(len(x), len(t))]
    distance: Tensor = torch.linalg.vector_norm(points - train[torch.cat(found)], dim=1)
    return distance


def _squared_wasserstein(x: Tensor, y: Tensor) -> Tensor:
    """W₂² between points ``(N,)`` and ``(M,)``: the quantile functions are steps, which change at i/N and j/M."""
    n, m = len(x), len(y)
    # In units of 1/(NM) the ends of the steps are whole numbers.
    ends = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique()
    lengths: Tensor = ends.diff(prepend=ends.new_zeros(1)).double() / (n * m)
    gaps: Tensor = x.sort().values[(ends - 1) // m] - y.sort().values[(ends - 1) // n]
    return lengths @ gaps.square()


# Maximum mean discrepancy.


def _kernel(points: Tensor) -> Tensor:
    """exp(-d²/2σ²) between all points, and 0 of a point with itself, which no pair is."""
    distance = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    between = distance[distance > 0]
    median = between.median() if len(between) else 1.0
    return (-0.5 * (distance / median).square()).exp().fill_diagonal_(0)


def _discrepancies(kernel: Tensor, first: Tensor) -> Tensor:
    """MMD² for each choice of which points are x: 1 there and 0 elsewhere, ``(P, N + M)``; returns ``(P,)``."""
    n = int(first[0].sum())
    m = len(kernel) - n
    within_x = ((first @ kernel) * first).sum(1)
    between = first @ kernel.sum(1) - within_x
    within_y = kernel.sum() - within_x - 2 * between
    return within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * between / (n * m)


def _jackknife(kernel: Tensor, n: int) -> float:
    """Standard error of MMD², whose first n points are x: 2 (Var a/N + Var b/M)^½, where a_i is the mean of k(x_i, x)
    less that of k(x_i, y), and b_j likewise."""
    m = len(kernel) - n
    to_x, to_y = kernel[:, :n].sum(1), kernel[:, n:].sum(1)
    a = to_x[:n] / (n - 1) - to_y[:n] / m
    b = to_y[n:] / (m - 1) - to_x[n:] / n
    return 2 * math.sqrt(float(a.var() / n + b.var() / m))
