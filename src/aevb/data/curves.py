"""Rows that are curves, such as traces, spectra and time series: each column is the next point of a curve.

Columns in different units, or in no particular order, are not points of a curve. The mean squared difference between
neighboring columns tells them apart. In units of the mean squared difference between any two values of the data it is
small for smooth curves, and about 1 for columns whose neighbors have nothing in common (von Neumann 1941).
"""

from collections.abc import Sequence

from torch import Tensor

from aevb.columns import NUMBERS, Column, DateNotation, modelled

FEW, MANY = 12, 100
"""Rows of up to FEW columns are never curves; those of more than MANY without names always are."""
ROUGH = 0.5
"""The smallest roughness of rows that are not curves."""


def curve_order(x: Tensor, columns: Sequence[Column] = ()) -> list[int] | None:
    """Return the indices of the points of a curve in a row, from left to right; None if the rows are not curves.

    Args:
        x: rows ``(N, D)``; some hundreds suffice.
        columns: columns of a table; none for an array.
    """
    if x.dim() != 2 or x.shape[1] <= FEW:
        return None
    own = modelled(columns)
    if any(column.kind not in NUMBERS or isinstance(column.notation, DateNotation) for column in own):
        return None
    order = sorted(range(x.shape[1]), key=lambda index: own[index].position) if own else list(range(x.shape[1]))
    if not own and ((x == 0) | (x == 1)).all():
        return None
    is_curve = roughness(x[:, order]) < ROUGH or (not own and len(order) > MANY)
    return order if is_curve else None


def roughness(x: Tensor) -> float:
    """Return the mean squared difference of neighboring columns over that of any two values of rows ``(N, D)``."""
    values = x.double()
    steps = values.diff(dim=1)
    observed = values[~values.isnan()]
    spread = 2 * observed.var(correction=0)
    return float(steps[~steps.isnan()].square().mean() / spread) if spread > 0 else 1.0
