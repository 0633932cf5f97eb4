"""Likelihoods: the decoder's output o to p(x | z), a density or a probability in nats with every constant.

    bernoulli               p_j = sigmoid(o_j)
    continuous-bernoulli    density proportional to e^{o_j x_j} on [0, 1]
    gaussian                N(μ, c I),           μ = o or sigmoid(o),  c fixed or one learned number
    gaussian-diagonal       N(μ, diag e^{s}),    (μ, s) from the network
    gaussian-full           N(μ, L Lᵀ),          (μ, L) from the network
    laplace                 Laplace(o_j, b),     b one learned number
    categorical             softmax over K values for each element
    poisson                 rate e^{o_j}
    negative-binomial       mean e^{o_j}, variance m + m²/r_j,  r_j one learned number for each element
    columns                 a row of a table: each column by the family of its kind (`aevb.columns`)

An identity link is one up to units: μ = shift + spread o, with the mean and deviation of the training examples, so that
the network works on numbers around 1 whatever the units of the data, while p(x|z) and its variance stay in those units.

A likelihood says which shape it wants from the decoder for events of a given shape, and which data it can explain. A
new one is a class here with a name in `FAMILIES`, and that name in `aevb.config.schema.ModelConfig`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional as F

from aevb.columns import Column, of_kind, widths
from aevb.models import distributions
from aevb.models.distributions import LOG_2PI
from aevb.models.networks import Standardize
from aevb.models.shapes import size

Kind = Literal["binary", "unit", "counts", "real", "columns"]
Link = Literal["identity", "sigmoid"]


class Likelihood(nn.Module, ABC):
    """p(x | z) for events of one shape.

    Args:
        event: the shape of one example.
    """

    supports: ClassVar[tuple[Kind, ...]]
    """The kinds of data it can explain."""
    options: ClassVar[tuple[str, ...]] = ()
    """The fields of `aevb.config.schema.ModelConfig`, or what a data set has, that are arguments of its constructor."""

    def __init__(self, event: tuple[int, ...]) -> None:
        super().__init__()
        self.event = event

    @property
    def output(self) -> tuple[int, ...]:
        """The shape that the decoder must give: that of the event, unless a likelihood needs more numbers."""
        return self.event

    @property
    def bounded(self) -> bool:
        """Whether the data it explains lie in [0, 1], so that an encoder can take them as they are."""
        return self.supports[-1] in ("binary", "unit")

    @property
    def constant(self) -> float:
        """The part of -log p(x | z) that depends on neither x nor z, in nats: what a squared error leaves out."""
        return 0.0

    @abstractmethod
    def initialize(self, x: Tensor) -> Tensor:
        """Set what this likelihood learns to a good first value.

        Args:
            x: examples, ``(B, *event)``.

        Returns:
            The decoder's output at which p(x|z) has about the mean of the examples, ``(*output)``.
        """

    @abstractmethod
    def forward(self, output: Tensor) -> Distribution:
        """``(..., *output)`` to a distribution over ``(..., *event)``."""

    def _several(self, count: int) -> tuple[int, ...]:
        """The shape of `count` numbers for each element, ``(count C, H, W)`` or ``(count D,)``."""
        return (count * self.event[0], *self.event[1:])

    def _parts(self, output: Tensor, count: int) -> Tensor:
        """``(..., count C, H, W)`` to ``(count, ..., C, H, W)``."""
        return torch.stack(output.chunk(count, dim=-len(self.event)))


class Bernoulli(Likelihood):
    """Independent zeros and ones; the decoder gives logits."""

    supports = ("binary",)

    def initialize(self, x: Tensor) -> Tensor:
        return _logit(x.mean(0))

    def forward(self, output: Tensor) -> distributions.Bernoulli:
        return distributions.Bernoulli(output, len(self.event))


class ContinuousBernoulli(Likelihood):
    """Independent values in [0, 1] (Loaiza-Ganem & Cunningham 2019); the decoder gives the slope of the log-density."""

    supports = ("binary", "unit")

    def initialize(self, x: Tensor) -> Tensor:
        return _logit(x.mean(0))

    def forward(self, output: Tensor) -> distributions.ContinuousBernoulli:
        return distributions.ContinuousBernoulli(output, len(self.event))


class Located(Likelihood):
    """A likelihood with a mean from the network, through a link.

    Args:
        event: the shape of one example.
        mean_link: "sigmoid" keeps it in (0, 1); "identity" brings it to the units of the data.
    """

    supports = ("binary", "unit", "counts", "real")
    options: ClassVar[tuple[str, ...]] = ("mean_link",)

    def __init__(self, event: tuple[int, ...], mean_link: Link = "identity") -> None:
        super().__init__(event)
        self.mean_link = mean_link
        self.units = Standardize(event) if mean_link == "identity" else None

    @property
    def bounded(self) -> bool:
        return self.units is None

    def initialize(self, x: Tensor) -> Tensor:
        if self.units is None:
            return _logit(x.mean(0))
        self.units.initialize(x)
        return torch.zeros(self.event)

    def _linked(self, output: Tensor) -> Tensor:
        return output.sigmoid() if self.units is None else self.units.inverse(output)


class Gaussian(Located):
    """A normal around the decoder's output with one variance c for all elements.

    Args:
        event: the shape of one example.
        variance: c, or "learned".
        mean_link: the link.
    """

    options = ("variance", "mean_link")

    def __init__(
        self, event: tuple[int, ...], variance: float | Literal["learned"] = "learned", mean_link: Link = "identity"
    ) -> None:
        super().__init__(event, mean_link)
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
            self.log_scale.data.fill_(_log_scale(x))
        return super().initialize(x)

    def forward(self, output: Tensor) -> distributions.Normal:
        return distributions.Normal(self._linked(output), self.log_scale, len(self.event))


class DiagonalGaussian(Located):
    """A normal with a mean and a variance from the network for each element.

    Its log-density has no upper bound: where the data repeat values exactly, the variance falls without end.
    """

    @property
    def output(self) -> tuple[int, ...]:
        """μ and log σ of each element."""
        return self._several(2)

    def initialize(self, x: Tensor) -> Tensor:
        loc = super().initialize(x)
        return torch.cat([loc, torch.full_like(loc, _log_scale(x))])

    def forward(self, output: Tensor) -> distributions.Normal:
        loc, log_scale = self._parts(output, 2)
        return distributions.Normal(self._linked(loc), log_scale, len(self.event))


class FullGaussian(Located):
    """A normal with a mean and a whole covariance L Lᵀ from the network: D + D(D + 1)/2 numbers for D elements."""

    @property
    def output(self) -> tuple[int, ...]:
        """μ, log of L's diagonal, and L below it, in one row."""
        return (size(self.event) + distributions.tril_size(size(self.event)),)

    def initialize(self, x: Tensor) -> Tensor:
        loc = super().initialize(x).flatten()
        below = loc.new_zeros(distributions.tril_size(len(loc)) - len(loc))
        return torch.cat([loc, torch.full_like(loc, _log_scale(x)), below])

    def forward(self, output: Tensor) -> distributions.FullNormal:
        features = size(self.event)
        loc = output[..., :features].unflatten(-1, self.event)
        scale_tril = distributions.scale_tril(output[..., features:], features)
        return distributions.FullNormal(self._linked(loc), scale_tril, len(self.event))


