"""How close rows are to the training rows: whether a model has memorized them.

The distance of two rows is the mean over the columns of |a - b| / range of the training rows, at most 1, for numbers
and of 0 or 1 for equal or different categories; a missing value has the distance 0 to another and 1 to a value
(SDMetrics). The distance to the closest record (DCR) is the smallest distance to a row of a table. Two rows match if
their categories are equal and their numbers differ by at most 1 % (NewRowSynthesis).
"""

from collections.abc import Sequence
from math import nan
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aevb.columns import Column
from aevb.evaluation.quality.record import Measure, Memorization
from aevb.evaluation.quality.tables import Array, Tables, chosen

MATCH = 0.01
"""Largest relative difference of two numbers that match."""
_MISSING, _FAR = -1e30, 1e20
"""Stands for a missing value, at no distance from another and far from all values, which are at most _FAR."""
_ELEMENTS = 2**20  # compared at once


class Scale(NamedTuple):
    """The unit of distances.

    Attributes:
        low: the smallest number of each column in the training rows; 0 for categories, ``(D,)``.
        width: the range of each column; 1 for categories and constants, ``(D,)``.
        match: largest relative difference of values that match, ``(D,)``.
    """

    low: Array
    width: Array
    match: Array

    @classmethod
    def of(cls, columns: Sequence[Column], train: Array) -> "Scale":
        """Return the unit of distances between rows with these columns."""
        low, width = np.zeros(len(columns)), np.ones(len(columns))
        for j, column in enumerate(columns):
            known = train[~np.isnan(train[:, j]), j]
            if not column.values and len(known):
                low[j], width[j] = known.min(), np.ptp(known) or 1.0
        return cls(low, width, np.array([0.0 if column.values else MATCH for column in columns]))

    def scaled(self, rows: Array) -> Tensor:
        """Return rows in units of the ranges, ``(N, D)`` in float32."""
        return torch.from_numpy(np.nan_to_num(((rows - self.low) / self.width).clip(-_FAR, _FAR), nan=_MISSING)).float()

    def tolerance(self, rows: Array) -> Tensor:
        """Return the largest distance in each column of values that match those of rows, ``(N, D)`` in float32."""
        return torch.from_numpy(np.nan_to_num(self.match * (np.abs(rows) / self.width).clip(max=_FAR))).float()


class Closest(NamedTuple):
    """The closest records of rows in a table.

    Attributes:
        distance: of each row, ``(M,)``.
        matched: whether a record matches, ``(M,)``.
    """

    distance: Array
    matched: Array


def memorization(measured: Tables, records: Tables, seed: int = 0) -> Memorization:
    """Return how close synthetic rows are to the training rows.

    The shares of closer rows refer to as many training rows as there are test rows; equal distances count half.

    Args:
        measured: the rows whose distances are measured.
        records: the rows to which they are measured.
        seed: of the choice of training rows.
    """
    scale = Scale.of(records.columns, records.train)
    nearest = [closest(records.train, rows, scale) for rows in (measured.synthetic, measured.test)]
    size = min(len(records.train), len(records.test))
    train, test = chosen(records.train, size, seed), chosen(records.test, size, seed)
    closer = [share_closer(train, test, rows, scale) for rows in (measured.synthetic, measured.valid)]
    return Memorization(
        distance=Measure("median DCR", *(_median(one.distance) for one in nearest)),
        closer=Measure("closer to training rows", *closer),
        protection=Measure("DCROverfittingProtection", *map(overfitting_protection, closer)),
        new=Measure("NewRowSynthesis", *(1 - _mean(one.matched) for one in nearest)),
    )


def overfitting_protection(share: float) -> float:
    """Return DCROverfittingProtection for the share of rows that are closer to training rows."""
    return float(np.minimum(2 * (1 - share), 1.0))


def share_closer(train: Array, test: Array, rows: Array, scale: Scale) -> float:
    """Return the share of rows that are closer to training rows than to test rows; equal distances count half."""
    if not (len(train) and len(test)):
        return nan
    to_train, to_test = (closest(table, rows, scale).distance for table in (train, test))
    return _mean((to_train < to_test) + 0.5 * (to_train == to_test))


def closest(table: Array, rows: Array, scale: Scale) -> Closest:
    """Return the distances of rows ``(M, D)`` to the closest records of a table ``(N, D)``, which is not empty."""
    records = scale.scaled(table).T.contiguous()
    blocks = (scale.scaled(rows), scale.tolerance(rows))
    size = max(1, _ELEMENTS // len(table))
    pairs = [_compared(block, limit, records) for block, limit in zip(*(x.split(size) for x in blocks), strict=True)]
    return Closest(*(torch.cat(parts).double().numpy() for parts in zip(*pairs, strict=True)))


def _compared(rows: Tensor, tolerance: Tensor, records: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distance to the closest record and whether one matches, ``(B,)`` each.

    Args:
        rows: ``(B, D)``.
        tolerance: ``(B, D)``.
        records: ``(D, N)``.
    """
    total = rows.new_zeros(len(rows), records.shape[1])
    matched = torch.ones_like(total, dtype=torch.bool)
    for value, limit, record in zip(rows.T, tolerance.T, records, strict=True):
        gap = (value[:, None] - record).abs_()
        matched &= gap <= limit[:, None]
        total += gap.clamp_(max=1)
    return total.amin(1) / len(records), matched.any(1)


def _median(values: Array) -> float:
    return float(np.median(values)) if len(values) else nan


def _mean(values: Array) -> float:
    return float(np.mean(values)) if len(values) else nan
