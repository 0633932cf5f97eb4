"""Fully connected networks."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from pydantic import Field
from torch import nn

from aevb.models.networks.base import ACTIVATIONS, ConditionalEncoder, Network
from aevb.models.options import DataFacts, PieceOptions, Widths
from aevb.models.registry import register
from aevb.models.shapes import size

if TYPE_CHECKING:
    from typing_extensions import Self


class MLPOptions(PieceOptions):
    """The widths of the hidden layers."""

    hidden: Widths | None = Field(
        None, description="Widths of the encoder's layers, or none; the decoder mirrors them. Default: 256 256."
    )

    def resolve(self, data: DataFacts) -> "Self":
        return self if self.hidden is not None else self.model_copy(update={"hidden": (256, 256)})


@register.network("mlp")
class MLP(Network):
    """Fully connected layers.

    Args:
        activation: a name in `ACTIVATIONS`.
        hidden: the widths of the encoder's layers; the decoder mirrors them.
    """

    Options = MLPOptions

    def __init__(self, activation: str, hidden: Sequence[int]) -> None:
        super().__init__(activation)
        self.hidden = hidden

    def encoder(self, event: tuple[int, ...], context: int = 0) -> tuple[nn.Module, int]:
        return mlp_encoder(event, self.hidden, self.activation, context)

    def decoder(self, latent: int, output: tuple[int, ...]) -> nn.Module:
        return mlp_decoder(latent, self.hidden, output, self.activation)


def mlp_encoder(
    event: tuple[int, ...], hidden: Sequence[int], activation: str, context: int = 0
) -> tuple[nn.Module, int]:
    """Return fully connected layers of the widths `hidden`, each followed by the activation.

    Args:
        event: the shape of one example.
        hidden: the widths.
        activation: a name in `ACTIVATIONS`.
        context: C, the width of the context of a conditional model; 0 for an unconditional one.

    Returns:
        The network, ``(B, *event)``, and ``(B, C)`` of a conditional model, to ``(B, F)``; and F. Without hidden layers
        F is the size of the input.
    """
    widths = [size(event) + context, *hidden]
    if context:
        return ConditionalEncoder(nn.Flatten(), nn.Sequential(*_dense(widths, activation))), widths[-1]
    return nn.Sequential(nn.Flatten(), *_dense(widths, activation)), widths[-1]


def mlp_decoder(latent: int, hidden: Sequence[int], output: tuple[int, ...], activation: str) -> nn.Module:
    """Return the mirror of `mlp_encoder` with a linear last layer: ``(B, Z)`` to ``(B, *output)``."""
    widths = [latent, *reversed(hidden)]
    return nn.Sequential(*_dense(widths, activation), nn.Linear(widths[-1], size(output)), nn.Unflatten(1, output))


def _dense(widths: Sequence[int], activation: str) -> Iterator[nn.Module]:
    for ins, outs in pairwise(widths):
        yield nn.Linear(ins, outs)
        yield ACTIVATIONS[activation]()
