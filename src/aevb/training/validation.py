"""An objective's terms on validation examples."""

import torch
from torch import Tensor

from aevb.data.examples import Examples
from aevb.models.objectives import Objective, Terms
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded
from aevb.training.history import EpochMetrics

EVALUATIONS = 1000
"""Number of evaluations whose mean is exact enough to choose weights by."""
FAR, RARE = 20.0, 0.01
"""Distance of outliers below the median, in units of that of the lowest tenth, and their largest share."""


@torch.no_grad()
def validate(
    model: VAE, objective: Objective, examples: Examples, *, seed: int = 0, repeats: int = 1, decodings: int = 1000
) -> EpochMetrics:
    """Return the means of an objective's terms over examples, in evaluation mode and with the same noise at every call.

    The loss is that of the end of training, after warm-up. The choice of the best weights must not depend on a few
    wrong examples: the robust mean clips their terms.

    Args:
        model: evaluated; it is left in the mode that it had.
        objective: gives the terms, in nats.
        examples: held out.
        seed: of the noise.
        repeats: number of evaluations of each example, with different noise, that are averaged.
        decodings: largest number of latents that are decoded at once.
    """
    training = model.training
    model.eval()
    with seeded(seed, RNGStream.VALIDATION, device=examples.values.device):
        at_once = max(1, decodings // (objective.n_samples * len(examples)))
        evaluations = [
            _terms(model, objective, _repeated(examples, count), decodings).unflatten(1, (count, -1))
            for count in (min(at_once, repeats - start) for start in range(0, repeats, at_once))
        ]
    model.train(training)
    terms = Terms(*torch.cat(evaluations, 1).mean(1))
    loss, bound, rate, distortion = (term.mean().item() for term in terms)
    return EpochMetrics(loss, bound, rate, distortion, robust_mean(-terms.loss))


def _repeated(examples: Examples, repeats: int) -> Examples:
    """Return all examples, one after another, `repeats` times."""
    return examples if repeats == 1 else examples[torch.arange(repeats * len(examples)) % len(examples)]


def _terms(model: VAE, objective: Objective, examples: Examples, decodings: int) -> Tensor:
    """Return the terms of each example, ``(4, N)`` in float64 on the CPU."""
    chunks = [
        torch.stack(objective(model.trace(chunk.all(), objective.n_samples), 1.0))
        for chunk in examples.chunks(max(1, decodings // objective.n_samples))
    ]
    return torch.cat(chunks, 1).cpu().double()


def sufficient_repeats(train: int, valid: int) -> int:
    """Return how often few validation examples are evaluated, at most as often as it takes no longer than an epoch.

    Args:
        train: number of training examples.
        valid: number of validation examples.
    """
    return max(1, min(-(-EVALUATIONS // valid), train // valid))


def robust_mean(values: Tensor) -> float:
    """Return the mean of values ``(N,)``, with rare ones that lie far below the others raised to a limit.

    The limit is as far below the median as `FAR` times the distance of the lowest tenth.
    """
    ordered = values.sort().values
    median, tenth = ordered[len(values) // 2], ordered[len(values) // 10]
    limit = median - FAR * (median - tenth)
    rare = (values < limit).double().mean() <= RARE
    return (values.clamp_min(limit) if rare else values).mean().item()
