"""Convolutional networks."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from aevb.errors import BadInput, option
from aevb.models.networks.base import ACTIVATIONS, ConditionalEncoder, Network
from aevb.models.options import DataFacts, PieceOptions, Widths
from aevb.models.registry import register
from aevb.models.shapes import size

if TYPE_CHECKING:
    from typing_extensions import Self


class ConvOptions(PieceOptions):
    """The channels of the convolutions."""

    channels: Annotated[Widths, Field(min_length=1)] | None = Field(
        None, description="Channels of the encoder's convolutions, each halving the image. Default: 32 64 32."
    )

    def resolve(self, data: DataFacts) -> "Self":
        if data.kind == "columns":
            raise BadInput(f"{option('model.network', 'conv')} has no meaning for the rows of a table: leave it out")
        return self if self.channels is not None else self.model_copy(update={"channels": (32, 64, 32)})


@register.network("conv")
class Conv(Network):
    """Convolutions of stride 2 with batch normalization, for images.

    Args:
        activation: a name in `ACTIVATIONS`.
        channels: the channels of the encoder's convolutions; the decoder mirrors them.
    """

    Options = ConvOptions

    def __init__(self, activation: str, channels: Sequence[int]) -> None:
        super().__init__(activation)
        self.channels = channels

    def encoder(self, event: tuple[int, ...], context: int = 0) -> tuple[nn.Module, int]:
        return conv_encoder(event, self.channels, self.activation, context)

    def decoder(self, latent: int, output: tuple[int, ...]) -> nn.Module:
        return conv_decoder(latent, self.channels, output, self.activation)


class ChannelsLast(nn.Module):
    """Lays images out in memory with the channels of a pixel side by side, which makes convolutions faster.

    The layers after it keep the layout. It comes after the first convolution, because the layout of an image with one
    channel is ambiguous. It converts the images and not the weights, so that stored weights keep the default layout.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.contiguous(memory_format=torch.channels_last)


def conv_encoder(
    event: tuple[int, ...], channels: Sequence[int], activation: str, context: int = 0
) -> tuple[nn.Module, int]:
    """Return 3 x 3 convolutions, each halving height and width, with batch normalization and the activation.

    Args:
        event: the shape of one example.
        channels: the channels of each convolution.
        activation: a name in `ACTIVATIONS`.
        context: C, the width of the context of a conditional model, which is appended to the features.

    Returns:
        The network, ``(B, C, H, W)``, and the context of a conditional model, to ``(B, F)``; and F.

    Raises:
        BadInput: the event is not an image.
    """
    (image_channels, _, _), sizes = event, _halvings(event, len(channels))
    layers: list[nn.Module] = []
    for ins, outs in pairwise([image_channels, *channels]):
        layers += [nn.Conv2d(ins, outs, 3, stride=2, padding=1), nn.BatchNorm2d(outs), ACTIVATIONS[activation]()]
    layers.insert(1, ChannelsLast())
    network, features = nn.Sequential(*layers, nn.Flatten()), channels[-1] * size(sizes[-1])
    return (ConditionalEncoder(network, nn.Identity()), features + context) if context else (network, features)


def conv_decoder(latent: int, channels: Sequence[int], output: tuple[int, ...], activation: str) -> nn.Module:
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
        layers += [
            nn.ConvTranspose2d(ins, outs, 3, stride=2, padding=1, output_padding=odd),
            nn.BatchNorm2d(outs),
            ACTIVATIONS[activation](),
        ]
    return nn.Sequential(*layers, nn.Conv2d(channels[0], output[0], 3, padding=1))


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