class Laplace(Located):
    """A Laplace density around the decoder's output, with one learned scale b: its mode is the median."""

    def __init__(self, event: tuple[int, ...], mean_link: Link = "identity") -> None:
        super().__init__(event, mean_link)
        self.log_scale = nn.Parameter(torch.tensor(0.0))

    def initialize(self, x: Tensor) -> Tensor:
        self.log_scale.data.fill_(_log_scale(x) - 0.5 * math.log(2))
        return super().initialize(x)

    def forward(self, output: Tensor) -> distributions.Laplace:
        return distributions.Laplace(self._linked(output), self.log_scale, len(self.event))


class Categorical(Likelihood):
    """One of the values 0, 1, ..., `classes` - 1 for each element; the decoder gives a logit for each value."""

    supports = ("binary", "counts")
    options = ("classes",)

    def __init__(self, event: tuple[int, ...], classes: int) -> None:
        super().__init__(event)
        self.classes = classes

    @property
    def output(self) -> tuple[int, ...]:
        """A logit of each value for each element."""
        return self._several(self.classes)

    def initialize(self, x: Tensor) -> Tensor:
        values = torch.arange(self.classes, device=x.device).view(-1, *(1,) * x.dim())
        # One of each value added, so that what never occurred is rare and not impossible.
        counts = 1 + (x == values).sum(1)
        return (counts / counts.sum(0)).log().flatten(0, 1)

    def forward(self, output: Tensor) -> distributions.Categorical:
        return distributions.Categorical(self._parts(output, self.classes).movedim(0, -1), len(self.event))


class Poisson(Likelihood):
    """Independent counts; the decoder gives the logarithm of their rate."""

    supports = ("binary", "counts")

    def initialize(self, x: Tensor) -> Tensor:
        return _log_mean(x)

    def forward(self, output: Tensor) -> distributions.Poisson:
        return distributions.Poisson(output, len(self.event))


class NegativeBinomial(Likelihood):
    """Independent counts with mean m from the decoder and variance m + m²/r, one learned r for each element."""

    supports = ("binary", "counts")

    def __init__(self, event: tuple[int, ...]) -> None:
        super().__init__(event)
        self.log_total = nn.Parameter(torch.zeros(event))

    def initialize(self, x: Tensor) -> Tensor:
        self.log_total.data.copy_(_log_total(x))
        return _log_mean(x)

    def forward(self, output: Tensor) -> distributions.NegativeBinomial:
        return distributions.NegativeBinomial(output, self.log_total, len(self.event))


