"""An objective's terms on validation examples."""

import torch

from aevb.data.examples import Examples
from aevb.models.objectives import Objective
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded
from aevb.training.backends.base import term_means
from aevb.training.history import EpochMetrics


@torch.no_grad()
def validate(
    model: VAE, objective: Objective, examples: Examples, *, seed: int = 0, decodings: int = 1000
) -> EpochMetrics:
    """Return the means of an objective's terms over examples, in evaluation mode and with the same noise at every call.

    Args:
        model: evaluated; it is left in the mode that it had.
        objective: gives the terms, in nats.
        examples: held out.
        seed: of the noise.
        decodings: largest number of latents that are decoded at once.
    """
    training = model.training
    model.eval()
    with seeded(seed, RNGStream.VALIDATION, device=examples.values.device):
        sums = [
            term_means(objective(model.trace(chunk.all(), objective.n_samples))) * len(chunk)
            for chunk in examples.chunks(max(1, decodings // objective.n_samples))
        ]
    model.train(training)
    return EpochMetrics(*(torch.stack(sums).cpu().double().sum(0) / len(examples)).tolist())
