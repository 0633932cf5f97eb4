"""Why the bound is below log p(x): the family of posteriors, or the encoder.

    log p(x) - ELBO(q)  =  [log p(x) - ELBO(q*)]  +  [ELBO(q*) - ELBO(q)]
                            approximation gap         amortisation gap

where q* is the best posterior of the family for the one example (Cremer, Li & Duvenaud 2018). It is found by gradient
ascent on what the encoder would have to say, for each example by itself: the outputs of the linear layer that makes its
posterior (the features of a posterior that has none). The better q* also draws the importance samples of log p(x).
"""

from copy import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from aevb.data.examples import Examples
from aevb.evaluation.posterior_samples import Part, parts
from aevb.models.hierarchy import LatentLayer
from aevb.models.priors import Encode
from aevb.models.shapes import log_mean_exp
from aevb.models.vae import VAE
from aevb.rng import RNGStream, normal, seeded

STEPS = 500
RATE = 0.02
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
    with seeded(seed, RNGStream.EVALUATION, device=model.device):
        every = parts(model, examples, samples, seed=seed, memory=memory, together=DRAWS)
        found = [_split(part) for part in every]
    return Gaps(*(torch.cat(values) for values in zip(*found, strict=True)))


def _split(part: Part) -> Gaps:
    amortized, _ = _measure(part)
    best, log_px = _measure(_refined(part))
    best = torch.maximum(best, amortized)  # q is of the family, too
    return Gaps(log_px - best, best - amortized, log_px)


def _refined(part: Part) -> Part:
    """The same with the posterior of each example that maximises its bound, found from the encoder's on."""
    model, features = part.model, [values.detach().clone().requires_grad_() for values in part.features]
    shifted = [
        _shifted(posterior, part) for posterior in (model.posterior, *(layer.posterior for layer in model.lower_layers))
    ]
    lower_layers = [
        LatentLayer(r.up, r.down, r.conditional, own) for r, own in zip(model.lower_layers, shifted[1:], strict=True)
    ]
    prior: Any = _PriorOf(model)
    free = VAE(model.encoder, shifted[0], prior, model.decoder, model.likelihood, lower_layers, model.condition)
    shifts: list[Tensor] = [module.shift for module in free.modules() if isinstance(module, _Shifted)]
    part = part._replace(model=free, features=features)
    _ascend(part, shifts or features)
    return part


def _ascend(part: Part, free: list[Tensor]) -> None:
    """Maximise the bound of all examples by what is free of each."""
    optimizer = torch.optim.Adam(free, lr=RATE)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, 2 * (1 - step / STEPS))
        trace = part.at(normal(part.streams, DRAWS, sum(part.widths)).to(part.batch.x))
        loss = (trace.rate - trace.log_likelihood.mean(0)).sum()
        for values, gradient in zip(free, torch.autograd.grad(loss, free, allow_unused=True), strict=True):
            values.grad = gradient
        optimizer.step()


class _Shifted(nn.Module):
    """A posterior's linear layer whose outputs may move, for each example by itself."""

    def __init__(self, head: nn.Linear, part: Part) -> None:
        super().__init__()
        self.head = head
        self.shift = nn.Parameter(part.batch.x.new_zeros(len(part.batch), head.out_features))

    def forward(self, features: Tensor) -> Tensor:
        return torch.as_tensor(self.head(features) + self.shift)


def _shifted(posterior: nn.Module, part: Part) -> nn.Module:
    """A posterior that shares all with the given one but that its linear layer may move."""
    free = copy(posterior)
    if isinstance(head := getattr(posterior, "head", None), nn.Linear):
        free._modules = posterior._modules | {"head": _Shifted(head, part)}
    return free


class _PriorOf(nn.Module):
    """The prior of a model, whose posteriors it may be made of, as it is."""

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self._whose = (model,)  # not a part of this module

    def forward(self, _: Encode) -> Distribution:
        return self._whose[0].prior_distribution()


@torch.no_grad()
def _measure(part: Part) -> tuple[Tensor, Tensor]:
    """The bound and log p(x) of each example, ``(B,)``, with the draws of the part."""
    log_w = torch.cat([trace.log_weight for trace in part.traces()]).cpu().double()
    return log_w.mean(0), log_mean_exp(log_w)
