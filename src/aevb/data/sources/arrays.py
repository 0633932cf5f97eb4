"""Arrays: of .npy and .npz files, and in memory.

- A .npy file holds (N, D) vectors, (N, H, W) gray images, or (N, H, W, C) or (N, C, H, W) images with C in {1, 3}; a
  four-dimensional array that could be either is taken as (N, C, H, W).
- A .npz file holds one such array, or `x` with optional labels `y`, or `x_train` and `x_test` with optional `y_train`
  and `y_test`; that test part is the test split.
- Labels are N integers or strings. Their sorted distinct values are the names of the classes, with codes 0, 1, ...

Rows (N, D) with missing values, NaN, are a table with the columns x0, x1, ..., whose types are inferred. Images have no
missing values, and no value is infinite.

Bytes in images are gray levels (0 to 255 become 0 to 1) unless none is above 1; other numbers are used as they are.
Python objects, which require unpickling, are refused: loading a file never runs code from it. A small file cannot take
much memory: the declared size of an array is checked, and archives that expand beyond reason are refused.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from zipfile import ZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aevb import memory
from aevb.data.dataset import UnsplitData
from aevb.data.examples import Examples
from aevb.data.tables.infer import unsplit_table
from aevb.data.tables.raw import array_columns
from aevb.errors import BadInput, counted

Array = NDArray[np.generic]

_CHANNELS = (1, 3)
_LARGEST = np.finfo(np.float32).max
_EXPANDED = 2**30
"""Bytes to which any archive may expand."""
_RATIO = 100
"""Largest ratio of expanded to stored bytes of an archive beyond that."""
_KEYS = (("x", "y"), ("x_train", "x_test"), ("x_train", "y_train", "x_test", "y_test"))  # of several arrays


def read_arrays(path: Path) -> UnsplitData:
    """Read the examples, and the labels if there are any, of a .npy or .npz file.

    Raises:
        BadInput: the file is damaged, holds arrays with other names or shapes than the module describes, or values that
            are not finite float32 numbers; or the labels do not match the examples.
    """
    return from_arrays(path.resolve().name, _read(path), str(path))


def from_arrays(name: str, arrays: Mapping[str, Array], title: str | None = None) -> UnsplitData:
    """Return arrays as examples.

    Args:
        name: name of the data.
        arrays: x; x and y; x_train and x_test; or these with y_train and y_test.
        title: name for error messages; default: `name`.

    Raises:
        BadInput: an array has another shape than the module describes, or values that are no float32 numbers;
            or the labels do not match the examples.
    """
    title = title or name
    splits = ("_train", "_test") if "x_train" in arrays else ("",)
    examples = [_events(arrays["x" + split], _title(title, arrays, "x" + split)) for split in splits]
    _require_equal_shapes(examples, title)
    joined = np.concatenate(examples) if len(examples) > 1 else examples[0]
    labels, classes = None, None
    if "y" + splits[0] in arrays:
        label_arrays = [
            _labels(arrays["y" + split], len(events), f"{title} [y{split}]")
            for split, events in zip(splits, examples, strict=True)
        ]
        labels, classes = _encode_labels(np.concatenate(label_arrays))
    unsplit = _rows_with_gaps(joined, name) if _has_nan(joined) else _complete(joined, name)
    test_from = len(examples[0]) if len(examples) > 1 else None
    return replace(unsplit, examples=replace(unsplit.examples, labels=labels), classes=classes, test_from=test_from)


def _complete(array: Array, name: str) -> UnsplitData:
    values = np.ascontiguousarray(array, dtype=stored_type(array.dtype))
    return UnsplitData(name, Examples(torch.from_numpy(values), scale=value_scale(values)), None)


def _rows_with_gaps(array: Array, name: str) -> UnsplitData:
    """Return rows ``(N, D)`` with missing values, NaN, as a table with the columns x0, x1, ..."""
    return unsplit_table(name, array_columns(array.astype(np.float64)), {})


def _has_nan(array: Array) -> bool:
    return array.dtype.kind == "f" and bool(np.isnan(array).any())


def read_rows(path: Path) -> NDArray[np.float64]:
    """Read the rows ``(N, D)`` of a file as float64; missing values are NaN.

    Raises:
        BadInput: the file is damaged, or holds something else.
    """
    arrays = _read(path)
    if len(arrays) > 1:
        raise BadInput(f"{path} has several arrays: expected one array of numbers (N, D)")
    return as_rows(arrays["x"], str(path))


def as_rows(array: Array, name: str) -> NDArray[np.float64]:
    """Return an array as rows ``(N, D)`` in float64; missing values are NaN.

    Raises:
        BadInput: the array has another shape or holds no numbers.
    """
    if array.ndim != 2 or array.dtype.kind not in "buif":
        raise BadInput(f"{name} does not hold rows of numbers: expected one array (N, D)")
    return array.astype(np.float64)


# Reading.


def _read(path: Path) -> dict[str, Array]:
    """Return the arrays of the file; a single one is named x."""
    try:
        arrays = _load(path)
    except BadInput:
        raise
    except Exception as error:  # NumPy and zipfile raise nearly anything on a damaged file
        reason = " ".join(str(error).split())[:120]
        raise BadInput(
            f"{path} cannot be read ({reason}): expected arrays of numbers written by np.save or np.savez, without "
            "Python objects; write it again"
        ) from error
    if len(arrays) == 1:
        return {"x": next(iter(arrays.values()))}
    if set(arrays) not in map(set, _KEYS):
        expected = " or ".join(f"{{{', '.join(keys)}}}" for keys in _KEYS)
        raise BadInput(f"{path} has the arrays {{{', '.join(arrays)}}}: expected one, or {expected}; rename them")
    return arrays


def _load(path: Path) -> dict[str, Array]:
    with path.open("rb") as stream, warnings.catch_warnings():  # NumPy itself leaves a damaged archive open
        warnings.simplefilter("ignore")  # about damaged or old headers
        magic = stream.read(6)
        stream.seek(0)
        if magic.startswith(b"PK"):
            _require_proportionate(path)
        elif magic == b"\x93NUMPY":
            _require_complete(path)
        else:
            raise ValueError("it does not begin as such a file")
        loaded = np.load(stream, allow_pickle=False)
        arrays = {"x": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    if others := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
        raise ValueError(f"its member {others[0]} is not an array")
    return arrays


def _require_complete(path: Path) -> None:
    """Refuse an array that is smaller than it declares, before memory is allocated; mapping it takes none."""
    np.load(path, mmap_mode="r", allow_pickle=False)
    memory.require(path.stat().st_size, str(path), "use fewer or smaller examples")


def _require_proportionate(path: Path) -> None:
    """Refuse an archive that expands beyond reason, before it is expanded."""
    with ZipFile(path) as archive:
        members = archive.infolist()
    if outside := [member.filename for member in members if PurePath(member.filename).name != member.filename]:
        raise ValueError(f"its member {outside[0]} is a path and not an array")
    size = sum(member.file_size for member in members)
    if size > max(_EXPANDED, _RATIO * path.stat().st_size):
        raise ValueError(f"it expands to {size} bytes, over {_RATIO} times its own size")
    memory.require(size, str(path), "use fewer or smaller examples")


def _title(title: str, arrays: Mapping[str, Array], key: str) -> str:
    return title if len(arrays) == 1 else f"{title} [{key}]"


# Examples.


def _events(array: Array, name: str) -> Array:
    """Return the array as (N, D) or (N, C, H, W), with its values checked."""
    if array.dtype.kind not in "buif":
        raise BadInput(f"{name} has values of type {array.dtype}: expected real numbers; convert them")
    events = to_events(array, name)
    if array.dtype.kind == "f":
        if events.ndim > 2:
            _require(~np.isnan(array), name, "NaN (only rows (N, D) may have missing values)")
        _require(~np.isinf(array), name, "infinite")
        _require(~(np.abs(array) > _LARGEST), name, "too large for float32")
    return events


def to_events(array: Array, name: str) -> Array:
    """Return the array as (N, D) or (N, C, H, W).

    Raises:
        BadInput: the array has another shape than the module describes.
    """
    require_events(array.shape, name)
    if array.ndim == 2:
        return array
    if array.ndim == 3:
        return array[:, None]
    return array if array.shape[1] in _CHANNELS else np.moveaxis(array, 3, 1)


def require_events(shape: tuple[int, ...], name: str) -> None:
    """Refuse an array of another shape than the module describes.

    Raises:
        BadInput: the shape is none of vectors or images.
    """
    if len(shape) not in (2, 3) and not (len(shape) == 4 and (shape[1] in _CHANNELS or shape[3] in _CHANNELS)):
        raise BadInput(
            f"{name} has the shape {shape}: expected vectors (N, D), or images (N, H, W), (N, H, W, C) or "
            "(N, C, H, W) with C 1 or 3; reshape it (N single numbers are (N, 1))"
        )


def _require(valid: NDArray[np.bool_], name: str, fault: str) -> None:
    if not valid.all():
        invalid = np.argwhere(~valid)
        verb = "is" if len(invalid) == 1 else "are"
        raise BadInput(
            f"{name} has {counted(len(invalid), 'value')} that {verb} {fault}, the first in row {invalid[0, 0]} counted"
            " from 0: expected finite numbers; drop or replace them"
        )


def _require_equal_shapes(examples: Sequence[Array], name: str) -> None:
    train, test = examples[0], examples[-1]
    if (train.dtype, train.shape[1:]) != (test.dtype, test.shape[1:]):
        raise BadInput(
            f"{name} has training examples {train.dtype} of shape {train.shape[1:]} and test examples {test.dtype} of "
            f"shape {test.shape[1:]}: expected equal types and shapes"
        )


def stored_type(dtype: "np.dtype[np.generic]") -> "np.dtype[np.generic]":
    """Return uint8, float32 or float64: the smallest type of examples that can hold numbers of a type."""
    if dtype in (np.bool_, np.uint8):
        return np.dtype(np.uint8)
    return np.dtype(np.float32 if np.can_cast(dtype, np.float32) else np.float64)


def value_scale(values: Array) -> float:
    """Return the factor that maps stored gray levels to [0, 1], or 1."""
    return 1 / 255 if values.dtype == np.uint8 and values.ndim == 4 and int(np.max(values, initial=0)) > 1 else 1.0


# Labels.


def _labels(labels: Array, count: int, name: str) -> Array:
    """Return labels as int64 or as text."""
    if labels.dtype.kind == "O" and all(isinstance(label, str) for label in labels.flat):  # as pandas has them
        labels = labels.astype(np.str_)
    if labels.shape != (count,) or labels.dtype.kind not in "buiUS":
        raise BadInput(
            f"{name} has labels {labels.dtype} of shape {labels.shape}: "
            f"expected integers or strings of shape ({count},), one for each example"
        )
    if labels.dtype.kind == "S":
        return np.char.decode(labels.astype(np.bytes_), "utf-8", "replace")
    return labels if labels.dtype.kind == "U" else labels.astype(np.int64)


def encode_labels(labels: Array, count: int, name: str) -> tuple[Tensor, tuple[str, ...]]:
    """Return labels as codes ``(N,)``, and the names of the classes 0, 1, ...

    Args:
        labels: integers or texts.
        count: expected number of labels.
        name: what they are, for error messages.

    Raises:
        BadInput: the labels have another shape or type.
    """
    return _encode_labels(_labels(labels, count, name))


def _encode_labels(labels: Array) -> tuple[Tensor, tuple[str, ...]]:
    names, codes = np.unique(labels, return_inverse=True)
    return torch.from_numpy(codes.astype(np.int64)), tuple(str(name) for name in names)
