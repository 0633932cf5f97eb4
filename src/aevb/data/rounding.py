"""Examples in float32 where it is exact enough, and in float64 where it is too coarse.

Rounding to float32 changes a value x by up to 6e-8 |x|. This matters where values vary little around a large mean, as
times in seconds do, and where whole numbers above 2²⁴, such as identifiers, would become equal.
"""

from dataclasses import replace

import torch
from torch import Tensor

from aevb.data.examples import Examples
from aevb.errors import BadInput

MOST = 1e-4
"""Largest change by rounding, relative to the standard deviation of the element."""
NOISE = 1e-14
"""Standard deviation, relative to the mean, up to which an element in float64 is constant apart from rounding."""
WHOLE = 2.0**53
"""From here on, all numbers in float64 are whole."""
_BLOCK = 2**20


def narrowed(examples: Examples) -> Examples:
    """Return the same examples with values and conditions in float32, unless it is too coarse for them.

    Raises:
        BadInput: values vary by less than the smallest number in float32.
    """
    condition = None if examples.condition is None else _narrowed(examples.condition)
    return replace(examples, values=_narrowed(examples.values), condition=condition)


def _narrowed(values: Tensor) -> Tensor:
    if values.dtype != torch.float64 or not len(values):
        return values
    elements = values.reshape(-1, 1) if values.dim() == 4 else values  # the pixels of images share one unit
    blocks = elements.split(max(1, _BLOCK // len(elements)), dim=1)
    return values if any(_is_too_coarse(block) for block in blocks) else values.float()


def _is_too_coarse(x: Tensor) -> bool:
    """Return whether rounding to float32 would change values in float64 ``(N, D)`` that matter."""
    rounded = (x - x.float()).abs()
    if not rounded.nan_to_num().any():
        return False
    mean = x.nanmean(0)
    spread = (x - mean).square().nanmean(0).sqrt()
    varies = spread > NOISE * mean.abs()
    if (varies & (spread < torch.finfo(torch.float32).tiny)).any():
        raise BadInput(f"values vary by only {spread[varies].min().item():.3g}: multiply them by a constant")
    changed_whole = (rounded > 0) & (x == x.round()) & (x.abs() <= WHOLE)
    return bool((varies & ((rounded > MOST * spread) | changed_whole).any(0)).any())
