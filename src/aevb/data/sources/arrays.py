"""Arrays in .npy and .npz files.

- A .npy file holds (N, D) vectors, (N, H, W) grey images, or (N, H, W, C) or (N, C, H, W) images with C in {1, 3}; four
  dimensions that could be either are taken as (N, C, H, W).
- A .npz file holds one such array, or `x` with or without labels `y`, or `x_train` and `x_test` with or without
  `y_train` and `y_test`; that test part is then the test split.
- Labels are N integers or strings; sorted, they name the classes, and each becomes the code 0, 1, ... of its class.

Bytes in images are greys (0 to 255 become 0 to 1) unless none is above 1; any other number is just that number. Python
objects, which only unpickling could read, are refused: loading a file never runs code from it. Nor does a small file
take much memory: what an array says of its size must be there, and archives that expand beyond reason are refused.
"""

import warnings
from pathlib import Path, PurePath
from typing import Any
from zipfile import ZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aevb import memory
from aevb.data.dataset import Examples, UnsplitData
from aevb.errors import BadInput

Array = NDArray[Any]

_CHANNELS = (1, 3)
_LARGEST = np.finfo(np.float32).max
_EXPANDED = 2**30
"""Bytes to which an archive may expand, however small it is."""
_RATIO = 100
"""How much larger than the file it may be beyond that."""
_KEYS = (("x", "y"), ("x_train", "x_test"), ("x_train", "y_train", "x_test", "y_test"))  # of several arrays


def read_arrays(path: Path) -> UnsplitData:
    """Read the examples, and the labels if there are any, in a .npy or .npz file.

    Raises:
        BadInput: the file is damaged, holds other arrays or shapes than the module names, or values that are no finite
            float32 numbers; or the labels do not fit the examples.
    """
    arrays = _read(path)
    parts = ("_train", "_test") if "x_train" in arrays else ("",)
    examples = [_events(arrays["x" + part], _named(path, arrays, "x" + part)) for part in parts]
    _require_alike(examples, path)
    values = small(np.concatenate(examples) if len(examples) > 1 else examples[0])
    labels, classes = None, None
    if "y" + parts[0] in arrays:
        found = [
            _labels(arrays["y" + part], len(events), f"{path} [y{part}]")
            for part, events in zip(parts, examples, strict=True)
        ]
        labels, classes = _codes(np.concatenate(found))
    return UnsplitData(
        name=path.resolve().name,
        examples=Examples(torch.from_numpy(values), labels, scale_of(values)),
        classes=classes,
        test_from=len(examples[0]) if len(examples) > 1 else None,
    )


def read_rows(path: Path) -> Array:
    """The rows ``(N, D)`` in a file as float64; values may be missing, NaN.

    Raises:
        BadInput: the file is damaged, or holds something else.
    """
    arrays = _read(path)
    array = arrays.get("x", np.array("several"))
    if array.ndim != 2 or array.dtype.kind not in "buif":
        raise BadInput(f"{path} holds no rows of numbers: expected one array (N, D)")
    return array.astype(np.float64)


# Reading.


def _read(path: Path) -> dict[str, Array]:
    """The arrays in the file; one alone is called x, whatever its name."""
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
        raise BadInput(f"{path} holds the arrays {{{', '.join(arrays)}}}: expected one, or {expected}; rename them")
    return arrays


