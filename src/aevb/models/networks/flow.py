"""Invertible networks."""

from collections.abc import Sequence

import torch
from torch import nn

from aevb.errors import BadInput


def coupling(latent: int, context: int = 0, layers: int = 3, hidden: Sequence[int] = (64, 64)) -> nn.Module:
    """Return affine coupling layers, which are fast in both directions and transform the two halves in turn.

    Args:
        latent: Z.
        context: the width of the layers' second input; 0 for none.
        layers: the number of layers.
        hidden: the widths of each layer's network.

    Returns:
        A module from the context ``(B, context)``, or nothing, to a transformation of ``(..., Z)`` with its inverse and
        the logarithm of its Jacobian's determinant.

    Raises:
        BadInput: zuko, the extra `flows`, is not installed.
    """
    if torch.get_default_device().type == "meta":  # zuko needs memory: its masks stand for the whole
        return _Masks(latent)
    try:
        from zuko.flows import MAF
    except ImportError as error:
        raise BadInput("a flow needs zuko: pip install 'aevb[flows]'") from error
    transform: nn.Module = MAF(latent, context, transforms=layers, passes=2, hidden_features=hidden).transform
    return transform


class _Masks(nn.Module):
    """A stand-in for coupling layers in estimates of memory."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.register_buffer("mask", torch.zeros(latent, latent, dtype=torch.uint8))
