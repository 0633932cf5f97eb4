"""Hidden layers compute their formulas."""

from typing import get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from aevb.models.networks.layers import ACTIVATIONS, Block, Norm, conv_layer, dense_layer
from aevb.models.options import Activation


def layer_of(
    block: Block, norm: Norm = "none", ins: int = 3, outs: int = 4, activation: Activation = "silu"
) -> nn.Module:
    torch.manual_seed(0)
    layer = nn.Sequential(*dense_layer(ins, outs, activation, block, norm)).double()
    for parameter in layer.parameters():  # so that scales and offsets of a normalization have an effect
        parameter.data.normal_()
    return layer


def h() -> Tensor:
    return torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def normalized(values: Tensor, norm: Norm, scale: Tensor, offset: Tensor) -> Tensor:
    """Return values of mean 0 and variance 1 over the features or over the batch, times a scale, plus an offset."""
    dim = 1 if norm == "layer" else 0
    centered = values - values.mean(dim, keepdim=True)
    return centered / (centered.square().mean(dim, keepdim=True) + 1e-5).sqrt() * scale + offset


@pytest.mark.parametrize("activation", sorted(set(get_args(Activation)) - {"glu"}))
def test_plain(activation: Activation) -> None:
    weight, bias = (layer := layer_of("plain", activation=activation)).parameters()
    torch.testing.assert_close(layer(h()), ACTIVATIONS[activation]()(h() @ weight.T + bias))


def test_gated() -> None:
    weight, bias = (layer := layer_of("plain", activation="glu")).parameters()
    linear, gate = (h() @ weight.T + bias).split(4, 1)
    torch.testing.assert_close(layer(h()), linear / (1 + (-gate).exp()))


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_normalization_is_before_the_activation(norm: Norm) -> None:
    weight, bias, scale, offset = (layer := layer_of("plain", norm)).parameters()
    expected = functional.silu(normalized(h() @ weight.T + bias, norm, scale, offset))
    torch.testing.assert_close(layer(h()), expected)


@pytest.mark.parametrize("ins", [3, 4])
def test_residual(ins: int) -> None:
    layer = layer_of("residual", ins=ins)
    x = torch.cat([h(), h()], 1)[:, :ins]
    *shortcut, w, w_bias, v, v_bias = layer.parameters()
    kept = x @ shortcut[0].T + shortcut[1] if shortcut else x
    assert bool(shortcut) == (ins != 4)
    torch.testing.assert_close(layer(x), kept + functional.silu(x @ w.T + w_bias) @ v.T + v_bias)


@pytest.mark.parametrize("activation", ["silu", "glu"])
@pytest.mark.parametrize("norm", get_args(Norm))
@pytest.mark.parametrize("block", get_args(Block))
def test_layers_of_images_are_those_of_rows_at_one_pixel(block: Block, norm: Norm, activation: Activation) -> None:
    """With kernels of one pixel, a convolution of 1 x 1 images is an affine map of their channels."""
    dense = layer_of(block, norm, activation=activation)
    conv = nn.Sequential(*conv_layer(3, 4, activation, block, norm, lambda ins, outs: nn.Conv2d(ins, outs, 1))).double()
    for ours, theirs in zip(conv.parameters(), dense.parameters(), strict=True):
        ours.data.zero_()
        center = ours if ours.dim() < 4 else ours[:, :, ours.shape[2] // 2, ours.shape[3] // 2]
        center.data.copy_(theirs)
    torch.testing.assert_close(conv(h()[:, :, None, None])[:, :, 0, 0], dense(h()))
