"""Hidden layers: how a layer with weights W, V and P maps its input h to its output.

    plain       a(N(W h))                  a the activation, N the normalization
    residual    P h + V a(N(W h))          P is the identity where input and output have the same shape (He et al. 2016)

The activation glu is a gated linear unit, u ⊙ σ(v) with [u, v] = N(W h) and σ the logistic function: W has twice
as many rows (Dauphin et al. 2017; in VAEs, Tomczak & Welling 2018). All maps have biases, which are left out above.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor, nn

from aevb.models.options import Activation

ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "leaky-relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "glu": lambda: nn.GLU(1),
}
"""Makes the activation of a name, over ``(B, F)`` or ``(B, C, H, W)``; glu halves F or C."""
Block = Literal["plain", "residual"]
BLOCK = "Hidden layers: plain; or residual, a layer and a linear map of its output are added to the input."
"""The help text of the option."""
Norm = Literal["none", "layer", "batch"]
NORM = "Normalization in hidden layers, before the activation: none, layer or batch."
"""The help text of the option."""
Map = Callable[[int, int], nn.Module]
"""Makes an affine map from so many features, or channels, to so many."""
Maker = Callable[[int], nn.Module]
"""Makes a normalization of so many features, or channels."""
DENSE_NORMS: dict[Norm, Maker] = {"layer": nn.LayerNorm, "batch": nn.BatchNorm1d}
CONV_NORMS: dict[Norm, Maker] = {"layer": partial(nn.GroupNorm, 1), "batch": nn.BatchNorm2d}


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
    hidden = _hidden(nn.Linear, ins, outs, activation, DENSE_NORMS.get(norm))
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
    hidden = _hidden(resize, ins, outs, activation, CONV_NORMS.get(norm))
    if block == "plain":
        return hidden
    return [Residual(resize(ins, outs), nn.Sequential(*hidden, nn.Conv2d(outs, outs, 3, padding=1)))]


def _hidden(affine: Map, ins: int, outs: int, activation: Activation, normalization: Maker | None) -> list[nn.Module]:
    """Return an affine map, the normalization if there is one, and the activation."""
    width = 2 * outs if activation == "glu" else outs
    normalized = [normalization(width)] if normalization else []
    return [affine(ins, width), *normalized, ACTIVATIONS[activation]()]
