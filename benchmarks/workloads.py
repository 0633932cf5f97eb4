"""Workloads: three sizes of VAE, as plain modules, because the environment of the other libraries has no `aevb`.

    W1    784-500-20 tanh, Bernoulli, batches of 128: dominated by matrix products
    W2    2-[128, 128]-2 ReLU, Gaussian, batches of 32: dominated by overhead
    W3    three convolutions with batch normalization, Gaussian, batches of 256

The data are random numbers: the time of a step does not depend on them.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Workload(NamedTuple):
    """A model and its training.

    Attributes:
        title: in words.
        event: shape of an example.
        hidden: widths of the dense layers; empty for a convolutional network.
        channels: of the convolutions.
        activation: name of it in `aevb`.
        latent: Z.
        bernoulli: whether values are 0 or 1; otherwise real, with a fixed variance.
        batch: examples in a step.
        examples: in an epoch.
        epochs: number of timed epochs.
    """

    title: str
    event: tuple[int, ...]
    hidden: tuple[int, ...]
    channels: tuple[int, ...]
    activation: str
    latent: int
    bernoulli: bool
    batch: int
    examples: int
    epochs: int

    def data(self, count: int | None = None) -> Tensor:
        """Examples ``(N, *event)``."""
        generator = torch.Generator().manual_seed(0)
        uniform = torch.rand(count or self.examples, *self.event, generator=generator)
        return (uniform < 0.13).float() if self.bernoulli else uniform

    def encoder(self) -> nn.Module:
        """Examples to μ and log σ², ``(B, 2 Z)``."""
        if self.channels:
            layers = [nn.Flatten(), nn.Linear(self._start[0] * self._start[1] ** 2, 2 * self.latent)]
            return nn.Sequential(*self._convolutions(), *layers)
        widths = [self._size, *self.hidden]
        return nn.Sequential(nn.Flatten(), *self._dense(widths), nn.Linear(widths[-1], 2 * self.latent))

    def decoder(self) -> nn.Module:
        """z ``(B, Z)`` to the parameters of p(x|z), ``(B, *event)``."""
        if self.channels:
            start = (self._start[0], self._start[1], self._start[1])
            first = [nn.Linear(self.latent, start[0] * start[1] ** 2), nn.Unflatten(1, start)]
            return nn.Sequential(*first, *self._transposed(), nn.Conv2d(self.channels[0], 1, 3, padding=1))
        widths = [self.latent, *reversed(self.hidden)]
        return nn.Sequential(*self._dense(widths), nn.Linear(widths[-1], self._size), nn.Unflatten(1, self.event))

    @property
    def _size(self) -> int:
        return torch.Size(self.event).numel()

    @property
    def _start(self) -> tuple[int, int]:
        """Channels and width where the convolutions end: 28, 14, 7, 4."""
        return self.channels[-1], 4

    def _activation(self) -> nn.Module:
        modules: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU}
        return modules[self.activation]()

    def _dense(self, widths: list[int]) -> list[nn.Module]:
        pairs = pairwise(widths)
        return [layer for ins, outs in pairs for layer in (nn.Linear(ins, outs), self._activation())]

    def _convolutions(self) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for ins, outs in pairwise((1, *self.channels)):
            layers += [nn.Conv2d(ins, outs, 3, stride=2, padding=1), nn.BatchNorm2d(outs), self._activation()]
        return layers

    def _transposed(self) -> list[nn.Module]:
        layers: list[nn.Module] = []
        widths = [*reversed(self.channels), self.channels[0]]
        for (ins, outs), odd in zip(pairwise(widths), (0, 1, 1), strict=True):
            convolution = nn.ConvTranspose2d(ins, outs, 3, stride=2, padding=1, output_padding=odd)
            layers += [convolution, nn.BatchNorm2d(outs), self._activation()]
        return layers


VARIANCE = 0.05
"""Of the Gaussian likelihoods."""
WORKLOADS = {
    "W1": Workload("784-500-20, batch 128", (1, 28, 28), (500,), (), "tanh", 20, True, 128, 25_600, 1),
    "W2": Workload("2-128-128-2, batch 32", (2,), (128, 128), (), "relu", 2, False, 32, 16_000, 1),
    "W3": Workload("CNN 32-64-32, batch 256", (1, 28, 28), (), (32, 64, 32), "elu", 2, False, 256, 7_680, 1),
}
