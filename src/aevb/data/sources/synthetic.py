"""Five sets of points in the plane whose density is known, to measure a model against the truth.

They are those of Guo, Liao & Zhou, "Variational Autoencoders", section 4. Here R(a) is the rotation by the angle a,
D = diag(3, 1/3), Φ the distribution function of the normal z, and e ~ N(0, v I) noise of the variance v:

    gaussian            x = D z + e,         z ~ N(0, I),  v = 0.2
    gaussian-rotated    x = R(π/3) D z + e,  z ~ N(0, I),  v = 0.2
    figure-8            x = (√2/2 cos u, √2 cos u sin u) / (sin² u + 1) + e,  u = π (0.6 + 1.8 Φ(z)),  z ~ N(0, 1)
    blobs               x = (cos t, sin t) + e,  t = 2 tanh(10 u - 20 ⌊u/2⌋ - 10) + 4 ⌊u/2⌋ + 2,
                        u = 2π / (1 + exp(-π z / 2)),  z ~ N(0, 1),  v = 0.2
    mixture             x = m_i + R(a_i) y,  y ~ N(0, D),  i uniform in {1, 2, 3},  a = (0, 2π/3, π/3)

In print the figure 8 has lost the π of its u, and both curves have gained a factor z that would leave nothing of their
form: they are as above in every case. Where what is printed makes sense but is not what was meant, a variant chooses:

    figure-8            printed: v = 0.2, nearly a normal    corrected: v = 0.02, an 8
    mixture             m_1 = (0, 3√3) and m_2 = (-3√3, -3√3/2);
                        printed: m_3 = m_2                   corrected: m_3 = (3√3, -3√3/2), a triangle

Every density is a mixture of normals, p(x) = Σ_k w_k N(x; m_k, C_k). For the two curves, where s = Φ(z) is uniform on
(0, 1), it is the Gauss-Legendre rule for p(x) = ∫ N(x; c(s), v I) ds, whose error in log p(x) is below 1e-6 within 6 of
the origin. In nats for each point, E log p(x) under the truth, and under the normal of the same mean and covariance:

    gaussian and gaussian-rotated    -3.3637   -3.3637
    figure-8, corrected                 -0.8848   -1.1329
    figure-8, printed                -1.8202   -1.8248
    blobs                            -2.2839   -2.4748
    mixture, corrected                  -3.9365   -5.6869
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

from aevb.data.dataset import Examples, UnsplitData, require_seed
from aevb.errors import BadInput

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
Variant = Literal["printed", "corrected"]
Draw = Callable[[int, np.random.Generator], tuple[Array, Labels | None]]

TRAINING = {"gaussian": 20_000, "gaussian-rotated": 20_000, "figure-8": 40_000, "blobs": 40_000, "mixture": 40_000}
NAMES = tuple(TRAINING)
FORKED = ("figure-8", "mixture")  # the sets with variants

_STRETCH = np.diag([3, 1 / 3])  # D
_NOISE = 0.2  # v
_TERMS = 10**6  # of the sums over k, computed at a time


@dataclass(frozen=True, eq=False)
class Normals:
    """A density in the plane that is a sum of normals, p(x) = Σ_k w_k N(x; m_k, C_k)."""

    weights: Array  # (K,)
    means: Array  # (K, 2)
    covariances: Array  # (K, 2, 2)

    def log_prob(self, x: ArrayLike) -> Array:
        """log p(x) in nats, ``(N,)``, of points ``(N, 2)``, in memory that does not grow with N but for the result.

        Raises:
            BadInput: x has another shape.
        """
        points = np.asarray(x, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 2:
            raise BadInput(f"the points have the shape {points.shape}: expected (N, 2), one row for each")
        logs = np.empty(len(points))
        count = max(1, _TERMS // len(self.weights))
        for start in range(0, len(points), count):
            rows = slice(start, start + count)
            logs[rows] = _log_sum_exp(_monomials(points[rows]) @ self._coefficients)
        return logs

    def moments(self) -> tuple[Array, Array]:
        """The mean, ``(2,)``, and the covariance, ``(2, 2)``, of the points."""
        mean = self.weights @ self.means
        offsets = self.means - mean
        spread = self.covariances + offsets[:, :, None] * offsets[:, None, :]
        return mean, np.tensordot(self.weights, spread, 1)

    def gaussian(self) -> "Normals":
        """The normal with these moments: none is nearer, in the sense of KL(p || N)."""
        mean, covariance = self.moments()
        return Normals(np.ones(1), mean[None], covariance[None])

    def best_gaussian(self) -> float:
        """E log N(x; μ, Σ) = -½ log det(2πe Σ) in nats, with μ and Σ the moments: no normal does better."""
        return -0.5 * float(np.linalg.slogdet(2 * pi * np.e * self.moments()[1])[1])

    @cached_property
    def _coefficients(self) -> Array:
        """log w_k N(x; m_k, C_k) is linear in the monomials of x: its coefficients, ``(6, K)``."""
        precisions = np.linalg.inv(self.covariances)
        slopes = np.einsum("kij,kj->ki", precisions, self.means)
        log_volumes = 0.5 * np.linalg.slogdet(2 * pi * self.covariances)[1]
        heights = np.log(self.weights) - log_volumes - 0.5 * (slopes * self.means).sum(1)
        curvatures = (-0.5 * precisions[:, 0, 0], -precisions[:, 0, 1], -0.5 * precisions[:, 1, 1])
        return np.stack([heights, *slopes.T, *curvatures])


@dataclass(frozen=True, eq=False)
class Truth(Normals):
    """Where a set's points come from: a density, and a way to draw from it."""

    draw: Draw
    classes: tuple[str, ...] | None = None  # names of the labels 0, 1, ...; None where there are no labels

    def sample(self, count: int, rng: np.random.Generator) -> tuple[Array, Labels | None]:
        """Draw points, ``(count, 2)``, and their labels, ``(count,)``, if the set has any."""
        return self.draw(count, rng)


