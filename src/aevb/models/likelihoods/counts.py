"""Likelihoods of counts and of values 0, 1, ..., K - 1."""

from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import Tensor, nn

from aevb.errors import BadInput, option
from aevb.models import distributions
from aevb.models.likelihoods.base import Likelihood, log_mean, log_total
from aevb.models.options import DataFacts, PieceOptions, Size
from aevb.models.registry import register

if TYPE_CHECKING:
    from typing_extensions import Self


class CategoricalOptions(PieceOptions):
    """The number of values."""

    classes: Size | None = Field(
        None, description="Number of values 0, 1, .... Default: the largest value in the data plus 1."
    )

    def resolve(self, data: DataFacts) -> "Self":
        needed = data.largest + 1
        if self.classes and self.classes < needed:
            classes = option("model.classes", self.classes)
            raise BadInput(f"{classes}: {data.name} has the value {data.largest}; use at least {needed}")
        return self if self.classes else self.model_copy(update={"classes": needed})


@register.likelihood("categorical")
class Categorical(Likelihood):
    """One of the values 0, 1, ..., `classes` - 1 for each element; the decoder gives a logit for each value."""

    Options = CategoricalOptions
    supports = ("binary", "counts")

    def __init__(self, event: tuple[int, ...], classes: int) -> None:
        super().__init__(event)
        self.classes = classes

    @property
    def output(self) -> tuple[int, ...]:
        """A logit of each value for each element."""
        return self._multiplied(self.classes)

    def initialize(self, x: Tensor) -> Tensor:
        values = torch.arange(self.classes, device=x.device).view(-1, *(1,) * x.dim())
        # One of each value is added, so that values that never occur are rare and not impossible.
        counts = 1 + (x == values).sum(1)
        return (counts / counts.sum(0)).log().flatten(0, 1)

    def forward(self, output: Tensor) -> distributions.Categorical:
        return distributions.Categorical(self._chunks(output, self.classes).movedim(0, -1), len(self.event))


@register.likelihood("poisson")
class Poisson(Likelihood):
    """Independent counts; the decoder gives the logarithm of their rate."""

    supports = ("binary", "counts")

    def initialize(self, x: Tensor) -> Tensor:
        return log_mean(x)

    def forward(self, output: Tensor) -> distributions.Poisson:
        return distributions.Poisson(output, len(self.event))


@register.likelihood("negative-binomial")
class NegativeBinomial(Likelihood):
    """Independent counts with mean m from the decoder and variance m + m²/r, one learned r for each element."""

    supports = ("binary", "counts")
    default_for = ("counts",)

    def __init__(self, event: tuple[int, ...]) -> None:
        super().__init__(event)
        self.log_total = nn.Parameter(torch.zeros(event))

    def initialize(self, x: Tensor) -> Tensor:
        self.log_total.data.copy_(log_total(x))
        return log_mean(x)

    def forward(self, output: Tensor) -> distributions.NegativeBinomial:
        return distributions.NegativeBinomial(output, self.log_total, len(self.event))
