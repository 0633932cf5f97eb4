"""Initial weights of networks."""

from typing import Literal

import torch
from torch import Tensor, nn


def initialize_output(decoder: nn.Module, output: Tensor) -> None:
    """Set the bias of a decoder's last layer to an output, and shrink the weights of this layer to a tenth.

    A convolution has one bias for each channel, which is set to the mean of its pixels. A decoder that does not end in
    a linear or convolutional layer with such a bias is left unchanged.

    Args:
        decoder: ``(B, Z)`` to ``(B, *output)``.
        output: ``(*output)``.
    """
    layers = [layer for layer in decoder.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    for last in layers[-1:]:
        bias = output.flatten() if isinstance(last, nn.Linear) else output.flatten(1).mean(1)
        if last.bias is not None and last.bias.shape == bias.shape:
            last.bias.data.copy_(bias)
            last.weight.data.mul_(0.1)


@torch.no_grad()
def initialize_weights(network: nn.Module, scheme: Literal["lecun", "small"]) -> None:
    """Sample the weights and biases of all linear and convolutional layers.

    Args:
        network: any module.
        scheme: "lecun" is U(±√(3 / fan-in)) for weights and U(±√3) for biases, as MatConvNet users write it; "small" is
            N(0, 0.01²) for both, as in Kingma & Welling 2013.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd):
            biases = [layer.bias] if layer.bias is not None else []
            for tensor in (layer.weight, *biases):
                bound = (3 * len(layer.weight) / layer.weight.numel() if tensor is layer.weight else 3) ** 0.5
                tensor.normal_(0, 0.01) if scheme == "small" else tensor.uniform_(-bound, bound)
