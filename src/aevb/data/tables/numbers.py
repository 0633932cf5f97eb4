"""Types of numeric columns, inferred from their values.

discrete      few numbers that all recur, such as 4, 6, 8
count         whole numbers that begin near 0, as a negative binomial describes them
integer       other whole numbers
nonnegative   numbers from 0, some of them exactly 0
positive      numbers above 0 that a log-normal describes better than a normal, without an end on both sides
bounded       numbers with an end: at 0 or 1, say, or where their density drops from its mean to nothing
real          other numbers
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.special import ndtr

from aevb.columns import ColumnKind

Numbers = NDArray[np.float64]
LARGEST = float(np.finfo(np.float32).max)
"""The largest number: larger ones are refused."""
LARGEST_COUNT = 2**24
LARGEST_INTEGER = 2**53
"""The largest whole number of an integer column: float64 skips some of those beyond."""
NEAR_ZERO = 0.1
"""Counts begin below this share of their maximum."""
RECURRENCES = 10
"""Mean number of rows for each value of a discrete column, at least."""
FEW, SEVERAL, MANY = 12, 32, 100
"""Largest number of discrete values: of any, of consecutive ones that are all common, of others that are common."""
ZEROS = 0.02
"""Share of zeros from which numbers have a probability of being exactly 0."""
EDGE = 0.01
"""Share of the range that is examined beside each of its ends."""
DENSE, AT_EDGE = 0.2, 8
"""The end is a bound if the density there is at least this share of the mean density, and holds this many values."""
COMPLETE = 0.9
"""Share of the whole numbers of a range that occur if its ends are those of the data; other ends are rounded."""
CAPPED = 5
"""Number of values at the largest whole number that may be chance."""
MOST_DECIMALS = 6
MISSED = 5.0
"""Expected number of values beyond the largest one from which it is an end: all are absent by chance in 1 of 150."""
SAMPLED = 100_000
"""Numbers from 0 have the bound 0 if so many samples of a normal are expected to contain a negative one."""


SPIKE, HEIGHT = 0.05, 5.0
"""Least share of a spike among the values, and its least frequency relative to that of its neighbors."""
BESIDE = 3
"""Number of neighbors on each side."""
MOST_SPIKES = 5


class Bounds(NamedTuple):
    """The ends of the possible values of a column; None where there is none."""

    low: float | None = None
    high: float | None = None


def are_whole(values: Numbers) -> bool:
    """Return whether all numbers are whole."""
    return bool((values == np.round(values)).all())


def decimals_of(values: Numbers) -> int | None:
    """Return how many digits after the decimal point numbers have, None for more than six."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = (digits for digits in range(MOST_DECIMALS + 1) if (np.round(values, digits) == values).all())
        return next(rounded, None)


@np.errstate(all="ignore")
def type_of_numbers(values: Numbers, distinct: Numbers) -> ColumnKind:
    """Return the type of a numeric column.

    Args:
        values: its values that are not missing.
        distinct: its distinct values in ascending order, at least two.
    """
    size = np.abs(distinct).max()
    if size > LARGEST:
        return "real"
    if is_discrete(values, distinct):
        return "discrete"
    whole = are_whole(distinct) and size <= LARGEST_INTEGER
    if whole and _are_counts(values):
        return "count"
    bounds = bounds_of(values)
    skewed = None in bounds and _is_log_normal(values)
    if whole:
        return "positive" if skewed else "integer"
    if distinct[0] == 0 and (_outermost(values) is not None or (_are_shares(values) and values.max() <= 1)):
        return "bounded"
    if distinct[0] == 0 and ((values == 0).mean() >= ZEROS or _is_log_normal(values[values > 0])):
        return "nonnegative"
    if skewed:
        return "positive"
    return "real" if bounds == Bounds() else "bounded"


def is_discrete(values: Numbers, distinct: Numbers) -> bool:
    """Return whether a column has so few values that any other would be an error."""
    count, decimals = len(distinct), decimals_of(distinct)
    if count > MANY or len(values) < RECURRENCES * count:
        return False
    if decimals is None:
        return count <= FEW
    low, high = distinct[0], distinct[-1]
    consecutive = count >= 0.75 * (round((high - low) * 10**decimals) + 1)
    common = min((values == low).sum(), (values == high).sum()) >= len(values) / (4 * count)
    if consecutive and (low > 10 * (high - low) or decimals > 0):  # years, rounded measurements
        return bool(decimals > 0 and common and count <= FEW)
    if count <= FEW:
        return bool(common or not (consecutive and low in (0, 1)) or _end_at_largest(values))
    return bool(common and (count <= SEVERAL or not consecutive))


