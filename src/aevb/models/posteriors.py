"""Posteriors: features h of an example to q(z | x).

    diagonal    N(μ, diag σ²)
    full        N(μ, L Lᵀ),  L = mask ⊙ L' + diag(σ)          (Kingma & Welling 2019, algorithm 2)
    flow        f⁻¹(z₀; h),  z₀ ~ N(μ, diag σ²)                (Rezende & Mohamed 2015; coupling layers of zuko)
    point       all at μ: the code of an autoencoder, infinitely far from any prior, whose rate must weigh nothing

with σ² = e^s, or σ² = softplus(s) + 10⁻⁸, and (μ, s, L') from one linear layer of h: several would cost as many times
the overhead. Its biases start at zero mean and unit variance, so that q(z|x) begins near N(0, I).
A new posterior is a class here with a name in `FAMILIES`, and that name in `aevb.config.schema.ModelConfig`.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional as F

from aevb.models.distributions import Flow, FullNormal, Normal, Point, scale_tril, tril_size
from aevb.models.networks import coupling

Scale = Literal["log-variance", "softplus"]
_MOST = 20.0
"""Of |s|: for an x far from all others s may be anything, and z - μ would be lost in the rounding of z."""


class Posterior(nn.Module):
    """A linear layer on the features of an example, and what its outputs mean.

    Args:
        features: F, the width of what the encoder gives.
        latent: Z.
        scale: what the second Z outputs mean: log σ², or softplus⁻¹ of the variance.
        more: how many outputs there are beside μ and s.
    """

    def __init__(self, features: int, latent: int, scale: Scale, more: int = 0) -> None:
        super().__init__()
        self.latent, self.scale = latent, scale
        self.head = nn.Linear(features, 2 * latent + more)
        unit = 0.0 if scale == "log-variance" else math.log(math.e - 1)
        nn.init.zeros_(self.head.bias)
        self.head.bias.data[latent : 2 * latent] = unit

    def forward(self, features: Tensor) -> Distribution:
        """``(B, F)`` to a distribution over ``(B, Z)``."""
        raise NotImplementedError

    def _moments(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """μ, log σ and the outputs beside them."""
        loc, raw, more = self.head(features).tensor_split((self.latent, 2 * self.latent), dim=-1)
        log_variance = raw.clamp(-_MOST, _MOST) if self.scale == "log-variance" else (F.softplus(raw) + 1e-8).log()
        return loc, 0.5 * log_variance, more


class Diagonal(Posterior):
    """A normal posterior with independent dimensions."""

    def __init__(self, features: int, latent: int, scale: Scale = "log-variance") -> None:
        super().__init__(features, latent, scale)

    def forward(self, features: Tensor) -> Normal:
        loc, log_scale, _ = self._moments(features)
        return Normal(loc, log_scale)


class Full(Posterior):
    """A normal posterior with any covariance; σ is the diagonal of its Cholesky factor."""

    def __init__(self, features: int, latent: int, scale: Scale = "log-variance") -> None:
        super().__init__(features, latent, scale, tril_size(latent) - latent)

    def forward(self, features: Tensor) -> FullNormal:
        loc, log_scale, below = self._moments(features)
        return FullNormal(loc, scale_tril(torch.cat([log_scale, below], dim=-1), self.latent))


class FlowPosterior(Posterior):
    """A diagonal normal, bent by coupling layers that see the features."""

    def __init__(self, features: int, latent: int, scale: Scale = "log-variance") -> None:
        super().__init__(features, latent, scale)
        self.transform = coupling(latent, context=features)

    def forward(self, features: Tensor) -> Flow:
        loc, log_scale, _ = self._moments(features)
        return Flow(Normal(loc, log_scale), self.transform(features))


class PointPosterior(nn.Module):
    """A point: what makes an autoencoder of the model. It has no scale."""

    def __init__(self, features: int, latent: int, scale: Scale = "log-variance") -> None:
        super().__init__()
        self.head = nn.Linear(features, latent)

    def forward(self, features: Tensor) -> Point:
        return Point(self.head(features))


FAMILIES: dict[str, Callable[[int, int, Scale], nn.Module]] = {
    "diagonal": Diagonal,
    "full": Full,
    "flow": FlowPosterior,
    "point": PointPosterior,
}
