"""What an encoder receives: standardized numbers, and the embedding of the rows of a table.

Numbers such as times in seconds vary little around a large mean. They arrive in float64, and their mean is subtracted
in float64; all other computations are in the type of the weights.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from aevb.columns import CODED, KINDS, Column, of_kind, spikes_of, widths

LINEAR = 5.0
"""Standard deviations up to which inputs are not compressed."""
ROUNDING = {torch.float32: 2.5e-7, torch.float64: 1e-14}
"""Standard deviation, relative to the mean, up to which an element is constant apart from rounding, by type."""
FAR, RARE = 8.0, 0.01
"""Robust standard deviations from the median beyond which values are outliers, and their largest share."""
LEAST_OF_IMAGES = 0.1
"""Minimum standard deviation of a pixel, relative to the root mean square over the pixels."""


class Standardize(nn.Module):
    """(x - shift) / spread for each element of an event, compressed beyond five units.

    It is the identity, apart from the compression, until `initialize` takes mean and standard deviation from examples.

    Attributes:
        output: the shape of its output for one example.
        shift: the means.
        spread: the standard deviations.
        wide: whether float32 is too coarse for the examples: the shift then stays float64 in any model.
    """

    shift: Tensor
    spread: Tensor
    output: tuple[int, ...]

    def __init__(self, event: tuple[int, ...]) -> None:
        super().__init__()
        self.output, self.wide = event, False
        self.register_buffer("shift", torch.zeros(event))
        self.register_buffer("spread", torch.ones(event))

    def initialize(self, x: Tensor) -> None:
        """Take mean and standard deviation from examples ``(B, *event)``, without missing values (NaN).

        Rare outliers count as if they were eight robust standard deviations from the median. The standard deviation of
        elements that are constant up to rounding is set to 1. The pixels of images have the same unit: a pixel that
        hardly varies gets a tenth of the usual standard deviation.
        """
        values = without_outliers(x.double())
        mean = values.nanmean(0).nan_to_num()
        spread = (values - mean).square().nanmean(0).sqrt().nan_to_num()
        varies = spread > ROUNDING.get(x.dtype, 0.01) * mean.abs()
        if spread.dim() == 3:
            spread = spread.clamp_min(LEAST_OF_IMAGES * spread.square().mean().sqrt())
            varies = spread > 0
        self.wide = x.dtype == torch.float64
        self.shift = mean.to(self.shift.device, torch.promote_types(x.dtype, self.spread.dtype))
        self.spread.copy_(torch.where(varies, spread, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        return compress((x - self.shift).to(self.spread.dtype) / self.spread)

    def inverse(self, y: Tensor) -> Tensor:
        """Return shift + spread y, in float64 if the shift is in float64."""
        return self.shift + self.spread * y

    def numbers(self, x: Tensor) -> Tensor:
        """Return what is standardized of ``(B, *event)``."""
        return x

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Standardize":
        shift = self.shift
        super()._apply(fn, recurse)
        if self.wide:
            self.shift = shift.to(self.shift.device)
        return self

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        shift = state_dict.get(prefix + "shift", self.shift)
        self.wide = shift.dtype == torch.float64
        if self.wide:
            self.shift = self.shift.double()
        super()._load_from_state_dict(state_dict, prefix, *args)


def without_outliers(x: Tensor) -> Tensor:
    """Return values ``(B, *event)``, clipped at eight robust standard deviations from the median if few are beyond.

    Images are returned as they are.
    """
    if x.dim() == 4:
        return x
    center = x.nanmedian(0).values
    distance = (x - center).abs()
    limit = FAR * 1.4826 * distance.nanmedian(0).values
    beyond = (distance > limit) & (limit > 0)
    rare = beyond.sum(0) <= RARE * (~x.isnan()).sum(0)
    return torch.where(rare & beyond, center + limit * (x - center).sign(), x)


def compress(y: Tensor) -> Tensor:
    """Return y, and ± (5 + log(|y| - 4)) beyond ± 5, which is smooth: no value of one example dominates a network."""
    size = y.abs()
    return torch.where(size > LINEAR, y.sign() * (LINEAR + (size - LINEAR).clamp_min(0).log1p()), y)


class Embedding(Standardize):
    """The rows of a table as inputs of a network.

    Numbers are standardized, positive numbers and counts by their logarithm; the other columns become an indicator of
    each value; one more indicator says which values are not missing, another which of the numbers that are often zero
    are zero, and one for each spike which numbers equal it. Missing values are 0 otherwise.

    Args:
        columns: the columns of the table.
    """

    codes: Tensor
    spikes: Tensor
    places: Tensor

    def __init__(self, columns: Sequence[Column]) -> None:
        self.split = widths(columns)
        self.repeats = [len(column.values) for column in of_kind(columns, *CODED)]
        super().__init__((sum(self.split) - len(self.repeats),))
        self.register_buffer("codes", torch.tensor([float(code) for n in self.repeats for code in range(n)]))
        spikes = spikes_of(columns)
        numbers = torch.tensor([number for row in spikes for number in row], dtype=torch.float64)
        self.register_buffer("spikes", numbers, persistent=False)
        places = torch.tensor([place for place, row in enumerate(spikes) for _ in row], dtype=torch.long)
        self.register_buffer("places", places, persistent=False)
        indicators = len(of_kind(columns, "nonnegative")) + len(self.spikes)
        self.output = (len(self.shift) + sum(self.repeats) + sum(self.split) + indicators,)

    def initialize(self, x: Tensor) -> None:
        """Take means and standard deviations from examples ``(B, D)``."""
        super().initialize(self.numbers(x))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, D)`` to ``(B, *output)``."""
        numbers = super().forward(self.numbers(x))
        coded = x[:, len(self.shift) :]
        repeated = [coded[:, j : j + 1].expand(-1, count) for j, count in enumerate(self.repeats)]
        levels = torch.cat(repeated, 1) == self.codes if repeated else coded[:, :0]
        zeros = x.split(self.split, 1)[KINDS.index("nonnegative")] == 0
        spikes = x[:, self.places] == self.spikes.to(x.dtype)
        parts = (torch.where(numbers.isnan(), 0.0, numbers), levels, ~x.isnan(), zeros, spikes)
        return torch.cat([part.to(numbers.dtype) for part in parts], 1)

    def numbers(self, x: Tensor) -> Tensor:
        """Return the numeric columns of ``(B, D)``, with logarithms of positive numbers and of counts plus one."""
        *located, count, _, _, _ = x.split(self.split, 1)
        return torch.cat([*located_numbers(*located), count.log1p()], 1)


def located_numbers(
    real: Tensor, positive: Tensor, bounded: Tensor, integer: Tensor, nonnegative: Tensor
) -> tuple[Tensor, ...]:
    """Return numbers in the units of their locations: logarithms of positive ones, and NaN for exact zeros."""
    return real, positive.log(), bounded, integer, torch.where(nonnegative == 0, torch.nan, nonnegative).log()