def truth(name: str, variant: Variant | None = None) -> Truth:
    """The distribution of one of the sets; `variant` as in `aevb.data.load`.

    Raises:
        BadInput: no set of this name has a known density, or it has no such variant.
    """
    if name not in NAMES:
        raise BadInput(f"the density of {name!r} is not known: expected one of {', '.join(NAMES)}")
    printed = chosen(name, variant) == "printed"
    if name == "figure-8":
        return _curve(_figure_8, _NOISE if printed else 0.02, nodes=400)
    if name == "blobs":
        return _curve(_circle, _NOISE, 1000, _plateau, ("t = 0", "t = 4", "t = 8", "t = 12"))
    if name == "mixture":
        return _mixture(right=-1 if printed else 1)
    return _linear(_rotation(pi / 3 if name == "gaussian-rotated" else 0) @ _STRETCH)


def chosen(source: str, variant: str | None) -> str | None:
    """The variant of a set, which is "corrected" if not said; None for every source without variants.

    Raises:
        BadInput: the source has no such variant.
    """
    if source not in FORKED and variant is not None:
        raise BadInput(
            f"variant={variant!r} chooses a form of {' or '.join(FORKED)}, which {source!r} is not: leave it out"
        )
    if variant not in (None, *get_args(Variant)):
        raise BadInput(
            f"variant={variant!r} of {source} is unknown: expected {' or '.join(get_args(Variant))}; choose one"
        )
    return variant or "corrected" if source in FORKED else None


