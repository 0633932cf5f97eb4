"""Kinds of values, and which examples have them.

"binary": every value is exactly 0 or 1; "unit": all lie in [0, 1]; "counts": rows of whole numbers from 0 on;
"columns": the rows of a table (`aevb.columns`), in which alone values may be missing, NaN; "real": anything else.

A value is 1 where its stored number is `one`, so that bytes are compared as bytes.
"""

from typing import Literal

from torch import Tensor

from aevb.data.examples import Examples

Kind = Literal["binary", "unit", "counts", "real", "columns"]
_LARGEST_COUNT = 2**24  # beyond it float32 has no more odd numbers


def one(examples: Examples) -> int:
    """What is stored for a 1."""
    return round(1 / examples.scale)


def kind_of(examples: Examples) -> Kind:
    """The narrowest kind that all values are of."""
    values, top = examples.values, one(examples)
    if bool(((values == 0) | (values == top)).all()):
        return "binary"
    if values.min() >= 0 and values.max() <= top:
        return "unit"
    return "counts" if _are_counts(values) else "real"


def misfit(examples: Examples, kind: Kind) -> int | None:
    """The first example that has a value which the kind cannot have; None where all fit."""
    values, top = examples.values.flatten(1), one(examples)
    if kind == "binary":
        fits = (values == 0) | (values == top)
    elif kind == "unit":
        fits = (values >= 0) & (values <= top)
    elif kind == "counts" and values.is_floating_point():
        fits = (values >= 0) & (values <= _LARGEST_COUNT) & (values == values.round())
    else:
        return None
    rows = fits.all(1)
    return None if bool(rows.all()) else int(rows.int().argmin())


def _are_counts(values: Tensor) -> bool:
    """Whether rows hold whole numbers from 0 on; those of images are greys of some other scale."""
    within = values.dim() == 2 and values.min().item() >= 0 and values.max().item() <= _LARGEST_COUNT
    return within and (not values.is_floating_point() or bool((values == values.round()).all()))
