"""Tables with some cells replaced; all others stay as they are in the file.

A text file keeps its encoding, delimiter, quotes, line ends, comments and byte order mark, to the last character, if
the filled one has the same suffix. Parquet and Arrow files keep their types and metadata, an Excel file its formats.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from aevb.columns import Column, DateNotation, Value
from aevb.data.optional import optional_library
from aevb.data.tables.arrow import arrow_column, read_table, to_temporal, write_arrow_table
from aevb.data.tables.compression import write_content
from aevb.data.tables.encode import stored_numbers
from aevb.data.tables.formats import bare_suffix, format_of
from aevb.data.tables.frames import frame_table, typed_value
from aevb.data.tables.json import load_json, read_json, save_json
from aevb.data.tables.raw import PANDAS_INDEX, RawColumn
from aevb.data.tables.read import read_columns, read_frame
from aevb.data.tables.recognize import recognize_column
from aevb.data.tables.text import TextFile, open_text
from aevb.data.tables.write import as_text, write_table

Cells = Mapping[str, Mapping[int, Value]]
"""Values by column and row, counted from 0."""


def fill_table(
    source: Path,
    destination: Path,
    cells: Cells,
    columns: Sequence[Column] = (),
    missing: Sequence[str] | None = None,
) -> None:
    """Write the table of a file with some cells replaced.

    Args:
        source: a table file, see `aevb.data.tables.formats`.
        destination: likewise; another suffix converts the table.
        cells: the values that replace others.
        columns: columns of the model, whose types a Parquet file made from a text file gets.
        missing: texts that mean a missing value, as for `aevb.data.tables.read.read_columns`.
    """
    same, table_format = bare_suffix(source) == bare_suffix(destination), format_of(source)
    if same and table_format == "text":
        file = open_text(source)
        text = file.header() + "".join(_filled_records(file, _as_written(cells, columns)))
        write_content(destination, file.mark + text.encode(file.encoding))
    elif same and table_format == "json":
        save_json(destination, _filled_json(load_json(source), cells))
    elif same and table_format == "excel":
        _fill_workbook(source, destination, cells, columns)
    elif table_format in ("parquet", "arrow", "excel", "stata"):
        _write_filled_arrow(fill_arrow(_arrow_table(source), cells, columns), destination, columns)
    else:
        stored = _values(source, format_of(destination) == "text", missing)
        table = {name: _replaced(values, cells.get(name, {})) for name, values in stored.items()}
        write_table(destination, table, columns)


def _as_written(cells: Cells, columns: Sequence[Column]) -> Cells:
    """Return values as a text file has them."""
    by_name = {column.name: column for column in columns}
    return {
        name: {row: by_name[name].as_written(value) for row, value in replaced.items()} if name in by_name else replaced
        for name, replaced in cells.items()
    }


def _values(source: Path, as_texts: bool, missing: Sequence[str] | None) -> dict[str, list[Value | None]]:
    """Return the columns of a text or JSON file, for a file with another suffix."""
    if format_of(source) == "json":
        return read_json(source)  # type: ignore[return-value]
    raw_columns = read_columns(source, [""] if as_texts else missing)
    return {raw.name: raw.values() if as_texts else _typed(recognize_column(raw)) for raw in raw_columns}


def _typed(raw: RawColumn) -> list[Value | None]:
    """Return the values of a column of a text file with their types, whole numbers with all their digits."""
    if raw.notation and raw.texts is not None:
        return list(raw.texts.to_pylist())
    if raw.whole and raw.texts is not None:
        return [None if text is None else int(text) for text in raw.texts.to_pylist()]
    return raw.values()


def _replaced(values: list[Value | None], cells: Mapping[int, Value]) -> list[Value | None]:
    """Return values some of which are replaced by others, numbers among texts by texts."""
    are_texts = any(isinstance(value, str) for value in values)
    for row, value in cells.items():
        values[row] = str(value) if are_texts and not isinstance(value, bool) else value
    return values


# Formats with types.


def _arrow_table(source: Path) -> pa.Table:
    """Return the table of a Parquet, Arrow, Excel or Stata file."""
    return read_table(source) if format_of(source) in ("parquet", "arrow") else frame_table(read_frame(source))


def _write_filled_arrow(table: pa.Table, destination: Path, columns: Sequence[Column]) -> None:
    """Write an Arrow table in any format; text and JSON have dates as the model writes them."""
    destination_format = format_of(destination)
    if destination_format in ("parquet", "arrow"):
        return write_arrow_table(table, destination)
    untyped = without_types(table, columns).to_pydict()
    if destination_format in ("text", "json"):
        return write_table(destination, untyped)
    without_dates = [column for column in columns if not isinstance(column.notation, DateNotation)]
    return write_table(destination, {name: table.column(name).to_pylist() for name in untyped}, without_dates)


def without_types(table: pa.Table, columns: Sequence[Column]) -> pa.Table:
    """Return an Arrow table for a text file: without pandas' index, with dates as the model writes its own."""
    by_name = {column.name: column for column in columns}
    names = [name for name in table.column_names if not PANDAS_INDEX.fullmatch(name)]
    return pa.table({name: _written(name, table.column(name), by_name.get(name)) for name in names})


