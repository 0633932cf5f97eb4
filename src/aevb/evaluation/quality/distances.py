"""How close rows are to the training rows: whether a model has memorized them.

The distance of two rows is the mean over the columns of |a - b| / range of the training rows, at most 1, for numbers
and of 0 or 1 for equal or different categories; a missing value has the distance 0 to another and 1 to a value
(SDMetrics). The distance to the closest record (DCR) is the smallest distance to a row of a table.
"""

from collections.abc import Iterator, Sequence
from math import nan

import numpy as np
import torch
from torch import Tensor

from aevb.columns import Column
from aevb.evaluation.quality.record import Measure, Memorization
from aevb.evaluation.quality.tables import Array, Tables, chosen

MATCH = 0.01
"""Largest relative difference of two numbers that match."""
_MISSING = -float(np.finfo(np.float32).max)
"""Stands for a missing value: at no distance from another, and far from all values."""
_ELEMENTS = 2**22  # in memory at once: 32 MB


def memorization(tables: Tables, seed: int = 0) -> Memorization:
    """Return how close synthetic rows are to the training rows.

    The shares of closer rows refer to as many training rows as there are test rows; equal distances count half.
    """
    size = min(len(tables.train), len(tables.test))
    train, test = chosen(tables.train, size, seed), chosen(tables.test, size, seed)
    closer = [share_closer(train, test, rows, tables) for rows in (tables.synthetic, tables.valid)]
    distances = [_median(closest(tables.train, rows, tables)) for rows in (tables.synthetic, tables.test)]
    return Memorization(
        distance=Measure("median DCR", *distances),
        closer=Measure("closer to training rows", *closer),
        protection=Measure("DCROverfittingProtection", *(min(2 * (1 - share), 1.0) for share in closer)),
        new=Measure(
            "NewRowSynthesis",
            *(new_rows(tables.train, rows, tables.columns) for rows in (tables.synthetic, tables.test)),
        ),
    )


def share_closer(train: Array, test: Array, rows: Array, tables: Tables) -> float:
    """Return the share of rows that are closer to training rows than to test rows; equal distances count half."""
    if not (len(train) and len(test) and len(rows)):
        return nan
    to_train, to_test = closest(train, rows, tables), closest(test, rows, tables)
    return float(np.mean((to_train < to_test) + 0.5 * (to_train == to_test)))


def closest(table: Array, rows: Array, tables: Tables) -> Array:
    """Return the distance of each row ``(M, D)`` to the closest record of a table ``(N, D)``, ``(M,)``.

    Args:
        table: not empty.
        rows: the rows.
        tables: with the training rows, whose ranges are the unit of the distances.
    """
    low, width = _ranges(tables)
    records = _tensor((table - low) / width)
    distances = [gaps.clamp(max=1).mean(2).amin(1) for _, gaps in _gaps(_tensor((rows - low) / width), records)]
    return np.asarray(torch.cat(distances)) if distances else np.empty(0)


def new_rows(table: Array, rows: Array, columns: Sequence[Column]) -> float:
    """Return the share of rows that match no row of a table: all categories are equal and numbers within 1 %."""
    if not (len(table) and len(rows)):
        return nan
    relative = torch.tensor([0.0 if column.values else MATCH for column in columns], dtype=torch.float64)
    matched = [
        (gaps <= (relative * block.abs())[:, None]).all(2).any(1)
        for block, gaps in _gaps(_tensor(rows), _tensor(table))
    ]
    return 1 - float(torch.cat(matched).double().mean())


def _ranges(tables: Tables) -> tuple[Array, Array]:
    """Return the lower end and the width of each column of numbers in the training rows; 0 and 1 for categories."""
    low, width = np.zeros(len(tables.columns)), np.ones(len(tables.columns))
    for j, column in enumerate(tables.columns):
        known = tables.train[~np.isnan(tables.train[:, j]), j]
        if not column.values and len(known):
            low[j], width[j] = known.min(), np.ptp(known) or 1.0
    return low, width


def _tensor(rows: Array) -> Tensor:
    return torch.from_numpy(np.nan_to_num(rows, nan=_MISSING))


def _gaps(rows: Tensor, table: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield blocks of rows ``(B, D)`` with their absolute differences from a table, ``(B, N, D)``."""
    for block in rows.split(max(1, _ELEMENTS // max(1, table.numel()))):
        yield block, (block[:, None] - table).abs()


def _median(values: Array) -> float:
    return float(np.median(values)) if len(values) else nan
