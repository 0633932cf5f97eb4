"""Fully connected networks."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from pydantic import Field
from torch import nn

from aevb.models.networks.base import ConditionalEncoder, Network
from aevb.models.networks.layers import BLOCK, NORM, Block, Norm, dense_layer
from aevb.models.options import Activation, DataFacts, PieceOptions, Widths
from aevb.models.registry import register
from aevb.models.shapes import size

if TYPE_CHECKING:
    from typing_extensions import Self


class MLPOptions(PieceOptions):
    """The hidden layers."""

    hidden: Widths | None = Field(
        None, description="Widths of the encoder's layers, or none; the decoder mirrors them. Default: 256 256."
    )
    block: Block = Field("plain", description=BLOCK)
    norm: Norm = Field("none", description=NORM)

    def resolve(self, data: DataFacts) -> "Self":
        return self if self.hidden is not None else self.model_copy(update={"hidden": (256, 256)})


@register.network("mlp")
class MLP(Network):
    """Fully connected layers.

    Args:
        activation: a name in `aevb.models.networks.ACTIVATIONS`.
        hidden: the widths of the encoder's layers; the decoder mirrors them.
        block, norm: of the hidden layers (`aevb.models.networks.layers`).
    """

    Options = MLPOptions

    def __init__(
        self, activation: Activation, hidden: Sequence[int], block: Block = "plain", norm: Norm = "none"
    ) -> None:
        super().__init__(activation)
        self.hidden, self.block, self.norm = hidden, block, norm

    def encoder(self, event: tuple[int, ...], context: int = 0) -> tuple[nn.Module, int]:
        return mlp_encoder(event, self.hidden, self.activation, context, block=self.block, norm=self.norm)

    def decoder(self, latent: int, output: tuple[int, ...]) -> nn.Module:
        return mlp_decoder(latent, self.hidden, output, self.activation, block=self.block, norm=self.norm)


def mlp_encoder(
    event: tuple[int, ...],
    hidden: Sequence[int],
    activation: Activation,
    context: int = 0,
    *,
    block: Block = "plain",
    norm: Norm = "none",
) -> tuple[nn.Module, int]:
    """Return fully connected layers of the widths `hidden`.

    Args:
        event: the shape of one example.
        hidden: the widths.
        activation: a name in `aevb.models.networks.ACTIVATIONS`.
        context: C, the width of the context of a conditional model; 0 for an unconditional one.
        block, norm: of the layers (`aevb.models.networks.layers`).

    Returns:
        The network, ``(B, *event)``, and ``(B, C)`` of a conditional model, to ``(B, F)``; and F. Without hidden layers
        F is the size of the input.
    """
    widths = [size(event) + context, *hidden]
    layers = _layers(widths, activation, block, norm)
    if context:
        return ConditionalEncoder(nn.Flatten(), nn.Sequential(*layers)), widths[-1]
    return nn.Sequential(nn.Flatten(), *layers), widths[-1]


def mlp_decoder(
    latent: int,
    hidden: Sequence[int],
    output: tuple[int, ...],
    activation: Activation,
    *,
    block: Block = "plain",
    norm: Norm = "none",
) -> nn.Module:
    """Return the mirror of `mlp_encoder` with a linear last layer: ``(B, Z)`` to ``(B, *output)``."""
    widths = [latent, *reversed(hidden)]
    layers = _layers(widths, activation, block, norm)
    return nn.Sequential(*layers, nn.Linear(widths[-1], size(output)), nn.Unflatten(1, output))


def _layers(widths: Sequence[int], activation: Activation, block: Block, norm: Norm) -> list[nn.Module]:
    return [layer for ins, outs in pairwise(widths) for layer in dense_layer(ins, outs, activation, block, norm)]
