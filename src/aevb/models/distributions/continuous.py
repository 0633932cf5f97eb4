"""Continuous distributions.

Normal              log N(x; μ, diag σ²) = -½ Σ_j [((x_j - μ_j) / σ_j)² + log σ_j² + log 2π]
FullNormal          log N(x; μ, L Lᵀ)    = -½ Σ_j [(L⁻¹(x - μ))_j² + log L_jj² + log 2π]
RobustNormal        likewise, with ((x_j - μ_j) / σ_j)² = r² replaced by R² (1 + log(r² / R²)) beyond R = 5
StandardNormal      log N(z; 0, I)       = -½ Σ_j [z_j² + log 2π]
Point               ∞ at μ, -∞ elsewhere
Laplace             -Σ_j [|x_j - μ_j| / b_j + log 2b_j]
LogNormal           log N(log x; μ, diag σ²) - Σ_j log x_j
ContinuousBernoulli Σ_j [(x_j - ½) l_j - log(sinh(l_j/2) / (l_j/2))]        (Loaiza-Ganem & Cunningham 2019)
"""

import math
from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.nn import functional as F
from torch.types import _size

from aevb.models.distributions.base import BaseDistribution, LogitDistribution, magnitude
from aevb.models.shapes import size, sum_event

LOG_2PI = math.log(2 * math.pi)
_TAIL = 5.0
"""R, standard deviations from which on a robust normal has heavy tails."""
_LOG_EXCESS = math.log1p(
    2 * _TAIL / (_TAIL**2 - 1) * math.exp(-0.5 * (_TAIL**2 + LOG_2PI)) - math.erfc(_TAIL / math.sqrt(2))
)
"""Logarithm of the mass of a normal with these tails in place of its own."""


class _Gaussian(BaseDistribution):
    """A normal z = μ + A ε with ε ~ N(0, I)."""

    has_rsample = True

    def __init__(self, loc: Tensor, event_dims: int) -> None:
        self.loc = loc
        super().__init__(loc.shape, event_dims)

    @property
    def mean(self) -> Tensor:
        return self.loc

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return samples z = from_noise(ε) with ε ~ N(0, I), differentiable in the parameters."""
        noise = torch.randn((*sample_shape, *self.loc.shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.from_noise(noise)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log N(value; μ, A Aᵀ) in nats, ``(...)``."""
        return -0.5 * sum_event(self.to_noise(value).square(), self.event_dims) - self._log_volume

    def entropy(self) -> Tensor:
        """Return log |det A| + ½ Σ [1 + log 2π] in nats, ``(...)``."""
        return self._log_volume + 0.5 * size(self.event_shape)

    @abstractmethod
    def from_noise(self, noise: Tensor) -> Tensor:
        """Return z = μ + A ε, ``(..., *event)``."""

    @abstractmethod
    def to_noise(self, value: Tensor) -> Tensor:
        """Return ε = A⁻¹ (z - μ), ``(..., *event)``."""

    @property
    @abstractmethod
    def _log_volume(self) -> Tensor:
        """log |det A| + ½ Σ log 2π, ``(...)``."""


class Normal(_Gaussian):
    """A normal with diagonal covariance.

    Args:
        loc: μ, ``(..., *event)``.
        log_scale: log σ, broadcastable to the shape of `loc`.
        event_dims: number of trailing axes that form the event.
    """

    def __init__(self, loc: Tensor, log_scale: Tensor, event_dims: int = 1) -> None:
        self.log_scale = log_scale
        super().__init__(loc, event_dims)

    @property
    def stddev(self) -> Tensor:
        return self.log_scale.exp().expand_as(self.loc)

    @property
    def variance(self) -> Tensor:
        return (2 * self.log_scale).exp().expand_as(self.loc)

    def from_noise(self, noise: Tensor) -> Tensor:
        """Return z = μ + σ ⊙ ε, ``(..., *event)``."""
        return self.loc + self.log_scale.exp() * noise

    def to_noise(self, value: Tensor) -> Tensor:
        """Return ε = (z - μ) / σ, ``(..., *event)``."""
        return (value - self.loc) * (-self.log_scale).exp()

    def marginals(self) -> "Normal":
        """Return the marginal density of each coordinate, with batch shape ``(..., Z)`` and scalar events."""
        return Normal(self.loc, self.log_scale, event_dims=0)

    @property
    def _log_volume(self) -> Tensor:
        log_scale = sum_event(self.log_scale.expand_as(self.loc), self.event_dims)
        return log_scale + 0.5 * LOG_2PI * size(self.event_shape)


