"""Data frames of pandas and polars."""

import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Literal, Protocol, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from aevb.columns import CODED, Column, Value
from aevb.data.optional import optional_library
from aevb.data.tables.encode import decode_rows
from aevb.data.tables.read import MAX_CATEGORIES, RawColumn, dates_message, require_distinct, unsupported_column

LISTED_DTYPES = ("category", "ordered category", "enum", "Categorical")
"""Types that list their values."""
_RESTORED_DTYPES = r"(u?int|float|U?Int|Float)\d+|bool|boolean|Boolean|str|string|String|object|\w+\[pyarrow\]"
"""Other types that a decoded data frame keeps."""
_CODED = (*CODED, "constant")


class Series(Protocol):
    """A column of a data frame."""

    dtype: object

    def to_numpy(self) -> NDArray[np.generic]: ...


class DataFrame(Protocol):
    """The common interface of pandas and polars data frames."""

    columns: Sequence[Hashable]

    def __getitem__(self, name: Hashable, /) -> Series: ...

    def to_numpy(self) -> NDArray[np.generic]: ...


def is_frame(data: object) -> TypeGuard[DataFrame]:
    """Return whether data are a data frame of pandas or polars."""
    return hasattr(data, "columns") and hasattr(data, "to_numpy")


def frame_columns(frame: DataFrame, name: str = "the data frame") -> list[RawColumn]:
    """Return the columns of a pandas or polars data frame.

    Raises:
        BadInput: two columns have the same name.
    """
    names = [str(column) for column in frame.columns]
    require_distinct(names, name)
    return [_series_column(text, frame[column]) for text, column in zip(names, frame.columns, strict=True)]


def to_frame(columns: Sequence[Column], rows: NDArray[np.floating], library: Literal["pandas", "polars"]) -> DataFrame:
    """Return rows ``(N, D)`` as a data frame with the original types of its columns.

    Raises:
        BadInput: the library is not installed.
    """
    module = optional_library(library, "a model of data frames", library)
    to_series = _pandas_series if library == "pandas" else _polars_series
    by_name = {column.name: column for column in columns}
    table = decode_rows(columns, rows)
    frame: DataFrame = module.DataFrame(
        {name: to_series(module, by_name[name], values) for name, values in table.items()}
    )
    return frame


def _pandas_series(pandas: ModuleType, column: Column, values: Sequence[Value | None]) -> ArrayLike:
    if column.dtype in LISTED_DTYPES and column.kind in _CODED:
        ordered = column.dtype.startswith("ordered")
        categorical: ArrayLike = pandas.Categorical(values, categories=list(column.values), ordered=ordered)
        return categorical
    series = pandas.Series(values, dtype=object)
    missing = any(value is None for value in values)
    if re.fullmatch(_RESTORED_DTYPES, column.dtype) and not (missing and re.fullmatch(r"bool|u?int\d+", column.dtype)):
        restored: ArrayLike = series.astype(column.dtype)
        return restored
    inferred: ArrayLike = series.infer_objects()
    return inferred


def _polars_series(polars: ModuleType, column: Column, values: Sequence[Value | None]) -> ArrayLike:
    if column.dtype == "enum" and column.kind in _CODED:
        dtype: DTypeLike | None = polars.Enum([str(value) for value in column.values])
    else:
        restorable = re.fullmatch(_RESTORED_DTYPES, column.dtype) or column.dtype in LISTED_DTYPES
        dtype = getattr(polars, column.dtype, None) if restorable else None
    series: ArrayLike = polars.Series(values, dtype=dtype, strict=False)
    return series


def _series_column(name: str, series: Series) -> RawColumn:
    raw, dtype = _array_column(name, np.asarray(series.to_numpy())), str(series.dtype)
    levels = tuple(_levels(series, dtype))
    if dtype == "category":  # of pandas
        dtype = "ordered " * bool(getattr(series.dtype, "ordered", False)) + dtype
    elif dtype.startswith("Enum"):  # of polars
        dtype = "enum"
    elif dtype.startswith("Categorical"):
        levels = tuple(raw.distinct().tolist())
        dtype = "Categorical" if levels else dtype
    whole = raw.whole or bool(re.match("u?int", dtype.lower()))
    usable = 1 < len(levels) <= MAX_CATEGORIES and all(isinstance(level, Value) for level in levels)
    return replace(raw, whole=whole, dtype=dtype, levels=levels if usable else ())


def _levels(series: Series, dtype: str) -> Iterator[Value]:
    """Yield the categories that a type lists."""
    if dtype == "category" or dtype.startswith("Enum"):
        categories = getattr(series.dtype, "categories", ())
        yield from categories.tolist() if hasattr(categories, "tolist") else categories


def _array_column(name: str, values: NDArray[np.generic]) -> RawColumn:
    """Return an array of any type as a column."""
    if values.dtype.kind in "iufb":
        numbers = values.astype(np.float64)
        return RawColumn(name, numbers, whole=values.dtype.kind in "iu", logical=values.dtype.kind == "b")
    if values.dtype.kind in "mM":
        return unsupported_column(name, len(values), dates_message(name))
    plain = [None if _is_missing(value) else value for value in values.tolist()]
    present = [value for value in plain if value is not None]
    if all(isinstance(value, str) for value in present):
        return RawColumn(name, None, plain)
    try:
        numbers = np.array([np.nan if value is None else float(value) for value in plain])
    except (TypeError, ValueError):
        return RawColumn(name, None, [value if value is None else str(value) for value in plain])
    logical = bool(present) and all(isinstance(value, bool) for value in present)
    return RawColumn(name, numbers, whole=all(isinstance(value, int) for value in present), logical=logical)


def _is_missing(value: object) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value
