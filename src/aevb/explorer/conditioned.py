"""A conditional model under one condition, as an unconditional model."""

import torch
from torch import Tensor, nn

from aevb.errors import BadInput
from aevb.models.vae import VAE


class _Encoder(nn.Module):
    """The encoder of a conditional model with a fixed context ``(1, C)``: maps ``(B, *event)`` to ``(B, F)``."""

    def __init__(self, encoder: nn.Module, context: Tensor) -> None:
        super().__init__()
        self.encoder, self.context = encoder, nn.Buffer(context)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.encoder(x, self.context.expand(x.shape[0], -1)))


class _Decoder(nn.Module):
    """The decoder of a conditional model with a fixed context ``(1, C)``: maps ``(N, Z)`` to ``(N, *output)``."""

    def __init__(self, decoder: nn.Module, context: Tensor) -> None:
        super().__init__()
        self.decoder, self.context = decoder, nn.Buffer(context)

    def forward(self, z: Tensor) -> Tensor:
        return torch.as_tensor(self.decoder(torch.cat([z, self.context.expand(z.shape[0], -1)], -1)))


def under_condition(model: VAE, condition: Tensor) -> VAE:
    """Return the unconditional model p(x | c) for one condition ``(1, G)``; it shares all weights with the model.

    Raises:
        BadInput: the model is unconditional.
    """
    with torch.no_grad():
        context = model.context(condition)
    if context is None:
        raise BadInput("this model is unconditional: do not pass a condition")
    encoder, decoder = _Encoder(model.encoder, context), _Decoder(model.decoder, context)
    pieces = (encoder, model.posterior, model.prior, decoder, model.likelihood, model.lower_layers)
    return VAE(*pieces, inputs=model.inputs, skip=model.skip).eval()
