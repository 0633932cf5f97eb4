"""The base class of likelihoods, and the estimates from which their parameters start."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution

from aevb.columns import Column
from aevb.models.networks.inputs import without_outliers
from aevb.models.options import PieceOptions

if TYPE_CHECKING:
    from typing_extensions import Self

Kind = Literal["binary", "unit", "counts", "real", "columns"]
MIN_STDDEV = 1e-3
"""Default of the minimum standard deviation of an element given z, in units of that of the data."""
MinStddev = Annotated[
    float,
    Field(
        gt=0,
        description="Minimum standard deviation of a number given z, in units of that of its column: finer structure is"
        " not learned, and a value that is often repeated is not more probable than those beside it. A gaussian"
        " has it only if the variance is per-element.",
    ),
]


class Likelihood(nn.Module, ABC):
    """p(x | z) for events of one shape.

    Args:
        event: the shape of one example.

    Attributes:
        Options: the options, which arrive as keyword arguments of the constructor.
        supports: the kinds of data that it can explain.
        default_for: the kinds of data for which it is the default.
        accepts_probabilities: whether gray values in [0, 1] may stand for the probabilities of binary values.
    """

    Options: ClassVar[type[PieceOptions]] = PieceOptions
    supports: ClassVar[tuple[Kind, ...]]
    default_for: ClassVar[tuple[Kind, ...]] = ()
    accepts_probabilities: ClassVar[bool] = False

    def __init__(self, event: tuple[int, ...]) -> None:
        super().__init__()
        self.event = event

    @classmethod
    def create(cls, event: tuple[int, ...], columns: Sequence[Column], options: PieceOptions) -> "Self":  # noqa: ARG003
        """Return the likelihood of events of one shape.

        Args:
            event: the shape of one example.
            columns: the columns of a table; empty otherwise.
            options: resolved options.
        """
        return cls(event, **options.arguments())

    @property
    def output(self) -> tuple[int, ...]:
        """The shape of the decoder's output: that of the event, unless the likelihood needs more numbers."""
        return self.event

    @property
    def bounded(self) -> bool:
        """Whether all data that it supports lie in [0, 1], so that the encoder need not standardize them."""
        return {"binary", "unit"}.issuperset(self.supports)

    @property
    def constant(self) -> float:
        """The part of -log p(x | z) that depends on neither x nor z, in nats: what a squared error leaves out."""
        return 0.0

    @abstractmethod
    def initialize(self, x: Tensor) -> Tensor:
        """Initialize the parameters of the likelihood from data.

        Args:
            x: examples, ``(B, *event)``.

        Returns:
            The decoder's output at which p(x|z) has approximately the mean of the examples, ``(*output)``.
        """

    @abstractmethod
    def forward(self, output: Tensor) -> Distribution:
        """Return p(x | z), a distribution over ``(..., *event)``, for the decoder's output ``(..., *output)``."""

    def _multiplied(self, count: int) -> tuple[int, ...]:
        """The shape of `count` numbers for each element, ``(count C, H, W)`` or ``(count D,)``."""
        return (count * self.event[0], *self.event[1:])

    def _chunks(self, output: Tensor, count: int) -> Tensor:
        """``(..., count C, H, W)`` to ``(count, ..., C, H, W)``."""
        return torch.stack(output.chunk(count, dim=-len(self.event)))


def logit(mean: Tensor) -> Tensor:
    """Return the logit of a mean, clamped so that it is finite where all examples agree."""
    return mean.logit(1e-3)


def log_mean(x: Tensor) -> Tensor:
    """Return the logarithm of the mean, clamped so that it is finite where all counts are zero."""
    return x.mean(0).clamp_min(1e-3).log()


def log_total(x: Tensor) -> Tensor:
    """Return log r of the negative binomial with the mean and variance of counts ``(B, *event)``: r = m² / (v - m)."""
    mean = nan_mean(x).clamp_min(1e-3)
    excess = (x - mean).square().nanmean(0).nan_to_num(1.0) - mean
    return (mean.square() / excess.clamp_min(1e-3 * mean)).clamp(1e-2, 1e4).log()


def nan_mean(x: Tensor) -> Tensor:
    """Return the mean of the values that are not missing, ``(B, D)`` to ``(D,)``; 0.5 where all are missing."""
    return x.nanmean(0).nan_to_num(0.5)


def at_least(log_stddev: Tensor, least: Tensor) -> Tensor:
    """Return ½ log(σ² + ε²), of log σ and log ε."""
    return 0.5 * torch.logaddexp(2 * log_stddev, 2 * least)


def log_scale(x: Tensor) -> float:
    """Return the logarithm of the standard deviation of all elements around their means; 0 where they are constant.

    Rare outliers of vectors count as values near the others.
    """
    values = without_outliers(x.double())
    scale = (values - values.mean(0)).square().mean().sqrt().item()
    return math.log(scale) if scale > 0 else 0.0