class Columns(Likelihood):
    """The row of a table, whose columns are of several kinds; what is missing, NaN, says nothing.

    Numbers have one learned deviation for each column, σ_j in units of the data, not below e⁻⁷ of their spread: where a
    column repeats its values exactly, its density would else grow without end.

    Args:
        event: ``(D,)``.
        columns: of the table.
    """

    supports = ("columns",)
    options = ("columns",)
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

    @property
    def output(self) -> tuple[int, ...]:
        """A number of each column, but K of a categorical one."""
        return (sum(self.split[:4]) + sum(self.sizes),)

    def initialize(self, x: Tensor) -> Tensor:
        real, positive, count, binary, categorical = x.split(self.split, 1)
        self.units.initialize(torch.cat([real, positive.log()], 1))
        codes = zip(categorical.unbind(1), self.sizes, strict=True)
        logits = [Categorical((1,), size).initialize(code[~code.isnan()].unsqueeze(1)) for code, size in codes]
        self.log_total.data.copy_(_log_total(count))
        known = [_log_mean(_mean(count).unsqueeze(0)), _logit(_mean(binary))]
        return torch.cat([torch.zeros_like(self.log_scale), *known, *logits])

    def forward(self, output: Tensor) -> distributions.IndependentColumns:
        wide = [self.split[0], *self.split[1:4], sum(self.sizes)]
        real, positive, count, binary, categorical = output.split(wide, -1)
        loc = self.units.inverse(torch.cat([real, positive], -1)).split(self.split[:2], -1)
        log_scale = (self.log_scale.clamp_min(_LEAST) + self.units.spread.log()).split(self.split[:2])
        parts = [
            distributions.Normal(loc[0], log_scale[0], 0),
            distributions.LogNormal(loc[1], log_scale[1], 0),
            distributions.NegativeBinomial(count, self.log_total, 0),
            distributions.Bernoulli(binary, 0),
            distributions.Categorical(self._table(categorical), 0),
        ]
        return distributions.IndependentColumns([part for part, size in zip(parts, self.split, strict=True) if size])

    @property
    def n_noise_parameters(self) -> int:
        """How many numbers and counts there are, whose noise is learned."""
        return len(self.log_scale) + len(self.log_total)

    def with_scaled_noise(self, by: Tensor) -> dict[str, Tensor]:
        """What it learns, with the deviations of numbers, and those of counts beyond a Poisson's, e^by times as large.

        Args:
            by: ``(n_noise_parameters,)``.
        """
        numbers, counts = by.split([len(self.log_scale), len(self.log_total)])
        scale = self.log_scale.detach().clamp_min(_LEAST)
        return {"log_scale": scale + numbers, "log_total": self.log_total.detach() - 2 * counts}

    def _table(self, logits: Tensor) -> Tensor:
        """``(..., ΣK)`` to ``(..., columns, largest K)``, with no chance for the values that a column has not."""
        largest = self.absent.shape[-1]
        rows = [F.pad(row, (0, largest - row.shape[-1])) for row in logits.split(self.sizes, -1)] if self.sizes else []
        return torch.stack(rows, -2).masked_fill(self.absent, _NEVER) if rows else logits.unsqueeze(-2)


_LEAST, _NEVER = -7.0, -1e9

FAMILIES: dict[str, type[Likelihood]] = {
    "bernoulli": Bernoulli,
    "continuous-bernoulli": ContinuousBernoulli,
    "gaussian": Gaussian,
    "gaussian-diagonal": DiagonalGaussian,
    "gaussian-full": FullGaussian,
    "laplace": Laplace,
    "categorical": Categorical,
    "poisson": Poisson,
    "negative-binomial": NegativeBinomial,
    "columns": Columns,
}


def _logit(mean: Tensor) -> Tensor:
    """The logit of a mean, kept from infinity where all examples agree."""
    return mean.logit(1e-3)


def _log_mean(x: Tensor) -> Tensor:
    """The logarithm of the mean, kept from infinity where all counts are zero."""
    return x.mean(0).clamp_min(1e-3).log()


def _log_total(x: Tensor) -> Tensor:
    """log r of the negative binomial with the mean and variance of counts ``(B, *event)``: r = m² / (v - m)."""
    mean = _mean(x).clamp_min(1e-3)
    excess = (x - mean).square().nanmean(0).nan_to_num(1.0) - mean
    return (mean.square() / excess.clamp_min(1e-3 * mean)).clamp(1e-2, 1e4).log()


def _mean(x: Tensor) -> Tensor:
    """The mean of the values that are there, ``(B, D)`` to ``(D,)``; 0.5 where none is."""
    return x.nanmean(0).nan_to_num(0.5)


def _log_scale(x: Tensor) -> float:
    """The logarithm of the deviation of all elements from their means; of 1 where there is none."""
    deviation = (x - x.mean(0)).square().mean().sqrt().item()
    return math.log(deviation) if deviation > 0 else 0.0
