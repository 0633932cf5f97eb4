"""Gaussian likelihoods: one variance, one for each element, or variances or a covariance from the network."""

import math
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from aevb.errors import BadInput, option
from aevb.models import distributions
from aevb.models.distributions import LOG_2PI
from aevb.models.likelihoods.base import MIN_STDDEV, MinStddev, at_least, log_scale
from aevb.models.likelihoods.located import Link, LinkOptions, Located
from aevb.models.networks import Standardize
from aevb.models.options import DataFacts
from aevb.models.registry import register
from aevb.models.shapes import size

if TYPE_CHECKING:
    from typing_extensions import Self


Tails = Literal["normal", "heavy"]
Variance = Annotated[float, Field(gt=0)] | Literal["learned", "per-element"]


class GaussianOptions(LinkOptions):
    """The link function of the mean, the variance, and the tails."""

    variance: Variance | None = Field(
        None,
        description="Variance of the likelihood: a number; learned, one for all elements; or per-element, a learned one"
        " for each. Default: per-element for real vectors, learned otherwise and for autoencoders.",
    )
    tails: Tails | None = Field(
        None,
        description="Tails of the likelihood beyond five standard deviations: normal, or heavy, which bounds the"
        " influence of outliers. Default: heavy for real vectors if the variance is learned, otherwise normal.",
    )
    min_stddev: MinStddev = MIN_STDDEV

    def for_autoencoder(self) -> "Self":
        """Return the options with one variance by default: the code may hold some elements exactly."""
        return self.model_copy(update={"variance": self.variance or "learned"})

    def resolve(self, data: DataFacts) -> "Self":
        vectors = data.kind == "real" and len(data.shape) == 1
        variance = self.variance or ("per-element" if vectors else "learned")
        if variance != "per-element" and self.min_stddev != MIN_STDDEV:
            only = option("model.variance", "per-element")
            raise BadInput(f"{option('model.min-stddev', self.min_stddev)} has no meaning without {only}: leave it out")
        heavy = vectors and isinstance(variance, str)
        tails = self.tails or ("heavy" if heavy else "normal")
        return super().resolve(data).model_copy(update={"variance": variance, "tails": tails})


@register.likelihood("gaussian")
class Gaussian(Located):
    """A normal around the decoder's output, with one variance c for all elements or one for each.

    Args:
        event: the shape of one example.
        variance: c, "learned" or "per-element".
        mean_link: the link function.
        tails: "heavy" for tails of a `RobustNormal`.
        min_stddev: of an element with its own variance, in units of the data.
    """

    Options = GaussianOptions
    default_for = ("unit", "real")

    def __init__(
        self,
        event: tuple[int, ...],
        variance: Variance = "learned",
        mean_link: Link = "identity",
        tails: Tails = "normal",
        min_stddev: float = MIN_STDDEV,
    ) -> None:
        super().__init__(event, mean_link)
        self.family = distributions.RobustNormal if tails == "heavy" else distributions.Normal
        self.per_element, self.min_stddev = variance == "per-element", min_stddev
        if isinstance(variance, str):
            self.log_scale = nn.Parameter(torch.zeros(event if self.per_element else ()))
        else:
            self.register_buffer("log_scale", torch.tensor(0.5 * math.log(variance)))

    @property
    def log_stddev(self) -> Tensor:
        """½ log c, a scalar or ``(*event)``."""
        return _at_least(self.log_scale, self.units, self.min_stddev) if self.per_element else self.log_scale

    @property
    def variance(self) -> Tensor:
        """c in float64, a scalar or ``(*event)``."""
        return (2 * self.log_stddev.detach().double()).exp()

    @property
    def constant(self) -> float:
        """½ Σ log(2πc)."""
        log_stddev = self.log_stddev.detach().double().expand(self.event)
        return size(self.event) * 0.5 * LOG_2PI + log_stddev.sum().item()

    def initialize(self, x: Tensor) -> Tensor:
        output = super().initialize(x)
        if self.per_element and self.units is not None:
            self.log_scale.data.copy_(self.units.spread.log())
        elif isinstance(self.log_scale, nn.Parameter):
            self.log_scale.data.fill_(log_scale(x))
        return output

    def standardized(self, x: Tensor) -> Tensor:
        """Return vectors in units of the standard deviation of each element."""
        assert self.units is not None
        numbers: Tensor = self.units(x)
        return numbers

    def set_noise(self, variance: Tensor) -> None:
        """Set the variance of each element, in units of that of the data."""
        assert self.units is not None
        self.log_scale.data.copy_(0.5 * variance.log() + self.units.spread.log())

    def forward(self, output: Tensor) -> distributions.Normal:
        return self.family(self._linked(output), self.log_stddev, len(self.event))


@register.likelihood("gaussian-diagonal")
class DiagonalGaussian(Located):
    """A normal with a mean and a variance from the network for each element.

    Where the data repeat values exactly, the standard deviation falls to `MIN_STDDEV`.
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
        return distributions.Normal(self._linked(loc), _at_least(log_scale, self.units), len(self.event))


@register.likelihood("gaussian-full")
class FullGaussian(Located):
    """A normal with a mean and a full covariance L Lᵀ from the network: D + D(D + 1)/2 numbers for D elements.

    The diagonal of L is at least `MIN_STDDEV`.
    """

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
        loc, diagonal, below = output.tensor_split([features, 2 * features], -1)
        diagonal = _at_least(diagonal.unflatten(-1, self.event), self.units).flatten(-len(self.event))
        raw = torch.cat([diagonal, below], -1)
        scale_tril = distributions.scale_tril(raw, features)
        return distributions.FullNormal(self._linked(loc.unflatten(-1, self.event)), scale_tril, len(self.event))


def _at_least(log_stddev: Tensor, units: Standardize | None, least: float = MIN_STDDEV) -> Tensor:
    """Return ½ log(σ² + ε²) of log σ, where ε is `least` in units of the data."""
    return at_least(log_stddev, torch.as_tensor(least if units is None else least * units.spread).log())
