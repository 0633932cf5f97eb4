"""The light distributions of the hot path.

    Normal          log N(x; μ, diag σ²) = -½ Σ_j [((x_j - μ_j) / σ_j)² + log σ_j² + log 2π]
    StandardNormal  log N(z; 0, I)       = -½ Σ_j [z_j² + log 2π]
    Bernoulli       log p(x; l)          = Σ_j [x_j l_j - log(1 + e^{l_j})],  l = logit of the probability

They are `torch.distributions.Distribution` objects, but every one sums over its event, and none validates its
arguments: at the size of these models generic wrappers cost more than the mathematics. Random numbers come from
PyTorch's global generator; `aevb.training.seeded` makes it a function of the seed and gives it back afterwards.

The divergences in closed form (Kingma & Welling 2013, appendix B) are registered with
`torch.distributions.kl_divergence`:

    KL(N(μ, diag σ²) || N(0, I))          = ½ Σ_j [σ_j² + μ_j² - 1 - log σ_j²]
    KL(N(μ, diag σ²) || N(m, diag s²))    = ½ Σ_j [(σ_j² + (μ_j - m_j)²) / s_j² - 1 - log(σ_j² / s_j²)]
"""

import math

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints, kl_divergence, register_kl
from torch.nn import functional as F
from torch.types import _size

from aevb.shapes import size, sum_event

LOG_2PI = math.log(2 * math.pi)


class Light(Distribution):
    """A distribution over events of any shape: what the light distributions have in common.

    Args:
        shape: of one parameter, ``(..., *event)``.
        event_dims: how many of its last axes are the event.
    """

    arg_constraints = {}  # noqa: RUF012  (an instance attribute in torch's own interface)

    def __init__(self, shape: torch.Size, event_dims: int) -> None:
        split = len(shape) - event_dims
        super().__init__(shape[:split], shape[split:], validate_args=False)

    @property
    def event_dims(self) -> int:
        return len(self.event_shape)

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Draws without gradient, ``(*sample_shape, ..., *event)``."""
        with torch.no_grad():
            return self.rsample(sample_shape)


class Normal(Light):
    """A normal with diagonal covariance.

    Args:
        loc: μ, ``(..., *event)``.
        log_scale: log σ, of any shape that broadcasts to that of `loc`.
        event_dims: how many of the last axes are the event.
    """

    has_rsample = True

    def __init__(self, loc: Tensor, log_scale: Tensor, event_dims: int = 1) -> None:
        self.loc, self.log_scale = loc, log_scale
        super().__init__(loc.shape, event_dims)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.real, self.event_dims)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def stddev(self) -> Tensor:
        return self.log_scale.exp().expand_as(self.loc)

    @property
    def variance(self) -> Tensor:
        return (2 * self.log_scale).exp().expand_as(self.loc)

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Draws z = μ + σ ⊙ ε with ε ~ N(0, I), differentiable in μ and σ."""
        noise = torch.randn((*sample_shape, *self.loc.shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + self.log_scale.exp() * noise

    def log_prob(self, value: Tensor) -> Tensor:
        """log N(value; μ, diag σ²) in nats, ``(...)``."""
        noise = (value - self.loc) * (-self.log_scale).exp()
        return -0.5 * sum_event(noise.square(), self.event_dims) - self._log_volume

    def entropy(self) -> Tensor:
        """½ Σ [1 + log 2πσ²] in nats, ``(...)``."""
        return self._log_volume + 0.5 * size(self.event_shape)

    @property
    def _log_volume(self) -> Tensor:
        log_scale = sum_event(self.log_scale.expand_as(self.loc), self.event_dims)
        return log_scale + 0.5 * LOG_2PI * size(self.event_shape)


class StandardNormal(Light):
    """N(0, I) with the shape, type and device of `like`, ``(..., *event)``."""

    has_rsample = True

    def __init__(self, like: Tensor, event_dims: int = 1) -> None:
        self.like = like
        super().__init__(like.shape, event_dims)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.real, self.event_dims)

    @property
    def mean(self) -> Tensor:
        return torch.zeros_like(self.like)

    @property
    def variance(self) -> Tensor:
        return torch.ones_like(self.like)

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Draws from N(0, I)."""
        return torch.randn((*sample_shape, *self.like.shape), dtype=self.like.dtype, device=self.like.device)

    def log_prob(self, value: Tensor) -> Tensor:
        """log N(value; 0, I) in nats, ``(...)``."""
        return -0.5 * (sum_event(value.square(), self.event_dims) + LOG_2PI * size(self.event_shape))

    def entropy(self) -> Tensor:
        """½ Σ [1 + log 2π] in nats, ``(...)``."""
        return self.like.new_full(self.batch_shape, 0.5 * (1 + LOG_2PI) * size(self.event_shape))


class Bernoulli(Light):
    """Independent Bernoulli variables.

    Args:
        logits: l, ``(..., *event)``.
        event_dims: how many of the last axes are the event.
    """

    def __init__(self, logits: Tensor, event_dims: int) -> None:
        self.logits = logits
        super().__init__(logits.shape, event_dims)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.boolean, self.event_dims)

    @property
    def mean(self) -> Tensor:
        return self.logits.sigmoid()

    @property
    def variance(self) -> Tensor:
        return self.mean * (1 - self.mean)

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Draws of zeros and ones."""
        with torch.no_grad():
            return torch.bernoulli(self.mean.expand(*sample_shape, *self.logits.shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Σ [x l - log(1 + e^l)] in nats, ``(...)``; `value` may hold probabilities, as a cross-entropy."""
        return sum_event(value * self.logits - F.softplus(self.logits), self.event_dims)

    def entropy(self) -> Tensor:
        """Σ [log(1 + e^l) - l p] in nats, ``(...)``."""
        return -self.log_prob(self.mean)


@register_kl(Normal, StandardNormal)
def _kl_normal_standard(q: Normal, _: StandardNormal) -> Tensor:
    terms = q.variance + q.loc.square() - 1 - 2 * q.log_scale
    return 0.5 * sum_event(terms, q.event_dims)


@register_kl(Normal, Normal)
def _kl_normal_normal(q: Normal, p: Normal) -> Tensor:
    log_ratio = q.log_scale - p.log_scale
    shift = (q.loc - p.loc) * (-p.log_scale).exp()
    return 0.5 * sum_event((2 * log_ratio).exp() + shift.square() - 1 - 2 * log_ratio, q.event_dims)


def closed_form(q: Distribution, p: Distribution) -> Tensor | None:
    """KL(q || p) in nats where it is known in closed form, else None."""
    try:
        return kl_divergence(q, p)
    except NotImplementedError:
        return None
