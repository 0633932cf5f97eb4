"""Discrete distributions.

Bernoulli           Σ_j [x_j l_j - log(1 + e^{l_j})],  l = logit of the probability
Categorical         Σ_j log softmax(l_j)_{x_j}
Poisson             Σ_j [x_j r_j - e^{r_j} - log x_j!],  r = log of the rate
NegativeBinomial    Σ_j log [Γ(x + r) / (Γ(r) x!) (r / (r + m))^r (m / (r + m))^x],  mean m, variance m + m²/r
"""

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.nn import functional as F
from torch.types import _size

from aevb.models.distributions.base import BaseDistribution, LogitDistribution
from aevb.models.shapes import broadcast_shape, sum_event, widest_float


class Bernoulli(LogitDistribution):
    """Independent Bernoulli variables.

    Args:
        logits: l, ``(..., *event)``.
        event_dims: number of trailing axes that form the event.
    """

    element_constraint = constraints.boolean

    @property
    def mean(self) -> Tensor:
        return self.logits.sigmoid()

    @property
    def variance(self) -> Tensor:
        return self.mean * (1 - self.mean)

    def _sample(self, sample_shape: _size) -> Tensor:
        return torch.bernoulli(self.mean.expand(*sample_shape, *self.logits.shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return Σ [x l - log(1 + e^l)] in nats, ``(...)``; for probabilities `value`, the negative cross-entropy."""
        return sum_event(value * self.logits - F.softplus(self.logits), self.event_dims)


class Categorical(BaseDistribution):
    """Independent categorical variables with the values 0, 1, ..., K - 1.

    Args:
        logits: unnormalized, ``(..., *event, K)``.
        event_dims: number of axes before the last that form the event.
    """

    def __init__(self, logits: Tensor, event_dims: int) -> None:
        self.log_probabilities = logits.log_softmax(-1)
        super().__init__(logits.shape[:-1], event_dims)

    @property
    def support(self) -> constraints.Constraint:
        element = constraints.integer_interval(0, self.log_probabilities.shape[-1] - 1)
        return constraints.independent(element, self.event_dims)

    @property
    def mean(self) -> Tensor:
        """Mean of the values as numbers, ``(..., *event)``."""
        return self.log_probabilities.exp() @ self._values

    @property
    def variance(self) -> Tensor:
        return self.log_probabilities.exp() @ self._values.square() - self.mean.square()

    def _sample(self, sample_shape: _size) -> Tensor:
        """Return floating-point samples by the Gumbel-max trick."""
        noise = torch.empty((*sample_shape, *self.log_probabilities.shape), device=self._values.device)
        return (self.log_probabilities - noise.exponential_().log()).argmax(-1).to(self._values.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return Σ log softmax(l)_x in nats, ``(...)``."""
        index = value.long().unsqueeze(-1)
        shape = broadcast_shape(index.shape[:-1], self.log_probabilities.shape[:-1])
        table = self.log_probabilities.expand(*shape, -1)
        return sum_event(table.gather(-1, index.expand(*shape, 1)).squeeze(-1), self.event_dims)

    def entropy(self) -> Tensor:
        """Return -Σ p log p in nats, ``(...)``."""
        return -sum_event((self.log_probabilities.exp() * self.log_probabilities).sum(-1), self.event_dims)

    @property
    def _values(self) -> Tensor:
        table = self.log_probabilities
        return torch.arange(table.shape[-1], dtype=table.dtype, device=table.device)


class Poisson(BaseDistribution):
    """Independent Poisson variables.

    Args:
        log_rate: r, ``(..., *event)``.
        event_dims: number of trailing axes that form the event.
    """

    element_constraint = constraints.nonnegative_integer

    def __init__(self, log_rate: Tensor, event_dims: int) -> None:
        self.log_rate = log_rate
        super().__init__(log_rate.shape, event_dims)

    @property
    def mean(self) -> Tensor:
        return self.log_rate.exp()

    @property
    def variance(self) -> Tensor:
        return self.mean

    def _sample(self, sample_shape: _size) -> Tensor:
        return torch.poisson(self.mean.expand(*sample_shape, *self.log_rate.shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return Σ [x r - e^r - log x!] in nats, ``(...)``, computed in float64: large terms nearly cancel."""
        value, log_rate = _precise(value, self.log_rate)
        return sum_event(value * log_rate - log_rate.exp() - torch.lgamma(value + 1), self.event_dims).to(self.log_rate)


class NegativeBinomial(BaseDistribution):
    """Independent negative binomial variables: overdispersed counts.

    Args:
        log_mean: log m, ``(..., *event)``.
        log_total: log r, broadcastable to the shape of `log_mean`; the variance is m + m²/r.
        event_dims: number of trailing axes that form the event.
    """

    element_constraint = constraints.nonnegative_integer

    def __init__(self, log_mean: Tensor, log_total: Tensor, event_dims: int) -> None:
        self.log_mean, self.log_total = log_mean, log_total
        super().__init__(log_mean.shape, event_dims)

    @property
    def mean(self) -> Tensor:
        return self.log_mean.exp()

    @property
    def variance(self) -> Tensor:
        return self.mean + (2 * self.log_mean - self.log_total).exp()

    def _sample(self, sample_shape: _size) -> Tensor:
        """Return Poisson samples with gamma-distributed rates."""
        total = self.log_total.exp().expand(*sample_shape, *self.log_mean.shape)
        return torch.poisson(torch._standard_gamma(total) * (self.log_mean - self.log_total).exp())

    def log_prob(self, value: Tensor) -> Tensor:
        """Return Σ log [Γ(x + r) / (Γ(r) x!) (r / (r + m))^r (m / (r + m))^x] in nats, ``(...)``.

        The terms nearly cancel where counts or r are large, so that they are computed in float64.
        """
        value, log_mean, log_total = _precise(value, self.log_mean, self.log_total)
        total, logit = log_total.exp(), log_mean - log_total
        combinations = torch.lgamma(value + total) - torch.lgamma(total) - torch.lgamma(value + 1)
        odds = total * F.softplus(logit) + value * F.softplus(-logit)
        return sum_event(combinations - odds, self.event_dims).to(self.log_mean)


def _precise(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return tensors in the most precise type of their device."""
    return tuple(tensor.to(widest_float(tensor.device)) for tensor in tensors)
