"""Five sets of points in the plane with a known density, to compare a model with the truth.

They are those of Guo, Liao & Zhou, "Variational Autoencoders", section 4. R(a) is the rotation by the angle a,
D = diag(3, 1/3), Φ the distribution function of the standard normal z, and e ~ N(0, v I) noise of variance v:

    gaussian            x = D z + e,         z ~ N(0, I),  v = 0.2
    gaussian-rotated    x = R(π/3) D z + e,  z ~ N(0, I),  v = 0.2
    figure-8            x = (√2/2 cos u, √2 cos u sin u) / (sin² u + 1) + e,  u = π (0.6 + 1.8 Φ(z)),  z ~ N(0, 1)
    blobs               x = (cos t, sin t) + e,  t = 2 tanh(10 u - 20 ⌊u/2⌋ - 10) + 4 ⌊u/2⌋ + 2,
                        u = 2π / (1 + exp(-π z / 2)),  z ~ N(0, 1),  v = 0.2
    mixture             x = m_i + R(a_i) y,  y ~ N(0, D),  i uniform in {1, 2, 3},  a = (0, 2π/3, π/3)

In print, the figure 8 lacks the π in u, and both curves have an additional factor z that would destroy their shape:
here they are always as above. Where the printed definition makes sense but differs from the intended one, there are
two variants:

    figure-8            printed: v = 0.2, nearly a normal    corrected: v = 0.02, an 8
    mixture             m_1 = (0, 3√3) and m_2 = (-3√3, -3√3/2);
                        printed: m_3 = m_2                   corrected: m_3 = (3√3, -3√3/2), a triangle

Every density is a mixture of normals, p(x) = Σ_k w_k N(x; m_k, C_k). For the two curves, where s = Φ(z) is uniform on
(0, 1), it is the Gauss-Legendre rule for p(x) = ∫ N(x; c(s), v I) ds, whose error in log p(x) is below 1e-6 within a
distance of 6 from the origin. In nats per point, E log p(x) under the truth, and under the normal with the same mean
and covariance:

    gaussian and gaussian-rotated    -3.3637   -3.3637
    figure-8, corrected              -0.8848   -1.1329
    figure-8, printed                -1.8202   -1.8248
    blobs                            -2.2839   -2.4748
    mixture, corrected               -3.9365   -5.6869
    mixture, printed                 -3.6581   -4.6195
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import pi, sqrt
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from aevb.data.dataset import UnsplitData
from aevb.data.examples import Examples
from aevb.data.sources.registered import choose_variant
from aevb.data.splits import require_seed
from aevb.errors import BadInput
from aevb.models.registry import register

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
Variant = Literal["printed", "corrected"]
Sampler = Callable[[int, np.random.Generator], tuple[Array, Labels | None]]

VARIANTS = get_args(Variant)

_STRETCH = np.diag([3, 1 / 3])  # D
_NOISE = 0.2  # v
_TERMS = 10**6  # terms of the sums over k to compute at once


@dataclass(frozen=True, eq=False)
class NormalMixture:
    """A mixture of normals in the plane, p(x) = Σ_k w_k N(x; m_k, C_k).

    Attributes:
        weights: w, ``(K,)``.
        means: m, ``(K, 2)``.
        covariances: C, ``(K, 2, 2)``.
    """

    weights: Array
    means: Array
    covariances: Array

    def log_prob(self, x: ArrayLike) -> Array:
        """Return log p(x) in nats, ``(N,)``, of points ``(N, 2)``; temporary memory does not grow with N.

        Raises:
            BadInput: x has another shape.
        """
        points = np.asarray(x, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 2:
            raise BadInput(f"the points have the shape {points.shape}: expected (N, 2), one row for each point")
        logs = np.empty(len(points))
        count = max(1, _TERMS // len(self.weights))
        for start in range(0, len(points), count):
            rows = slice(start, start + count)
            logs[rows] = _log_sum_exp(_monomials(points[rows]) @ self._coefficients)
        return logs

    def moments(self) -> tuple[Array, Array]:
        """Return the mean, ``(2,)``, and the covariance, ``(2, 2)``, of the points."""
        mean = self.weights @ self.means
        offsets = self.means - mean
        spread = self.covariances + offsets[:, :, None] * offsets[:, None, :]
        return mean, np.tensordot(self.weights, spread, 1)

    def gaussian(self) -> "NormalMixture":
        """Return the normal with these moments, which minimizes KL(p || N)."""
        mean, covariance = self.moments()
        return NormalMixture(np.ones(1), mean[None], covariance[None])

    def best_gaussian(self) -> float:
        """Return E log N(x; μ, Σ) = -½ log det(2πe Σ) in nats for the moments μ and Σ, the maximum over all normals."""
        return -0.5 * float(np.linalg.slogdet(2 * pi * np.e * self.moments()[1])[1])

    @cached_property
    def _coefficients(self) -> Array:
        """Coefficients of log w_k N(x; m_k, C_k), which is linear in the monomials of x, ``(6, K)``."""
        precisions = np.linalg.inv(self.covariances)
        slopes = np.einsum("kij,kj->ki", precisions, self.means)
        log_volumes = 0.5 * np.linalg.slogdet(2 * pi * self.covariances)[1]
        heights = np.log(self.weights) - log_volumes - 0.5 * (slopes * self.means).sum(1)
        curvatures = (-0.5 * precisions[:, 0, 0], -precisions[:, 0, 1], -0.5 * precisions[:, 1, 1])
        return np.stack([heights, *slopes.T, *curvatures])


@dataclass(frozen=True, eq=False)
class Truth(NormalMixture):
    """The density of a data set, with a sampler.

    Attributes:
        sampler: returns points ``(N, 2)`` and labels ``(N,)``, if there are any.
        classes: names of the labels 0, 1, ...; None without labels.
    """

    sampler: Sampler
    classes: tuple[str, ...] | None = None

    def sample(self, count: int, rng: np.random.Generator) -> tuple[Array, Labels | None]:
        """Return points, ``(count, 2)``, and their labels, ``(count,)``, if there are any."""
        return self.sampler(count, rng)


def truth(name: str, variant: str | None = None) -> Truth:
    """Return the distribution of a data set with a known density.

    Args:
        name: name of the data set.
        variant: as in `aevb.load_data`.

    Raises:
        BadInput: the density of the data set is unknown, or it has no such variant.
    """
    known = [other for other in register.dataset if "density" in register.dataset.facts(other)]
    if name not in known:
        raise BadInput(f"the density of {name!r} is unknown: expected one of {', '.join(known)}")
    density: Callable[[str | None], Truth] = register.dataset.facts(name)["density"]
    return density(choose_variant(name, variant))


# Data sets, each with a density for each of its variants.


def _gaussian(_: str | None) -> Truth:
    return _linear(_rotation(0) @ _STRETCH)


def _gaussian_rotated(_: str | None) -> Truth:
    return _linear(_rotation(pi / 3) @ _STRETCH)


def _figure_8(variant: str | None) -> Truth:
    return _curve(_lemniscate, _NOISE if variant == "printed" else 0.02, nodes=400)


def _blobs(_: str | None) -> Truth:
    return _curve(_circle, _NOISE, 1000, _plateau, ("t = 0", "t = 4", "t = 8", "t = 12"))


def _mixture(variant: str | None) -> Truth:
    return _three_normals(right=-1 if variant == "printed" else 1)


@register.dataset("gaussian", density=_gaussian)
def gaussian(split_seed: int = 0) -> UnsplitData:
    """Points of a normal distribution in the plane."""
    return _sample("gaussian", 20_000, split_seed)


@register.dataset("gaussian-rotated", density=_gaussian_rotated)
def gaussian_rotated(split_seed: int = 0) -> UnsplitData:
    """Points of a rotated normal distribution in the plane."""
    return _sample("gaussian-rotated", 20_000, split_seed)


@register.dataset("figure-8", density=_figure_8, variants=VARIANTS)
def figure_8(split_seed: int = 0, variant: str | None = None) -> UnsplitData:
    """Points on a figure 8 in the plane, with noise."""
    return _sample("figure-8", 40_000, split_seed, variant)


@register.dataset("blobs", density=_blobs)
def blobs(split_seed: int = 0) -> UnsplitData:
    """Points in four blobs on a circle in the plane."""
    return _sample("blobs", 40_000, split_seed)


@register.dataset("mixture", density=_mixture, variants=VARIANTS)
def mixture(split_seed: int = 0, variant: str | None = None) -> UnsplitData:
    """Points of a mixture of three normals in the plane."""
    return _sample("mixture", 40_000, split_seed, variant)


def _sample(name: str, training: int, split_seed: int, variant: str | None = None) -> UnsplitData:
    """Return sampled points: a training part, and a test part of half its size."""
    require_seed(split_seed)
    source, title = truth(name, variant), f"{name}-printed" if variant == "printed" else name
    # The title in the seed gives every data set its own random numbers.
    x, labels = source.sample(training + training // 2, np.random.default_rng([split_seed, *title.encode()]))
    examples = Examples(torch.from_numpy(x.astype(np.float32)), None if labels is None else torch.from_numpy(labels))
    return UnsplitData(title, examples, source.classes, test_from=training)


# Densities.


def _linear(matrix: Array) -> Truth:
    """Return the density of x = A z + e."""

    def sampler(count: int, rng: np.random.Generator) -> tuple[Array, None]:
        z = rng.standard_normal((count, 2))
        return z @ matrix.T + sqrt(_NOISE) * rng.standard_normal((count, 2)), None

    return Truth(np.ones(1), np.zeros((1, 2)), (matrix @ matrix.T + _NOISE * np.eye(2))[None], sampler)


def _three_normals(right: Literal[-1, 1]) -> Truth:
    """Return the density of x = m_i + R(a_i) y, with m_3 on the left or on the right."""
    means = 3 * sqrt(3) * np.array([[0, 1], [-1, -1 / 2], [right, -1 / 2]])
    roots = np.stack([_rotation(angle) @ np.sqrt(_STRETCH) for angle in (0, 2 * pi / 3, pi / 3)])

    def sampler(count: int, rng: np.random.Generator) -> tuple[Array, Labels]:
        labels = rng.integers(3, size=count)
        return means[labels] + np.einsum("nij,nj->ni", roots[labels], rng.standard_normal((count, 2))), labels

    return Truth(np.full(3, 1 / 3), means, roots @ roots.swapaxes(1, 2), sampler, ("i = 1", "i = 2", "i = 3"))


def _rotation(angle: float) -> Array:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


# Curves, as functions of s = Φ(z).


def _curve(
    center: Callable[[Array], Array],
    variance: float,
    nodes: int,
    label: Callable[[Array], Labels] | None = None,
    classes: tuple[str, ...] | None = None,
) -> Truth:
    """Return the density of x = c(s) + e, s uniform on (0, 1)."""

    def sampler(count: int, rng: np.random.Generator) -> tuple[Array, Labels | None]:
        s = rng.random(count)
        x = center(s) + sqrt(variance) * rng.standard_normal((count, 2))
        return x, None if label is None else label(s)

    points, weights = np.polynomial.legendre.leggauss(nodes)  # on (-1, 1)
    covariances = np.broadcast_to(variance * np.eye(2), (nodes, 2, 2))
    return Truth(weights / 2, center((points + 1) / 2), covariances, sampler, classes)


def _lemniscate(s: Array) -> Array:
    u = pi * (0.6 + 1.8 * s)
    cos, sin = np.cos(u), np.sin(u)
    x: Array = np.stack([sqrt(2) / 2 * cos, sqrt(2) * cos * sin], 1) / (sin**2 + 1)[:, None]
    return x


def _circle(s: Array) -> Array:
    u = _turn(s)
    t = 2 * np.tanh(10 * u - 20 * (u // 2) - 10) + 4 * (u // 2) + 2
    return np.stack([np.cos(t), np.sin(t)], 1)


def _plateau(s: Array) -> Labels:
    """Return the nearest plateau of t, which rises from 0 to 4, 8 and 12 near u = 1, 3 and 5."""
    return ((_turn(s) + 1) // 2).astype(np.int64)


def _turn(s: Array) -> Array:
    """Return u of the blobs."""
    z: Array = torch.special.ndtri(torch.from_numpy(s)).numpy()
    u: Array = 2 * pi / (1 + np.exp(-pi * z / 2))
    return u


# Sums of normals.


def _monomials(x: Array) -> Array:
    """Return 1, x₁, x₂, x₁², x₁ x₂, x₂² for each point, ``(N, 6)``."""
    first, second = x.T
    return np.stack([np.ones(len(x)), first, second, first**2, first * second, second**2], 1)


def _log_sum_exp(logs: Array) -> Array:
    top = logs.max(1, keepdims=True)
    summed: Array = np.log(np.exp(logs - top).sum(1)) + top[:, 0]
    return summed
