"""The light distributions of the hot path: their log-densities, draws and divergences, written out.

    Normal              log N(x; μ, diag σ²) = -½ Σ_j [((x_j - μ_j) / σ_j)² + log σ_j² + log 2π]
    FullNormal          log N(x; μ, L Lᵀ)    = -½ Σ_j [(L⁻¹(x - μ))_j² + log L_jj² + log 2π]
    StandardNormal      log N(z; 0, I)       = -½ Σ_j [z_j² + log 2π]
    Point               ∞ at μ, -∞ elsewhere
    Laplace             -Σ_j [|x_j - μ_j| / b_j + log 2b_j]
    Mixture             log Σ_k π_k p_k(z)
    Flow                log p(f(z)) + log |det ∂f/∂z|,  f a transformation to the base p
    Bernoulli           Σ_j [x_j l_j - log(1 + e^{l_j})],  l = logit of the probability
    ContinuousBernoulli Σ_j [(x_j - ½) l_j - log(sinh(l_j/2) / (l_j/2))]        (Loaiza-Ganem & Cunningham 2019)
    Categorical         Σ_j log softmax(l_j)_{x_j}
    Poisson             Σ_j [x_j r_j - e^{r_j} - log x_j!],  r = log of the rate
    NegativeBinomial    Σ_j log [Γ(x + r) / (Γ(r) x!) (r / (r + m))^r (m / (r + m))^x],  mean m, variance m + m²/r
    LogNormal           log N(log x; μ, diag σ²) - Σ_j log x_j
    Joined              Σ log p_j(x_j) over the columns j of a row that are not missing

They are `torch.distributions.Distribution` objects, but every one sums over its event, and none validates its
arguments: at the size of these models generic wrappers cost more than the mathematics. Random numbers come from
PyTorch's global generator; `aevb.rng.seeded` makes it a function of the seed and gives it back afterwards.

Those of a latent z are standard noise, moved: z = at(ε) with ε ~ N(0, I), and ε = noise(z).

Divergences in closed form (Kingma & Welling 2013, appendix B), also known to `torch.distributions.kl_divergence`:

    KL(N(μ, diag σ²) || N(0, I))          = ½ Σ_j [σ_j² + μ_j² - 1 - log σ_j²]
    KL(N(μ, diag σ²) || N(m, diag s²))    = ½ Σ_j [(σ_j² + (μ_j - m_j)²) / s_j² - 1 - log(σ_j² / s_j²)]
    KL(N(μ, L Lᵀ) || N(0, I))             = ½ [Σ_ij L_ij² + Σ_j (μ_j² - 1 - log L_jj²)]
    KL(N(μ, L Lᵀ) || N(m, diag s²))       the same of (μ - m) / s and L_ij / s_i
    KL(point || any density)              = ∞
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints, register_kl
from torch.nn import functional as F
from torch.types import _size

from aevb.models.shapes import size, sum_event

LOG_2PI = math.log(2 * math.pi)


class BaseDistribution(Distribution):
    """A distribution over events of any shape: what the light distributions have in common.

    Args:
        shape: of one parameter, ``(..., *event)``.
        event_dims: how many of its last axes are the event.
    """

    arg_constraints = {}  # noqa: RUF012  (an instance attribute in torch's own interface)
    element: constraints.Constraint = constraints.real
    """What each number of the event may be."""

    def __init__(self, shape: torch.Size, event_dims: int) -> None:
        split = len(shape) - event_dims
        super().__init__(shape[:split], shape[split:], validate_args=False)

    @property
    def event_dims(self) -> int:
        return len(self.event_shape)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(self.element, self.event_dims)

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Draws without gradient, ``(*sample_shape, ..., *event)``."""
        with torch.no_grad():
            return self.rsample(sample_shape)


