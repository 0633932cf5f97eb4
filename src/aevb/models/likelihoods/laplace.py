"""The Laplace likelihood."""

import math

import torch
from torch import Tensor, nn

from aevb.models import distributions
from aevb.models.likelihoods.base import log_scale
from aevb.models.likelihoods.located import Link, Located
from aevb.models.registry import register


@register.likelihood("laplace")
class Laplace(Located):
    """A Laplace density around the decoder's output, with one learned scale b: its mode is the median."""

    def __init__(self, event: tuple[int, ...], mean_link: Link = "identity") -> None:
        super().__init__(event, mean_link)
        self.log_scale = nn.Parameter(torch.tensor(0.0))

    def initialize(self, x: Tensor) -> Tensor:
        self.log_scale.data.fill_(log_scale(x) - 0.5 * math.log(2))
        return super().initialize(x)

    def forward(self, output: Tensor) -> distributions.Laplace:
        return distributions.Laplace(self._linked(output), self.log_scale, len(self.event))
