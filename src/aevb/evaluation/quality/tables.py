"""The rows that are compared."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aevb.columns import Column

Array = NDArray[np.float64]
FEWEST_ROWS, ROWS, RECORDS, NUMBERS = 500, 2000, 100_000, 4 * 10**9
"""The smallest and the largest number of rows whose distances to records are measured, the largest number of records,
and how many pairs of numbers are compared at most."""


class Tables(NamedTuple):
    """Synthetic and real rows with the same columns.

    Attributes:
        columns: the columns, in their order in a row.
        synthetic: ``(M, D)``.
        train: rows that the model was trained on, ``(N, D)``.
        valid: rows that chose its weights, ``(V, D)``.
        test: rows that it has never seen, ``(T, D)``.
    """

    columns: Sequence[Column]
    synthetic: Array
    train: Array
    valid: Array
    test: Array

    def limited(self, count: int, seed: int) -> "Tables":
        """Return at most `count` rows of each table, chosen at random."""
        return Tables(self.columns, *(chosen(rows, count, seed) for rows in self[1:]))

    def with_missing_values(self, seed: int) -> "Tables":
        """Return the tables with synthetic rows that lack the values that random test rows lack.

        Otherwise missing values alone would distinguish real rows, and increase their distances.
        """
        if not len(self.test):
            return self
        pattern = np.random.default_rng(seed).integers(len(self.test), size=len(self.synthetic))
        return self._replace(synthetic=np.where(np.isnan(self.test[pattern]), np.nan, self.synthetic))

    def of(self, positions: Sequence[int]) -> "Tables":
        """Return the tables with the columns at these positions alone."""
        return Tables([self.columns[j] for j in positions], *(rows[:, list(positions)] for rows in self[1:]))


def compared_rows(columns: int) -> tuple[int, int]:
    """Return the largest numbers of rows and of records whose distances are measured."""
    rows = max(FEWEST_ROWS, min(ROWS, NUMBERS // (RECORDS * columns)))
    return rows, min(RECORDS, NUMBERS // (rows * columns))


def chosen(rows: Array, count: int, seed: int) -> Array:
    """Return at most `count` rows, chosen at random."""
    if len(rows) <= count:
        return rows
    return rows[np.random.default_rng(seed).choice(len(rows), count, replace=False)]


def present(values: Array) -> Array:
    """Return the values of a column that are not missing, or the rows ``(N, D)`` without a missing value."""
    missing = np.isnan(values)
    return values[~(missing.any(1) if values.ndim == 2 else missing)]
