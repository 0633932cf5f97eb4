"""Forward and reverse divergence of a normal fitted to a mixture, section 3.2 of the report."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from aevb.data import NormalMixture, truth

Array = NDArray[np.float64]

NODES = 40
"""Nodes of the Gauss-Hermite rule in each dimension."""


def expectation(p: NormalMixture, of: Callable[[Array], Array]) -> float:
    """Return E_p f(x), by the Gauss-Hermite rule around each component."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    plane = np.stack(np.meshgrid(nodes, nodes), -1).reshape(-1, 2)
    share = np.multiply.outer(weights, weights).reshape(-1) / (2 * math.pi)
    x = p.means[:, None] + plane @ np.linalg.cholesky(p.covariances).swapaxes(1, 2)
    return float(p.weights @ of(x.reshape(-1, 2)).reshape(len(x), -1) @ share)


def divergence(p: NormalMixture, q: NormalMixture) -> float:
    """Return KL(p || q) in nats."""
    return expectation(p, lambda x: p.log_prob(x) - q.log_prob(x))


def reverse_fit(p: NormalMixture, start: Array) -> NormalMixture:
    """Return a normal q that minimizes KL(q || p), by descent from N(start, I). Several modes have several minima."""

    def normal(numbers: Array) -> NormalMixture:
        factor = np.array([[math.exp(numbers[2]), 0], [numbers[4], math.exp(numbers[3])]])
        return NormalMixture(np.ones(1), numbers[None, :2], (factor @ factor.T)[None])

    minimum = minimize(lambda numbers: divergence(normal(numbers), p), np.append(start, np.zeros(3)), method="BFGS")
    return normal(minimum.x)


def directions(seed: int, _data_dir: str | None = None) -> dict[str, Any]:
    """Fit a normal to set 5 by forward KL and by reverse KL; the latter starts at a point sampled with the seed."""
    p = truth("mixture", "corrected")
    start, _ = p.sample(1, np.random.default_rng(seed))
    numbers: dict[str, Any] = {}
    for name, q in (("forward", p.gaussian()), ("reverse", reverse_fit(p, start[0]))):
        numbers |= {
            f"{name}_fit_forward_kl": divergence(p, q),
            f"{name}_fit_reverse_kl": divergence(q, p),
            f"{name}_fit_distance": float(np.linalg.norm(p.means - q.means, axis=1).min()),
            f"{name}_fit_area": float(np.linalg.det(q.covariances[0]) / np.linalg.det(p.covariances[0])) ** 0.5,
            f"{name}_fit_mean": q.means[0].tolist(),
            f"{name}_fit_covariance": q.covariances[0].tolist(),
        }
    return numbers
