"""Likelihoods: the decoder's output to p(x | z), a density or a probability in nats with every constant.

    Bernoulli   p(x|z) = Π_j p_j^{x_j} (1 - p_j)^{1 - x_j},  p = sigmoid(output)
    Gaussian    p(x|z) = N(x; μ, c I),  μ = output or sigmoid(output),  c fixed or one learned number

A likelihood says which shape it wants from the decoder for events of a given shape, and which data it can explain.
"""

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from aevb.distributions import LOG_2PI, Light, Normal
from aevb.distributions import Bernoulli as BernoulliDistribution
from aevb.shapes import size

Support = Literal["binary", "unit", "real"]


class Likelihood(nn.Module, ABC):
    """p(x | z) for events of one shape.

    Args:
        event: the shape of one example.
    """

    supports: ClassVar[tuple[Support, ...]]
    """The kinds of data it can explain."""

    def __init__(self, event: tuple[int, ...]) -> None:
        super().__init__()
        self.event = event

    @property
    def output(self) -> tuple[int, ...]:
        """The shape that the decoder must give: that of the event, unless a likelihood needs more numbers."""
        return self.event

    @property
    def constant(self) -> float:
        """The part of -log p(x | z) that depends on neither x nor z, in nats: what a squared error leaves out."""
        return 0.0

    @abstractmethod
    def start(self, x: Tensor) -> Tensor:
        """Set what this likelihood learns to a good first value.

        Args:
            x: examples, ``(B, *event)``.

        Returns:
            The decoder's output at which p(x|z) has the mean of the examples, ``(*output)``.
        """

    @abstractmethod
    def forward(self, output: Tensor) -> Light:
        """``(..., *output)`` to a distribution over ``(..., *event)``."""


class Bernoulli(Likelihood):
    """Independent zeros and ones; the decoder gives logits."""

    supports = ("binary",)

    def start(self, x: Tensor) -> Tensor:
        return _logit(x.mean(0))

    def forward(self, output: Tensor) -> BernoulliDistribution:
        return BernoulliDistribution(output, len(self.event))


class Gaussian(Likelihood):
    """A normal around the decoder's output with one variance c for all elements.

    Args:
        event: the shape of one example.
        variance: c, or None to learn it.
        mean: "identity", or "sigmoid" to keep the mean in (0, 1).
    """

    supports = ("binary", "unit", "real")

    def __init__(
        self, event: tuple[int, ...], variance: float | None = None, mean: Literal["identity", "sigmoid"] = "identity"
    ) -> None:
        super().__init__(event)
        self.mean = mean
        log_scale = torch.tensor(0.5 * math.log(variance or 1.0))
        if variance is None:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)

    @property
    def variance(self) -> float:
        """c."""
        return math.exp(2 * self.log_scale.item())

    @property
    def constant(self) -> float:
        """D/2 log(2πc)."""
        return size(self.event) * (0.5 * LOG_2PI + self.log_scale.item())

    def start(self, x: Tensor) -> Tensor:
        mean = x.mean(0)
        if isinstance(self.log_scale, nn.Parameter):
            with torch.no_grad():
                self.log_scale.copy_(0.5 * (x - mean).square().mean().clamp_min(1e-6).log())
        return _logit(mean) if self.mean == "sigmoid" else mean

    def forward(self, output: Tensor) -> Normal:
        loc = output.sigmoid() if self.mean == "sigmoid" else output
        return Normal(loc, self.log_scale, len(self.event))


def _logit(mean: Tensor) -> Tensor:
    """The logit of a mean, kept from infinity where all examples agree."""
    return mean.logit(1e-3)
