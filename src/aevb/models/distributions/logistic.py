"""Logistic distributions on an interval.

TruncatedLogistic    log [f(t_j) / σ_j] - log [F(b_j) - F(a_j)],  t, a, b = (x, low, high - μ) / σ, for low ≤ x ≤ high
DiscretizedLogistic  log [F(t_j⁺) - F(t_j⁻)] - log [F(b_j⁺) - F(a_j⁻)],  for whole x; ± stands for x ± ½

F(t) = 1 / (1 + e⁻ᵗ), f = F (1 - F). No difference of nearly equal numbers occurs in

    F(b) - F(a) = F(b) F(-a) (1 - e^{a - b}).

A logistic has heavier tails than a normal: no value has unlimited influence on μ.
"""

import math

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.nn import functional as F
from torch.types import _size

from aevb.models.distributions.base import BaseDistribution, magnitude
from aevb.models.shapes import sum_event

STDDEV = math.pi / math.sqrt(3)
"""Standard deviation of the standard logistic."""
_NARROW = 0.05
"""Width, in units of the scale, below which the density in an interval is linear."""


class TruncatedLogistic(BaseDistribution):
    """Independent logistic variables, given that they are between two bounds.

    Args:
        loc: μ, ``(..., *event)``; it may lie outside the bounds.
        log_scale: log σ, broadcastable to the shape of `loc`; the standard deviation without bounds is 1.81 σ.
        low: the least value, finite, broadcastable likewise.
        high: the largest value, finite.
        event_dims: number of trailing axes that form the event.
    """

    margin = 0.0

    def __init__(self, loc: Tensor, log_scale: Tensor, low: Tensor, high: Tensor, event_dims: int = 1) -> None:
        self.loc, self.log_scale, self.low, self.high = loc, log_scale, low, high
        super().__init__(loc.shape, event_dims)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.interval(self.low, self.high), self.event_dims)

    @property
    def mean(self) -> Tensor:
        """μ + σ m, where m is the mean of the standard logistic between a and b; of whole numbers before rounding."""
        return self.loc + self.log_scale.exp() * _mean_between(*self._bounds, self._width)

    def _sample(self, sample_shape: _size) -> Tensor:
        a, b = self._bounds
        uniform = torch.rand((*sample_shape, *self.loc.shape), dtype=self.loc.dtype, device=self.loc.device)
        x = self.loc + self.log_scale.exp() * _quantile(uniform, a, b)
        return torch.minimum(torch.maximum(self._rounded(x), self.low), self.high).to(self.loc.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats, ``(...)``."""
        t = self._standardized(value)
        log_density = F.logsigmoid(t) + F.logsigmoid(-t) - self.log_scale
        return sum_event(log_density - self._log_total, self.event_dims)

    @property
    def _bounds(self) -> tuple[Tensor, Tensor]:
        """a and b."""
        return self._standardized(self.low - self.margin), self._standardized(self.high + self.margin)

    @property
    def _log_total(self) -> Tensor:
        """log [F(b) - F(a)]."""
        return log_mass(*self._bounds, self._width)

    @property
    def _width(self) -> Tensor:
        """b - a."""
        return (self.high - self.low + 2 * self.margin) * (-self.log_scale).exp()

    def _standardized(self, value: Tensor) -> Tensor:
        return (value - self.loc) * (-self.log_scale).exp()

    def _rounded(self, value: Tensor) -> Tensor:
        return value


class DiscretizedLogistic(TruncatedLogistic):
    """Independent whole numbers, logistic variables between two bounds that are rounded.

    Args:
        loc, log_scale, event_dims: as for `TruncatedLogistic`.
        low: the least value, a whole number.
        high: the largest value, a whole number.
    """

    margin = 0.5

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.integer_interval(self.low, self.high), self.event_dims)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability in nats, ``(...)``."""
        t, half = self._standardized(value), 0.5 * (-self.log_scale).exp()
        return sum_event(log_mass(t - half, t + half, 2 * half) - self._log_total, self.event_dims)

    def _rounded(self, value: Tensor) -> Tensor:
        return value.round()


def log_mass(a: Tensor, b: Tensor, width: Tensor) -> Tensor:
    """Return log [F(b) - F(a)] for a < b, where b - a is the width, which rounding may hide."""
    return _log_sigmoid(b) + _log_sigmoid(-a) + _log1mexp(width)


def _log_sigmoid(t: Tensor) -> Tensor:
    """Return log F(t) by operations that ONNX runtimes have in float64, too."""
    return t.minimum(torch.zeros_like(t)) - (-magnitude(t)).exp().log1p()


def _log1mexp(x: Tensor) -> Tensor:
    """Return log(1 - e⁻ˣ) for x > 0."""
    return (-torch.expm1(-x)).clamp_min(torch.finfo(x.dtype).tiny).log()


def _quantile(probability: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return the quantile of the standard logistic between a and b."""
    mirrored = a + b > 0  # F(-t) = 1 - F(t): the lower tail has more digits
    low, high = torch.where(mirrored, -b, a), torch.where(mirrored, -a, b)
    least = torch.finfo(probability.dtype).eps / 4  # half of the smallest random number above 0
    inside = probability.clamp_min(least).log() + log_mass(low, high, high - low)
    log_p = torch.logaddexp(F.logsigmoid(low), inside).clamp_max(-torch.finfo(probability.dtype).eps)
    t = log_p - _log1mexp(-log_p)
    return torch.where(mirrored, -t, t)


def _mean_between(a: Tensor, b: Tensor, width: Tensor) -> Tensor:
    """Return the mean of the standard logistic between a and b, [h(b) - h(a)] / [F(b) - F(a)] with

        h(t) = ∫ t f(t) dt = t F(t) - log(1 + eᵗ) = -[|t| F(-|t|) + log(1 + e⁻ᵗ)],  t = |t| in the last term.

    In a narrow interval this is a difference of nearly equal numbers, and the mean is that of a linear density.
    """
    log_total, middle = log_mass(a, b, width), (a + b) / 2
    upper, lower = ((_log_sigmoid(-t) - log_total).exp() * (t + _ratio(t)) for t in (magnitude(b), magnitude(a)))
    linear = middle + width.square() / 12 * (1 - 2 * middle.sigmoid())
    mean = torch.where(width < _NARROW, linear, lower - upper)
    return torch.minimum(torch.maximum(mean, a), b)


def _ratio(t: Tensor) -> Tensor:
    """Return log(1 + e⁻ᵗ) / F(-t) for t > 0, which is between 1 and 1.39."""
    near = t.clamp_max(30.0)  # from there on, the ratio is 1
    return (-near).exp().log1p() * (1 + near.exp())
