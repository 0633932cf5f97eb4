"""Posteriors: features h of an example to q(z | x).

    diagonal    N(μ, diag σ²)
    full        N(μ, L Lᵀ),  L = mask ⊙ L' + diag(σ)          (Kingma & Welling 2019, algorithm 2)
    flow        f⁻¹(z₀; h),  z₀ ~ N(μ, diag σ²)                (Rezende & Mohamed 2015; coupling layers of zuko)
    point       a point mass at μ: the model is an autoencoder, and its rate, which is infinite, has weight 0

with σ² = e^s, or σ² = softplus(s) + 10⁻⁸, and (μ, s, L') from one linear layer of h: several layers would cost as many
times the overhead. Its biases start at zero mean and unit variance, so that q(z|x) starts near N(0, I).

A new posterior is a class in any module, registered with `aevb.models.registry.register.posterior`.
"""

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional as F

from aevb.models.distributions import Flow, FullNormal, Normal, Point, scale_tril, tril_size
from aevb.models.networks import coupling
from aevb.models.options import PieceOptions
from aevb.models.registry import register

Scale = Literal["log-variance", "softplus"]
_MOST = 20.0
"""Bound of |s|: for an x far from all others s may be anything, and z - μ would be lost in the rounding of z."""


class ScaleOptions(PieceOptions):
    """The parametrization of the variance."""

    posterior_scale: Scale = Field(
        "log-variance", description="Parametrization of the variance of q(z|x): its logarithm, or softplus."
    )


class Posterior(nn.Module, ABC):
    """The base class: a module from features ``(B, F)`` to q(z | x).

    The distribution needs `rsample`, `log_prob`, `mean` and `variance`.

    Args:
        features: F, the width of the encoder's output.
        latent: Z, the number of latent dimensions.

    Attributes:
        Options: the options, which arrive as keyword arguments of the constructor.
        has_density: whether q(z | x) has a density.
    """

    Options: ClassVar[type[PieceOptions]] = PieceOptions
    has_density: ClassVar[bool] = True

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.latent = latent

    @abstractmethod
    def forward(self, features: Tensor) -> Distribution:
        """Return q(z | x), a distribution over ``(B, Z)``, for features ``(B, F)``."""


class ScaledPosterior(Posterior):
    """A posterior with a location and a scale from one linear layer.

    Args:
        features: F, the width of the encoder's output.
        latent: Z, the number of latent dimensions.
        scale: the parametrization of the variance: s = log σ², or s = softplus⁻¹(σ²).
        more: the number of outputs in addition to μ and s.
    """

    Options = ScaleOptions

    def __init__(self, features: int, latent: int, scale: Scale, more: int = 0) -> None:
        super().__init__(features, latent)
        self.scale = scale
        self.head = nn.Linear(features, 2 * latent + more)
        unit = 0.0 if scale == "log-variance" else math.log(math.e - 1)
        nn.init.zeros_(self.head.bias)
        self.head.bias.data[latent : 2 * latent] = unit

    def _moments(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return μ, log σ and the other outputs."""
        loc, raw, more = self.head(features).tensor_split((self.latent, 2 * self.latent), dim=-1)
        log_variance = raw.clamp(-_MOST, _MOST) if self.scale == "log-variance" else (F.softplus(raw) + 1e-8).log()
        return loc, 0.5 * log_variance, more


@register.posterior("diagonal")
class Diagonal(ScaledPosterior):
    """A normal with diagonal covariance."""

    def __init__(self, features: int, latent: int, posterior_scale: Scale = "log-variance") -> None:
        super().__init__(features, latent, posterior_scale)

    def forward(self, features: Tensor) -> Normal:
        loc, log_scale, _ = self._moments(features)
        return Normal(loc, log_scale)


@register.posterior("full")
class Full(ScaledPosterior):
    """A normal with full covariance; σ is the diagonal of its Cholesky factor."""

    def __init__(self, features: int, latent: int, posterior_scale: Scale = "log-variance") -> None:
        super().__init__(features, latent, posterior_scale, tril_size(latent) - latent)

    def forward(self, features: Tensor) -> FullNormal:
        loc, log_scale, below = self._moments(features)
        return FullNormal(loc, scale_tril(torch.cat([log_scale, below], dim=-1), self.latent))


@register.posterior("flow")
class FlowPosterior(ScaledPosterior):
    """A diagonal normal, transformed by coupling layers that depend on the features (extra flows)."""

    def __init__(self, features: int, latent: int, posterior_scale: Scale = "log-variance") -> None:
        super().__init__(features, latent, posterior_scale)
        self.transform = coupling(latent, context=features)

    def forward(self, features: Tensor) -> Flow:
        loc, log_scale, _ = self._moments(features)
        return Flow(Normal(loc, log_scale), self.transform(features))


@register.posterior("point")
class PointPosterior(Posterior):
    """A point mass: the model is an autoencoder."""

    has_density = False

    def __init__(self, features: int, latent: int) -> None:
        super().__init__(features, latent)
        self.head = nn.Linear(features, latent)

    def forward(self, features: Tensor) -> Point:
        return Point(self.head(features))
