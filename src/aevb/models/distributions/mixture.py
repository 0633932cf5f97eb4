"""Finite mixtures.

Mixture    log Σ_k π_k p_k(z)
"""

import math

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.types import _size

from aevb.models.distributions.base import BaseDistribution


class Mixture(BaseDistribution):
    """A finite mixture over ``(Z,)``.

    Args:
        log_weights: log π, normalized, ``(K,)``.
        components: one distribution with batch shape ``(K,)`` and event shape ``(Z,)``.
    """

    def __init__(self, log_weights: Tensor, components: Distribution) -> None:
        self.log_weights, self.components = log_weights, components
        super().__init__(components.event_shape, 1)

    @property
    def mean(self) -> Tensor:
        return self.log_weights.exp() @ self.components.mean

    @property
    def variance(self) -> Tensor:
        second = self.components.variance + self.components.mean.square()
        return self.log_weights.exp() @ second - self.mean.square()

    def _sample(self, sample_shape: _size) -> Tensor:
        """Sample a component, then sample from it."""
        count = math.prod(sample_shape)
        component = torch.multinomial(self.log_weights.exp(), max(1, count), replacement=True)[:count]
        samples = self.components.sample((count,))
        return samples[torch.arange(count, device=component.device), component].view(*sample_shape, *self.event_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log Σ_k π_k p_k(value) in nats, ``(..., Z)`` to ``(...)``."""
        return (self.log_weights + self.components.log_prob(value.unsqueeze(-2))).logsumexp(-1)