class Normal(BaseDistribution):
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
        return self.at(torch.randn((*sample_shape, *self.loc.shape), dtype=self.loc.dtype, device=self.loc.device))

    def at(self, noise: Tensor) -> Tensor:
        """μ + σ ⊙ ε, ``(..., *event)``."""
        return self.loc + self.log_scale.exp() * noise

    def noise(self, value: Tensor) -> Tensor:
        """(z - μ) / σ, ``(..., *event)``."""
        return (value - self.loc) * (-self.log_scale).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        """log N(value; μ, diag σ²) in nats, ``(...)``."""
        return -0.5 * sum_event(self.noise(value).square(), self.event_dims) - self._log_volume

    def entropy(self) -> Tensor:
        """½ Σ [1 + log 2πσ²] in nats, ``(...)``."""
        return self._log_volume + 0.5 * size(self.event_shape)

    def marginals(self) -> "Normal":
        """The density of each coordinate alone, ``(..., Z)`` and no event."""
        return Normal(self.loc, self.log_scale, event_dims=0)

    @property
    def _log_volume(self) -> Tensor:
        log_scale = sum_event(self.log_scale.expand_as(self.loc), self.event_dims)
        return log_scale + 0.5 * LOG_2PI * size(self.event_shape)


class FullNormal(BaseDistribution):
    """A normal with any covariance, L Lᵀ.

    Args:
        loc: μ, ``(..., *event)``.
        scale_tril: L, lower triangular with a positive diagonal, ``(..., D, D)`` for an event of D numbers.
        event_dims: how many of the last axes of `loc` are the event.
    """

    has_rsample = True

    def __init__(self, loc: Tensor, scale_tril: Tensor, event_dims: int = 1) -> None:
        self.loc, self.scale_tril = loc, scale_tril
        super().__init__(loc.shape, event_dims)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self.scale_tril.square().sum(-1).view(self.loc.shape)

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Draws z = μ + L ε with ε ~ N(0, I), differentiable in μ and L."""
        return self.at(torch.randn((*sample_shape, *self.loc.shape), dtype=self.loc.dtype, device=self.loc.device))

    def at(self, noise: Tensor) -> Tensor:
        """μ + L ε, ``(..., *event)``."""
        moved = self.scale_tril @ noise.flatten(-self.event_dims).unsqueeze(-1)
        return self.loc + moved.view(*moved.shape[:-2], *self.event_shape)

    def noise(self, value: Tensor) -> Tensor:
        """L⁻¹ (z - μ), ``(..., *event)``."""
        shift = (value - self.loc).flatten(-self.event_dims).unsqueeze(-1)
        noise: Tensor = torch.linalg.solve_triangular(self.scale_tril, shift, upper=False)
        return noise.view(*noise.shape[:-2], *self.event_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """log N(value; μ, L Lᵀ) in nats, ``(...)``."""
        return -0.5 * sum_event(self.noise(value).square(), self.event_dims) - self._log_volume

    def entropy(self) -> Tensor:
        """Σ [½ + ½ log 2π + log L_jj] in nats, ``(...)``."""
        return self._log_volume + 0.5 * size(self.event_shape)

    def marginals(self) -> Normal:
        """The density of each coordinate alone, ``(..., Z)`` and no event."""
        return Normal(self.loc, 0.5 * self.variance.log(), event_dims=0)

    @property
    def log_diagonal(self) -> Tensor:
        """log L_jj, ``(..., D)``."""
        return self.scale_tril.diagonal(dim1=-2, dim2=-1).log()

    @property
    def _log_volume(self) -> Tensor:
        return self.log_diagonal.sum(-1) + 0.5 * LOG_2PI * size(self.event_shape)


def tril_size(features: int) -> int:
    """How many numbers a lower triangular matrix has."""
    return features * (features + 1) // 2


def scale_tril(raw: Tensor, features: int) -> Tensor:
    """L = mask ⊙ L' + diag(σ) from log σ and the entries of L' below the diagonal, ``(..., D (D + 1) / 2)``.

    Kingma & Welling, An Introduction to Variational Autoencoders, 2019, algorithm 2.
    """
    entries = F.pad(raw[..., features:], (0, 1))
    row = torch.arange(features, device=raw.device).unsqueeze(-1)
    column = row.T
    place = torch.where(row > column, row * (row - 1) // 2 + column, entries.shape[-1] - 1)
    below = entries.index_select(-1, place.flatten()).view(*raw.shape[:-1], features, features)
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
        """Draws from N(0, I)."""
        return torch.randn((*sample_shape, *self.like.shape), dtype=self.like.dtype, device=self.like.device)

    def at(self, noise: Tensor) -> Tensor:
        """ε itself."""
        return noise

    def noise(self, value: Tensor) -> Tensor:
        """z itself."""
        return value

    def log_prob(self, value: Tensor) -> Tensor:
        """log N(value; 0, I) in nats, ``(...)``."""
        return -0.5 * (sum_event(value.square(), self.event_dims) + LOG_2PI * size(self.event_shape))

    def entropy(self) -> Tensor:
        """½ Σ [1 + log 2π] in nats, ``(...)``."""
        return self.like.new_full(self.batch_shape, 0.5 * (1 + LOG_2PI) * size(self.event_shape))


class Point(BaseDistribution):
    """All probability at one point.

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
        """The point, as often as asked."""
        return self.loc.expand(*sample_shape, *self.loc.shape)

    def at(self, noise: Tensor) -> Tensor:
        """The point, wherever the noise is, ``(..., Z)``."""
        return self.loc.expand_as(noise)

    def log_prob(self, value: Tensor) -> Tensor:
        """∞ at the point, -∞ elsewhere, ``(...)``."""
        return torch.where((value == self.loc).all(-1), math.inf, -math.inf)


