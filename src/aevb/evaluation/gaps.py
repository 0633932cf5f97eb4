"""Why the bound is below log p(x): the family of posteriors, or the encoder.

    log p(x) - ELBO(q)  =  [log p(x) - ELBO(q*)]  +  [ELBO(q*) - ELBO(q)]
                            approximation gap         amortisation gap

where q* is the best posterior of the family for the one example (Cremer, Li & Duvenaud 2018). It is found by gradient
ascent on what the encoder would have to say: the features that the posterior is made of, of each example by itself. The
better q* also draws the importance samples of log p(x).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from aevb.data.dataset import Examples
from aevb.evaluation.draws import Part, parts
from aevb.model import VAE
from aevb.randomness import Purpose, normal, seeded

STEPS = 400
RATE = 0.05
DRAWS = 8
"""Draws of z in each step of the ascent."""


class Gaps(NamedTuple):
    """Of each example, in nats, ``(N,)`` in float64.

    Attributes:
        approximation: log p(x) - ELBO(q*).
        amortization: ELBO(q*) - ELBO(q).
        log_px: by importance sampling from q*.
    """

    approximation: Tensor
    amortization: Tensor
    log_px: Tensor


def gaps(model: VAE, examples: Examples, *, samples: int = 1000, seed: int = 0, memory: int = 2**30) -> Gaps:
    """Split the gap of each example.

    Args:
        model: on any device; it is left in evaluation mode, its parameters as they are.
        examples: N of them; each costs about `STEPS` steps of training.
        samples: draws of z that measure each bound and log p(x).
        seed: of the draws.
        memory: about how many bytes the tensors may take that are alive at once.
    """
    with seeded(seed, Purpose.EVALUATION, device=next(model.parameters()).device):
        every = parts(model, examples, samples, seed=seed, memory=memory, together=DRAWS)
        found = [_split(model, part) for part in every]
    return Gaps(*(torch.cat(values) for values in zip(*found, strict=True)))


def _split(model: VAE, part: Part) -> Gaps:
    amortized, _ = _measure(model, part)
    best, log_px = _measure(model, part._replace(features=_best_features(model, part)))
    return Gaps(log_px - best, best - amortized, log_px)


def _best_features(model: VAE, part: Part) -> list[Tensor]:
    """The features that maximise each example's bound, from the encoder's on."""
    features = [values.detach().clone().requires_grad_() for values in part.features]
    optimizer = torch.optim.Adam(features, lr=RATE)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, 2 * (1 - step / STEPS))
        noise = normal(part.streams, DRAWS, sum(part.widths)).to(part.x)
        trace = part._replace(features=features).at(model, noise)
        loss = (trace.rate - trace.log_likelihood.mean(0)).sum()
        for values, gradient in zip(features, torch.autograd.grad(loss, features), strict=True):
            values.grad = gradient
        optimizer.step()
    return [values.detach() for values in features]


@torch.no_grad()
def _measure(model: VAE, part: Part) -> tuple[Tensor, Tensor]:
    """The bound and log p(x) of each example, ``(B,)``, with the draws of the part."""
    few = max(1, part.rows // len(part.x))
    traces = [part.at(model, noise) for noise in part.noise.split(few)]
    log_w = torch.cat([trace.log_weight for trace in traces]).double().cpu()
    return log_w.mean(0), log_w.logsumexp(0) - math.log(len(log_w))