def read_synthetic(name: str, variant: Variant | None, split_seed: int) -> UnsplitData:
    """Draw the points of one of `NAMES`, a training part and a test part of half its size.

    Raises:
        BadInput: the set has no such variant, or the seed is negative.
    """
    require_seed(split_seed)
    source, title = truth(name, variant), f"{name}-printed" if variant == "printed" else name
    count = TRAINING[name]
    # The title in the seed gives every set random numbers of its own.
    x, labels = source.sample(count + count // 2, np.random.default_rng([split_seed, *title.encode()]))
    examples = Examples(torch.from_numpy(x.astype(np.float32)), None if labels is None else torch.from_numpy(labels))
    return UnsplitData(title, examples, source.classes, test_from=count)


# Normals.


def _linear(matrix: Array) -> Truth:
    """x = A z + e."""

    def draw(count: int, rng: np.random.Generator) -> tuple[Array, None]:
        z = rng.standard_normal((count, 2))
        return z @ matrix.T + sqrt(_NOISE) * rng.standard_normal((count, 2)), None

    return Truth(np.ones(1), np.zeros((1, 2)), (matrix @ matrix.T + _NOISE * np.eye(2))[None], draw)


def _mixture(right: Literal[-1, 1]) -> Truth:
    """x = m_i + R(a_i) y, with m_3 on the left or on the right."""
    means = 3 * sqrt(3) * np.array([[0, 1], [-1, -1 / 2], [right, -1 / 2]])
    roots = np.stack([_rotation(angle) @ np.sqrt(_STRETCH) for angle in (0, 2 * pi / 3, pi / 3)])

    def draw(count: int, rng: np.random.Generator) -> tuple[Array, Labels]:
        labels = rng.integers(3, size=count)
        return means[labels] + np.einsum("nij,nj->ni", roots[labels], rng.standard_normal((count, 2))), labels

    return Truth(np.full(3, 1 / 3), means, roots @ roots.swapaxes(1, 2), draw, ("i = 1", "i = 2", "i = 3"))


def _rotation(angle: float) -> Array:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


# Curves, as functions of s = Φ(z).


def _curve(
    centre: Callable[[Array], Array],
    variance: float,
    nodes: int,
    label: Callable[[Array], Labels] | None = None,
    classes: tuple[str, ...] | None = None,
) -> Truth:
    """x = c(s) + e, s uniform on (0, 1)."""

    def draw(count: int, rng: np.random.Generator) -> tuple[Array, Labels | None]:
        s = rng.random(count)
        x = centre(s) + sqrt(variance) * rng.standard_normal((count, 2))
        return x, None if label is None else label(s)

    places, weights = np.polynomial.legendre.leggauss(nodes)  # on (-1, 1)
    covariances = np.broadcast_to(variance * np.eye(2), (nodes, 2, 2))
    return Truth(weights / 2, centre((places + 1) / 2), covariances, draw, classes)


def _figure_8(s: Array) -> Array:
    u = pi * (0.6 + 1.8 * s)
    cos, sin = np.cos(u), np.sin(u)
    x: Array = np.stack([sqrt(2) / 2 * cos, sqrt(2) * cos * sin], 1) / (sin**2 + 1)[:, None]
    return x


def _circle(s: Array) -> Array:
    u = _turn(s)
    t = 2 * np.tanh(10 * u - 20 * (u // 2) - 10) + 4 * (u // 2) + 2
    return np.stack([np.cos(t), np.sin(t)], 1)


def _plateau(s: Array) -> Labels:
    """t climbs from 0 to 4, 8 and 12 about u = 1, 3 and 5, and hardly moves between: the nearest of these four."""
    return ((_turn(s) + 1) // 2).astype(np.int64)


def _turn(s: Array) -> Array:
    """u of the blobs."""
    z: Array = torch.special.ndtri(torch.from_numpy(s)).numpy()
    u: Array = 2 * pi / (1 + np.exp(-pi * z / 2))
    return u


# Sums of normals.


def _monomials(x: Array) -> Array:
    """1, x₁, x₂, x₁², x₁ x₂, x₂² of each point, ``(N, 6)``."""
    first, second = x.T
    return np.stack([np.ones(len(x)), first, second, first**2, first * second, second**2], 1)


def _log_sum_exp(logs: Array) -> Array:
    top = logs.max(1, keepdims=True)
    summed: Array = np.log(np.exp(logs - top).sum(1)) + top[:, 0]
    return summed
