"""Tables with some cells replaced; all others stay as they are in the file, to the last character.

A text file keeps its delimiter, quotes, line ends and byte order mark, if the filled one has the same suffix. A Parquet
file keeps its types and metadata.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aevb.columns import Column, Value
from aevb.data.optional import arrow_library
from aevb.data.tables.read import PANDAS_INDEX, RawColumn, delimiter_of, read_columns, read_fields
from aevb.data.tables.write import as_text, write_table

if TYPE_CHECKING:
    import pyarrow as pa

Cells = Mapping[str, Mapping[int, Value]]
"""Values by column and row, counted from 0."""
_MARK = "\ufeff"


def fill_table(
    source: Path,
    destination: Path,
    cells: Cells,
    columns: Sequence[Column] = (),
    missing: Sequence[str] | None = None,
) -> None:
    """Write the table of a file with some cells replaced.

    Args:
        source: a .csv, .tsv or .parquet file.
        destination: likewise; another suffix converts the table.
        cells: the values that replace others.
        columns: columns whose types a Parquet file made from a text file gets.
        missing: texts that mean a missing value, as for `aevb.data.tables.read.read_columns`.
    """
    before, after = source.suffix.lower(), destination.suffix.lower()
    if before == after == ".parquet":
        arrow_library().parquet.write_table(_filled_arrow(source, cells), destination)
    elif before == after:
        text = source.read_bytes().decode("utf-8")
        mark = _MARK * text.startswith(_MARK)
        with destination.open("w", newline="", encoding="utf-8") as file:
            file.write(mark)
            file.writelines(_filled_records(text.removeprefix(_MARK), source, cells))
    else:
        table = {
            name: _replaced(values, cells.get(name, {})) for name, values in _values(source, after, missing).items()
        }
        write_table(destination, table, columns)


def _values(source: Path, suffix: str, missing: Sequence[str] | None) -> dict[str, list[Value | None]]:
    """Return the columns of a file, for a file with another suffix."""
    if source.suffix.lower() == ".parquet":
        columns: dict[str, list[Value | None]] = arrow_library().parquet.read_table(source).to_pydict()
        return {name: values for name, values in columns.items() if not PANDAS_INDEX.fullmatch(name)}
    if suffix == ".parquet":
        return {raw.name: _typed(raw) for raw in read_columns(source, missing)}
    names, rows = read_fields(source)
    return {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def _typed(raw: RawColumn) -> list[Value | None]:
    """Return the values of a column of a text file with their types, whole numbers with all their digits."""
    return [None if text is None else int(text) for text in raw.texts] if raw.whole else raw.values()


def _replaced(values: list[Value | None], cells: Mapping[int, Value]) -> list[Value | None]:
    for row, value in cells.items():
        values[row] = value
    return values


# Parquet.


def _filled_arrow(source: Path, cells: Cells) -> "pa.Table":
    arrow = arrow_library()
    table = arrow.parquet.read_table(source)
    for name, replaced in cells.items():
        position = table.schema.get_field_index(name)
        values = _replaced(table.column(name).to_pylist(), replaced)
        field = table.schema.field(position)
        try:
            filled = _typed_array(values, table.column(name))
        except (ValueError, KeyError, arrow.ArrowException):  # the type has no such values
            filled, field = arrow.array(values), name
        table = table.set_column(position, field, filled)
    return table


def _typed_array(values: Sequence[Value | None], like: "pa.ChunkedArray") -> "pa.Array":
    """Return values as an array of the same type, whose categories keep their order."""
    arrow = arrow_library()
    if not arrow.types.is_dictionary(like.type) or not like.num_chunks:
        return arrow.array(values, type=like.type)
    categories = like.unify_dictionaries().chunk(0).dictionary
    codes = {value: code for code, value in enumerate(categories.to_pylist())}
    indices = arrow.array([None if value is None else codes[value] for value in values], type=like.type.index_type)
    return arrow.DictionaryArray.from_arrays(indices, categories, ordered=like.type.ordered)


# Text.


def _filled_records(text: str, path: Path, cells: Cells) -> Iterator[str]:
    """Yield the records of a text file, each with its line end."""
    lines = io.StringIO(text, newline="").readlines()
    delimiter = delimiter_of(path, lines[0])
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    names: list[str] | None = None
    row, start = -1, 0
    for fields in reader:
        record, start = "".join(lines[start : reader.line_num]), reader.line_num
        if names is None and fields:
            names = [field.strip() for field in fields]
            yield record
            continue
        row += bool(fields)
        replaced = {
            position: cells[name][row] for position, name in enumerate(names or ()) if row in cells.get(name, {})
        }
        yield _with_fields(record, fields, replaced, delimiter) if fields and replaced else record


def _with_fields(record: str, fields: list[str], replaced: Mapping[int, Value], delimiter: str) -> str:
    """Return a record with some fields replaced and the others as they are written."""
    content = record.rstrip("\r\n")
    end = record[len(content) :]
    written = _split(content, delimiter)
    if len(written) != len(fields):
        written = [_quoted(field, delimiter) for field in fields]
    for position, value in replaced.items():
        written[position] = _quoted(str(as_text(value)), delimiter)
    return delimiter.join(written) + end


def _split(content: str, delimiter: str) -> list[str]:
    """Return the fields of a record as they are written, with their quotes."""
    if '"' not in content:
        return content.split(delimiter)
    separator = re.escape(delimiter)
    return re.findall(rf'(?:^|(?<={separator}))("(?:[^"]|"")*"|[^{separator}]*)(?={separator}|$)', content)


def _quoted(text: str, delimiter: str) -> str:
    return (
        f'"{text.replace(chr(34), 2 * chr(34))}"'
        if any(sign in text for sign in (delimiter, '"', "\n", "\r"))
        else text
    )
