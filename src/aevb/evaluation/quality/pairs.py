"""Measures of pairs of columns, from 0 to 1.

CorrelationSimilarity    1 - ½ |ρ_r - ρ_s|, of two columns of numbers, with Pearson's correlation coefficients
ContingencySimilarity    1 - ½ Σ_ab |p_r(a, b) - p_s(a, b)|, of other pairs; numbers are divided into 10 bins of
                         equal width over the real rows, and the outer bins have no limits
"""

from itertools import combinations
from math import nan

import numpy as np

from aevb.columns import Column
from aevb.evaluation.quality.columns import tv_complement
from aevb.evaluation.quality.record import Measure, PairQuality
from aevb.evaluation.quality.tables import Array, Tables, present

BINS = 10
"""Bins of a column of numbers in a contingency table."""


def correlation_similarity(real: Array, synthetic: Array) -> float:
    """Return the similarity of the correlations of two columns of numbers; NaN if one is constant.

    Args:
        real: ``(N, 2)``.
        synthetic: ``(M, 2)``.
    """
    return 1 - abs(_correlation(present(real)) - _correlation(present(synthetic))) / 2


def _correlation(rows: Array) -> float:
    if len(rows) < 2 or (rows == rows[0]).all(0).any():
        return nan
    first, second = ((column - column.mean()) / column.std() for column in rows.T)
    return float(np.mean(first * second))


def contingency_similarity(real: Array, synthetic: Array) -> float:
    """Return the similarity of the contingency tables of two columns of codes; NaN without a complete row.

    Args:
        real: ``(N, 2)``.
        synthetic: ``(M, 2)``.
    """
    width = np.nanmax(np.concatenate([real[:, 1], synthetic[:, 1], [0.0]])) + 1
    return tv_complement(*(rows[:, 0] * width + rows[:, 1] for rows in (real, synthetic)))


def binned(column: Column, real: Array, values: Array) -> Array:
    """Return the codes of a column; numbers are divided into bins over the range of the real ones."""
    known = present(real)
    if column.values or not len(known):
        return values
    edges = np.linspace(known.min(), known.max(), BINS + 1)[1:-1]
    return np.where(np.isnan(values), np.nan, np.digitize(values, edges))


def pair_qualities(tables: Tables) -> tuple[PairQuality, ...]:
    """Return the similarity of each pair of columns: training rows stand for synthetic ones."""
    codes = _binned(tables)
    return tuple(_pair(tables, codes, pair) for pair in combinations(range(len(tables.columns)), 2))


def _binned(tables: Tables) -> Tables:
    """Return the tables with codes in all columns."""
    return Tables(tables.columns, *(_codes(tables, rows) for rows in tables[1:]))


def _codes(tables: Tables, rows: Array) -> Array:
    return np.stack([binned(column, tables.test[:, j], rows[:, j]) for j, column in enumerate(tables.columns)], 1)


def _pair(tables: Tables, codes: Tables, pair: tuple[int, int]) -> PairQuality:
    first, second = (tables.columns[j] for j in pair)
    if first.values or second.values:
        name, compare, rows = "ContingencySimilarity", contingency_similarity, codes
    else:
        name, compare, rows = "CorrelationSimilarity", correlation_similarity, tables
    synthetic, train, test = (table[:, pair] for table in (rows.synthetic, rows.train, rows.test))
    return PairQuality((first.name, second.name), Measure(name, compare(test, synthetic), compare(test, train)))


def predictability(tables: Tables) -> Array:
    """Return the largest share of the entropy of each column that another column explains, in training rows ``(D,)``.

    The share is I(x; y) / H(x), of columns in bins.
    """
    codes = _binned(tables).train
    shares = np.zeros((len(tables.columns),) * 2)
    for first, second in combinations(range(len(tables.columns)), 2):
        joint = _joint(present(codes[:, (first, second)]))
        shares[first, second], shares[second, first] = _explained(joint), _explained(joint.T)
    return np.asarray(shares.max(1))


def _joint(codes: Array) -> Array:
    """Return the joint distribution of two columns of codes."""
    counts = np.zeros(codes.max(0, initial=0.0).astype(int) + 1)
    np.add.at(counts, tuple(codes.T.astype(int)), 1)
    return counts / max(len(codes), 1)


def _explained(joint: Array) -> float:
    first, second = _entropy(joint.sum(1)), _entropy(joint.sum(0))
    return (first + second - _entropy(joint)) / first if first > 0 else 0.0


def _entropy(shares: Array) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum())