class RobustNormal(Normal):
    """A normal with diagonal covariance whose tails beyond five standard deviations are those of |r|⁻²⁵.

    No example has more than 25 times the usual influence on σ, or five times that on μ: beyond five standard deviations
    the influence on μ decreases. Up to there the density is that of the normal, to 5e-8, and so are the samples: a
    sample from the tails would occur once in 1.6 million numbers.
    """

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats, ``(...)``."""
        square = self.to_noise(value).square()
        tail = _TAIL**2 * (1 + (square.clamp_min(_TAIL**2) / _TAIL**2).log())
        distance = torch.where(square > _TAIL**2, tail, square)
        excess = _LOG_EXCESS * size(self.event_shape)
        return -0.5 * sum_event(distance, self.event_dims) - self._log_volume - excess


class FullNormal(_Gaussian):
    """A normal with full covariance, L Lᵀ.

    Args:
        loc: μ, ``(..., *event)``.
        scale_tril: L, lower triangular with a positive diagonal, ``(..., D, D)`` for an event of D numbers.
        event_dims: number of trailing axes of `loc` that form the event.
    """

    def __init__(self, loc: Tensor, scale_tril: Tensor, event_dims: int = 1) -> None:
        self.scale_tril = scale_tril
        super().__init__(loc, event_dims)

    @property
    def variance(self) -> Tensor:
        return self.scale_tril.square().sum(-1).view(self.loc.shape)

    def from_noise(self, noise: Tensor) -> Tensor:
        """Return z = μ + L ε, ``(..., *event)``."""
        shift = self.scale_tril @ noise.flatten(-self.event_dims).unsqueeze(-1)
        return self.loc + shift.view(*shift.shape[:-2], *self.event_shape)

    def to_noise(self, value: Tensor) -> Tensor:
        """Return ε = L⁻¹ (z - μ), ``(..., *event)``."""
        shift = (value - self.loc).flatten(-self.event_dims)
        columns = shift.reshape(-1, *self.scale_tril.shape[:-1]).movedim(0, -1)  # so that L is not copied per sample
        noise: Tensor = torch.linalg.solve_triangular(self.scale_tril, columns, upper=False)
        return noise.movedim(-1, 0).reshape(*shift.shape[:-1], *self.event_shape)

    def marginals(self) -> Normal:
        """Return the marginal density of each coordinate, with batch shape ``(..., Z)`` and scalar events."""
        return Normal(self.loc, 0.5 * self.variance.log(), event_dims=0)

    @property
    def log_diagonal(self) -> Tensor:
        """log L_jj, ``(..., D)``."""
        return self.scale_tril.diagonal(dim1=-2, dim2=-1).log()

    @property
    def _log_volume(self) -> Tensor:
        return self.log_diagonal.sum(-1) + 0.5 * LOG_2PI * size(self.event_shape)


def tril_size(features: int) -> int:
    """Return the number of entries of a lower triangular matrix."""
    return features * (features + 1) // 2


def scale_tril(raw: Tensor, features: int) -> Tensor:
    """Return L = mask ⊙ L' + diag(σ) from log σ and the entries of L' below the diagonal, ``(..., D (D + 1) / 2)``.

    Kingma & Welling, An Introduction to Variational Autoencoders, 2019, algorithm 2.
    """
    entries = F.pad(raw[..., features:], (0, 1))
    row = torch.arange(features, device=raw.device).unsqueeze(-1)
    column = row.T
    index = torch.where(row > column, row * (row - 1) // 2 + column, entries.shape[-1] - 1)
    below = entries.index_select(-1, index.flatten()).view(*raw.shape[:-1], features, features)
    return below + torch.diag_embed(raw[..., :features].exp())


class StandardNormal(BaseDistribution):
    """N(0, I) with the shape, type and device of `like`, ``(..., *event)``."""

    has_rsample = True

    def __init__(self, like: Tensor, event_dims: int = 1) -> None:
        self.like = like
        super().__init__(like.shape, event_dims)

    @property
    def mean(self) -> Tensor:
        return torch.zeros_like(self.like)

    @property
    def variance(self) -> Tensor:
        return torch.ones_like(self.like)

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return samples from N(0, I), ``(*sample_shape, ..., *event)``."""
        return torch.randn((*sample_shape, *self.like.shape), dtype=self.like.dtype, device=self.like.device)

    def from_noise(self, noise: Tensor) -> Tensor:
        """Return ε unchanged."""
        return noise

    def to_noise(self, value: Tensor) -> Tensor:
        """Return z unchanged."""
        return value

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log N(value; 0, I) in nats, ``(...)``."""
        return -0.5 * (sum_event(value.square(), self.event_dims) + LOG_2PI * size(self.event_shape))

    def entropy(self) -> Tensor:
        """Return ½ Σ [1 + log 2π] in nats, ``(...)``."""
        return self.like.new_full(self.batch_shape, 0.5 * (1 + LOG_2PI) * size(self.event_shape))


class Point(BaseDistribution):
    """A point mass.

    Args:
        loc: μ, ``(..., Z)``.
    """

    has_rsample = True

    def __init__(self, loc: Tensor) -> None:
        self.loc = loc
        super().__init__(loc.shape, 1)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return torch.zeros_like(self.loc)

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return μ, ``(*sample_shape, ..., Z)``."""
        return self.loc.expand(*sample_shape, *self.loc.shape)

    def from_noise(self, noise: Tensor) -> Tensor:
        """Return μ for any noise, ``(..., Z)``."""
        return self.loc.expand_as(noise)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return ∞ at μ and -∞ elsewhere, ``(...)``."""
        return torch.where((value == self.loc).all(-1), math.inf, -math.inf)


class Laplace(BaseDistribution):
    """Independent Laplace variables.

    Args:
        loc: μ, ``(..., *event)``.
        log_scale: log b, broadcastable to the shape of `loc`.
        event_dims: number of trailing axes that form the event.
    """

    has_rsample = True

    def __init__(self, loc: Tensor, log_scale: Tensor, event_dims: int = 1) -> None:
        self.loc, self.log_scale = loc, log_scale
        super().__init__(loc.shape, event_dims)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return 2 * (2 * self.log_scale).exp().expand_as(self.loc)

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return samples as the difference of two exponential variables, ``(*sample_shape, ..., *event)``."""
        noise = torch.empty((2, *sample_shape, *self.loc.shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + self.log_scale.exp() * noise.exponential_().diff(dim=0)[0]

    def log_prob(self, value: Tensor) -> Tensor:
        """Return -Σ [|x - μ| / b + log 2b] in nats, ``(...)``."""
        distance = magnitude(value - self.loc) * (-self.log_scale).exp()
        return -sum_event(distance + self.log_scale, self.event_dims) - math.log(2) * size(self.event_shape)

    def entropy(self) -> Tensor:
        """Return Σ [1 + log 2b] in nats, ``(...)``."""
        log_scale = sum_event(self.log_scale.expand_as(self.loc), self.event_dims)
        return log_scale + (1 + math.log(2)) * size(self.event_shape)


class LogNormal(BaseDistribution):
    """Positive variables whose logarithms are normal.

    Args:
        loc: μ, the mean of log x, ``(..., *event)``.
        log_scale: log σ, broadcastable to the shape of `loc`.
        event_dims: number of trailing axes that form the event.
    """

    element_constraint = constraints.positive
    family: ClassVar[type[Normal]] = Normal

    def __init__(self, loc: Tensor, log_scale: Tensor, event_dims: int = 1) -> None:
        self.log = self.family(loc, log_scale, event_dims)
        super().__init__(loc.shape, event_dims)

    @property
    def mean(self) -> Tensor:
        return (self.log.mean + 0.5 * self.log.variance).exp()

    @property
    def variance(self) -> Tensor:
        return self.mean.square() * self.log.variance.expm1()

    def _sample(self, sample_shape: _size) -> Tensor:
        return self.log.sample(sample_shape).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log N(log value; μ, diag σ²) - Σ log value in nats, ``(...)``; -∞ where a value is 0 or negative."""
        outside = value <= 0
        logarithm = value.masked_fill(outside, 1.0).log()
        log_density = self.log.log_prob(logarithm) - sum_event(logarithm, self.event_dims)
        return log_density.masked_fill(sum_event(outside, self.event_dims) > 0, -math.inf)


class RobustLogNormal(LogNormal):
    """Positive variables whose logarithms have a `RobustNormal` density."""

    family = RobustNormal


class ContinuousBernoulli(LogitDistribution):
    """Independent continuous Bernoulli variables on [0, 1], with density proportional to e^{l x}.

    Args:
        logits: l, ``(..., *event)``.
        event_dims: number of trailing axes that form the event.
    """

    element_constraint = constraints.unit_interval
    has_rsample = True

    @property
    def mean(self) -> Tensor:
        """½ + ½ (coth(l/2) - 2/l)."""
        half = self.logits / 2
        small = half.abs() < _SMALL
        safe = torch.where(small, _SMALL, half)
        square = half.square()
        series = half * (1 / 3 - square * (1 / 45 - square * (2 / 945 - square / 4725)))
        return 0.5 + 0.5 * torch.where(small, series, 1 / safe.tanh() - 1 / safe)

    @property
    def variance(self) -> Tensor:
        """¼ (1 / (l/2)² - 1 / sinh²(l/2))."""
        half = self.logits / 2
        small = half.abs() < _SMALL
        safe = torch.where(small, _SMALL, half)
        square = half.square()
        series = 1 / 3 - square * (1 / 15 - square * (2 / 189 - square / 675))
        # From 40 on, the second term is below the rounding of the first; its own gradient would overflow.
        closed = safe.square().reciprocal() - safe.clamp(-40, 40).sinh() ** -2
        return 0.25 * torch.where(small, series, closed)

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return samples x = log(1 + u (e^l - 1)) / l with u uniform, by inversion of the distribution function."""
        uniform = torch.rand((*sample_shape, *self.logits.shape), dtype=self.logits.dtype, device=self.logits.device)
        # Mirrored to l < 0, where e^l does not overflow; expm1 and log1p keep their precision towards 0.
        slope = self.logits.abs().clamp_min(1e-6)
        mirrored = (-torch.log1p(uniform * torch.expm1(-slope)) / slope).clamp(0, 1)
        return torch.where(self.logits > 0, 1 - mirrored, mirrored)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return Σ [(x - ½) l - log(sinh(l/2) / (l/2))] in nats, ``(...)``."""
        return sum_event((value - 0.5) * self.logits - _log_sinhc(self.logits / 2), self.event_dims)


_SMALL = 0.1
"""Below this, the series of the continuous Bernoulli are exact to 1e-10, and the closed forms lose precision."""


def _log_sinhc(u: Tensor) -> Tensor:
    """Return log(sinh(u) / u), without overflow and smooth at 0."""
    size, square = magnitude(u), u.square()
    small = size < _SMALL
    safe = torch.where(small, 1.0, size)
    large = safe + torch.log(-torch.expm1(-2 * safe) / (2 * safe))
    return torch.where(small, square * (1 / 6 - square * (1 / 180 - square / 2835)), large)
