"""The cost of an evaluation, in floating-point operations of products and convolutions.

It does not depend on the machine, so that everybody gets the same estimator for the same model and data.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from aevb.data.examples import Examples
from aevb.models.priors import Prior
from aevb.models.shapes import forward_hooks
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded

QUICK = 1e12
"""Operations that take half a minute or so on two cores."""
USUAL_CELLS = 5000
"""Values of z that the quadrature of an example usually decodes; importance sampling decodes about as many."""

CONVOLUTIONS = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
WITHOUT_PRODUCTS = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.LayerNorm | nn.GroupNorm | Prior


@torch.no_grad()
def decoder_operations(model: VAE, examples: Examples) -> int:
    """Return the number of floating-point operations of products and convolutions that decode one z."""
    condition = examples.batch(slice(1)).to(model.device).condition

    def decode() -> object:
        return model.decoder_output(model.decoder_input(model.sample_prior(1)), condition)

    with seeded(0, RNGStream.EVALUATION, device=model.device):
        counted = _layer_operations(model, decode)
        return operations(decode) if counted is None else counted


def _layer_operations(model: VAE, compute: Callable[[], object]) -> int | None:
    """Return the number of operations of the linear layers and convolutions of a computation.

    It is None if other layers with weights take part. PyTorch's counter knows these, but imports the compiler, which
    takes a second.
    """
    counted, known = 0, True

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal counted, known
        if isinstance(layer, CONVOLUTIONS):
            applied = (
                inputs[0].numel() // layer.in_channels if layer.transposed else output.numel() // layer.out_channels
            )
            counted += 2 * layer.weight.numel() * applied
        elif isinstance(layer, nn.Linear):
            counted += 2 * layer.weight.numel() * (output.numel() // layer.out_features)
        elif any(True for _ in layer.parameters(recurse=False)) and not isinstance(layer, WITHOUT_PRODUCTS):
            known = False

    with forward_hooks(model.modules(), note):
        compute()
    return counted if known else None


def operations(compute: Callable[[], object]) -> int:
    """Return the number of floating-point operations of products and convolutions of a computation."""
    with FlopCounterMode(display=False) as counter:
        compute()
    return int(counter.get_total_flops())


def affordable(model: VAE, examples: Examples) -> float:
    """Return how many examples' log p(x) can be estimated in `QUICK` operations, by quadrature or by sampling."""
    return QUICK / (USUAL_CELLS * max(1, decoder_operations(model, examples)))
