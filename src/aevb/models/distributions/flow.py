"""Normalizing flows.

Flow    log p(f(z)) + log |det ∂f/∂z|,  f an invertible transformation to the base p
"""

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.types import _size

from aevb.models.distributions.base import BaseDistribution
from aevb.models.distributions.continuous import Normal, StandardNormal
from aevb.models.shapes import broadcast_shape


class InvertibleTransform(Protocol):
    """An invertible transformation with the interface of zuko's."""

    @property
    def inv(self) -> Callable[[Tensor], Tensor]:
        """Inverse transformation."""

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return f(x), ``(..., Z)``, and log |det ∂f/∂x|, ``(...)``."""


class Flow(BaseDistribution):
    """The pullback of a base distribution through an invertible transformation.

    Args:
        base: distribution over ``(..., Z)``.
        transform: f from z to the base.
    """

    has_rsample = True

    def __init__(self, base: Normal | StandardNormal, transform: InvertibleTransform) -> None:
        self.base, self.transform = base, transform
        super().__init__(base.batch_shape + base.event_shape, 1)

    @property
    def mean(self) -> Tensor:
        """Mean of 255 fixed quasi-random points (a Sobol sequence), ``(..., Z)``."""
        return self._quasi_random().mean(0)

    @property
    def variance(self) -> Tensor:
        """Variance of the same points, ``(..., Z)``."""
        return self._quasi_random().var(0, unbiased=False)

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return samples f⁻¹(ε) with ε from the base, differentiable in both."""
        return torch.as_tensor(self.transform.inv(self.base.rsample(sample_shape)))

    def from_noise(self, noise: Tensor) -> Tensor:
        """Return f⁻¹ of the base's transformation of the noise, ``(..., Z)``."""
        return torch.as_tensor(self.transform.inv(self.base.from_noise(noise)))

    def to_noise(self, value: Tensor) -> Tensor:
        """Return the base's noise of f(z), ``(..., Z)``."""
        return self.base.to_noise(self._transformed(value)[0])

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log p(f(z)) + log |det ∂f/∂z| in nats, ``(...)``."""
        base, log_volume = self._transformed(value)
        return self.base.log_prob(base) + log_volume

    def _transformed(self, value: Tensor) -> tuple[Tensor, Tensor]:
        shape = broadcast_shape(value.shape, self.batch_shape + self.event_shape)
        return self.transform.call_and_ladj(value.expand(shape))

    def _quasi_random(self) -> Tensor:
        mean = self.base.mean
        uniform = torch.quasirandom.SobolEngine(mean.shape[-1]).draw(256)[1:].to(mean)
        noise = math.sqrt(2) * torch.erfinv(2 * uniform - 1)
        noise = noise.view(255, *(1,) * (mean.dim() - 1), mean.shape[-1])
        return torch.as_tensor(self.transform.inv(mean + self.base.stddev * noise))
