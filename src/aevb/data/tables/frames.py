"""Data frames of pandas and polars."""

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, time, timedelta
from pathlib import Path
from types import ModuleType
from typing import Literal, Protocol, TypeGuard

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, DTypeLike, NDArray

from aevb.columns import CODED, Column, DateNotation, Value
from aevb.data.optional import optional_library
from aevb.data.tables.arrow import arrow_column, temporal_type, to_temporal
from aevb.data.tables.encode import decode_rows
from aevb.data.tables.formats import format_of
from aevb.data.tables.raw import MAX_CATEGORIES, RawColumn, object_column, require_distinct
from aevb.errors import BadInput

LISTED_DTYPES = ("category", "ordered category", "enum", "Categorical")
"""Types that list their values."""
_RESTORED_DTYPES = r"(u?int|float|U?Int|Float)\d+|bool|boolean|Boolean|str|string|String|object|\w+\[pyarrow\]"
"""Other types that a decoded data frame keeps."""
_TEMPORAL_DTYPES = r"datetime64|timedelta64|Date|Time|Duration|(timestamp|date|time|duration)\d*\[.*\[pyarrow\]$"
"""Types of dates, times of day and durations."""
_CODED = (*CODED, "constant")


class Series(Protocol):
    """A column of a data frame."""

    dtype: object

    def to_numpy(self) -> NDArray[np.generic]: ...

    def to_list(self) -> list[object]: ...


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


def frame_table(frame: DataFrame) -> pa.Table:
    """Return a pandas data frame as an Arrow table, null where a value is missing; mixed types become texts."""
    return pa.table({str(name): _arrow_array(frame[name]) for name in frame.columns})


def _arrow_array(series: Series) -> "pa.Array":
    try:
        return pa.array(series, from_pandas=True)
    except pa.ArrowException:  # several types
        return pa.array(object_column("", series.to_numpy().tolist()).values())


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


def write_frame(path: Path, table: Mapping[str, Sequence[Value | None]], columns: Sequence[Column]) -> None:
    """Write a table as an Excel or Stata file, with the types of those of its columns that are given.

    Raises:
        BadInput: pandas is not installed, or the format cannot hold the table.
    """
    pandas = optional_library("pandas", f"{path.suffix} files", "'aevb[tables]'")
    by_name = {column.name: column for column in columns}
    series = {
        name: _pandas_series(pandas, by_name[name], values) if name in by_name else _untyped_series(pandas, values)
        for name, values in table.items()
    }
    frame = pandas.DataFrame(series)
    try:
        if format_of(path) == "stata":
            frame.to_stata(path, write_index=False, version=118)
        else:
            optional_library("openpyxl", f"{path.suffix} files", "'aevb[tables]'")
            frame.to_excel(path, index=False)
    except (TypeError, ValueError, NotImplementedError) as error:
        if isinstance(error, BadInput):
            raise
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"{path.suffix} cannot hold this table ({reason}): write .csv or .parquet") from error


def _untyped_series(pandas: ModuleType, values: Sequence[Value | None]) -> ArrayLike:
    """Return values as a series, of numbers if all are missing: Stata has no other type for them."""
    empty = all(value is None for value in values)
    series: ArrayLike = pandas.Series(list(values), dtype="float64" if empty else None)
    return series


def typed_value(value: Value, column: Column | None) -> object:
    """Return a value, a written date as an object of Python if its column has a type of dates."""
    dates = _dates(column, [value]) if column else None
    return value if dates is None else dates[0].as_py()


def _pandas_series(pandas: ModuleType, column: Column, values: Sequence[Value | None]) -> ArrayLike:
    if (dates := _dates(column, values)) is not None:
        series = dates.to_pandas()
        restorable = re.match(_TEMPORAL_DTYPES, column.dtype) or column.dtype == "object"
        typed: ArrayLike = series.astype(column.dtype) if restorable else series
        return typed
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


def _dates(column: Column, values: Sequence[Value | None]) -> "pa.Array | None":
    """Return written dates with the Arrow type of their column; None for a column of another type."""
    if not isinstance(column.notation, DateNotation) or not column.notation.arrow_type:
        return None
    return to_temporal(pa.array(values, type=pa.string()), column.notation, temporal_type(column.notation.arrow_type))


def _polars_series(polars: ModuleType, column: Column, values: Sequence[Value | None]) -> ArrayLike:
    if (dates := _dates(column, values)) is not None:
        written: ArrayLike = polars.from_arrow(dates)
        return written
    if column.dtype == "enum" and column.kind in _CODED:
        dtype: DTypeLike | None = polars.Enum([str(value) for value in column.values])
    else:
        restorable = re.fullmatch(_RESTORED_DTYPES, column.dtype) or column.dtype in LISTED_DTYPES
        dtype = getattr(polars, column.dtype, None) if restorable else None
    series: ArrayLike = polars.Series(values, dtype=dtype, strict=False)
    return series


def _series_column(name: str, series: Series) -> RawColumn:
    dtype = str(series.dtype)
    if (temporal := _temporal_array(series, dtype)) is not None:
        return replace(arrow_column(name, temporal), dtype=dtype)
    raw = _array_column(name, np.asarray(series.to_numpy()))
    levels = tuple(_levels(series, dtype))
    if dtype == "category":  # of pandas
        dtype = "ordered " * bool(getattr(series.dtype, "ordered", False)) + dtype
    elif dtype.startswith("Enum"):  # of polars
        dtype = "enum"
    elif dtype.startswith("Categorical"):
        levels = tuple(raw.distinct().tolist())
        dtype = "Categorical" if levels else dtype
    is_integer = bool(re.match(r"u?int\d", dtype.lower()))
    usable = 1 < len(levels) <= MAX_CATEGORIES and all(isinstance(level, Value) for level in levels)
    raw = replace(raw, whole=raw.whole or is_integer, dtype=dtype, levels=levels if usable else ())
    return raw.with_digits(lambda: _integers(series)) if is_integer else raw


def _integers(series: Series) -> list[int | None]:
    """Return the values of a series of whole numbers, None where missing."""
    return [value if isinstance(value, int) else None for value in series.to_list()]


def _temporal_array(series: Series, dtype: str) -> "pa.Array | None":
    """Return a series of dates, times or durations as an Arrow array; None for other series."""
    if re.match(_TEMPORAL_DTYPES, dtype):
        return series.to_arrow() if hasattr(series, "to_arrow") else pa.array(series, from_pandas=True)
    if dtype != "object":
        return None
    values = [None if type(value).__name__ == "NaTType" else value for value in np.asarray(series.to_numpy()).tolist()]
    if not any(isinstance(value, date | time | timedelta) for value in values):
        return None
    try:
        return pa.array(values, from_pandas=True)
    except pa.ArrowException:  # several types
        return None


def _levels(series: Series, dtype: str) -> Iterator[Value]:
    """Yield the categories that a type lists."""
    if dtype == "category" or dtype.startswith("Enum"):
        categories = getattr(series.dtype, "categories", ())
        yield from categories.tolist() if hasattr(categories, "tolist") else categories


def _array_column(name: str, values: NDArray[np.generic]) -> RawColumn:
    """Return an array of any type as a column."""
    if values.dtype.kind in "iufb" and values.ndim == 1:
        numbers = values.astype(np.float64)
        return RawColumn(name, numbers, whole=values.dtype.kind in "iu", logical=values.dtype.kind == "b")
    return object_column(name, values.tolist())
