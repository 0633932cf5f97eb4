"""Tables written as files, in the format that their suffix names."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

import pyarrow as pa

from aevb.columns import Column, DateNotation, TextForm, Value
from aevb.data.tables.arrow import temporal_type, to_temporal, write_arrow_table
from aevb.data.tables.compression import write_content
from aevb.data.tables.formats import bare_suffix, format_of
from aevb.data.tables.frames import LISTED_DTYPES, write_frame
from aevb.data.tables.json import write_json
from aevb.data.tables.text import byte_order_mark

_DICTIONARY = r"dictionary<values=(\w+), indices=(\w+), ordered=([01])>"
"""Arrow's name of a categorical type."""
Columns = Mapping[str, Sequence[Value | None]]


def write_table(path: Path, table: Columns, columns: Sequence[Column] = (), form: TextForm | None = None) -> None:
    """Write a table in the format that the suffix of the path names.

    Args:
        path: a table file, see `aevb.data.tables.formats`.
        table: columns by name.
        columns: columns whose types a Parquet or Arrow file keeps, and whose truth values a text file has as they do.
        form: how a text file with the same suffix is written; its decimal mark applies if no columns are given, which
            have their own. Default: with commas, or tabs for .tsv, in UTF-8.
    """
    table_format = format_of(path)
    if table_format in ("parquet", "arrow"):
        by_name = {column.name: column for column in columns}
        write_arrow_table(pa.table({name: _arrow_array(table[name], by_name.get(name)) for name in table}), path)
    elif table_format == "json":
        write_json(path, table)
    elif table_format in ("excel", "stata"):
        write_frame(path, table, columns)
    else:
        by_name = {column.name: column for column in columns}
        table = {name: _as_written(values, by_name.get(name)) for name, values in table.items()}
        form = form if form and form.suffix == bare_suffix(path) else None
        _write_text(path, table, form.model_copy(update={"decimal": "."}) if form and columns else form)


def _as_written(values: Sequence[Value | None], column: Column | None) -> Sequence[Value | None]:
    return [column.as_written(value) for value in values] if column else values


def _write_text(path: Path, table: Columns, form: TextForm | None) -> None:
    stream = io.StringIO(newline="")
    write_rows(stream, bare_suffix(path), table, header=True, form=form)
    text, encoding = stream.getvalue(), form.encoding if form else "utf-8"
    try:
        content = text.encode(encoding)
    except UnicodeEncodeError:  # names that the training file does not have
        content, encoding = text.encode(), "utf-8"
    write_content(path, byte_order_mark(encoding) * bool(form and form.has_mark) + content)


def write_rows(stream: TextIO, suffix: str, table: Columns, *, header: bool, form: TextForm | None = None) -> None:
    """Write the rows of a table as text.

    Args:
        stream: to write to.
        suffix: .tsv for tabs between the values; otherwise commas.
        table: columns by name.
        header: whether to write their names first.
        form: delimiter and decimal mark.
    """
    delimiter = form.delimiter if form else "\t" if suffix == ".tsv" else ","
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
    if header:
        writer.writerow(table)
    to_text = _with_comma if form and form.decimal == "," else as_text
    missing = "NA" if delimiter == " " else ""  # between spaces, nothing is no field
    texts = ([missing if value is None else to_text(value) for value in values] for values in table.values())
    writer.writerows(zip(*texts, strict=True))


def _with_comma(value: Value | None) -> object:
    """Return a value as a text file with decimal commas has it."""
    return str(value).replace(".", ",") if isinstance(value, float) else as_text(value)


def as_text(value: Value | None) -> object:
    """Return a value as a text file has it."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else value


def _arrow_array(values: Sequence[Value | None], column: Column | None) -> pa.Array:
    dtype = column.dtype if column else ""
    try:
        if column and isinstance(column.notation, DateNotation) and column.notation.arrow_type:
            kind = temporal_type(column.notation.arrow_type)
            return to_temporal(pa.array(values, type=pa.string()), column.notation, kind)
        if column and column.values and (dtype in LISTED_DTYPES or dtype.startswith("dictionary")):
            return _dictionary_array(values, column)
        return pa.array(values, type=pa.type_for_alias(dtype.lower()))
    except (ValueError, pa.ArrowException):  # Arrow has no such type, or the type no such values
        return pa.array(values)


def _dictionary_array(values: Sequence[Value | None], column: Column) -> pa.Array:
    match = re.fullmatch(_DICTIONARY, column.dtype)
    index_type, value_type = (pa.type_for_alias(match[2]), pa.type_for_alias(match[1])) if match else (None, None)
    ordered = match[3] == "1" if match else column.dtype.startswith("ordered")
    codes: Mapping[Value | None, int | None] = {value: code for code, value in enumerate(column.values)} | {None: None}
    indices = pa.array([codes[value] for value in values], type=index_type)
    return pa.DictionaryArray.from_arrays(indices, pa.array(column.values, type=value_type), ordered=ordered)
