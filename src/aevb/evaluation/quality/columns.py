"""Measures of single columns, from 0 to 1.

    KSComplement        1 - sup_x |F_r(x) - F_s(x)|, of numbers, with the distribution functions of both samples
    TVComplement        1 - ½ Σ_c |p_r(c) - p_s(c)|, of categories
    BoundaryAdherence   share of synthetic numbers within the range of the training rows
    CategoryAdherence   share of synthetic categories that occur in the training rows
    RangeCoverage       share of the range of real numbers that synthetic numbers span
    CategoryCoverage    share of the real categories that occur in synthetic rows

The arguments are the values of one column, ``(N,)`` and ``(M,)``. A measure is NaN if one has no value.
"""

from collections.abc import Callable
from functools import wraps
from math import nan

import numpy as np

from aevb.columns import Column
from aevb.evaluation.quality.record import ColumnQuality, Measure
from aevb.evaluation.quality.tables import Array, Tables, present

Compare = Callable[[Array, Array], float]


def _of_present(measure: Compare) -> Compare:
    """Return a measure that ignores missing values, and is NaN without any value."""

    @wraps(measure)
    def compared(real: Array, synthetic: Array) -> float:
        real, synthetic = present(real), present(synthetic)
        return float(measure(real, synthetic)) if len(real) and len(synthetic) else nan

    return compared


@_of_present
def ks_complement(real: Array, synthetic: Array) -> float:
    """Return 1 minus the Kolmogorov-Smirnov statistic of two samples of numbers."""
    real, synthetic = np.sort(real), np.sort(synthetic)
    below = [
        [np.searchsorted(values, ends, side="right") / len(values) for values in (real, synthetic)]
        for ends in (real, synthetic)  # sorted, which is much faster
    ]
    return 1 - max(float(np.abs(first - second).max()) for first, second in below)


@_of_present
def tv_complement(real: Array, synthetic: Array) -> float:
    """Return 1 minus the total variation distance of two samples of codes."""
    size = int(max(real.max(), synthetic.max())) + 1
    shares = [np.bincount(codes.astype(int), minlength=size) / len(codes) for codes in (real, synthetic)]
    return 1 - float(np.abs(shares[0] - shares[1]).sum()) / 2


@_of_present
def boundary_adherence(train: Array, synthetic: Array) -> float:
    """Return the share of synthetic numbers within the range of the training rows."""
    return float(np.mean((synthetic >= train.min()) & (synthetic <= train.max())))


@_of_present
def category_adherence(train: Array, synthetic: Array) -> float:
    """Return the share of synthetic codes that occur in the training rows."""
    return float(np.isin(synthetic, train).mean())


@_of_present
def range_coverage(real: Array, synthetic: Array) -> float:
    """Return the share of the range of real numbers that synthetic numbers span; NaN for constant real numbers."""
    low, high = real.min(), real.max()
    if low == high:
        return nan
    gaps = max(synthetic.min() - low, 0.0) + max(high - synthetic.max(), 0.0)
    return max(1 - float(gaps / (high - low)), 0.0)


@_of_present
def category_coverage(real: Array, synthetic: Array) -> float:
    """Return the share of the real codes that occur among the synthetic ones."""
    return float(np.isin(np.unique(real), synthetic).mean())


def column_qualities(tables: Tables) -> tuple[ColumnQuality, ...]:
    """Return the measures of each column: training rows stand for synthetic ones, or test rows in the adherence."""
    return tuple(_column_quality(column, tables.of([j])) for j, column in enumerate(tables.columns))


def _column_quality(column: Column, tables: Tables) -> ColumnQuality:
    synthetic, train, test = (rows[:, 0] for rows in (tables.synthetic, tables.train, tables.test))
    shape, spread = ("TVComplement", "Category") if column.values else ("KSComplement", "Range")
    similar = tv_complement if column.values else ks_complement
    adheres = category_adherence if column.values else boundary_adherence
    covers = category_coverage if column.values else range_coverage
    return ColumnQuality(
        column.name,
        Measure(shape, similar(test, synthetic), similar(test, train)),
        Measure(
            f"{'Category' if column.values else 'Boundary'}Adherence", adheres(train, synthetic), adheres(train, test)
        ),
        Measure(f"{spread}Coverage", covers(test, synthetic), covers(test, train)),
    )
