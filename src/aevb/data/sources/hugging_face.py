"""Data sets of the Hugging Face library `datasets`: rows of a table, images or arrays.

    no column of images or arrays     a table, whose columns are inferred as those of a Parquet file
    one column of images              as a folder of images (`aevb.data.sources.images`)
    one column of arrays or lists     as in a .npy file (`aevb.data.sources.arrays`)

The labels of images and arrays are in the column `label`, otherwise in the first column with named classes; other
columns are ignored, with a note. The library is not imported. The examples are copied into memory.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeGuard

import numpy as np
import pyarrow as pa

from aevb.data.dataset import IN_MEMORY, UnsplitData
from aevb.data.image_files import EncodedImage
from aevb.data.sources.arrays import Array, as_rows, encode_labels, from_arrays
from aevb.data.sources.images import unsplit_images
from aevb.data.sources.registry import Option, ReadOptions, register_source
from aevb.data.tables.arrow import arrow_column
from aevb.data.tables.infer import unsplit_table
from aevb.data.tables.raw import RawColumn, array_columns
from aevb.errors import BadInput


class HubDataset(Protocol):
    """What is used of a `datasets.Dataset`."""

    features: Mapping[str, object]

    def select_columns(self, column_names: str, /) -> "HubDataset": ...

    def with_format(self, kind: str, /, *, dtype: object = ...) -> "HubDataset": ...

    def __getitem__(self, key: slice, /) -> object: ...


@register_source
class HubTableSource:
    """Hugging Face data sets whose columns are those of a table."""

    description = "a Hugging Face Dataset of rows"
    options: frozenset[Option] = frozenset({"column_types"})
    priority = 53
    in_memory = True

    def accepts(self, data: object) -> bool:
        return is_hub_dataset(data) and not _images(data) and not _arrays(data)

    def read(self, data: object, options: ReadOptions) -> UnsplitData:
        return unsplit_table(IN_MEMORY, self.columns(data, options), options.column_types)

    def columns(self, data: object, options: ReadOptions) -> list[RawColumn]:
        assert is_hub_dataset(data)
        return [arrow_column(name, _values(data, name)) for name in data.features]


@register_source
class HubImageSource:
    """Hugging Face data sets with a column of images."""

    description = "a Hugging Face Dataset of images"
    options: frozenset[Option] = frozenset({"image_size"})
    priority = 54
    in_memory = True

    def accepts(self, data: object) -> bool:
        return is_hub_dataset(data) and bool(_images(data))

    def read(self, data: object, options: ReadOptions) -> UnsplitData:
        assert is_hub_dataset(data)
        name = _only(_images(data))
        images = [_image(f"image {row}", stored) for row, stored in enumerate(_arrow(data, name).to_pylist())]
        return _with_labels(data, name, unsplit_images(IN_MEMORY, IN_MEMORY, images, options.image_size))

    def columns(self, data: object, options: ReadOptions) -> None:
        return None


@register_source
class HubArraySource:
    """Hugging Face data sets with a column of arrays or lists of numbers."""

    description = "a Hugging Face Dataset of arrays"
    options: frozenset[Option] = frozenset()
    priority = 55
    in_memory = True

    def accepts(self, data: object) -> bool:
        return is_hub_dataset(data) and bool(_arrays(data)) and not _images(data)

    def read(self, data: object, options: ReadOptions) -> UnsplitData:
        assert is_hub_dataset(data)
        return _with_labels(data, _only(_arrays(data)), from_arrays(IN_MEMORY, {"x": _array(data)}))

    def columns(self, data: object, options: ReadOptions) -> list[RawColumn]:
        assert is_hub_dataset(data)
        return array_columns(as_rows(_array(data), IN_MEMORY))


def is_hub_dataset(data: object) -> TypeGuard[HubDataset]:
    """Return whether data are a `datasets.Dataset`: one split, and no stream."""
    return all(hasattr(data, name) for name in ("features", "select_columns", "with_format", "__getitem__"))


# Columns.


def _images(data: HubDataset) -> list[str]:
    return [name for name, feature in data.features.items() if type(feature).__name__ == "Image"]


def _arrays(data: HubDataset) -> dict[str, "np.dtype[np.generic]"]:
    """Return the type of the numbers in each column of arrays or lists."""
    types = {name: _number_type(feature) for name, feature in data.features.items()}
    return {name: dtype for name, dtype in types.items() if dtype is not None}


def _number_type(feature: object) -> "np.dtype[np.generic] | None":
    """Return the type of the numbers in arrays or lists; None for any other column."""
    if not (hasattr(feature, "feature") or hasattr(feature, "shape")):
        return None
    while hasattr(feature, "feature"):
        feature = feature.feature
    with suppress(TypeError):  # of texts, for example
        dtype = np.dtype(str(getattr(feature, "dtype", None)))
        return dtype if dtype.kind in "buif" else None
    return None


def _only(names: Mapping[str, object] | list[str]) -> str:
    if len(names) > 1:
        raise BadInput(
            f"the data set has several columns of examples ({', '.join(names)}): expected one; keep one of them with"
            " select_columns"
        )
    return next(iter(names))


def _arrow(data: HubDataset, name: str) -> "pa.ChunkedArray":
    table = data.select_columns(name).with_format("arrow")[:]
    assert isinstance(table, pa.Table)
    return table.column(name)


def _array(data: HubDataset) -> Array:
    """Return the only column of arrays, in the type in which it is stored."""
    types = _arrays(data)
    name = _only(types)
    columns = data.select_columns(name).with_format("numpy", dtype=types[name])[:]
    assert isinstance(columns, Mapping)
    return np.asarray(columns[name])


def _values(data: HubDataset, name: str) -> "pa.ChunkedArray | pa.Array":
    """Return a column in which numbers of named classes are replaced by the names."""
    column, classes = _arrow(data, name), getattr(data.features[name], "names", None)
    if classes is None:
        return column
    codes = column.to_pylist()
    return pa.array([None if code is None or code < 0 else classes[code] for code in codes], type=pa.string())


def _image(title: str, stored: Mapping[str, object] | None) -> "Path | EncodedImage":
    """Return an image that is stored as bytes or as the path of a file."""
    content, path = (stored or {}).get("bytes"), (stored or {}).get("path")
    if isinstance(content, bytes):
        return EncodedImage(title, content)
    if isinstance(path, str):
        return Path(path)
    raise BadInput(f"{title} of the data set is missing: drop its row with filter")


# Labels.


def _with_labels(data: HubDataset, examples: str, unsplit: UnsplitData) -> UnsplitData:
    """Return data with labels, and with a note on the columns that are ignored."""
    name = next(_label_columns(data), None)
    ignored = [other for other in data.features if other not in (examples, name)]
    notes = (*unsplit.notes, f"ignored: columns {', '.join(ignored)}") if ignored else unsplit.notes
    if name is None:
        return replace(unsplit, notes=notes)
    labels = np.asarray(_values(data, name).to_pylist())
    codes, classes = encode_labels(labels, len(unsplit.examples), f"column {name!r}")
    return replace(unsplit, examples=replace(unsplit.examples, labels=codes), classes=classes, notes=notes)


def _label_columns(data: HubDataset) -> Iterator[str]:
    """Yield the columns that may hold labels, best first."""
    yield from (name for name in data.features if name == "label")
    yield from (name for name, feature in data.features.items() if hasattr(feature, "names"))