@np.errstate(all="ignore")
def bounds_of(values: Numbers) -> Bounds:
    """Return the bounds of numbers that are neither positive nor counts.

    Numbers from 0 that come near it have the bound 0; shares and percentages that come near 1 or 100 end there; any
    end is a bound where the density of the outermost hundredth of the range is at least a fifth of the mean density.
    """
    low, high = float(values.min()), float(values.max())
    if max(-low, high) > LARGEST:
        return Bounds()
    if _are_shares(values):
        return Bounds(0.0, 1.0 if high <= 1 else 100.0)
    least = 0.0 if low >= 0 and _avoid_negatives(values) else None
    lower, upper = _outermost(-values), _outermost(values)
    return Bounds(least if lower is None else -lower if least is None else max(least, -lower), upper)


def find_spikes(values: Numbers) -> tuple[float, ...]:
    """Return the numbers that are far more frequent than those beside them, in ascending order.

    These are at most `MOST_SPIKES` of the numbers that make up a twentieth of the values, or a fiftieth at an end, and
    occur five times as often as the median of their three neighbors on each side.
    """
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= FEW:
        return ()

    def height(place: int) -> float:
        beside = [*counts[max(0, place - BESIDE) : place], *counts[place + 1 : place + 1 + BESIDE]]
        return float(counts[place] / np.median(beside))

    least = np.full(len(counts), max(SPIKE * len(values), RECURRENCES))
    least[[0, -1]] = max(ZEROS * len(values), RECURRENCES)
    frequent = np.flatnonzero(counts >= least)
    high = [place for place in frequent[np.argsort(-counts[frequent])].tolist() if height(place) >= HEIGHT]
    return tuple(sorted(distinct[high[:MOST_SPIKES]].tolist()))


def _are_shares(values: Numbers) -> bool:
    """Return whether numbers are from 0 to nearly 1 or 100."""
    low, high = values.min(), values.max()
    return bool(low >= 0 and any(low <= NEAR_ZERO * top and (1 - NEAR_ZERO) * top <= high <= top for top in (1, 100)))


def _avoid_negatives(values: Numbers) -> bool:
    """Return whether many samples of a normal with the same moments would have at least one negative value."""
    x = torch.from_numpy(values)
    return bool(max(len(x), SAMPLED) * ndtr(-x.mean() / x.std(correction=0)) >= 1)


def _end_at_largest(values: Numbers) -> bool:
    """Return whether whole numbers end so abruptly that several values beyond the largest one should be there.

    The answers 1 to 7 of a questionnaire end at 7; the numbers of children in a family fade out. The number of values
    beyond is that of a geometric series through the last two frequencies.
    """
    high = values.max()
    last, before = (values == high).sum(), (values == high - 1).sum()
    return bool(last * min(1.0, last / max(before, 1)) >= MISSED)


def _outermost(values: Numbers) -> float | None:
    """Return the upper bound of numbers, rounded up; None if their density fades out."""
    low, high = float(values.min()), float(values.max())
    whole = are_whole(values)
    span, width = high - low + whole, math.floor(EDGE * (high - low)) + 1 if whole else EDGE * (high - low)
    inside = int((values > high - width).sum())
    if inside < max(AT_EDGE, DENSE * len(values) * width / span):
        return None
    complete = whole and len(np.unique(values)) > COMPLETE * span
    if complete or (values == high).sum() > (CAPPED if whole else 1):
        return high
    exponent = math.floor(math.log10(width))
    return max(high, round(math.ceil(high / 10.0**exponent) * 10.0**exponent, max(0, -exponent)))


def _are_counts(values: Numbers) -> bool:
    """Return whether whole numbers begin near 0, and a negative binomial fits them better than a rounded normal."""
    low, high = values.min(), values.max()
    if not 0 <= low <= NEAR_ZERO * high or high > LARGEST_COUNT:
        return False
    x = torch.from_numpy(values)
    mean, variance = x.mean(), x.var(correction=0)
    total = mean.square() / (variance - mean).maximum(1e-3 * mean)
    binomial = (x + total).lgamma() - (x + 1).lgamma() - total.lgamma()
    binomial = binomial + total * (total / (total + mean)).log() + x * (mean / (total + mean)).log()
    below, above, positive = (ndtr(bound / variance.sqrt()) for bound in (x - 0.5 - mean, x + 0.5 - mean, 0.5 + mean))
    return bool(binomial.sum() > ((above - below) / positive).log().sum())


def _is_log_normal(values: Numbers) -> bool:
    """Return whether numbers are positive, and the best log-normal fits them better than the best normal.

    For numbers within a factor of two, such as years, both are nearly the same.
    """
    if not len(values) or values.min() <= 0 or values.max() < 2 * values.min():
        return False
    logarithms = np.log(values)
    return bool(np.log(values.std()) > np.log(logarithms.std()) + logarithms.mean())