class Laplace(BaseDistribution):
    """Independent Laplace variables.

    Args:
        loc: μ, ``(..., *event)``.
        log_scale: log b, of any shape that broadcasts to that of `loc`.
        event_dims: how many of the last axes are the event.
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
        """Draws, as the difference of two exponential variables."""
        drawn = torch.empty((2, *sample_shape, *self.loc.shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + self.log_scale.exp() * drawn.exponential_().diff(dim=0)[0]

    def log_prob(self, value: Tensor) -> Tensor:
        """-Σ [|x - μ| / b + log 2b] in nats, ``(...)``."""
        distance = (value - self.loc).abs() * (-self.log_scale).exp()
        return -sum_event(distance + self.log_scale, self.event_dims) - math.log(2) * size(self.event_shape)

    def entropy(self) -> Tensor:
        """Σ [1 + log 2b] in nats, ``(...)``."""
        log_scale = sum_event(self.log_scale.expand_as(self.loc), self.event_dims)
        return log_scale + (1 + math.log(2)) * size(self.event_shape)


class Mixture(BaseDistribution):
    """A finite mixture over ``(Z,)``.

    Args:
        log_weights: log π, normalised, ``(K,)``.
        components: K distributions as one, over ``(K, Z)``.
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

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Draws: a component, then a draw from it."""
        with torch.no_grad():
            count = math.prod(sample_shape)
            chosen = torch.multinomial(self.log_weights.exp(), count, replacement=True)
            drawn = self.components.sample((count,))
            return drawn[torch.arange(count, device=chosen.device), chosen].view(*sample_shape, *self.event_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """log Σ_k π_k p_k(value) in nats, ``(..., Z)`` to ``(...)``."""
        return (self.log_weights + self.components.log_prob(value.unsqueeze(-2))).logsumexp(-1)


class Flow(BaseDistribution):
    """What a base distribution becomes through an invertible transformation.

    Args:
        base: over ``(..., Z)``.
        transform: f from z to the base, with its inverse `inv` and `call_and_ladj`, as zuko's transformations have.
    """

    has_rsample = True

    def __init__(self, base: "Normal | StandardNormal", transform: Any) -> None:
        self.base, self.transform = base, transform
        super().__init__(base.batch_shape + base.event_shape, 1)

    @property
    def mean(self) -> Tensor:
        """The mean of 255 points spread evenly over the base (a Sobol sequence): the same at every call."""
        return self._spread().mean(0)

    @property
    def variance(self) -> Tensor:
        """The variance of the same points."""
        return self._spread().var(0, unbiased=False)

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Draws f⁻¹(ε) with ε from the base, differentiable in both."""
        return torch.as_tensor(self.transform.inv(self.base.rsample(sample_shape)))

    def at(self, noise: Tensor) -> Tensor:
        """f⁻¹ of the base's place, ``(..., Z)``."""
        return torch.as_tensor(self.transform.inv(self.base.at(noise)))

    def noise(self, value: Tensor) -> Tensor:
        """The base's noise of f(z), ``(..., Z)``."""
        return self.base.noise(self._transformed(value)[0])

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(f(z)) + log |det ∂f/∂z| in nats, ``(...)``."""
        base, log_volume = self._transformed(value)
        return self.base.log_prob(base) + log_volume

    def _transformed(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """f(z) and the logarithm of its volume."""
        shape = torch.broadcast_shapes(value.shape, self.batch_shape + self.event_shape)
        base, log_volume = self.transform.call_and_ladj(value.expand(shape))
        return base, log_volume

    def _spread(self) -> Tensor:
        mean = self.base.mean
        uniform = torch.quasirandom.SobolEngine(mean.shape[-1]).draw(256)[1:].to(mean)
        noise = math.sqrt(2) * torch.erfinv(2 * uniform - 1)
        noise = noise.view(255, *(1,) * (mean.dim() - 1), mean.shape[-1])
        return torch.as_tensor(self.transform.inv(mean + self.base.stddev * noise))


class Bernoulli(BaseDistribution):
    """Independent Bernoulli variables.

    Args:
        logits: l, ``(..., *event)``.
        event_dims: how many of the last axes are the event.
    """

    element = constraints.boolean

    def __init__(self, logits: Tensor, event_dims: int) -> None:
        self.logits = logits
        super().__init__(logits.shape, event_dims)

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


class ContinuousBernoulli(BaseDistribution):
    """Independent continuous Bernoulli variables on [0, 1], with density proportional to e^{l x}.

    Args:
        logits: l, ``(..., *event)``.
        event_dims: how many of the last axes are the event.
    """

    element = constraints.unit_interval
    has_rsample = True

    def __init__(self, logits: Tensor, event_dims: int) -> None:
        self.logits = logits
        super().__init__(logits.shape, event_dims)

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
        half = (self.logits / 2).clamp(-40, 40)
        small = half.abs() < _SMALL
        safe = torch.where(small, _SMALL, half)
        square = half.square()
        series = 1 / 3 - square * (1 / 15 - square * (2 / 189 - square / 675))
        return 0.25 * torch.where(small, series, safe.square().reciprocal() - safe.sinh() ** -2)

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Draws x = log(1 + u (e^l - 1)) / l with u uniform, from the end where the density is high."""
        uniform = torch.rand((*sample_shape, *self.logits.shape), dtype=self.logits.dtype, device=self.logits.device)
        # Mirrored to l < 0, where e^l does not overflow; expm1 and log1p keep their precision towards 0.
        slope = self.logits.abs().clamp_min(1e-6)
        mirrored = (-torch.log1p(uniform * torch.expm1(-slope)) / slope).clamp(0, 1)
        return torch.where(self.logits > 0, 1 - mirrored, mirrored)

    def log_prob(self, value: Tensor) -> Tensor:
        """Σ [(x - ½) l - log(sinh(l/2) / (l/2))] in nats, ``(...)``."""
        return sum_event((value - 0.5) * self.logits - _log_sinhc(self.logits / 2), self.event_dims)

    def entropy(self) -> Tensor:
        """-Σ [(mean - ½) l - log(sinh(l/2) / (l/2))] in nats, ``(...)``."""
        return -self.log_prob(self.mean)


