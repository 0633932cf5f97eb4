"""Objectives: a trace to what is minimised and what is reported, one number per example.

    ELBO        L(x) = 1/L Σ_l log p(x|z_l) - KL(q(z|x) || p(z)),                z_l ~ q(z|x)      (eq. 7 of the paper)
    ELBO-MC     L(x) = 1/L Σ_l [log p(x|z_l) + log p(z_l) - log q(z_l|x)],       z_l ~ q(z|x)      (eq. 6)

Both are lower bounds of log p(x) in expectation and agree there; the first has its divergence in closed form and so
less variance. Kingma & Welling, Auto-Encoding Variational Bayes, 2013. An objective is any callable of a trace that
says how many `samples` it wants and returns `Terms`.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from aevb.model import Trace


class Terms(NamedTuple):
    """Per example, ``(B,)``, in nats.

    Attributes:
        loss: what is minimised.
        bound: a lower bound of log p(x), whatever is minimised.
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
    def samples(self) -> int:
        """Draws of z wanted for each example."""

    def __call__(self, trace: Trace) -> Terms:
        """The terms of each example of the trace."""


@dataclass(frozen=True)
class ELBO:
    """The evidence lower bound with its divergence in closed form (where there is one)."""

    samples: int = 1

    def __call__(self, trace: Trace) -> Terms:
        return _elbo(trace, trace.rate)


@dataclass(frozen=True)
class MonteCarloELBO:
    """The evidence lower bound, every term estimated from the draws."""

    samples: int = 1

    def __call__(self, trace: Trace) -> Terms:
        return _elbo(trace, (trace.log_posterior - trace.log_prior).mean(0))


def _elbo(trace: Trace, rate: Tensor) -> Terms:
    distortion = -trace.log_likelihood.mean(0)
    loss = distortion + rate
    return Terms(loss, -loss, rate, distortion)