def _load(path: Path) -> dict[str, Array]:
    with path.open("rb") as stream, warnings.catch_warnings():  # NumPy itself leaves a damaged archive open
        warnings.simplefilter("ignore")  # remarks on headers that are damaged, or of long ago
        first = stream.read(6)
        stream.seek(0)
        if first.startswith(b"PK"):
            _require_modest(path)
        elif first == b"\x93NUMPY":
            _require_whole(path)
        else:
            raise ValueError("it begins as no such file does")
        loaded = np.load(stream, allow_pickle=False)
        arrays = {"x": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    if strangers := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
        raise ValueError(f"{strangers[0]} in it is no array")
    return arrays


def _require_whole(path: Path) -> None:
    """Refuse an array that is not as large as it says, before memory is taken for it; mapping it takes none."""
    np.load(path, mmap_mode="r", allow_pickle=False)
    memory.require(path.stat().st_size, str(path), "give fewer examples, or smaller ones")


def _require_modest(path: Path) -> None:
    """Refuse an archive that expands beyond reason, before it does."""
    with ZipFile(path) as archive:
        members = archive.infolist()
    if outside := [member.filename for member in members if PurePath(member.filename).name != member.filename]:
        raise ValueError(f"its part {outside[0]} names a place, and no array")
    size = sum(member.file_size for member in members)
    if size > max(_EXPANDED, _RATIO * path.stat().st_size):
        raise ValueError(f"it expands to {size} bytes, over {_RATIO} times its own size")
    memory.require(size, str(path), "give fewer examples, or smaller ones")


def _named(path: Path, arrays: dict[str, Array], key: str) -> str:
    return str(path) if len(arrays) == 1 else f"{path} [{key}]"


# Examples.


def _events(array: Array, name: str) -> Array:
    """The array as (N, D) or (N, C, H, W), its values checked."""
    if array.dtype.kind not in "buif":
        raise BadInput(f"{name} holds values of type {array.dtype}: expected real numbers; convert them")
    events = laid_out(array, name)
    if array.dtype.kind == "f":
        _require(np.isfinite(array), name, "NaN or infinite")
        _require(np.abs(array) <= _LARGEST, name, "too large for float32")
    return events


def laid_out(array: Array, name: str) -> Array:
    """The array as (N, D) or (N, C, H, W)."""
    if array.ndim == 2:
        return array
    if array.ndim == 3:
        return array[:, None]
    if array.ndim == 4 and array.shape[1] in _CHANNELS:
        return array
    if array.ndim == 4 and array.shape[3] in _CHANNELS:
        return np.moveaxis(array, 3, 1)
    raise BadInput(
        f"{name} has the shape {array.shape}: expected vectors (N, D), or images (N, H, W), (N, H, W, C) or "
        "(N, C, H, W) with C 1 or 3; reshape it (N single numbers are (N, 1))"
    )


def _require(usable: NDArray[np.bool_], name: str, fault: str) -> None:
    if not usable.all():
        bad = np.argwhere(~usable)
        raise BadInput(
            f"{name} holds {len(bad)} values that are {fault}, the first in row {bad[0, 0]} counted from 0: "
            "expected finite numbers; drop or replace them"
        )


def _require_alike(parts: list[Array], path: Path) -> None:
    first, last = parts[0], parts[-1]
    if (first.dtype, first.shape[1:]) != (last.dtype, last.shape[1:]):
        raise BadInput(
            f"{path} has training examples {first.dtype} of shape {first.shape[1:]} and test examples {last.dtype} of "
            f"shape {last.shape[1:]}: expected the same type and shape"
        )


def small(array: Array) -> Array:
    """The array as contiguous uint8 or float32."""
    return np.ascontiguousarray(array, dtype=np.uint8 if array.dtype in (np.bool_, np.uint8) else np.float32)


def scale_of(values: Array) -> float:
    """What brings stored values to [0, 1] if they are greys."""
    return 1 / 255 if values.dtype == np.uint8 and values.ndim == 4 and values.max(initial=0) > 1 else 1.0


# Labels.


def _labels(labels: Array, count: int, name: str) -> Array:
    """Labels as int64 or as text."""
    if labels.shape != (count,) or labels.dtype.kind not in "buiUS":
        raise BadInput(
            f"{name} holds labels {labels.dtype} of shape {labels.shape}: "
            f"expected integers or strings of shape ({count},), one for each example"
        )
    if labels.dtype.kind == "S":
        return np.char.decode(labels, "utf-8", "replace")
    return labels if labels.dtype.kind == "U" else labels.astype(np.int64)


def _codes(labels: Array) -> tuple[Tensor, tuple[str, ...]]:
    names, codes = np.unique(labels, return_inverse=True)
    return torch.from_numpy(codes.astype(np.int64)), tuple(str(name) for name in names)
