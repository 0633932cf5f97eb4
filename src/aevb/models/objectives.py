"""Objectives: a trace to the loss, which is minimized, and the bound, which is reported, one number per example.

With z_s ~ q(z|x), log w_s = log p(x|z_s) + log p(z_s) - log q(z_s|x) and S samples:

    elbo        1/S Σ_s log p(x|z_s) - KL(q(z|x) || p(z))                        Kingma & Welling 2013, eq. 7
    elbo-mc     1/S Σ_s log w_s                                                  Kingma & Welling 2013, eq. 6
    iwae        log 1/S Σ_s w_s                                                  Burda, Grosse & Salakhutdinov 2016
    dreg        the bound of iwae, with a gradient of lower variance             Tucker et al. 2019
    beta-tc     elbo with the total correlation of q(z) weighted by β            Chen et al. 2018

The first two agree in expectation. β (Higgins et al. 2017), warm-up (Sønderby et al. 2016; cyclical: Fu et al. 2019)
and free bits (Kingma et al. 2016) change the loss. `loss` and `bound` are different fields: whatever the loss is, the
bound is a lower bound of log p(x), with weight 1 of the rate.

An objective is any callable of a trace and of the share of training that is done, with a property `n_samples`, which
returns `Terms`. The share is a number, or a tensor ``()`` in a captured step (`aevb.training.capture`). A new one is a
class or a function in any module, registered with `aevb.models.registry.register.objective`.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import Self

from aevb.errors import BadInput, option
from aevb.models.distributions import FullNormal, Normal
from aevb.models.options import DataFacts, PieceOptions, Positive
from aevb.models.registry import register
from aevb.models.shapes import log_mean_exp
from aevb.models.vae import LayerTrace, Trace

WARMUP, WARMUP_FOR = 0.2, 10_000
"""Default share of training in which the weight of the rate rises, for data that are not rows of numbers and at least
so many examples; with fewer, in proportion, since a model with a small weight overfits them."""


class Terms(NamedTuple):
    """The terms of an objective for each example, ``(B,)``, in nats.

    Attributes:
        loss: the quantity that is minimized.
        bound: a lower bound of log p(x), whatever the loss is; -∞ for an autoencoder, which has none.
        rate: KL(q(z|x) || p(z)).
        distortion: -E_q log p(x|z).
    """

    loss: Tensor
    bound: Tensor
    rate: Tensor
    distortion: Tensor


class Objective(Protocol):
    """A training objective."""

    @property
    def n_samples(self) -> int:
        """S, the number of samples of z for each example."""

    def __call__(self, trace: Trace, done: float | Tensor = 1.0) -> Terms:
        """Return the terms of each example of the trace, after a share `done` of the training."""


def final_from(objective: Objective) -> float:
    """Return the share of training after which the loss of an objective no longer changes its form.

    Until then, no weights are chosen by the validation loss. An objective whose loss changes has a `Weight` as its
    attribute `weight`; others count as constant.
    """
    weight = getattr(objective, "weight", None)
    return weight.final_from if isinstance(weight, Weight) else 0.0


class Stage(NamedTuple):
    """A part of training with one objective.

    Attributes:
        objective: minimized.
        until: the share of training at its end.
    """

    objective: Objective
    until: float = 1.0


@dataclass(frozen=True)
class Staged:
    """Two objectives, one after the other: most of training with a cheap one, the end with a tighter one.

    Attributes:
        first: minimized at first.
        then: minimized afterwards.
        start: the share of training after which `then` is minimized.
    """

    first: Objective
    then: Objective
    start: float

    @property
    def n_samples(self) -> int:
        """The larger S of the two."""
        return max(self.first.n_samples, self.then.n_samples)

    def __call__(self, trace: Trace, done: float | Tensor = 1.0) -> Terms:
        """Return the terms of `then`; training minimizes the `stages` one after the other."""
        return self.then(trace, done)


def stages(objective: Objective) -> list[Stage]:
    """Return the parts of training."""
    if isinstance(objective, Staged):
        return [Stage(objective.first, objective.start), Stage(objective.then)]
    return [Stage(objective)]


@dataclass(frozen=True)
class Weight:
    """The weight of the rate in the loss over the course of training.

    Attributes:
        beta: the weight after warm-up.
        warmup: the share of each cycle in which the weight rises linearly from 0.
        cycles: the number of warm-ups.
    """

    beta: float = 1.0
    warmup: float = 0.0
    cycles: int = 1

    @property
    def final_from(self) -> float:
        """The share of training after which the weight is `beta` to the end."""
        return 1 - (1 - self.warmup) / self.cycles if self.warmup else 0.0

    def __call__(self, done: float | Tensor) -> float | Tensor:
        """Return the weight after a share `done` of the training: a tensor ``()`` if it varies and `done` is one."""
        if not self.warmup:
            return self.beta
        if not isinstance(done, Tensor):
            return self.beta * min(1.0, done * self.cycles % 1.0 / self.warmup) if done < 1 else self.beta
        risen = (done * self.cycles % 1.0 / self.warmup).clamp(max=1.0)
        return self.beta * risen.where(done < 1, 1.0)


class WeightOptions(PieceOptions):
    """The weight of the rate in the loss."""

    beta: Annotated[float, Field(ge=0)] = Field(
        1.0, description="Weight of the KL in the loss; in beta-tc, of the total correlation. Default: 1."
    )
    warmup: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None,
        description="Share of training in which this weight rises from 0 to beta; 0 for no warm-up. Default:"
        f" {WARMUP}, and less below {WARMUP_FOR:,} examples; 0 for tables and vectors of more than two real values.",
    )
    cycles: Positive = Field(1, description="Number of warm-ups (cyclical annealing).")

    def resolve(self, data: DataFacts) -> Self:
        """Return the options with the warm-up that suits the data: rows are soon overfitted, points are not."""
        rows = data.columns or (data.kind == "real" and len(data.shape) == 1 and data.shape[0] > 2)
        default = 0.0 if rows else WARMUP * min(1.0, data.n_train / WARMUP_FOR)
        warmup = default if self.warmup is None else self.warmup
        if self.cycles > 1 and not warmup:
            raise BadInput(
                f"{option('objective.cycles', self.cycles)} has no meaning without a warm-up: add"
                f" {option('objective.warmup', 0.5)}"
            )
        return self.model_copy(update={"warmup": warmup})

    def arguments(self) -> dict[str, Any]:
        return {"weight": Weight(self.beta, self.warmup or 0.0, self.cycles)}


class ELBOOptions(WeightOptions):
    """The weight of the rate, and free bits."""

    free_bits: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Nats of KL in each latent dimension that are not penalized. Default: none."
    )

    def arguments(self) -> dict[str, Any]:
        return {**super().arguments(), "free_bits": self.free_bits or 0.0}


@register.objective("elbo")
@dataclass(frozen=True)
class ELBO:
    """The evidence lower bound with closed-form KL where one exists.

    Attributes:
        n_samples: S, samples of z per example.
        weight: the weight of the rate in the loss.
        free_bits: nats of each latent dimension, averaged over a batch, that are not penalized; for a layer whose KL is
            not a sum over its dimensions, this number times the number of dimensions.
    """

    Options: ClassVar[type[PieceOptions]] = ELBOOptions
    n_samples: int = 1
    weight: Weight = Weight()
    free_bits: float = 0.0

    def __call__(self, trace: Trace, done: float | Tensor = 1.0) -> Terms:
        if not self.weight.beta:
            # The rate of an autoencoder is infinite, and has weight 0.
            return _elbo(trace, trace.rate, torch.zeros_like(trace.rate))
        penalties = [_penalized(layer, self.free_bits) for layer in trace.layers] if self.free_bits else [trace.rate]
        return _elbo(trace, trace.rate, self.weight(done) * torch.stack(penalties).sum(0))


@register.objective("elbo-mc")
@dataclass(frozen=True)
class MonteCarloELBO:
    """The evidence lower bound with all terms estimated from the samples.

    Attributes:
        n_samples: S, samples of z per example.
        weight: the weight of the rate in the loss.
    """

    Options: ClassVar[type[PieceOptions]] = WeightOptions
    n_samples: int = 1
    weight: Weight = Weight()

    def __call__(self, trace: Trace, done: float | Tensor = 1.0) -> Terms:
        rate = _sampled_rate(trace)
        return _elbo(trace, rate, self.weight(done) * rate)


@register.objective("iwae")
@dataclass(frozen=True)
class IWAE:
    """The importance-weighted bound, which is tighter the more samples it has.

    In the loss, log p(z) - log q(z|x) has the weight β in log w.

    Attributes:
        n_samples: S, samples of z per example.
        weight: β.
    """

    Options: ClassVar[type[PieceOptions]] = WeightOptions
    n_samples: int = 50
    weight: Weight = Weight()

    def __call__(self, trace: Trace, done: float | Tensor = 1.0) -> Terms:
        bound, weighted = log_mean_exp(trace.log_weight), log_mean_exp(_weighted(trace, self.weight(done)))
        return Terms(-weighted, bound, _sampled_rate(trace), -trace.log_likelihood.mean(0))


@register.objective("dreg")
@dataclass(frozen=True)
class DReG:
    """The importance-weighted bound with doubly reparameterized gradients.

    With normalized weights v_s, decoder and prior have the gradient Σ_s v_s ∂ log w_s, and the posterior has
    Σ_s (β v_s² + (1 - β) v_s) (∂ log w_s / ∂z_s) ∂z_s: the direct gradient of log q is replaced by one through z_s with
    the same mean. The loss is a surrogate with this gradient.

    Attributes:
        n_samples: S, samples of z per example.
        weight: β, as in `IWAE`.
    """

    Options: ClassVar[type[PieceOptions]] = WeightOptions
    n_samples: int = 50
    weight: Weight = Weight()

    def __call__(self, trace: Trace, done: float | Tensor = 1.0) -> Terms:
        terms = IWAE(self.n_samples, self.weight)(trace, done)
        if not torch.is_grad_enabled():
            return terms
        return terms._replace(loss=_doubly_reparameterized(trace, self.weight(done)))


@register.objective("beta-tc")
@dataclass(frozen=True)
class BetaTC:
    """The evidence lower bound with the total correlation weighted by β.

    The total correlation of the aggregate posterior is KL(q(z) || Π_j q(z_j)); q(z) is estimated by the mixture of the
    posteriors of the batch.

    Attributes:
        n_samples: S, samples of z per example.
        weight: the weight of the total correlation in the loss; the other terms have weight 1.
    """

    Options: ClassVar[type[PieceOptions]] = WeightOptions
    n_samples: int = 1
    weight: Weight = Weight()

    def __call__(self, trace: Trace, done: float | Tensor = 1.0) -> Terms:
        correlation = torch.stack([_total_correlation(layer) for layer in trace.layers]).sum(0)
        return _elbo(trace, trace.rate, trace.rate + (self.weight(done) - 1) * correlation)


def _elbo(trace: Trace, rate: Tensor, penalty: Tensor) -> Terms:
    distortion = -trace.log_likelihood.mean(0)
    return Terms(distortion + penalty, -(distortion + rate), rate, distortion)


def _sampled_rate(trace: Trace) -> Tensor:
    return (trace.log_posterior - trace.log_prior).mean(0)


def _penalized(layer: LayerTrace, free: float) -> Tensor:
    """Return the rate of a layer, ``(B,)``, with each dimension below `free` replaced by this constant."""
    terms = layer.rate_by_dimension
    if terms is None:
        terms = (layer.q.log_prob(layer.z) - layer.p.log_prob(layer.z)).mean(0).unsqueeze(-1)
        free *= layer.z.shape[-1]
    return torch.where(terms.mean(0) > free, terms, free).sum(-1)


def _weighted(trace: Trace, beta: float | Tensor) -> Tensor:
    """Return log w with the weight β of log p(z) - log q(z|x), ``(S, B)``."""
    return trace.log_likelihood + beta * (trace.log_prior - trace.log_posterior)


def _doubly_reparameterized(trace: Trace, beta: float | Tensor) -> Tensor:
    log_weight = _weighted(trace, beta)
    share = log_weight.detach().softmax(0)
    joint = share * (trace.log_likelihood + beta * trace.log_prior)
    # The paths through z get v from `joint`; this difference brings them to β v² + (1 - β) v.
    difference = (beta * share.square() + (1 - beta) * share) * log_weight - joint
    corrections = torch.zeros_like(joint)
    for layer in reversed(trace.layers):
        # Samples depend on those above them: the corrections below contain these paths already.
        missing = torch.autograd.grad((difference - corrections).sum(), layer.z, retain_graph=True)[0]
        corrections = corrections + (missing * layer.z).sum(-1)
    return -(joint + corrections).sum(0)


def _total_correlation(layer: LayerTrace) -> Tensor:
    """Return log q(z) - Σ_j log q(z_j) at the samples, ``(B,)``."""
    if not isinstance(layer.q, Normal | FullNormal):
        raise BadInput(
            f"beta-tc needs the density of each latent dimension: use {option('model.posterior', 'diagonal')} or full"
        )
    # Each sample (S, B, Z) with the posterior of every example, for the same samples above it: (B, S, B', Z).
    pairs = layer.z.transpose(0, 1).unsqueeze(-2)
    count, latent = len(pairs), pairs.shape[-1]
    joint = layer.q.log_prob(pairs).logsumexp(-1)
    marginals = layer.q.marginals().log_prob(pairs).logsumexp(-2).sum(-1)
    return (joint - marginals + (latent - 1) * math.log(count)).mean(1)
