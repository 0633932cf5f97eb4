"""Networks in bfloat16, which has the range of float32 and about three decimal digits.

    x ── float32 ──▶ products of encoder or decoder in bfloat16 ──▶ float32 ── posterior, likelihood: every density

Weights, gradients and optimizer moments are float32, and so are the heads, which are small, and all sums of nats (mixed
precision: Micikevicius et al. 2018; in bfloat16, which needs no scaling of the loss: Kalamkar et al. 2019).
"""

from copy import copy

import torch
from torch import Tensor, nn

from aevb.models.hierarchy import LatentLayer
from aevb.models.vae import VAE


class InBfloat16(nn.Module):
    """A network whose products are computed in bfloat16; its inputs and outputs keep their types.

    Args:
        network: wrapped; it keeps its weights.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        # Casts of weights are not cached: a network runs once in a step, and a captured step needs casts of its own.
        with torch.autocast(inputs[0].device.type, torch.bfloat16, cache_enabled=False):
            output: Tensor = self.network(*inputs)
        return output.to(inputs[0].dtype)


def in_bfloat16(model: VAE) -> VAE:
    """Return the model with encoder and decoder in bfloat16, of the same weights in the same order."""
    reduced = copy(model)
    reduced._modules = dict(model._modules)  # the copy shares it with the model
    reduced.encoder, reduced.decoder = InBfloat16(model.encoder), InBfloat16(model.decoder)
    lower_layers = [
        LatentLayer(InBfloat16(layer.up), InBfloat16(layer.down), layer.conditional, layer.posterior)
        for layer in model.lower_layers
    ]
    reduced._modules["lower_layers"] = nn.ModuleList(lower_layers)
    return reduced
