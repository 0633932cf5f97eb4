"""Columns of Arrow tables and files, with temporal types as whole numbers of a unit."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
from numpy.typing import NDArray

from aevb import memory
from aevb.columns import DateNotation, TimeUnit, Value
from aevb.data.tables.dates import DAY, NANOSECONDS, coarsest, parse
from aevb.data.tables.formats import format_of
from aevb.data.tables.raw import (
    MAX_CATEGORIES,
    PANDAS_INDEX,
    RawColumn,
    require_few_columns,
    text_column,
    unsupported_column,
)
from aevb.errors import BadInput

_EXPANDED = 2**30
"""Bytes to which any Parquet file may expand."""
_RATIO = 1000
"""Largest ratio of expanded to stored bytes of a Parquet file beyond that."""


def read_table(path: Path) -> pa.Table:
    """Return the table of a Parquet or Arrow file."""
    return pq.read_table(path) if format_of(path) == "parquet" else pa.feather.read_table(path, memory_map=False)


def write_arrow_table(table: pa.Table, path: Path) -> None:
    """Write a table as a Parquet or Arrow file."""
    if format_of(path) == "parquet":
        pq.write_table(table, path)
    else:
        pa.feather.write_feather(table, path)


def read_parquet(path: Path) -> list[RawColumn]:
    """Return the columns of a Parquet file.

    Raises:
        BadInput: the file cannot be read, or is far larger in memory than on the disk.
    """
    try:
        file = pq.ParquetFile(path)
        names = [name for name in file.schema_arrow.names if not PANDAS_INDEX.fullmatch(name)]
        require_few_columns(len(names), path)
        _require_proportionate(file.metadata, path)
        columns = [arrow_column(name, file.read([name]).column(0)) for name in names]
        if len({len(column) for column in columns}) > 1:
            raise ValueError("its columns have different lengths")
        return columns
    except (OSError, ValueError, LookupError, pa.ArrowException) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path} cannot be read ({' '.join(str(error).split())[:120]}): write it again") from error


def _require_proportionate(metadata: pq.FileMetaData, path: Path) -> None:
    """Refuse a table that is far larger than its file, before memory is allocated for it."""
    groups = [metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups)]
    size = max(sum(groups), 8 * metadata.num_rows * metadata.num_columns)
    if size > max(_EXPANDED, _RATIO * path.stat().st_size):
        raise BadInput(f"{path} expands to {size} bytes, over {_RATIO} times its own size: write it again")
    memory.require(size, str(path), "use fewer rows or columns")


def arrow_column(name: str, column: "pa.Array | pa.ChunkedArray") -> RawColumn:
    """Return a column of an Arrow table."""
    types, dtype, levels = pa.types, str(column.type), tuple[Value, ...]()
    if types.is_dictionary(column.type):
        levels = _arrow_levels(column)
        column = column.cast(column.type.value_type)
    kind = column.type
    if types.is_temporal(kind) and not types.is_interval(kind):
        numbers, notation = from_temporal(column)
        return RawColumn(name, numbers, whole=True, dtype=dtype, notation=notation)
    if types.is_null(kind):
        return RawColumn(name, np.full(len(column), np.nan), dtype=dtype)
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        numbers = column.cast("float64", safe=False).to_numpy(**_copied(column))
        whole, logical = types.is_integer(kind), types.is_boolean(kind)
        raw = RawColumn(name, numbers, whole=whole, logical=logical, dtype=dtype, levels=levels)
        return raw.with_digits(column.to_pylist) if whole else raw
    if str(kind) in ("string", "large_string", "string_view"):
        return RawColumn(name, None, text_column(name, column.cast("string")).texts, dtype=dtype, levels=levels)
    return unsupported_column(name, len(column), str(kind))


def arrow_columns(table: pa.Table) -> list[RawColumn]:
    """Return the columns of an Arrow table."""
    return [arrow_column(name, table.column(name)) for name in table.column_names]


def _copied(column: "pa.Array | pa.ChunkedArray") -> dict[str, bool]:
    return {} if isinstance(column, pa.ChunkedArray) else {"zero_copy_only": False}


def _arrow_levels(column: "pa.Array | pa.ChunkedArray") -> tuple[Value, ...]:
    """Return the categories of a dictionary less than half as long as the column: longer ones are for compression."""
    chunks = column.unify_dictionaries().chunks if isinstance(column, pa.ChunkedArray) else [column]
    levels = tuple(chunks[0].dictionary.to_pylist()) if chunks else ()
    return levels if 1 < len(levels) <= MAX_CATEGORIES and len(levels) < len(column) / 2 else ()


# Temporal types.


def from_temporal(array: "pa.Array | pa.ChunkedArray") -> tuple[NDArray[np.float64], DateNotation]:
    """Return an array of a temporal type as numbers, NaN where null, and their notation."""
    kind, size = array.type, NANOSECONDS[_unit_of(array.type)]
    present = array.drop_null().cast(_integer_type(kind)).cast("int64").to_numpy()
    unit = coarsest(present % (DAY // size) * size)
    numbers = np.full(len(array), np.nan)
    numbers[array.is_valid().to_numpy(**_copied(array))] = present // (NANOSECONDS[unit] // size)
    return numbers, DateNotation(pattern=_iso_pattern(kind, unit), unit=unit, arrow_type=str(kind))


def to_temporal(texts: pa.Array, notation: DateNotation, kind: pa.DataType) -> pa.Array:
    """Return written dates as an array of a temporal type."""
    numbers = parse(texts, notation)
    size, stored = NANOSECONDS[notation.unit], NANOSECONDS[_unit_of(kind)]
    whole = np.nan_to_num(np.round(numbers)).astype(np.int64)
    integers = whole * (size // stored) if size >= stored else whole // (stored // size)
    return pa.array(integers, mask=np.isnan(numbers)).cast(_integer_type(kind)).cast(kind)


def temporal_type(name: str) -> pa.DataType:
    """Return the temporal type with this name."""
    zoned = re.fullmatch(r"timestamp\[(s|ms|us|ns), tz=(.+)\]", name)
    return pa.timestamp(zoned[1], zoned[2]) if zoned else pa.type_for_alias(name)


def _unit_of(kind: pa.DataType) -> TimeUnit:
    unit: TimeUnit = "D" if pa.types.is_date32(kind) else "ms" if pa.types.is_date64(kind) else kind.unit
    return unit


def _integer_type(kind: pa.DataType) -> str:
    return "int32" if kind.bit_width == 32 else "int64"


def _iso_pattern(kind: pa.DataType, unit: TimeUnit) -> str:
    """Return the ISO form of a type; empty for durations."""
    if pa.types.is_duration(kind):
        return ""
    time = {"ms": "%H:%M:%S.%3f", "us": "%H:%M:%S.%6f", "ns": "%H:%M:%S.%9f"}.get(unit, "%H:%M:%S")
    if pa.types.is_time(kind):
        return time
    zone = "Z" * (pa.types.is_timestamp(kind) and kind.tz is not None)
    return "%Y-%m-%d" if unit == "D" and not zone else f"%Y-%m-%dT{time}{zone}"