class Categorical(BaseDistribution):
    """Independent categorical variables with the values 0, 1, ..., K - 1.

    Args:
        logits: ``(..., *event, K)``, not normalised.
        event_dims: how many of the axes before the last are the event.
    """

    def __init__(self, logits: Tensor, event_dims: int) -> None:
        self.log_probabilities = logits.log_softmax(-1)
        super().__init__(logits.shape[:-1], event_dims)

    @property
    def element(self) -> constraints.Constraint:  # type: ignore[override]
        return constraints.integer_interval(0, self.log_probabilities.shape[-1] - 1)

    @property
    def mean(self) -> Tensor:
        """The mean of the values as numbers."""
        return self.log_probabilities.exp() @ self._values

    @property
    def variance(self) -> Tensor:
        return self.log_probabilities.exp() @ self._values.square() - self.mean.square()

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Draws, as floating-point numbers."""
        with torch.no_grad():
            noise = torch.empty((*sample_shape, *self.log_probabilities.shape), device=self._values.device)
            # The largest of logits plus Gumbel noise is a draw.
            return (self.log_probabilities - noise.exponential_().log()).argmax(-1).to(self._values.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """Σ log softmax(l)_x in nats, ``(...)``."""
        index = value.long().unsqueeze(-1)
        shape = torch.broadcast_shapes(index.shape[:-1], self.log_probabilities.shape[:-1])
        table = self.log_probabilities.expand(*shape, -1)
        return sum_event(table.gather(-1, index.expand(*shape, 1)).squeeze(-1), self.event_dims)

    def entropy(self) -> Tensor:
        """-Σ p log p in nats, ``(...)``."""
        return -sum_event((self.log_probabilities.exp() * self.log_probabilities).sum(-1), self.event_dims)

    @property
    def _values(self) -> Tensor:
        table = self.log_probabilities
        return torch.arange(table.shape[-1], dtype=table.dtype, device=table.device)


class Poisson(BaseDistribution):
    """Independent Poisson variables.

    Args:
        log_rate: r, ``(..., *event)``.
        event_dims: how many of the last axes are the event.
    """

    element = constraints.nonnegative_integer

    def __init__(self, log_rate: Tensor, event_dims: int) -> None:
        self.log_rate = log_rate
        super().__init__(log_rate.shape, event_dims)

    @property
    def mean(self) -> Tensor:
        return self.log_rate.exp()

    @property
    def variance(self) -> Tensor:
        return self.mean

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Draws of counts."""
        with torch.no_grad():
            return torch.poisson(self.mean.expand(*sample_shape, *self.log_rate.shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Σ [x r - e^r - log x!] in nats, ``(...)``."""
        return sum_event(value * self.log_rate - self.mean - torch.lgamma(value + 1), self.event_dims)


class NegativeBinomial(BaseDistribution):
    """Independent negative binomial variables: counts with more variance than Poisson's.

    Args:
        log_mean: log m, ``(..., *event)``.
        log_total: log r, of any shape that broadcasts to that of `log_mean`; the variance is m + m²/r.
        event_dims: how many of the last axes are the event.
    """

    element = constraints.nonnegative_integer

    def __init__(self, log_mean: Tensor, log_total: Tensor, event_dims: int) -> None:
        self.log_mean, self.log_total = log_mean, log_total
        super().__init__(log_mean.shape, event_dims)

    @property
    def mean(self) -> Tensor:
        return self.log_mean.exp()

    @property
    def variance(self) -> Tensor:
        return self.mean + (2 * self.log_mean - self.log_total).exp()

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Draws of counts, as Poisson variables whose rate is a gamma variable."""
        with torch.no_grad():
            total = self.log_total.exp().expand(*sample_shape, *self.log_mean.shape)
            return torch.poisson(torch._standard_gamma(total) * (self.log_mean - self.log_total).exp())

    def log_prob(self, value: Tensor) -> Tensor:
        """Σ log [Γ(x + r) / (Γ(r) x!) (r / (r + m))^r (m / (r + m))^x] in nats, ``(...)``."""
        total, logit = self.log_total.exp(), self.log_mean - self.log_total
        counted = torch.lgamma(value + total) - torch.lgamma(total) - torch.lgamma(value + 1)
        odds = total * F.softplus(logit) + value * F.softplus(-logit)
        return sum_event(counted - odds, self.event_dims)


class LogNormal(BaseDistribution):
    """Numbers above 0 whose logarithms are normal.

    Args:
        loc: μ, the mean of log x, ``(..., *event)``.
        log_scale: log σ, of any shape that broadcasts to that of `loc`.
        event_dims: how many of the last axes are the event.
    """

    element = constraints.positive

    def __init__(self, loc: Tensor, log_scale: Tensor, event_dims: int = 1) -> None:
        self.log = Normal(loc, log_scale, event_dims)
        super().__init__(loc.shape, event_dims)

    @property
    def mean(self) -> Tensor:
        return (self.log.mean + 0.5 * self.log.variance).exp()

    @property
    def variance(self) -> Tensor:
        return self.mean.square() * self.log.variance.expm1()

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Draws of numbers above 0."""
        return self.log.sample(sample_shape).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        """log N(log value; μ, diag σ²) - Σ log value in nats, ``(...)``."""
        logarithm = value.log()
        return self.log.log_prob(logarithm) - sum_event(logarithm, self.event_dims)


class Joined(BaseDistribution):
    """A row of independent columns of several families, some of whose values may be missing.

    Args:
        parts: distributions of one number each, over ``(..., D_i)`` and without an event; the row has them side by
            side, ``(..., D)``.
    """

    def __init__(self, parts: Sequence[BaseDistribution]) -> None:
        self.parts = parts
        self.widths = [part.batch_shape[-1] for part in parts]
        super().__init__(torch.Size([*parts[0].batch_shape[:-1], sum(self.widths)]), 1)

    @property
    def mean(self) -> Tensor:
        """Of each number its mean, of each code the most likely one, ``(..., D)``."""
        return torch.cat([_typical(part) for part in self.parts], -1)

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Draws of whole rows, ``(*sample_shape, ..., D)``."""
        return torch.cat([part.sample(sample_shape) for part in self.parts], -1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Σ log p_j(x_j) in nats, ``(...)``: a value that is missing, NaN, is summed or integrated out, for nothing."""
        terms = [
            part.log_prob(x) for part, x in zip(self.parts, self._filled(value).split(self.widths, -1), strict=True)
        ]
        return torch.where(value.isnan(), 0.0, torch.cat(terms, -1)).sum(-1)

    def _filled(self, value: Tensor) -> Tensor:
        """With 1, which all families know, for what is missing: its gradient must be finite, too."""
        return torch.where(value.isnan(), 1.0, value)


def _typical(part: BaseDistribution) -> Tensor:
    if isinstance(part, Bernoulli):
        return (part.logits > 0).to(part.logits.dtype)
    if isinstance(part, Categorical):
        return part.log_probabilities.argmax(-1).to(part.log_probabilities.dtype)
    return part.mean


_SMALL = 0.1
"""Below this, the series of the continuous Bernoulli's functions are exact to 1e-10, and the functions cancel."""


def _log_sinhc(u: Tensor) -> Tensor:
    """log(sinh(u) / u), without overflow and smooth at 0."""
    size_of, square = u.abs(), u.square()
    small = size_of < _SMALL
    safe = torch.where(small, 1.0, size_of)
    large = safe + torch.log(-torch.expm1(-2 * safe) / (2 * safe))
    return torch.where(small, square * (1 / 6 - square * (1 / 180 - square / 2835)), large)


def divergence_by_dimension(q: Distribution, p: Distribution) -> Tensor | None:
    """The terms of KL(q || p), ``(..., Z)`` in nats, where both factorise over the dimensions, else None."""
    if not isinstance(q, Normal):
        return None
    if isinstance(p, StandardNormal):
        return 0.5 * (q.variance + q.loc.square() - 1) - q.log_scale
    if isinstance(p, Normal):
        log_ratio = q.log_scale - p.log_scale
        shift = (q.loc - p.loc) * (-p.log_scale).exp()
        return 0.5 * ((2 * log_ratio).exp() + shift.square() - 1) - log_ratio
    return None


def closed_form(q: Distribution, p: Distribution) -> Tensor | None:
    """KL(q || p) in nats, ``(...)``, where it is known in closed form, else None."""
    if isinstance(q, Point):
        return q.loc.new_full(q.batch_shape, math.inf)
    terms = divergence_by_dimension(q, p)
    if terms is not None:
        return sum_event(terms, len(q.event_shape))
    if not isinstance(q, FullNormal):
        return None
    if isinstance(p, Normal):
        unit = (-p.log_scale).exp()
        q = FullNormal((q.loc - p.loc) * unit, q.scale_tril * unit.unsqueeze(-1))
    elif not isinstance(p, StandardNormal):
        return None
    squares = q.scale_tril.square().flatten(-2).sum(-1) + q.loc.square().sum(-1)
    return 0.5 * (squares - size(q.event_shape)) - q.log_diagonal.sum(-1)


for _pair in [(Normal, StandardNormal), (Normal, Normal), (FullNormal, StandardNormal), (FullNormal, Normal)]:
    register_kl(*_pair)(closed_form)
