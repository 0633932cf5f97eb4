"""Networks in bfloat16, which has the range of float32 and about three of its digits.

    x ── float32 ──▶ products of encoder or decoder in bfloat16 ──▶ float32 ── posterior, likelihood: every density

Weights, their gradients and what optimizers keep are float32, and so are the heads, which are small, and all sums of
nats (mixed precision: Micikevicius et al. 2018; in bfloat16, which needs no scaling of the loss: Kalamkar et al. 2019).
"""

from copy import copy

import torch
from torch import Tensor, nn

from aevb.models.hierarchy import LatentLayer
from aevb.models.vae import VAE


class InBfloat16(nn.Module):
    """A network whose products are made in bfloat16; what it takes and gives are as they would be without.

    Args:
        network: any; it keeps its weights.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        # Casts of weights are not kept: a network runs once in a step, and a graph is to have its own.
        with torch.autocast(inputs[0].device.type, torch.bfloat16, cache_enabled=False):
            output: Tensor = self.network(*inputs)
        return output.to(inputs[0].dtype)


def in_bfloat16(model: VAE) -> VAE:
    """The same model, of the same weights in the same order, with encoder and decoder in bfloat16."""
    other = copy(model)
    other._modules = dict(model._modules)  # which a copy has in common with the model
    other.encoder, other.decoder = InBfloat16(model.encoder), InBfloat16(model.decoder)
    lower_layers = [
        LatentLayer(InBfloat16(one.up), InBfloat16(one.down), one.conditional, one.posterior)
        for one in model.lower_layers
    ]
    other.lower_layers = nn.ModuleList(lower_layers)  # type: ignore[assignment]
    return other
