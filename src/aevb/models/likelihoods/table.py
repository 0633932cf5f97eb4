"""The likelihood of the rows of a table, whose columns have several types."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from aevb.columns import NUMBERS, Column, of_kind, spikes_of, widths
from aevb.models import distributions
from aevb.models.distributions.logistic import STDDEV as LOGISTIC_STDDEV
from aevb.models.likelihoods.base import (
    MIN_STDDEV,
    Likelihood,
    MinStddev,
    at_least,
    log_mean,
    log_total,
    logit,
    nan_mean,
)
from aevb.models.likelihoods.counts import Categorical
from aevb.models.networks import Standardize
from aevb.models.networks.inputs import located_numbers
from aevb.models.options import DataFacts, PieceOptions
from aevb.models.registry import register

if TYPE_CHECKING:
    from typing_extensions import Self

_NEVER = -1e9
_SPIKE_WIDTH = 0.01
"""Least width of the interval of a spike, in standard deviations, of logarithms for positive numbers."""
_UNBOUNDED = 1e4
"""Standard deviations from the mean that stand for a bound where there is none."""
_LOCATED = 5
"""Types of columns whose distributions have a location and a scale, the first ones of a row."""
_RANGE = 3.0
"""The largest difference between the logarithm of a scale and its mean."""
ENOUGH = 300
"""Training rows from which scales are functions of z by default: with fewer they are over-fitted."""


class ColumnsOptions(PieceOptions):
    """The scale of numbers, and its least value."""

    scale: Literal["constant", "network"] | None = Field(
        None,
        description="Scale of each number in a table: constant, a learned one; network, a function of z like its"
        f" location. Default: network from {ENOUGH} training rows on.",
    )
    min_stddev: MinStddev = MIN_STDDEV

    def resolve(self, data: DataFacts) -> "Self":
        return self.model_copy(update={"scale": self.scale or ("network" if data.n_train >= ENOUGH else "constant")})


@register.likelihood("columns")
class Columns(Likelihood):
    """The row of a table, each column by the family of its type; missing values, NaN, have no influence.

    Numbers have a density that is normal up to five standard deviations, with heavy tails beyond, or that of a
    logistic, so that a few wrong values do not decide what is learned (`aevb.models.distributions`). The scale of a
    column, in units of the data, is a learned number σ_j, or σ_j exp(3 tanh(s_j / 3)) with one more output s_j of the
    decoder. A least variance is added to its square: where a column repeats its values exactly, its density would
    otherwise have no upper bound. Where numbers are often zero, zero counts as an interval from 0 to a
    small value of the column, and a spike of numbers with a density as an interval of √(2π) times their least standard
    deviation, but at least of a hundredth of their standard deviation.

    Args:
        event: ``(D,)``.
        columns: the columns of the table.
        scale: constant or network.
        min_stddev: of a number given z, in units of its column.
    """

    Options = ColumnsOptions
    supports = ("columns",)
    default_for = ("columns",)
    low: Tensor
    high: Tensor
    spikes: Tensor

    def __init__(
        self,
        event: tuple[int, ...],
        columns: Sequence[Column],
        scale: str = "constant",
        min_stddev: float = MIN_STDDEV,
    ) -> None:
        super().__init__(event)
        self.min_stddev = min_stddev
        self.split = widths(columns)
        self.sizes = [len(column.values) for column in of_kind(columns, "discrete", "categorical")]
        numbers = sum(self.split[:_LOCATED])
        self.units = Standardize((numbers,))
        self.log_scale = nn.Parameter(torch.zeros(numbers))
        self.n_scales = numbers if scale == "network" else 0
        self.log_total = nn.Parameter(torch.zeros(self.split[_LOCATED]))
        spikes = spikes_of(columns)
        self.spike_counts = [len(numbers) for numbers in spikes]
        self.register_buffer("spikes", _padded(spikes), persistent=False)
        limited = of_kind(columns, "bounded", "integer")
        for end, name in enumerate(("low", "high")):
            self.register_buffer(name, _bounds([column.limits[end] for column in limited]), persistent=False)

    @classmethod
    def create(cls, event: tuple[int, ...], columns: Sequence[Column], options: PieceOptions) -> "Self":
        return cls(event, columns, **options.arguments())

    @property
    def output(self) -> tuple[int, ...]:
        """A number for each column, K for one that lists K values, and one for zero, for each spike and each scale."""
        return (sum(self._widths),)

    def located(self, x: Tensor) -> Tensor:
        """Return the numbers of ``(B, D)`` with a location and a scale, NaN where they are missing or exactly 0."""
        return torch.cat(located_numbers(*x.split(self.split, 1)[:_LOCATED]), 1)

    def standardized(self, x: Tensor) -> Tensor:
        """Return the same numbers in units of their scale."""
        numbers: Tensor = self.units(self.located(x))
        return numbers

    def set_noise(self, variance: Tensor) -> None:
        """Set the variance of each of these numbers, in units of its scale."""
        self.log_scale.data.copy_(0.5 * variance.log() - self.log_stddev)

    @property
    def log_stddev(self) -> Tensor:
        """The logarithm of the standard deviation of each number in units of its scale: 1.81 for a logistic."""
        stddevs = torch.tensor([1.0, 1.0, LOGISTIC_STDDEV, LOGISTIC_STDDEV, 1.0]).log()
        # An index and not repeats, whose sum gives the shape: a captured step has fixed shapes.
        places = [place for place, width in enumerate(self.split[:_LOCATED]) for _ in range(width)]
        return stddevs[torch.tensor(places, dtype=torch.long, device=stddevs.device)].to(self.log_scale)

    @property
    def _widths(self) -> list[int]:
        """Widths of the output: locations, log m of counts, logits (binary, values, zeros, spikes), and scales."""
        zeros, spikes = self.split[_LOCATED - 1], sum(self.spike_counts)
        return [*self.split[: _LOCATED + 2], sum(self.sizes), zeros, spikes, self.n_scales]

    def initialize(self, x: Tensor) -> Tensor:
        self.units.initialize(self.located(x))
        self.log_scale.data.copy_(-self.log_stddev)
        *_, nonnegative, count, binary, discrete, categorical = x.split(self.split, 1)
        codes = zip(torch.cat([discrete, categorical], 1).unbind(1), self.sizes, strict=True)
        logits = [Categorical((1,), size).initialize(code[~code.isnan()].unsqueeze(1)) for code, size in codes]
        self.log_total.data.copy_(log_total(count))
        zeros = torch.where(nonnegative.isnan(), torch.nan, (nonnegative == 0).to(x.dtype))
        means = [log_mean(nan_mean(count).unsqueeze(0)), logit(nan_mean(binary))]
        shares = [logit(nan_mean(zeros)), self._spike_logits(x)]
        nothing = torch.zeros_like(self.log_scale)
        return torch.cat([nothing, *means, *logits, *shares, nothing[: self.n_scales]])

    def _spike_logits(self, x: Tensor) -> Tensor:
        """Return the logits of the shares of the spikes, of all columns in a row."""
        numbers = x[:, : len(self.spikes)].unsqueeze(-1)
        here = torch.where(numbers.isnan(), torch.nan, (numbers == self.spikes.to(x.dtype)).to(x.dtype))
        shares = nan_mean(here).clamp_min(1e-3)
        logits = shares.log() - (1 - shares.sum(-1, keepdim=True)).clamp_min(1e-3).log()
        return logits[~self.spikes.isnan()].to(self.log_scale)

    def forward(self, output: Tensor) -> distributions.IndependentColumns:
        *located, count, binary, values, zero, spikes, scale = output.split(self._widths, -1)
        real, positive, bounded, integer, nonnegative = self.units.inverse(torch.cat(located, -1)).split(
            self.split[:_LOCATED], -1
        )
        log_scale = self.log_scale
        if self.n_scales:
            log_scale = log_scale + _RANGE * (scale / _RANGE).tanh()
        scales = (at_least(log_scale, self._log_least_scale) + self.units.spread.log()).split(self.split[:_LOCATED], -1)
        low, high = self._finite(self.low), self._finite(self.high)
        parts = [
            distributions.RobustNormal(real, scales[0], 0),
            distributions.RobustLogNormal(positive, scales[1], 0),
            distributions.TruncatedLogistic(bounded, scales[2], low[0], high[0], 0),
            distributions.DiscretizedLogistic(integer, scales[3], low[1], high[1], 0),
            distributions.Hurdle(zero, distributions.RobustLogNormal(nonnegative, scales[4], 0), self._log_least),
            distributions.NegativeBinomial(count, self.log_total, 0),
            distributions.Bernoulli(binary, 0),
            distributions.Categorical(self._table(values), 0),
        ]
        listed = [*self.split[:-2], len(self.sizes)]
        used = [part for part, size in zip(parts, listed, strict=True) if size]
        if spikes.shape[-1]:
            count = sum(size > 0 for size in listed[: len(NUMBERS)])
            logits = self._rows(spikes, self.spike_counts)
            used = [distributions.Spiked(used[:count], logits, self.spikes, self._log_spike_width), *used[count:]]
        return distributions.IndependentColumns(used)

    @property
    def _log_least_scale(self) -> Tensor:
        """The logarithm of the least scale of each number, in units of the data."""
        return math.log(self.min_stddev) - self.log_stddev

    @property
    def _log_spike_width(self) -> Tensor:
        """log δ of each spike, ``(D, K)``: relative to the number itself where that is positive; 0 of whole numbers."""
        real, positive, bounded, *others = self.spikes.split(self.split[: len(NUMBERS)])
        spread = self.units.spread[: len(real) + len(positive) + len(bounded)].unsqueeze(-1)
        width = max(_SPIKE_WIDTH, math.sqrt(2 * math.pi) * self.min_stddev)
        relative = torch.cat([torch.ones_like(real), positive.nan_to_num(1.0), torch.ones_like(bounded)])
        return torch.cat([(relative * spread * width).log(), *map(torch.zeros_like, others)])

    @property
    def _log_least(self) -> Tensor:
        """The logarithm of a small value of each column that is often zero: two standard deviations below the mean."""
        own = slice(sum(self.split[: _LOCATED - 1]), sum(self.split[:_LOCATED]))
        return self.units.shift[own] - 2 * self.units.spread[own]

    def _finite(self, bound: Tensor) -> tuple[Tensor, Tensor]:
        """Return the bounds of bounded and of integer columns, far from the data where there is none."""
        own = slice(sum(self.split[:2]), sum(self.split[:4]))
        far = self.units.shift[own] + bound.sign() * _UNBOUNDED * self.units.spread[own]
        bounded, integer = torch.where(bound.isinf(), far, bound).split(self.split[2:4])
        return bounded, integer

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
        scale = torch.maximum(self.log_scale.detach(), self._log_least_scale)
        return {"log_scale": scale + numbers, "log_total": self.log_total.detach() - 2 * counts}

    def _table(self, logits: Tensor) -> Tensor:
        """``(..., ΣK)`` to ``(..., columns, largest K)``, with probability 0 for values a column does not have."""
        return self._rows(logits, self.sizes) if self.sizes else logits.unsqueeze(-2)

    def _rows(self, logits: Tensor, sizes: Sequence[int]) -> Tensor:
        """``(..., Σ sizes)`` to ``(..., len(sizes), largest size)``; beyond each size logits of probability 0."""
        largest = max(sizes)
        rows = [F.pad(row, (0, largest - row.shape[-1]), value=_NEVER) for row in logits.split(list(sizes), -1)]
        return torch.stack(rows, -2)


def _padded(spikes: Sequence[Sequence[float]]) -> Tensor:
    """Return the spikes of columns in float64, ``(D, K)``, with NaN beyond those that a column has."""
    largest = max(map(len, spikes), default=0)
    return (
        torch.tensor([[*row, *[math.nan] * (largest - len(row))] for row in spikes])
        .double()
        .reshape(len(spikes), largest)
    )


def _bounds(bounds: Sequence[float]) -> Tensor:
    """Return bounds as a tensor, in float64 where float32 would round a whole number."""
    wide = any(2**24 < abs(bound) < math.inf for bound in bounds)
    return torch.tensor(bounds, dtype=torch.float64 if wide else torch.float32)
