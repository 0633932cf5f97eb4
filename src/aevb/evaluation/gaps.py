"""Why the bound is below log p(x): the family of posteriors, or the encoder.

    log p(x) - ELBO(q)  =  [log p(x) - ELBO(q*)]  +  [ELBO(q*) - ELBO(q)]
                            approximation gap         amortization gap

where q* is the best posterior of the family for the single example (Cremer, Li & Duvenaud 2018). Gradient ascent finds
it for each example separately, over the outputs of the linear layer of the posterior (or over the features, if the
posterior has no such layer). The importance samples of log p(x) come from the better posterior, q*.
"""

from copy import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from aevb.data.examples import Examples
from aevb.evaluation.measures import DEFAULT_SAMPLES, Task
from aevb.evaluation.posterior_samples import Part, parts
from aevb.evaluation.scores import Score
from aevb.models.hierarchy import LatentLayer
from aevb.models.priors import Encode, Prior
from aevb.models.registry import register
from aevb.models.shapes import log_mean_exp
from aevb.models.vae import VAE
from aevb.rng import RNGStream, normal, seeded

STEPS = 500
LEARNING_RATE = 0.02
SAMPLES_PER_STEP = 8
"""Samples of z per example in each step of the ascent."""


class Gaps(NamedTuple):
    """The gaps of each example, in nats, ``(N,)`` in float64.

    Attributes:
        approximation: log p(x) - ELBO(q*).
        amortization: ELBO(q*) - ELBO(q).
        log_px: by importance sampling from q*.
    """

    approximation: Tensor
    amortization: Tensor
    log_px: Tensor


def gaps(
    model: VAE, examples: Examples, *, n_importance_samples: int = 1000, seed: int = 0, memory: int = 2**30
) -> Gaps:
    """Split the gap between log p(x) and the bound of each example.

    Args:
        model: on any device; it is put into evaluation mode, and its parameters do not change.
        examples: N examples; each costs about as much as `STEPS` training steps.
        n_importance_samples: K, samples of z per example for each bound and for log p(x).
        seed: the random seed.
        memory: approximate limit, in bytes, of the tensors that are alive at once.
    """
    with seeded(seed, RNGStream.EVALUATION, device=model.device):
        all_parts = parts(model, examples, n_importance_samples, seed=seed, memory=memory, at_once=SAMPLES_PER_STEP)
        results = [_split(part) for part in all_parts]
    return Gaps(*(torch.cat(values) for values in zip(*results, strict=True)))


@register.measure(
    "gaps",
    titles={"approximation_gap": "approximation gap", "amortization_gap": "amortization gap"},
    needs=("density",),
    slow=True,
)
def gap_scores(task: Task) -> list[Score]:
    """Approximation gap of the posterior family and amortization gap of the encoder."""
    effort, best = task.effort, "ELBO of the best posterior of the family"
    k = effort.n_importance_samples or DEFAULT_SAMPLES
    result = gaps(task.model, task.examples, n_importance_samples=k, seed=effort.seed, memory=effort.memory)
    difference = f"log p(x) by importance sampling - {best}"
    return [
        task.mean_score("approximation_gap", result.approximation, difference, k),
        task.mean_score("amortization_gap", result.amortization, f"{best} - ELBO", k),
    ]


def _split(part: Part) -> Gaps:
    amortized, _ = _bound_and_log_px(part)
    best, log_px = _bound_and_log_px(_refined(part))
    best = torch.maximum(best, amortized)  # q is a member of the family
    return Gaps(log_px - best, best - amortized, log_px)


def _refined(part: Part) -> Part:
    """Return the same examples with the posteriors that maximize their bounds, starting from the encoder's."""
    model, features = part.model, [values.detach().clone().requires_grad_() for values in part.features]
    posteriors = (model.posterior, *(layer.posterior for layer in model.lower_layers))
    shifted = [_shifted(posterior, part) for posterior in posteriors]
    lower_layers = [
        LatentLayer(layer.up, layer.down, layer.conditional, posterior)
        for layer, posterior in zip(model.lower_layers, shifted[1:], strict=True)
    ]
    pieces = (model.encoder, shifted[0], _PriorOf(model), model.decoder, model.likelihood)
    free = VAE(*pieces, lower_layers, model.condition, model.inputs, skip=model.skip)
    shifts: list[Tensor] = [module.shift for module in free.modules() if isinstance(module, _Shifted)]
    part = part._replace(model=free, features=features)
    _ascend(part, shifts or features)
    return part


def _ascend(part: Part, variables: list[Tensor]) -> None:
    """Maximize the bounds of all examples over variables that each belong to one example."""
    optimizer = torch.optim.Adam(variables, lr=LEARNING_RATE)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * min(1.0, 2 * (1 - step / STEPS))
        trace = part.trace(normal(part.streams, SAMPLES_PER_STEP, sum(part.widths)).to(part.features[0]))
        loss = (trace.rate - trace.log_likelihood.mean(0)).sum()
        for variable, gradient in zip(variables, torch.autograd.grad(loss, variables, allow_unused=True), strict=True):
            variable.grad = gradient
        optimizer.step()


class _Shifted(nn.Module):
    """The linear layer of a posterior, with a shift of its outputs for each example."""

    def __init__(self, head: nn.Linear, part: Part) -> None:
        super().__init__()
        self.head = head
        self.shift = nn.Parameter(part.features[0].new_zeros(len(part.batch), head.out_features))

    def forward(self, features: Tensor) -> Tensor:
        return torch.as_tensor(self.head(features) + self.shift)


def _shifted(posterior: nn.Module, part: Part) -> nn.Module:
    """Return a posterior that shares all modules with another one, except for a shifted linear layer."""
    free = copy(posterior)
    if isinstance(head := getattr(posterior, "head", None), nn.Linear):
        free._modules = posterior._modules | {"head": _Shifted(head, part)}
    return free


class _PriorOf(Prior):
    """The unchanged prior of a model, which may depend on the model's unchanged posterior."""

    def __init__(self, model: VAE) -> None:
        nn.Module.__init__(self)
        self._owner = (model,)  # a tuple, so that the model is not a submodule

    def forward(self, encode: Encode) -> Distribution:
        return self._owner[0].prior_distribution()


@torch.no_grad()
def _bound_and_log_px(part: Part) -> tuple[Tensor, Tensor]:
    """Return the bound and log p(x) of each example, ``(B,)``, from the samples of the part."""
    log_w = torch.cat([trace.log_weight for trace in part.traces()]).cpu().double()
    return log_w.mean(0), log_mean_exp(log_w)
