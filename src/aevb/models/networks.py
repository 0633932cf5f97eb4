"""Networks: tensors to tensors, with no word of probability.

An encoder maps examples ``(B, *event)`` to features ``(B, F)``; a posterior makes a distribution of them. A decoder
maps latent points ``(B, Z)`` to ``(B, *output)``; a likelihood makes a distribution of that. Any `nn.Module` that does
the same can take their place.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from aevb.columns import Column, of_kind
from aevb.columns import widths as widths_of
from aevb.errors import BadInput
from aevb.models.shapes import size

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU}


class Standardize(nn.Module):
    """(x - shift) / spread for each element of an event: what a network sees of data in units of their own.

    It starts as the identity; `start` takes mean and deviation from examples.
    """

    shift: Tensor
    spread: Tensor
    output: tuple[int, ...]
    """The shape of what it gives for an example."""

    def __init__(self, event: tuple[int, ...]) -> None:
        super().__init__()
        self.output = event
        self.register_buffer("shift", torch.zeros(event))
        self.register_buffer("spread", torch.ones(event))

    def initialize(self, x: Tensor) -> None:
        """Take the mean and the deviation of examples ``(B, *event)``, missing values (NaN) left out; where all agree,
        the deviation is 1."""
        self.shift.copy_(x.nanmean(0).nan_to_num())
        deviation = (x - self.shift).square().nanmean(0).sqrt()
        self.spread.copy_(torch.where(deviation > 0, deviation, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.shift) / self.spread

    def inverse(self, y: Tensor) -> Tensor:
        """shift + spread y."""
        return self.shift + self.spread * y


class Embedding(Standardize):
    """What a network sees of the rows of a table: numbers in units of their own, positive ones and counts by their
    logarithm; an indicator of each value of the others; and which values are there. What is missing is 0 otherwise.

    Args:
        columns: of the table.
    """

    codes: Tensor

    def __init__(self, columns: Sequence[Column]) -> None:
        self.split = widths_of(columns)
        super().__init__((sum(self.split[:3]),))
        levels = [len(column.values) for column in of_kind(columns, "binary", "categorical")]
        self.repeats = levels
        self.register_buffer("codes", torch.cat([torch.arange(float(n)) for n in levels] or [torch.zeros(0)]))
        self.output = (sum(self.split[:3]) + sum(levels) + sum(self.split),)

    def initialize(self, x: Tensor) -> None:
        """Take the units from examples ``(B, D)``."""
        super().initialize(self._numbers(x))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, D)`` to ``(B, *output)``."""
        numbers = super().forward(self._numbers(x))
        coded = x[:, sum(self.split[:3]) :]
        repeated = [coded[:, j : j + 1].expand(-1, count) for j, count in enumerate(self.repeats)]
        levels = (torch.cat(repeated, 1) == self.codes).to(x.dtype) if repeated else x[:, :0]
        return torch.cat([torch.where(numbers.isnan(), 0.0, numbers), levels, (~x.isnan()).to(x.dtype)], 1)

    def _numbers(self, x: Tensor) -> Tensor:
        real, positive, count, *_ = x.split(self.split, 1)
        return torch.cat([real, positive.log(), count.log1p()], 1)


