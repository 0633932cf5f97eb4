"""Objectives: a trace to what is minimised and what is reported, one number per example.

With z_s ~ q(z|x), log w_s = log p(x|z_s) + log p(z_s) - log q(z_s|x) and S draws:

    elbo        1/S Σ_s log p(x|z_s) - KL(q(z|x) || p(z))                        Kingma & Welling 2013, eq. 7
    elbo-mc     1/S Σ_s log w_s                                                  the same, eq. 6
    iwae        log 1/S Σ_s w_s                                                  Burda, Grosse & Salakhutdinov 2016
    dreg        the bound of iwae, with a gradient of less variance              Tucker et al. 2019
    beta-tc     elbo with the total correlation of q(z) weighed by β             Chen et al. 2018

The first two agree in expectation, and β (Higgins et al. 2017), warm-up (Sønderby et al. 2016; cyclical: Fu et al.
2019) and free bits (Kingma et al. 2016) change what they minimise. `loss` and `bound` are different things: whatever is
minimised, what is reported is the objective's lower bound of log p(x) with weight 1.

An objective is any callable of a trace and of the share of training that is done, which says how many `n_samples` it
wants and returns `Terms`. The share is a number, or a tensor ``()`` where a step is written down once for all shares
(`aevb.training.capture`).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from aevb.errors import BadInput
from aevb.models.distributions import FullNormal, Normal
from aevb.models.shapes import log_mean_exp
from aevb.models.vae import LayerTrace, Trace


class Terms(NamedTuple):
    """Per example, ``(B,)``, in nats.

    Attributes:
        loss: what is minimised.
        bound: a lower bound of log p(x), whatever is minimised; -∞ where there is none, as of an autoencoder.
        rate: KL(q(z|x) || p(z)).
        distortion: -E_q log p(x|z).
    """

    loss: Tensor
    bound: Tensor
    rate: Tensor
    distortion: Tensor


class Objective(Protocol):
    """What training minimises."""

    @property
    def n_samples(self) -> int:
        """Draws of z wanted for each example."""

    def __call__(self, trace: Trace, done: float | Tensor = 1.0) -> Terms:
        """The terms of each example of the trace, when a share `done` of the training is behind."""


@dataclass(frozen=True)
class Weight:
    """The weight of the rate in the loss, through training.

    Attributes:
        beta: the weight after warm-up.
        warmup: the share of each cycle in which it rises linearly from 0.
        cycles: how often warm-up starts again.
    """

    beta: float = 1.0
    warmup: float = 0.0
    cycles: int = 1

    def __call__(self, done: float | Tensor) -> float | Tensor:
        """The weight when a share `done` of the training is behind; a number, or a tensor ``()`` below 1."""
        if not self.warmup or (isinstance(done, float) and done >= 1):
            return self.beta
        risen = done * self.cycles % 1.0 / self.warmup
        return self.beta * (risen.clamp(max=1.0) if isinstance(risen, Tensor) else min(1.0, risen))


@dataclass(frozen=True)
class ELBO:
    """The evidence lower bound with its divergence in closed form, where there is one.

    Attributes:
        n_samples: S.
        weight: of the rate in the loss.
        free_bits: nats of each latent dimension, on average over a batch, that cost nothing; of a layer whose
            divergence does not split over its dimensions, as many for the whole layer as it has dimensions.
    """

    n_samples: int = 1
    weight: Weight = Weight()
    free_bits: float = 0.0

    def __call__(self, trace: Trace, done: float | Tensor = 1.0) -> Terms:
        if not self.weight.beta:
            # The rate of an autoencoder is infinite, and still weighs nothing.
            return _elbo(trace, trace.rate, torch.zeros_like(trace.rate))
        paid = [_paid(layer, self.free_bits) for layer in trace.layers] if self.free_bits else [trace.rate]
        return _elbo(trace, trace.rate, self.weight(done) * torch.stack(paid).sum(0))


@dataclass(frozen=True)
class MonteCarloELBO:
    """The evidence lower bound, every term estimated from the draws.

    Attributes:
        n_samples: S.
        weight: of the rate in the loss.
    """

    n_samples: int = 1
    weight: Weight = Weight()

    def __call__(self, trace: Trace, done: float | Tensor = 1.0) -> Terms:
        rate = _sampled_rate(trace)
        return _elbo(trace, rate, self.weight(done) * rate)


@dataclass(frozen=True)
class IWAE:
    """The importance-weighted bound: tighter than the ELBO, the more so the more draws."""

    n_samples: int = 50

    def __call__(self, trace: Trace, done: float | Tensor = 1.0) -> Terms:
        bound = log_mean_exp(trace.log_weight)
        return Terms(-bound, bound, _sampled_rate(trace), -trace.log_likelihood.mean(0))


@dataclass(frozen=True)
class DReG:
    """The importance-weighted bound with the doubly reparameterised gradient.

    With normalised weights v_s, decoder and prior follow Σ_s v_s ∂ log w_s, and the posterior follows
    Σ_s v_s² (∂ log w_s / ∂z_s) ∂z_s: the direct gradient of log q, which has mean zero, is left out. The loss is a
    surrogate with this gradient.
    """

    n_samples: int = 50

    def __call__(self, trace: Trace, done: float | Tensor = 1.0) -> Terms:
        terms = IWAE(self.n_samples)(trace)
        return terms._replace(loss=_doubly_reparameterised(trace)) if torch.is_grad_enabled() else terms


@dataclass(frozen=True)
class BetaTC:
    """The ELBO with the total correlation KL(q(z) || Π_j q(z_j)) of the aggregate posterior weighed by β.

    q(z) is estimated by the mixture of the posteriors of the batch.

    Attributes:
        n_samples: S.
        weight: of the total correlation in the loss; the other terms have weight 1.
    """

    n_samples: int = 1
    weight: Weight = Weight()

    def __call__(self, trace: Trace, done: float | Tensor = 1.0) -> Terms:
        correlation = torch.stack([_total_correlation(layer) for layer in trace.layers]).sum(0)
        return _elbo(trace, trace.rate, trace.rate + (self.weight(done) - 1) * correlation)


FAMILIES: dict[str, type[ELBO | MonteCarloELBO | IWAE | DReG | BetaTC]] = {
    "elbo": ELBO,
    "elbo-mc": MonteCarloELBO,
    "iwae": IWAE,
    "dreg": DReG,
    "beta-tc": BetaTC,
}


def _elbo(trace: Trace, rate: Tensor, paid: Tensor) -> Terms:
    distortion = -trace.log_likelihood.mean(0)
    return Terms(distortion + paid, -(distortion + rate), rate, distortion)


def _sampled_rate(trace: Trace) -> Tensor:
    return (trace.log_posterior - trace.log_prior).mean(0)


def _paid(layer: LayerTrace, free: float) -> Tensor:
    """The rate of a layer where it is above what is free, ``(B,)``; below, the constant, whose gradient is zero."""
    terms = layer.rate_by_dimension
    if terms is None:
        terms = (layer.q.log_prob(layer.z) - layer.p.log_prob(layer.z)).mean(0).unsqueeze(-1)
        free *= layer.z.shape[-1]
    return torch.where(terms.mean(0) > free, terms, free).sum(-1)


def _doubly_reparameterised(trace: Trace) -> Tensor:
    share = trace.log_weight.detach().softmax(0)
    joint = share * (trace.log_likelihood + trace.log_prior)
    # What the paths through z still lack, when the joint is weighed by v, to be v² times the gradient of log w.
    lacking = share.square() * trace.log_weight - joint
    corrections = torch.zeros_like(joint)
    for layer in reversed(trace.layers):
        # Draws depend on those above them: what goes that way is already in the corrections below.
        missing = torch.autograd.grad((lacking - corrections).sum(), layer.z, retain_graph=True)[0]
        corrections = corrections + (missing * layer.z).sum(-1)
    return -(joint + corrections).sum(0)


def _total_correlation(layer: LayerTrace) -> Tensor:
    """log q(z) - Σ_j log q(z_j) at the draws, ``(B,)``."""
    if not isinstance(layer.q, Normal | FullNormal):
        raise BadInput("beta-tc needs the density of each latent dimension: use --model.posterior diagonal or full")
    # Each draw (S, B, Z) beside the posterior of every example, for the same draws above it: (B, S, B', Z).
    pairs = layer.z.transpose(0, 1).unsqueeze(-2)
    count, latent = len(pairs), pairs.shape[-1]
    joint = layer.q.log_prob(pairs).logsumexp(-1)
    each = layer.q.marginals().log_prob(pairs).logsumexp(-2).sum(-1)
    return (joint - each + (latent - 1) * math.log(count)).mean(1)
