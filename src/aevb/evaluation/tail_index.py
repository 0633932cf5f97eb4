"""The tail index of importance weights, which tells whether their mean can be trusted.

The M largest of K weights, M = min(K / 5, 3 √K), are compared with a generalized Pareto distribution above the next
smaller weight u,

    p(w) = 1/σ (1 + k (w - u) / σ)^{-1/k - 1},    w > u,

whose moments of order 1/k and above are infinite. The larger k, the slower the mean of the weights converges: for
k > min(1 - 1 / log10 K, 0.7) it cannot be trusted (Vehtari, Simpson, Gelman, Yao & Gabry 2024, "Pareto smoothed
importance sampling", whose threshold this is).

k is the posterior mean by Zhang & Stephens (2009) over a grid of θ = -k / σ, with the prior of Vehtari et al.: ten more
observations that say k = 0.5.
"""

import math

import torch
from torch import Tensor

LARGEST = 0.7
"""Tail index above which no number of samples is enough in practice."""
FEWEST = 100
"""Number of samples below which the tail is too short."""
ROUNDING = 1e-3
"""Share of a weight below which differences are rounding: of log p(x) in single precision."""
PRIOR_OBSERVATIONS, PRIOR_MEAN = 10.0, 0.5


def reliable_tail_index(n_samples: Tensor) -> Tensor:
    """Return the tail index up to which the mean of K weights can be trusted, for each K ``(N,)``."""
    return (1 - 1 / n_samples.log10()).clamp_max(LARGEST)


def tail_index(log_weight: Tensor) -> Tensor:
    """Return k of the weights, for log w ``(K, B)`` to ``(B,)`` in float64.

    k is NaN for fewer than `FEWEST` samples. It is -∞ for weights whose largest are equal up to rounding, as for an
    exact posterior.
    """
    count = len(log_weight)
    if count < FEWEST:
        return log_weight.new_full((log_weight.shape[1],), math.nan, dtype=torch.float64)
    length = math.ceil(min(count / 5, 3 * count**0.5))
    ordered = log_weight.double().topk(length + 1, dim=0).values.flip(0)
    weight = (ordered - ordered[-1]).exp()  # the largest is 1
    excess = (weight[1:] - weight[0]).clamp_min(torch.finfo(torch.float64).tiny)
    k = _fit(excess)
    k = (length * k + PRIOR_OBSERVATIONS * PRIOR_MEAN) / (length + PRIOR_OBSERVATIONS)
    return torch.where(excess[-1] > ROUNDING, k, -math.inf)


def _fit(excess: Tensor) -> Tensor:
    """Return k of a generalized Pareto distribution for excesses in ascending order, ``(M, B)`` to ``(B,)``."""
    length = len(excess)
    quartile, largest = excess[int(length / 4 + 0.5) - 1], excess[-1]
    points = 30 + int(length**0.5)
    grid = torch.arange(1, points + 1, dtype=torch.float64).unsqueeze(1)
    theta = 1 / largest + (1 - (points / (grid - 0.5)).sqrt()) / (3 * quartile)  # (G, B)
    k = torch.stack([(1 - row * excess).log().mean(0) for row in theta])
    log_likelihood = length * ((-theta / k).log() - k - 1)
    best = ((log_likelihood - log_likelihood.logsumexp(0)).exp() * theta).sum(0)
    return (1 - best * excess).log().mean(0)
