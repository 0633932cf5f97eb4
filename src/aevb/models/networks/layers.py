"""Hidden layers: how a layer with weights W, V and P maps its input h to its output.

    plain       a(N(W h))                  a the activation, N the normalization
    gated       W h ⊙ σ(V h)               σ the logistic function; with a normalization N(W h) ⊙ σ(N(V h))
    residual    P h + V a(N(W h))          P is the identity where input and output have the same shape

Gated layers are those of van den Oord et al. 2016, Dauphin et al. 2017 and, in VAEs, Tomczak & Welling 2018; they have
no other activation. Residual layers are those of He et al. 2016. All maps have biases, which are left out above.
"""

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from aevb.models.options import Activation

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "leaky-relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}
Block = Literal["plain", "gated", "residual"]
BLOCKS = (
    "Hidden layers: plain, an affine map and the activation; gated, an affine map times a gate between 0 and 1, without"
    " another activation; or residual, added to their input."
)
"""The help text of the option."""
Norm = Literal["none", "layer", "batch"]
Map = Callable[[int, int], nn.Module]
"""Makes an affine map from so many features, or channels, to so many."""


class Residual(nn.Module):
    """The sum of a shortcut and a branch.

    Args:
        shortcut, branch: applied to the input; their outputs have the same shape.
    """

    def __init__(self, shortcut: nn.Module, branch: nn.Module) -> None:
        super().__init__()
        self.shortcut, self.branch = shortcut, branch

    def forward(self, h: Tensor) -> Tensor:
        total: Tensor = self.shortcut(h) + self.branch(h)
        return total


def dense_layer(ins: int, outs: int, activation: Activation, block: Block, norm: Norm) -> list[nn.Module]:
    """Return the modules of a fully connected layer, ``(B, ins)`` to ``(B, outs)``."""
    if block == "gated":
        return [nn.Linear(ins, 2 * outs), *_dense_norm(norm, 2 * outs), nn.GLU(1)]
    hidden = [nn.Linear(ins, outs), *_dense_norm(norm, outs), ACTIVATIONS[activation]()]
    if block == "plain":
        return hidden
    shortcut = nn.Identity() if ins == outs else nn.Linear(ins, outs)
    return [Residual(shortcut, nn.Sequential(*hidden, nn.Linear(outs, outs)))]


def conv_layer(ins: int, outs: int, activation: Activation, block: Block, norm: Norm, resize: Map) -> list[nn.Module]:
    """Return the modules of a convolutional layer, ``(B, ins, H, W)`` to ``(B, outs, H', W')``.

    Args:
        ins, outs: the numbers of channels.
        activation: a name in `ACTIVATIONS`.
        block: the kind of layer.
        norm: the normalization.
        resize: makes a convolution from (H, W) to (H', W').
    """
    if block == "gated":
        return [resize(ins, 2 * outs), *_conv_norm(norm, 2 * outs), nn.GLU(1)]
    hidden = [resize(ins, outs), *_conv_norm(norm, outs), ACTIVATIONS[activation]()]
    if block == "plain":
        return hidden
    return [Residual(resize(ins, outs), nn.Sequential(*hidden, nn.Conv2d(outs, outs, 3, padding=1)))]


def _dense_norm(norm: Norm, width: int) -> list[nn.Module]:
    if norm == "none":
        return []
    return [nn.LayerNorm(width) if norm == "layer" else nn.BatchNorm1d(width)]


def _conv_norm(norm: Norm, channels: int) -> list[nn.Module]:
    if norm == "none":
        return []
    return [nn.GroupNorm(1, channels) if norm == "layer" else nn.BatchNorm2d(channels)]
