"""New examples in the form of the data that a model was trained on, whatever else is in their file.

A new file is not interpreted by its own content: bytes have the scale of the training data, and gray images become
color images for a model of color images. Values that cannot occur in the training data are refused, or, where examples
are scored, reported: they are the anomalies.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from aevb.columns import Column
from aevb.data.binarization import Binarize, as_bits, binarize_splits
from aevb.data.dataset import UnsplitData
from aevb.data.examples import Examples
from aevb.data.value_kinds import Kind, fits, kind_of, stored_one
from aevb.errors import BadInput

Outside = dict[int, str]
"""The reason why an example is outside of what the training data could have, by its index."""
_EXPECTED = {"binary": "0 or 1", "unit": "values in [0, 1]", "counts": "whole numbers from 0", "real": "real values"}


class DataSpec(NamedTuple):
    """The form of the data that a model was trained on.

    Attributes:
        kind: kind of the values.
        shape: shape of one example, *event.
        columns: columns of a table.
        condition_columns: columns of the condition.
        binarize: as in `aevb.load_data`.
        image_size: as in `aevb.load_data`.
        missing: as in `aevb.load_data`.
        split_seed: as in `aevb.load_data`.
        data_dir: as in `aevb.load_data`.
        byte_scale: factor that maps the bytes of the training data to values; None if it had no bytes.
        white: the value of the source that is 1.
        largest: the largest value that the model can explain; None without one.
        dtype: floating-point type of the training data.
    """

    kind: Kind
    shape: tuple[int, ...]
    columns: tuple[Column, ...]
    condition_columns: tuple[Column, ...]
    binarize: Binarize
    image_size: int | None
    missing: tuple[str, ...] | None
    split_seed: int
    data_dir: str | Path | None
    byte_scale: float | None = None
    white: float = 1.0
    largest: int | None = None
    dtype: torch.dtype = torch.float32


def match_examples(data: UnsplitData, spec: DataSpec, outside: Outside | None = None) -> Examples:
    """Return all examples of a source in the form of the data that a model was trained on.

    Args:
        data: not a table.
        spec: the form of the training data.
        outside: receives the examples with values that cannot occur in the training data, which are then moved to the
            nearest values that it could have; None to refuse them.

    Raises:
        BadInput: the examples have another shape, or values that cannot occur in the training data.
    """
    expected: Kind = spec.kind if spec.binarize == "none" else "unit"
    scaled = _scaled(data, expected, spec)
    examples = _with_channels(scaled if data.white is None else scaled.brightened(spec.white), spec.shape)
    if examples.shape != spec.shape:
        raise BadInput(
            f"{data.name} has examples of shape {examples.shape}: expected {spec.shape}, as in the training data"
        )
    if bool(examples.values.isnan().any()):
        row = int(examples.values.isnan().flatten(1).any(1).int().argmax())
        raise BadInput(
            f"{data.name} has missing values (NaN), the first in row {row} counted from 0, and the training data have"
            " none: impute or drop them, or train on rows with missing values"
        )
    good = fits(examples, expected, spec.largest)
    if not bool(good.all()):
        reasons = _reasons(examples, good, expected, spec)
        if outside is None:
            row, reason = next(iter(reasons.items()))
            raise BadInput(f"{data.name}: row {row} counted from 0 {reason}")
        outside |= reasons
        examples = replace(examples, values=_moved(examples, expected, spec.largest))
    if kind_of(examples) == "binary":
        return as_bits(examples)
    return binarize_splits([examples] * 3, spec.binarize, spec.split_seed)[2]


def _scaled(data: UnsplitData, expected: Kind, spec: DataSpec) -> Examples:
    examples = data.examples
    if examples.values.dtype != torch.uint8:
        return replace(examples, values=examples.values.to(spec.dtype))
    if data.image_files and expected in ("unit", "binary"):
        return examples  # 255 is white, whatever it is in the training data
    byte_scale = spec.byte_scale
    if byte_scale is None and examples.values.dim() == 4 and expected != "binary":
        byte_scale = 1 / 255
    return examples if byte_scale is None else replace(examples, scale=byte_scale)


def _with_channels(examples: Examples, shape: tuple[int, ...]) -> Examples:
    """Return gray images with three equal channels if the model is of color images."""
    if len(shape) == len(examples.shape) == 3 and (examples.shape[0], shape[0]) == (1, 3):
        return replace(examples, values=examples.values.expand(-1, 3, -1, -1).contiguous())
    return examples


def _reasons(examples: Examples, good: Tensor, expected: Kind, spec: DataSpec) -> Outside:
    limit = f" to {spec.largest}" if expected == "counts" and spec.largest is not None else ""
    values, wrong = examples.values.flatten(1), ~good.flatten(1)
    first = wrong.int().argmax(1)
    wanted = f"expected {_EXPECTED[expected]}{limit}, as in the training data"
    if expected == "unit" and spec.byte_scale and values.is_floating_point() and 1 < values.max() <= 255:
        wanted += f"; pass bytes (uint8), or divide by {1 / spec.byte_scale:.0f}"
    return {
        row: f"has the value {values[row, first[row]].item() * examples.scale:g}: {wanted}"
        for row in wrong.any(1).nonzero().flatten().tolist()
    }


def _moved(examples: Examples, expected: Kind, largest: int | None) -> Tensor:
    """Return the nearest values of the expected kind."""
    values, top = examples.values, stored_one(examples)
    if expected == "binary":
        return torch.where(values > top / 2, top, 0).to(values.dtype)
    if expected == "unit":
        return values.clamp(0, top)
    return values.round().clamp(0, largest) if values.is_floating_point() else values.clamp(0, largest)