def _written(name: str, values: pa.ChunkedArray, column: Column | None) -> "pa.ChunkedArray | pa.Array":
    """Return an Arrow column, dates as texts: as the model writes them if they are part of it."""
    if not pa.types.is_temporal(values.type):
        return values
    raw = arrow_column(name, values)
    if column and column.kind != "constant" and isinstance(column.notation, DateNotation):
        raw = replace(raw, numbers=stored_numbers(raw, column, name), notation=column.notation)
    return pa.array(raw.values())


def _filled_json(content: object, cells: Cells) -> object:
    """Return the content of a JSON file with some cells replaced, in the form that it has."""
    for name, replaced in cells.items():
        for row, value in replaced.items():
            if isinstance(content, list):
                content[row][name] = value
            elif isinstance(content, dict):
                column = content[name]
                column[list(column)[row] if isinstance(column, dict) else row] = value
    return content


def _fill_workbook(source: Path, destination: Path, cells: Cells, columns: Sequence[Column]) -> None:
    openpyxl = optional_library("openpyxl", ".xlsx files", "'aevb[tables]'")
    workbook = openpyxl.load_workbook(source)
    sheet = workbook.worksheets[0]
    by_name = {column.name: column for column in columns}
    positions = {str(name): position for position, name in enumerate(read_frame(source).columns, 1)}
    for name, replaced in cells.items():
        for row, value in replaced.items():
            sheet.cell(row + 2, positions[name]).value = typed_value(value, by_name.get(name))
    workbook.save(destination)


def fill_arrow(table: pa.Table, cells: Cells, columns: Sequence[Column]) -> pa.Table:
    """Return an Arrow table with some cells replaced; `cells` and `columns` as for `fill_table`."""
    by_name = {column.name: column for column in columns}
    for name, replaced in cells.items():
        position = table.schema.get_field_index(name)
        stored, field = table.column(name), table.schema.field(position)
        column = by_name.get(name)
        if pa.types.is_temporal(field.type) and column and isinstance(column.notation, DateNotation):
            table = table.set_column(position, field, _filled_dates(stored, replaced, column.notation))
            continue
        values = _replaced(stored.to_pylist(), replaced)
        try:
            filled = _typed_array(values, stored)
        except (ValueError, KeyError, pa.ArrowException):  # the type has no such values
            filled, field = pa.array(values), name
        table = table.set_column(position, field, filled)
    return table


def _filled_dates(stored: pa.ChunkedArray, cells: Mapping[int, Value], notation: DateNotation) -> pa.Array:
    """Return dates of an Arrow type, some of them replaced by written ones."""
    written = pa.array([str(cells[row]) if row in cells else None for row in range(len(stored))], type=pa.string())
    return pc.coalesce(to_temporal(written, notation, stored.type), stored.combine_chunks())


def _typed_array(values: Sequence[Value | None], like: pa.ChunkedArray) -> pa.Array:
    """Return values as an array of the same type, whose categories keep their order."""
    if not pa.types.is_dictionary(like.type) or not like.num_chunks:
        return pa.array(values, type=like.type)
    categories = like.unify_dictionaries().chunk(0).dictionary
    codes = {value: code for code, value in enumerate(categories.to_pylist())}
    indices = pa.array([None if value is None else codes[value] for value in values], type=like.type.index_type)
    return pa.DictionaryArray.from_arrays(indices, categories, ordered=like.type.ordered)


# Text.


def _filled_records(file: TextFile, cells: Cells) -> Iterator[str]:
    """Yield the rows of a text file, each with its line end."""
    lines = io.StringIO(file.rows(), newline="").readlines()
    by_row: dict[int, dict[int, Value]] = {}
    for name, replaced in cells.items():
        for row, value in replaced.items():
            by_row.setdefault(row, {})[file.names.index(name)] = value
    reader = csv.reader(lines, delimiter=file.delimiter)
    row, start = -1, 0
    for fields in reader:
        record, start = "".join(lines[start : reader.line_num]), reader.line_num
        row += bool(fields)
        yield _with_fields(record, fields, by_row[row], file.delimiter) if fields and row in by_row else record


def _with_fields(record: str, fields: Sequence[str], replaced: Mapping[int, Value], delimiter: str) -> str:
    """Return a record with some fields replaced and the others as they are written."""
    content = record.rstrip("\r\n")
    spans = [match.span() for match in _fields_pattern(delimiter).finditer(content)]
    if len(spans) != len(fields) and delimiter != " ":  # quotes inside fields
        written = [str(as_text(replaced.get(position, field))) for position, field in enumerate(fields)]
        return delimiter.join(_quoted(field, delimiter) for field in written) + record[len(content) :]
    parts, end = list[str](), 0
    for position in sorted(replaced):
        begin, after = spans[position]
        parts += [content[end:begin], _quoted(str(as_text(replaced[position])), delimiter)]
        end = after
    return "".join(parts) + content[end:] + record[len(content) :]


def _fields_pattern(delimiter: str) -> re.Pattern[str]:
    """Return a pattern that matches each field of a record as it is written, with its quotes."""
    if delimiter == " ":
        return re.compile(r'"(?:[^"]|"")*"|[^ \t]+')
    separator = re.escape(delimiter)
    return re.compile(rf'(?:^|(?<={separator}))(?:"(?:[^"]|"")*"|[^{separator}]*)(?={separator}|$)', re.DOTALL)


def _quoted(text: str, delimiter: str) -> str:
    special = (delimiter, '"', "\n", "\r")
    return f'"{text.replace(chr(34), 2 * chr(34))}"' if any(sign in text for sign in special) else text
