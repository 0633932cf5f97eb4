"""Convolutional networks."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from aevb.errors import BadInput, option
from aevb.models.networks.base import ConditionalEncoder, Network
from aevb.models.networks.layers import BLOCK, NORM, Block, Norm, conv_layer
from aevb.models.options import Activation, DataFacts, PieceOptions, Widths
from aevb.models.registry import register
from aevb.models.shapes import size

if TYPE_CHECKING:
    from typing_extensions import Self


class ConvOptions(PieceOptions):
    """The convolutions."""

    channels: Annotated[Widths, Field(min_length=1)] | None = Field(
        None, description="Channels of the encoder's convolutions, each halving the image. Default: 32 64 32."
    )
    block: Block = Field("plain", description=BLOCK)
    norm: Norm = Field("batch", description=NORM)

    def resolve(self, data: DataFacts) -> "Self":
        if data.kind == "columns":
            raise BadInput(f"{option('model.network', 'conv')} has no meaning for the rows of a table: leave it out")
        return self if self.channels is not None else self.model_copy(update={"channels": (32, 64, 32)})


@register.network("conv")
class Conv(Network):
    """Convolutions of stride 2, for images.

    Args:
        activation: a name in `aevb.models.networks.ACTIVATIONS`.
        channels: the channels of the encoder's convolutions; the decoder mirrors them.
        block, norm: of the hidden layers (`aevb.models.networks.layers`).
    """

    Options = ConvOptions

    def __init__(
        self, activation: Activation, channels: Sequence[int], block: Block = "plain", norm: Norm = "batch"
    ) -> None:
        super().__init__(activation)
        self.channels, self.block, self.norm = channels, block, norm

    def encoder(self, event: tuple[int, ...], context: int = 0) -> tuple[nn.Module, int]:
        return conv_encoder(event, self.channels, self.activation, context, block=self.block, norm=self.norm)

    def decoder(self, latent: int, output: tuple[int, ...]) -> nn.Module:
        return conv_decoder(latent, self.channels, output, self.activation, block=self.block, norm=self.norm)


class ChannelsLast(nn.Module):
    """Lays images out in memory with the channels of a pixel side by side, which makes convolutions faster.

    The layers after it keep the layout. It comes after the first convolution, because the layout of an image with one
    channel is ambiguous. It converts the images and not the weights, so that stored weights keep the default layout.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.contiguous(memory_format=torch.channels_last)


def conv_encoder(
    event: tuple[int, ...],
    channels: Sequence[int],
    activation: Activation,
    context: int = 0,
    *,
    block: Block = "plain",
    norm: Norm = "batch",
) -> tuple[nn.Module, int]:
    """Return 3 x 3 convolutions, each halving height and width.

    Args:
        event: the shape of one example.
        channels: the channels of each convolution.
        activation: a name in `aevb.models.networks.ACTIVATIONS`.
        context: C, the width of the context of a conditional model, which is appended to the features.
        block, norm: of the layers (`aevb.models.networks.layers`).

    Returns:
        The network, ``(B, C, H, W)``, and the context of a conditional model, to ``(B, F)``; and F.

    Raises:
        BadInput: the event is not an image.
    """
    (image_channels, _, _), sizes = event, _halvings(event, len(channels))
    layers: list[nn.Module] = []
    for ins, outs in pairwise([image_channels, *channels]):
        layers += conv_layer(ins, outs, activation, block, norm, _halve)
    layers.insert(1, ChannelsLast())
    network, features = nn.Sequential(*layers, nn.Flatten()), channels[-1] * size(sizes[-1])
    return (ConditionalEncoder(network, nn.Identity()), features + context) if context else (network, features)


def conv_decoder(
    latent: int,
    channels: Sequence[int],
    output: tuple[int, ...],
    activation: Activation,
    *,
    block: Block = "plain",
    norm: Norm = "batch",
) -> nn.Module:
    """Return the mirror of `conv_encoder`, ``(B, Z)`` to ``(B, C, H, W)``.

    It is a linear layer, transposed convolutions that double height and width, and one last convolution.

    Raises:
        BadInput: the output is not an image.
    """
    sizes = _halvings(output, len(channels))[::-1]
    start = (channels[-1], *sizes[0])
    layers: list[nn.Module] = [nn.Linear(latent, size(start)), nn.Unflatten(1, start), ChannelsLast()]
    widths = [*reversed(channels), channels[0]]
    for (ins, outs), (small, large) in zip(pairwise(widths), pairwise(sizes), strict=True):
        odd = (large[0] - 2 * small[0] + 1, large[1] - 2 * small[1] + 1)
        layers += conv_layer(ins, outs, activation, block, norm, partial(_double, odd=odd))
    return nn.Sequential(*layers, nn.Conv2d(channels[0], output[0], 3, padding=1))


def _halve(ins: int, outs: int) -> nn.Module:
    return nn.Conv2d(ins, outs, 3, stride=2, padding=1)


def _double(ins: int, outs: int, odd: tuple[int, int]) -> nn.Module:
    return nn.ConvTranspose2d(ins, outs, 3, stride=2, padding=1, output_padding=odd)


def _halvings(image: tuple[int, ...], times: int) -> list[tuple[int, int]]:
    """Return the heights and widths of an image before and after each convolution of stride 2."""
    if len(image) != 3:
        raise BadInput(
            f"a convolutional network needs images (C, H, W), not rows of {size(image)}: use"
            f" {option('model.network', 'mlp')}"
        )
    sizes = [(image[1], image[2])]
    for _ in range(times):
        height, width = sizes[-1]
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    return sizes
