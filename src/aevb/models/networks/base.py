"""The base class of networks, and encoders with a condition."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from aevb.models.options import Activation, PieceOptions


class Network(ABC):
    """An architecture of encoder and decoder.

    Its options arrive as keyword arguments of the constructor, after the activation.

    Args:
        activation: a name in `aevb.models.networks.ACTIVATIONS`.

    Attributes:
        Options: the options.
    """

    Options: ClassVar[type[PieceOptions]] = PieceOptions

    def __init__(self, activation: Activation) -> None:
        self.activation = activation

    @abstractmethod
    def encoder(self, event: tuple[int, ...], context: int = 0) -> tuple[nn.Module, int]:
        """Return an encoder.

        Args:
            event: the shape of one example.
            context: C, the width of the context of a conditional model; 0 for an unconditional one.

        Returns:
            A module from ``(B, *event)``, and ``(B, C)`` of a conditional model, to ``(B, F)``; and F.

        Raises:
            BadInput: the network does not fit the shape.
        """

    @abstractmethod
    def decoder(self, latent: int, output: tuple[int, ...]) -> nn.Module:
        """Return a decoder.

        Args:
            latent: Z, with the width of the context of a conditional model.
            output: the shape of its output for one example.

        Returns:
            A module from ``(N, Z)`` to ``(N, *output)``.

        Raises:
            BadInput: the network does not fit the shape.
        """


class ConditionalEncoder(nn.Module):
    """An encoder of a conditional model: ``(B, *event)`` and ``(B, C)`` to ``(B, F)``.

    Args:
        before: applied to the example alone, to ``(B, E)``.
        after: applied to both side by side, ``(B, E + C)`` to ``(B, F)``.
    """

    def __init__(self, before: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.before, self.after = before, after

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        return torch.as_tensor(self.after(torch.cat([self.before(x), context], 1)))
