"""Columns of table files as they are stored, before their types are inferred.

Missing values may occur anywhere. In a text file they are empty fields and those that pandas takes for missing: NA,
NaN, null, None and others, as they are spelled in `MISSING`. A row counts even if all its values are missing. The row
index that pandas writes, and the nameless first column of a text file, are no columns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from aevb.data.optional import optional_library
from aevb.data.tables.arrow import arrow_column, read_parquet, read_table
from aevb.data.tables.formats import Format, format_of
from aevb.data.tables.frames import DataFrame, frame_columns
from aevb.data.tables.json import read_json
from aevb.data.tables.raw import (
    MISSING,
    RawColumn,
    coded_texts,
    object_column,
    require_distinct,
    require_few_columns,
)
from aevb.data.tables.text import open_text, read_fields
from aevb.errors import BadInput


def read_columns(path: Path, missing: Sequence[str] | None = None) -> list[RawColumn]:
    """Read the columns of a file, whose suffix determines its format.

    Args:
        path: a table file, see `aevb.data.tables.formats`.
        missing: texts of a text file that mean a missing value, besides empty fields and `MISSING`; with an empty text
            among them, those of `MISSING` are values.

    Raises:
        BadInput: the file cannot be read.
    """
    table_format = format_of(path)
    if table_format == "text":
        columns = _read_text(path, frozenset(missing or ()) | (set() if "" in (missing or ()) else set(MISSING)))
    else:
        columns = _READERS[table_format or "parquet"](path)
    require_distinct([column.name for column in columns], str(path))
    return columns


def _read_text(path: Path, missing: frozenset[str]) -> list[RawColumn]:
    file = open_text(path)
    texts = [_without_markers(fields, missing) for fields in read_fields(file)]
    columns = [
        RawColumn(name, None, column)
        for position, (name, column) in enumerate(zip(file.names, texts, strict=True))
        if name or _is_nameless(position, column, path)
    ]
    columns = [column for column in columns if column.name]
    if not columns:
        raise BadInput(f"{path} has a column without a name in its first line: add a name")
    if not file.has_header:
        columns[0] = replace(columns[0], note=f"{path.name} has no column names: the columns are x0, x1, ...")
    return [replace(column, decimal_comma=True) for column in columns] if file.delimiter == ";" else columns


def _is_nameless(position: int, column: pa.DictionaryArray, path: Path) -> bool:
    """Return False for a column that may have no name: the first one, which is an index, and empty ones."""
    if position and column.null_count < len(column):
        raise BadInput(f"{path} has a column without a name in its first line: add a name")
    return False


def _without_markers(fields: pa.DictionaryArray, missing: frozenset[str]) -> pa.DictionaryArray:
    """Return fields without spaces around them, null for those that mean a missing value."""
    trimmed = pc.utf8_trim_whitespace(fields.dictionary)
    marked = pc.is_in(trimmed, value_set=pa.array(sorted(missing), type=pa.string()))
    texts = pc.if_else(marked, None, trimmed).dictionary_encode()
    return pa.DictionaryArray.from_arrays(texts.indices.take(fields.indices), texts.dictionary)


def _read_arrow(path: Path) -> list[RawColumn]:
    try:
        table = read_table(path)
        require_few_columns(table.num_columns, path)
        return [arrow_column(name, table.column(name)) for name in table.column_names]
    except (OSError, pa.ArrowException) as error:
        raise BadInput(f"{path} cannot be read ({' '.join(str(error).split())[:120]}): write it again") from error


def _read_json(path: Path) -> list[RawColumn]:
    columns = read_json(path)
    require_few_columns(len(columns), path)
    return [object_column(name, values, dtype="json") for name, values in columns.items()]


def _read_frame(path: Path) -> list[RawColumn]:
    columns = frame_columns(read_frame(path), str(path))
    named = enumerate(map(_without_empty_texts, columns) if format_of(path) == "stata" else columns)
    return [raw for position, raw in named if not raw.name.startswith("Unnamed: ") or (position and raw.count)]


def _without_empty_texts(column: RawColumn) -> RawColumn:
    """Return a column of Stata, whose missing texts are empty ones."""
    if column.texts is None:
        return column
    texts = column.texts.dictionary_decode()
    return replace(column, texts=coded_texts(pc.if_else(pc.equal(texts, ""), None, texts)))


def read_frame(path: Path) -> DataFrame:
    """Return the pandas data frame of an Excel or Stata file.

    Raises:
        BadInput: pandas is not installed, or the file cannot be read.
    """
    pandas = optional_library("pandas", f"{path.suffix} files", "'aevb[tables]'")
    if format_of(path) == "excel":
        optional_library("openpyxl", f"{path.suffix} files", "'aevb[tables]'")
    try:
        frame: DataFrame = pandas.read_stata(path) if format_of(path) == "stata" else pandas.read_excel(path)
    except Exception as error:  # each reader of pandas has its own errors
        raise BadInput(f"{path} cannot be read ({' '.join(str(error).split())[:120]}): write it again") from error
    if not len(frame.columns) or not len(frame.to_numpy()):
        raise BadInput(f"{path} has no rows: expected a table with the column names in its first line")
    return frame


_READERS: Mapping[Format, Callable[[Path], list[RawColumn]]] = {
    "parquet": read_parquet,
    "arrow": _read_arrow,
    "json": _read_json,
    "excel": _read_frame,
    "stata": _read_frame,
}
