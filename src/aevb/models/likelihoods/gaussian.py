"""Gaussian likelihoods: one variance, one for each element, or a full covariance."""

import math
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from aevb.models import distributions
from aevb.models.distributions import LOG_2PI
from aevb.models.likelihoods.base import log_scale
from aevb.models.likelihoods.located import Link, LinkOptions, Located
from aevb.models.options import DataFacts
from aevb.models.registry import register
from aevb.models.shapes import size

if TYPE_CHECKING:
    from typing_extensions import Self


Tails = Literal["normal", "heavy"]


class GaussianOptions(LinkOptions):
    """The link function of the mean, the variance, and the tails."""

    variance: Annotated[float, Field(gt=0)] | Literal["learned"] = Field(
        "learned", description="Variance of the likelihood: a number, or learned (default)."
    )
    tails: Tails | None = Field(
        None,
        description="Tails of the likelihood beyond five standard deviations: normal, or heavy, which bounds the"
        " influence of outliers. Default: heavy for real vectors if the variance is learned, otherwise normal.",
    )

    def resolve(self, data: DataFacts) -> "Self":
        heavy = data.kind == "real" and len(data.shape) == 1 and self.variance == "learned"
        tails = self.tails or ("heavy" if heavy else "normal")
        return super().resolve(data).model_copy(update={"tails": tails})


@register.likelihood("gaussian")
class Gaussian(Located):
    """A normal around the decoder's output with one variance c for all elements.

    Args:
        event: the shape of one example.
        variance: c, or "learned".
        mean_link: the link function.
        tails: "heavy" for tails of a `RobustNormal`.
    """

    Options = GaussianOptions
    default_for = ("unit", "real")

    def __init__(
        self,
        event: tuple[int, ...],
        variance: float | Literal["learned"] = "learned",
        mean_link: Link = "identity",
        tails: Tails = "normal",
    ) -> None:
        super().__init__(event, mean_link)
        self.family = distributions.RobustNormal if tails == "heavy" else distributions.Normal
        if variance == "learned":
            self.log_scale = nn.Parameter(torch.tensor(0.0))
        else:
            self.register_buffer("log_scale", torch.tensor(0.5 * math.log(variance)))

    @property
    def variance(self) -> float:
        """c."""
        return math.exp(2 * self.log_scale.item())

    @property
    def constant(self) -> float:
        """D/2 log(2πc)."""
        return size(self.event) * (0.5 * LOG_2PI + self.log_scale.item())

    def initialize(self, x: Tensor) -> Tensor:
        if isinstance(self.log_scale, nn.Parameter):
            self.log_scale.data.fill_(log_scale(x))
        return super().initialize(x)

    def forward(self, output: Tensor) -> distributions.Normal:
        return self.family(self._linked(output), self.log_scale, len(self.event))


@register.likelihood("gaussian-diagonal")
class DiagonalGaussian(Located):
    """A normal with a mean and a variance from the network for each element.

    Its log-density has no upper bound: where the data repeat values exactly, the variance decreases without limit.
    """

    @property
    def output(self) -> tuple[int, ...]:
        """μ and log σ of each element."""
        return self._multiplied(2)

    def initialize(self, x: Tensor) -> Tensor:
        loc = super().initialize(x)
        return torch.cat([loc, torch.full_like(loc, log_scale(x))])

    def forward(self, output: Tensor) -> distributions.Normal:
        loc, log_scale = self._chunks(output, 2)
        return distributions.Normal(self._linked(loc), log_scale, len(self.event))


@register.likelihood("gaussian-full")
class FullGaussian(Located):
    """A normal with a mean and a full covariance L Lᵀ from the network: D + D(D + 1)/2 numbers for D elements."""

    @property
    def output(self) -> tuple[int, ...]:
        """μ, the logarithm of L's diagonal, and L below it, in one row."""
        return (size(self.event) + distributions.tril_size(size(self.event)),)

    def initialize(self, x: Tensor) -> Tensor:
        loc = super().initialize(x).flatten()
        below = loc.new_zeros(distributions.tril_size(len(loc)) - len(loc))
        return torch.cat([loc, torch.full_like(loc, log_scale(x)), below])

    def forward(self, output: Tensor) -> distributions.FullNormal:
        features = size(self.event)
        loc = output[..., :features].unflatten(-1, self.event)
        scale_tril = distributions.scale_tril(output[..., features:], features)
        return distributions.FullNormal(self._linked(loc), scale_tril, len(self.event))
