"""Objects in memory: arrays and tensors, data frames, and PyTorch data sets.

    NumPy array or tensor x             as in a .npy file (`aevb.data.sources.arrays`)
    (x, labels)                         as in a .npz file
    pandas or polars data frame         columns as in a table (`aevb.data.tables.infer`)
    torch Dataset                       every item is an example, (example,) or (example, label)
    torch DataLoader                    every batch is examples, (examples,) or (examples, labels)
    dictionaries of either              one array each, and labels under `label`

The examples of a PyTorch data set are copied into memory; `aevb.data.from_iterable` streams those that do not fit.
"""

from collections.abc import Iterable, Mapping, Sequence, Sized
from contextlib import suppress
from typing import TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from aevb import memory
from aevb.data.dataset import IN_MEMORY, UnsplitData
from aevb.data.sources.arrays import Array, as_rows, from_arrays
from aevb.data.sources.registry import Option, ReadOptions, register_source
from aevb.data.tables.frames import frame_columns, is_frame
from aevb.data.tables.infer import unsplit_table
from aevb.data.tables.raw import RawColumn, array_columns
from aevb.errors import BadInput


@register_source
class ArraySource:
    """NumPy arrays and tensors, with or without labels."""

    description = "a NumPy array or tensor, alone or as (array, labels)"
    options: frozenset[Option] = frozenset()
    priority = 50
    in_memory = True

    def accepts(self, data: object) -> bool:
        return is_array(data) or (isinstance(data, tuple | list) and len(data) == 2 and is_array(data[0]))

    def read(self, data: object, options: ReadOptions) -> UnsplitData:
        return from_object(IN_MEMORY, data)

    def columns(self, data: object, options: ReadOptions) -> list[RawColumn] | None:
        return array_columns(as_rows(_as_arrays(data)["x"], IN_MEMORY))


@register_source
class FrameSource:
    """pandas and polars data frames."""

    description = "a pandas or polars data frame"
    options: frozenset[Option] = frozenset({"column_types"})
    priority = 51
    in_memory = True

    def accepts(self, data: object) -> bool:
        return is_frame(data)

    def read(self, data: object, options: ReadOptions) -> UnsplitData:
        assert is_frame(data)
        return unsplit_table(IN_MEMORY, frame_columns(data), options.column_types)

    def columns(self, data: object, options: ReadOptions) -> list[RawColumn] | None:
        assert is_frame(data)
        return frame_columns(data)


@register_source
class TorchSource:
    """PyTorch data sets and data loaders."""

    description = "a torch Dataset or DataLoader"
    options: frozenset[Option] = frozenset()
    priority = 52
    in_memory = True

    def accepts(self, data: object) -> bool:
        return isinstance(data, Dataset | DataLoader)

    def read(self, data: object, options: ReadOptions) -> UnsplitData:
        return from_arrays(IN_MEMORY, _materialize(data))

    def columns(self, data: object, options: ReadOptions) -> list[RawColumn] | None:
        return array_columns(as_rows(_materialize(data)["x"], IN_MEMORY))


def is_array(data: object) -> "TypeGuard[Array | Tensor]":
    """Return whether data are a NumPy array or a tensor."""
    return isinstance(data, np.ndarray | Tensor)


def from_object(name: str, data: object) -> UnsplitData:
    """Return an array, or (array, labels), as examples; `UnsplitData` are returned as they are.

    Raises:
        BadInput: the object is something else, or the array cannot be used.
    """
    return data if isinstance(data, UnsplitData) else from_arrays(name, _as_arrays(data, name))


def _as_arrays(data: object, name: str = IN_MEMORY) -> Mapping[str, Array]:
    if is_array(data):
        return {"x": to_numpy(data)}
    if isinstance(data, tuple | list) and len(data) == 2 and is_array(data[0]):
        return {"x": to_numpy(data[0]), "y": to_numpy(data[1])}
    raise BadInput(f"{name} is a {type(data).__name__}: expected an array, or a pair of an array and its labels")


def to_numpy(data: object) -> Array:
    """Return an array, a tensor of any type on any device, or a sequence as a NumPy array; masked values are NaN."""
    if isinstance(data, Tensor):
        dense = data.detach().cpu().to_dense()
        is_short = dense.is_floating_point() and dense.dtype.itemsize < 4  # such as bfloat16, which NumPy lacks
        return (dense.float() if is_short else dense).numpy()
    array = np.asarray(data)
    return np.where(np.ma.getmaskarray(np.ma.asarray(data)), np.nan, array) if np.ma.is_masked(data) else array


def _materialize(data: object) -> Mapping[str, Array]:
    """Return all items of a PyTorch data set as arrays."""
    examples, labels = list[Array](), list[Array]()
    batched = isinstance(data, DataLoader) and data.batch_size is not None
    for item in _items(data):
        x, y = _example_and_label(item, batched)
        if not is_array(x):
            raise BadInput(
                f"the data set has items of type {type(x).__name__}: expected arrays or tensors, or pairs of one and a"
                " label; convert them, for instance with a transform"
            )
        examples.append(to_numpy(x) if batched else to_numpy(x)[None])
        if y is not None:
            labels.append(to_numpy(y) if batched else to_numpy(y)[None])
        if len(examples) == 1:
            _require_memory(data, examples[0])
    if not examples:
        raise BadInput("the data set has no items: expected at least one")
    return {"x": _joined(examples), **({"y": np.concatenate(labels)} if labels else {})}


def _example_and_label(item: object, batched: bool) -> tuple[object, object]:
    """Return the example and the label of an item, or the examples and labels of a batch; None without labels."""
    if isinstance(item, Mapping):
        arrays = [value for value in item.values() if is_array(value) and value.ndim > batched]
        if len(arrays) != 1:
            raise BadInput(
                f"the data set has dictionaries with {', '.join(map(str, item))} as items: expected one array or tensor"
                ", and its label under `label`; convert them, or pass a data frame"
            )
        return arrays[0], item.get("label")
    if isinstance(item, tuple | list) and 1 <= len(item) <= 2:
        return item[0], item[1] if len(item) == 2 else None
    return item, None


def _items(data: object) -> Iterable[object]:
    """Yield the items; a map-style data set need not be iterable."""
    if (
        isinstance(data, Dataset)
        and not isinstance(data, torch.utils.data.IterableDataset)
        and hasattr(data, "__len__")
    ):
        return (data[index] for index in range(len(data)))
    assert isinstance(data, Iterable)
    return data


def _require_memory(data: object, first: Array) -> None:
    if not isinstance(data, Sized):
        return
    with suppress(TypeError):  # the length of a data loader may be unknown
        memory.require(len(data) * first.nbytes, "the data set", "stream it with aevb.data.from_iterable")


def _joined(examples: Sequence[Array]) -> NDArray[np.generic]:
    shapes = {example.shape[1:] for example in examples}
    if len(shapes) > 1:
        first, second = sorted(shapes)[:2]
        raise BadInput(f"the data set has items of the shapes {first} and {second}: expected equal shapes")
    return np.concatenate(examples)