class ChannelsLast(nn.Module):
    """The same images, laid out in memory with the channels of a pixel side by side, as fast convolutions want them.

    What follows keeps the layout. It comes after the first convolution, because a grey image has but one channel, which
    says nothing of an order; and it is the images and not the weights, so that these are stored as ever.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.contiguous(memory_format=torch.channels_last)


class Joined(nn.Module):
    """An encoder that sees a condition as well: ``(B, *event)`` and ``(B, C)`` to ``(B, F)``.

    Args:
        before: what the example passes through first, to ``(B, E)``.
        after: what both pass through side by side, ``(B, E + C)`` to ``(B, F)``.
    """

    def __init__(self, before: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.before, self.after = before, after

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        return torch.as_tensor(self.after(torch.cat([self.before(x), known], 1)))


def preceded(first: nn.Module, encoder: nn.Module) -> nn.Module:
    """An encoder whose examples pass through something else before."""
    if isinstance(encoder, Joined):
        return Joined(nn.Sequential(first, encoder.before), encoder.after)
    return nn.Sequential(first, encoder)


def mlp_encoder(
    event: tuple[int, ...], hidden: Sequence[int], activation: str, known: int = 0
) -> tuple[nn.Module, int]:
    """Fully connected layers of the widths `hidden`, each followed by the activation.

    Args:
        event: the shape of an example.
        hidden: widths.
        activation: by its name.
        known: C, numbers of a condition that the network sees beside the example; 0: there is none.

    Returns:
        The network, ``(B, *event)``, and ``(B, C)`` of a condition, to ``(B, F)``, and F; with no hidden layer F is the
        size of what it sees.
    """
    widths = [size(event) + known, *hidden]
    if known:
        return Joined(nn.Flatten(), nn.Sequential(*_dense(widths, activation))), widths[-1]
    return nn.Sequential(nn.Flatten(), *_dense(widths, activation)), widths[-1]


def mlp_decoder(latent: int, hidden: Sequence[int], output: tuple[int, ...], activation: str) -> nn.Module:
    """The mirror of `mlp_encoder`, with a linear layer at the end: ``(B, Z)`` to ``(B, *output)``."""
    widths = [latent, *reversed(hidden)]
    return nn.Sequential(*_dense(widths, activation), nn.Linear(widths[-1], size(output)), nn.Unflatten(1, output))


def conv_encoder(
    event: tuple[int, ...], channels: Sequence[int], activation: str, known: int = 0
) -> tuple[nn.Module, int]:
    """3 x 3 convolutions, each halving height and width, with batch normalisation and the activation.

    Args:
        event: the shape of an example.
        channels: of each convolution.
        activation: by its name.
        known: numbers of a condition, which are features as they are.

    Returns:
        The network, ``(B, C, H, W)``, and ``(B, known)`` of a condition, to ``(B, F)``, and F.

    Raises:
        BadInput: the event is not an image.
    """
    (image_channels, _, _), sizes = event, _halvings(event, len(channels))
    layers: list[nn.Module] = []
    for ins, outs in pairwise([image_channels, *channels]):
        layers += [nn.Conv2d(ins, outs, 3, stride=2, padding=1), nn.BatchNorm2d(outs), ACTIVATIONS[activation]()]
    layers.insert(1, ChannelsLast())
    network, features = nn.Sequential(*layers, nn.Flatten()), channels[-1] * size(sizes[-1])
    return (Joined(network, nn.Identity()), features + known) if known else (network, features)


def conv_decoder(latent: int, channels: Sequence[int], output: tuple[int, ...], activation: str) -> nn.Module:
    """The mirror of `conv_encoder`: a linear layer, transposed convolutions that double height and width, and one last
    convolution, ``(B, Z)`` to ``(B, C, H, W)``.

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


def coupling(latent: int, context: int = 0, layers: int = 3, hidden: Sequence[int] = (64, 64)) -> nn.Module:
    """An invertible network: affine coupling layers, whose halves take turns, fast both ways.

    Args:
        latent: Z.
        context: the width of what the layers also see.
        layers: how many.
        hidden: widths of each layer's network.

    Returns:
        A module from the context ``(B, context)``, or nothing, to a transformation of ``(..., Z)`` with its inverse and
        the logarithm of its Jacobian's determinant.

    Raises:
        BadInput: zuko, the extra `flows`, is not installed.
    """
    try:
        from zuko.flows import MAF
    except ImportError as error:
        raise BadInput("a flow needs zuko: pip install 'aevb[flows]'") from error
    transform: nn.Module = MAF(latent, context, transforms=layers, passes=2, hidden_features=hidden).transform
    return transform


def start_at(decoder: nn.Module, output: Tensor) -> None:
    """Let a decoder begin close to one output: by the bias of its last layer, whose weights shrink to a tenth.

    A convolution has one bias for each channel and begins around the mean of its pixels. A decoder that does not end in
    a linear or convolutional layer with such a bias is left as it is.

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
def draw_weights(network: nn.Module, scheme: Literal["lecun", "small"]) -> None:
    """Draw the weights and biases of all linear and convolutional layers.

    Args:
        network: any.
        scheme: "lecun" is U(±√(3 / fan-in)) for weights and U(±√3) for biases, as MatConvNet users write it; "small" is
            N(0, 0.01²) for both, as in Kingma & Welling 2013.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd):
            biases = [layer.bias] if layer.bias is not None else []
            for tensor in (layer.weight, *biases):
                bound = (3 * len(layer.weight) / layer.weight.numel() if tensor is layer.weight else 3) ** 0.5
                tensor.normal_(0, 0.01) if scheme == "small" else tensor.uniform_(-bound, bound)


def _dense(widths: Sequence[int], activation: str) -> Iterator[nn.Module]:
    for ins, outs in pairwise(widths):
        yield nn.Linear(ins, outs)
        yield ACTIVATIONS[activation]()


def _halvings(image: tuple[int, ...], times: int) -> list[tuple[int, int]]:
    """The heights and widths of an image before and after each convolution of stride 2."""
    if len(image) != 3:
        raise BadInput(
            f"a convolutional network needs images (C, H, W), not rows of {size(image)}: use --model.network mlp"
        )
    sizes = [(image[1], image[2])]
    for _ in range(times):
        height, width = sizes[-1]
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    return sizes
