"""The cost of an evaluation, in floating-point operations of products and convolutions.

It does not depend on the machine, so that everybody gets the same estimator for the same model and data.
"""

from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from aevb.data.examples import Examples
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded

QUICK = 1e12
"""Operations that take half a minute or so on two cores."""
USUAL_CELLS = 5000
"""Values of z that the quadrature of an example usually decodes; importance sampling decodes about as many."""


@torch.no_grad()
def decoder_operations(model: VAE, examples: Examples) -> int:
    """Return the number of floating-point operations of products and convolutions that decode one z."""
    condition = examples.batch(slice(1)).to(model.device).condition
    with seeded(0, RNGStream.EVALUATION, device=model.device):
        return operations(lambda: model.decoder_output(model.decoder_input(model.sample_prior(1)), condition))


def operations(compute: Callable[[], object]) -> int:
    """Return the number of floating-point operations of products and convolutions of a computation."""
    with FlopCounterMode(display=False) as counter:
        compute()
    return int(counter.get_total_flops())


def affordable(model: VAE, examples: Examples) -> float:
    """Return how many examples' log p(x) can be estimated in `QUICK` operations, by quadrature or by sampling."""
    return QUICK / (USUAL_CELLS * max(1, decoder_operations(model, examples)))
