"""The likelihood of the rows of a table, whose columns have several types."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aevb.columns import Column, of_kind, widths
from aevb.models import distributions
from aevb.models.likelihoods.base import Likelihood, log_mean, log_total, logit, nan_mean
from aevb.models.likelihoods.counts import Categorical
from aevb.models.networks import Standardize
from aevb.models.options import PieceOptions
from aevb.models.registry import register

if TYPE_CHECKING:
    from typing_extensions import Self

_LEAST, _NEVER = -7.0, -1e9


@register.likelihood("columns")
class Columns(Likelihood):
    """The row of a table, each column by the family of its type; missing values, NaN, have no influence.

    Numbers have a density that is normal up to five standard deviations, with heavy tails beyond, so that a few wrong
    values do not decide what is learned (`aevb.models.distributions.RobustNormal`). Each column has one learned scale,
    σ_j in units of the data, of at least e⁻⁷ times the standard deviation of the data: where a column repeats its
    values exactly, its density would otherwise have no upper bound.

    Args:
        event: ``(D,)``.
        columns: the columns of the table.
    """

    supports = ("columns",)
    default_for = ("columns",)
    absent: Tensor

    def __init__(self, event: tuple[int, ...], columns: Sequence[Column]) -> None:
        super().__init__(event)
        self.split = widths(columns)
        self.sizes = [len(column.values) for column in of_kind(columns, "categorical")]
        numbers = self.split[0] + self.split[1]
        self.units = Standardize((numbers,))
        self.log_scale = nn.Parameter(torch.zeros(numbers))
        self.log_total = nn.Parameter(torch.zeros(self.split[2]))
        levels = torch.arange(max(self.sizes, default=0))
        self.register_buffer("absent", torch.stack([levels >= size for size in self.sizes] or [levels > 0]))

    @classmethod
    def create(cls, event: tuple[int, ...], columns: Sequence[Column], options: PieceOptions) -> "Self":  # noqa: ARG003
        return cls(event, columns)

    @property
    def output(self) -> tuple[int, ...]:
        """One number for each column, and K for a categorical one."""
        return (sum(self.split[:4]) + sum(self.sizes),)

    def initialize(self, x: Tensor) -> Tensor:
        real, positive, count, binary, categorical = x.split(self.split, 1)
        self.units.initialize(torch.cat([real, positive.log()], 1))
        codes = zip(categorical.unbind(1), self.sizes, strict=True)
        logits = [Categorical((1,), size).initialize(code[~code.isnan()].unsqueeze(1)) for code, size in codes]
        self.log_total.data.copy_(log_total(count))
        means = [log_mean(nan_mean(count).unsqueeze(0)), logit(nan_mean(binary))]
        return torch.cat([torch.zeros_like(self.log_scale), *means, *logits])

    def forward(self, output: Tensor) -> distributions.IndependentColumns:
        wide = [self.split[0], *self.split[1:4], sum(self.sizes)]
        real, positive, count, binary, categorical = output.split(wide, -1)
        loc = self.units.inverse(torch.cat([real, positive], -1)).split(self.split[:2], -1)
        log_scale = (self.log_scale.clamp_min(_LEAST) + self.units.spread.log()).split(self.split[:2])
        parts = [
            distributions.RobustNormal(loc[0], log_scale[0], 0),
            distributions.RobustLogNormal(loc[1], log_scale[1], 0),
            distributions.NegativeBinomial(count, self.log_total, 0),
            distributions.Bernoulli(binary, 0),
            distributions.Categorical(self._table(categorical), 0),
        ]
        return distributions.IndependentColumns([part for part, size in zip(parts, self.split, strict=True) if size])

    @property
    def n_noise_parameters(self) -> int:
        """The number of columns whose noise is learned: numbers and counts."""
        return len(self.log_scale) + len(self.log_total)

    def with_scaled_noise(self, by: Tensor) -> dict[str, Tensor]:
        """Return the noise parameters with standard deviations, of counts beyond those of a Poisson, scaled by e^by.

        Args:
            by: ``(n_noise_parameters,)``.
        """
        numbers, counts = by.split([len(self.log_scale), len(self.log_total)])
        scale = self.log_scale.detach().clamp_min(_LEAST)
        return {"log_scale": scale + numbers, "log_total": self.log_total.detach() - 2 * counts}

    def _table(self, logits: Tensor) -> Tensor:
        """``(..., ΣK)`` to ``(..., columns, largest K)``, with probability 0 for values a column does not have."""
        largest = self.absent.shape[-1]
        rows = [F.pad(row, (0, largest - row.shape[-1])) for row in logits.split(self.sizes, -1)] if self.sizes else []
        return torch.stack(rows, -2).masked_fill(self.absent, _NEVER) if rows else logits.unsqueeze(-2)
