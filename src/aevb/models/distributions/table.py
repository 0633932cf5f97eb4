"""Rows of a table.

IndependentColumns    Σ log p_j(x_j) over the columns j of a row that are not missing
Hurdle                log (π / δ) where x = 0, log (1 - π) + log p(x) where x > 0
Spiked                log [(1 - Σ π_k) p(x) + Σ π_k 1{x = s_k} / δ_k]
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.nn import functional as F
from torch.types import _size

from aevb.models.distributions.base import BaseDistribution
from aevb.models.distributions.continuous import LogNormal
from aevb.models.distributions.discrete import Bernoulli, Categorical


class Hurdle(BaseDistribution):
    """Independent numbers from 0, each of which is exactly 0 with a probability π, and otherwise positive.

    Zero counts as an interval of width δ, so that its density is π / δ. With a δ in units of x, the densities of all
    values change by the same factor if the units do.

    Args:
        zero: the logit of π, ``(...)``.
        positive: the distribution of positive values, over ``(...)`` with scalar events.
        log_width: log δ, broadcastable to ``(...)``.
    """

    element_constraint = constraints.nonnegative

    def __init__(self, zero: Tensor, positive: LogNormal, log_width: Tensor) -> None:
        self.zero, self.positive, self.log_width = zero, positive, log_width
        super().__init__(zero.shape, 0)

    @property
    def mean(self) -> Tensor:
        return (-self.zero).sigmoid() * self.positive.mean

    def _sample(self, sample_shape: _size) -> Tensor:
        is_zero = torch.bernoulli(self.zero.sigmoid().expand(*sample_shape, *self.zero.shape))
        return (1 - is_zero) * self.positive.sample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log (π / δ) of zeros and log (1 - π) + log p(value) of other values in nats, ``(...)``."""
        is_zero = value == 0
        density = self.positive.log_prob(torch.where(is_zero, 1.0, value))
        return torch.where(is_zero, F.logsigmoid(self.zero) - self.log_width, F.logsigmoid(-self.zero) + density)


class Spiked(BaseDistribution):
    """Independent numbers, some of which have probabilities of their own, in several groups with a family each.

    A spike s_k of a number with a density counts as an interval of width δ_k, as zero does in a `Hurdle`.

    Args:
        families: distributions over ``(..., D_i)`` with scalar events, D in all.
        logits: of the spikes, relative to that of the family, which is 0; ``(..., D, K)``.
        spikes: s, ``(D, K)``; NaN where a number has fewer than K spikes.
        log_width: log δ, ``(D, K)``; 0 for whole numbers.
    """

    def __init__(self, families: Sequence[BaseDistribution], logits: Tensor, spikes: Tensor, log_width: Tensor) -> None:
        self.families, self.spikes, self.log_width = families, spikes, log_width
        self.log_weights = F.pad(logits, (1, 0)).log_softmax(-1)
        super().__init__(logits.shape[:-1], 0)

    @property
    def weights(self) -> Tensor:
        """The probabilities of the spikes, ``(..., D, K)``."""
        return self.log_weights[..., 1:].exp()

    @property
    def mean(self) -> Tensor:
        own = torch.cat([family.mean for family in self.families], -1)
        return self.log_weights[..., 0].exp() * own + (self.weights * self.spikes.nan_to_num()).sum(-1)

    def _sample(self, sample_shape: _size) -> Tensor:
        own = torch.cat([family.sample(sample_shape) for family in self.families], -1)
        chosen = torch.distributions.Categorical(logits=self.log_weights).sample(sample_shape)
        values = torch.cat([own.unsqueeze(-1), self.spikes.to(own.dtype).expand(*own.shape, -1)], -1)
        return values.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density of numbers, log-probability of whole ones, in nats, ``(..., D)``."""
        parts = value.split([family.batch_shape[-1] for family in self.families], -1)
        own = torch.cat([family.log_prob(x) for family, x in zip(self.families, parts, strict=True)], -1)
        here = value.unsqueeze(-1) == self.spikes.to(value.dtype)
        spikes = (self.log_weights[..., 1:] - self.log_width).masked_fill(~here, -torch.inf)
        return torch.cat([(own + self.log_weights[..., 0]).unsqueeze(-1), spikes], -1).logsumexp(-1)


class IndependentColumns(BaseDistribution):
    """A row of independent columns of several families, in which values may be missing.

    Args:
        families: distributions over ``(..., D_i)`` with scalar events; a row concatenates them, ``(..., D)``.
    """

    def __init__(self, families: Sequence[BaseDistribution]) -> None:
        self.families = families
        self.widths = [family.batch_shape[-1] for family in families]
        super().__init__(torch.Size([*families[0].batch_shape[:-1], sum(self.widths)]), 1)

    @property
    def elementary(self) -> list[BaseDistribution]:
        """The families, those with spikes without them."""
        return [
            own for family in self.families for own in (family.families if isinstance(family, Spiked) else [family])
        ]

    @property
    def mean(self) -> Tensor:
        """The mean of each numeric column and the most likely code of the others, ``(..., D)``."""
        return torch.cat([_typical(family) for family in self.families], -1)

    def _sample(self, sample_shape: _size) -> Tensor:
        return torch.cat([family.sample(sample_shape) for family in self.families], -1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return Σ log p_j(x_j) in nats, ``(...)``: a missing value, NaN, is marginalized out and contributes 0."""
        values = _with_placeholders(value).split(self.widths, -1)
        terms = [family.log_prob(x) for family, x in zip(self.families, values, strict=True)]
        return torch.where(value.isnan(), 0.0, torch.cat(terms, -1)).sum(-1)


def _with_placeholders(value: Tensor) -> Tensor:
    """Replace missing values by 1, which every family supports: gradients must be finite, too."""
    return torch.where(value.isnan(), 1.0, value)


def _typical(family: BaseDistribution) -> Tensor:
    if isinstance(family, Bernoulli):
        return (family.logits > 0).to(family.logits.dtype)
    if isinstance(family, Categorical):
        return family.log_probabilities.argmax(-1).to(family.log_probabilities.dtype)
    return family.mean
