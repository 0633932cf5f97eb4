"""Tables written as .csv, .tsv and .parquet files."""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aevb.columns import Column, Value
from aevb.data.optional import arrow_library
from aevb.data.tables.frames import LISTED_DTYPES

if TYPE_CHECKING:
    import pyarrow as pa

_DICTIONARY = r"dictionary<values=(\w+), indices=(\w+), ordered=([01])>"
"""Arrow's name of a categorical type."""


def write_table(path: Path, table: Mapping[str, Sequence[Value | None]], columns: Sequence[Column] = ()) -> None:
    """Write a table in the format that the suffix of the path names.

    Args:
        path: a .csv, .tsv or .parquet file.
        table: columns by name.
        columns: columns whose types a Parquet file keeps.
    """
    if path.suffix.lower() == ".parquet":
        arrow, by_name = arrow_library(), {column.name: column for column in columns}
        arrays = {name: _arrow_array(values, by_name.get(name)) for name, values in table.items()}
        arrow.parquet.write_table(arrow.table(arrays), path)
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", lineterminator="\n")
        writer.writerow(table)
        writer.writerows(zip(*(map(as_text, values) for values in table.values()), strict=True))


def as_text(value: Value | None) -> object:
    """Return a value as a text file has it."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else value


def _arrow_array(values: Sequence[Value | None], column: Column | None) -> "pa.Array":
    arrow, dtype = arrow_library(), column.dtype if column else ""
    try:
        if column and column.values and (dtype in LISTED_DTYPES or dtype.startswith("dictionary")):
            return _dictionary_array(values, column)
        return arrow.array(values, type=arrow.type_for_alias(dtype.lower()))
    except (ValueError, arrow.ArrowException):  # Arrow has no such type, or the type no such values
        return arrow.array(values)


def _dictionary_array(values: Sequence[Value | None], column: Column) -> "pa.Array":
    arrow, match = arrow_library(), re.fullmatch(_DICTIONARY, column.dtype)
    index_type, value_type = (arrow.type_for_alias(match[2]), arrow.type_for_alias(match[1])) if match else (None, None)
    ordered = match[3] == "1" if match else column.dtype.startswith("ordered")
    codes: Mapping[Value | None, int | None] = {value: code for code, value in enumerate(column.values)} | {None: None}
    indices = arrow.array([codes[value] for value in values], type=index_type)
    return arrow.DictionaryArray.from_arrays(indices, arrow.array(column.values, type=value_type), ordered=ordered)
