"""Kinds of values.

"binary": every value is exactly 0 or 1; "unit": all are in [0, 1]; "counts": rows of whole numbers from 0; "columns":
rows of a table (`aevb.columns`), in which alone values may be missing, NaN; "real": all others.

Values are compared as they are stored: a value of 1 is stored as `stored_one`.
"""

from typing import Literal

import torch
from torch import Tensor

from aevb.data.examples import Examples

Kind = Literal["binary", "unit", "counts", "real", "columns"]
_LARGEST_COUNT = 2**24  # beyond it, float32 has no odd numbers


def stored_one(examples: Examples) -> int:
    """Return the stored number of a value of 1."""
    return round(1 / examples.scale)


def described(kind: Kind) -> str:
    """Return the kind of values as words."""
    return kind if kind == "counts" else f"{kind} values"


def kind_of(examples: Examples) -> Kind:
    """Return the narrowest kind of all values."""
    values, top = examples.values, stored_one(examples)
    if bool(((values == 0) | (values == top)).all()):
        return "binary"
    if values.min() >= 0 and values.max() <= top:
        return "unit"
    return "counts" if _are_counts(values) else "real"


def fits(examples: Examples, kind: Kind, largest: int | None = None) -> Tensor:
    """Return whether each value is of a kind, ``(N, *event)``; counts may have a largest value."""
    values, top = examples.values, stored_one(examples)
    if kind == "binary":
        return (values == 0) | (values == top)
    if kind == "unit":
        return (values >= 0) & (values <= top)
    if kind == "counts":
        limit = _LARGEST_COUNT if largest is None else largest
        if not values.is_floating_point():  # bytes
            return values <= min(limit, 255)
        return (values >= 0) & (values <= limit) & (values == values.round())
    return torch.ones_like(values, dtype=torch.bool)


def first_mismatch(examples: Examples, kind: Kind) -> int | None:
    """Return the index of the first example with a value that is not of this kind, or None."""
    if kind in ("real", "columns"):
        return None
    rows = fits(examples, kind).flatten(1).all(1)
    return None if bool(rows.all()) else int(rows.int().argmin())


def _are_counts(values: Tensor) -> bool:
    """Return whether rows hold whole numbers from 0; whole numbers in images are gray levels."""
    in_range = values.dim() == 2 and values.min().item() >= 0 and values.max().item() <= _LARGEST_COUNT
    return in_range and (not values.is_floating_point() or bool((values == values.round()).all()))
