"""Text files with delimited fields: their encoding, delimiter and column names, and their fields.

The encoding is UTF-8, UTF-16 with a byte order mark, or Windows-1252, which contains Latin-1. Lines that begin with #
and empty lines before the column names are skipped. The delimiter is the one that splits the first lines into equal
numbers of fields. A first line with numbers, where the following lines have them, is a row, and the columns are x0,
x1, ...
Arrow reads the fields, all of them as text.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.csv

from aevb.columns import Column, NumberNotation, TextForm
from aevb.data.tables.compression import read_content
from aevb.data.tables.formats import bare_suffix
from aevb.data.tables.raw import MISSING, require_few_columns
from aevb.errors import BadInput, counted

MAX_LINE = 2**24
"""Largest number of bytes in a line."""
_BLOCK = 2**22
"""Bytes that Arrow parses at once, at first; a line must not be longer."""
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_SAMPLED_LINES, _SAMPLED = 21, 2**20
"""Lines, and characters after the first line, that determine the delimiter and whether there is a header."""
_DELIMITERS = "\t;|,"
"""Delimiters, those that seldom occur inside fields first."""
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


class TextFile(NamedTuple):
    """The content of a text file and its form.

    Attributes:
        path: the file.
        content: its text in UTF-8, without byte order mark.
        encoding: codec of its bytes.
        mark: its byte order mark.
        delimiter: character between fields; a space stands for any number of spaces and tabs.
        names: names of the columns, "" for columns without a name.
        begin: position of the first row in the content.
        has_header: whether the file has column names.
    """

    path: Path
    content: bytes
    encoding: str
    mark: bytes
    delimiter: str
    names: list[str]
    begin: int
    has_header: bool

    def form(self, columns: Sequence[Column]) -> TextForm:
        """Return how its rows are written; numbers have a decimal comma if those of a column have one."""
        marks = {column.notation.decimal for column in columns if isinstance(column.notation, NumberNotation)}
        decimal: Literal[".", ","] = "," if self.delimiter != "," and "," in marks else "."
        return TextForm(
            suffix=bare_suffix(self.path),
            delimiter=self.delimiter,
            encoding=self.encoding,
            has_mark=bool(self.mark),
            decimal=decimal,
        )

    def header(self) -> str:
        """Return the text before the rows."""
        return self.content[: self.begin].decode()

    def rows(self) -> str:
        """Return the text of the rows."""
        return str(memoryview(self.content)[self.begin :], "utf-8")


def byte_order_mark(encoding: str) -> bytes:
    """Return the byte order mark of an encoding, empty if it has none."""
    return next((mark for mark, name in _MARKS.items() if name == encoding), b"")


def open_text(path: Path) -> TextFile:
    """Read a text file and determine its form.

    Raises:
        BadInput: the file cannot be read, or is no table.
    """
    content, encoding, mark = _decoded(read_content(path), path)
    start = _start(content)
    lines = list(_first_lines(content, start, path))
    require_few_columns(max(map(lines[0].count, _DELIMITERS), default=0) + 1 if lines else 0, path)
    delimiter = _delimiter(lines, bare_suffix(path))
    records = _split(lines, delimiter)
    if not records:
        raise BadInput(f"{path} cannot be read (it is empty): expected a table with the column names in its first line")
    has_header = not _is_row(records[0], records[1:])
    names = _names(records, has_header)
    begin = start + _length_of_header(lines, delimiter) if has_header else start
    return TextFile(path, content, encoding, mark, delimiter, names, begin, has_header)


# Form.


def _decoded(content: bytes, path: Path) -> tuple[bytes, str, bytes]:
    """Return a text in UTF-8, its codec and its byte order mark."""
    mark = next((mark for mark in _MARKS if content.startswith(mark)), b"")
    content = content.removeprefix(mark)
    for encoding in [_MARKS[mark]] if mark else ["utf-8", "cp1252"]:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            raise BadInput(f"{path} cannot be read (a zero byte, which no text has): expected a table in a text file")
        if encoding == "utf-8":
            return content, encoding, mark
        if encoding != "cp1252" or not _CONTROLS.search(text):
            return text.encode(), encoding, mark
    raise BadInput(f"{path} cannot be read (not a text): expected a table in UTF-8, UTF-16 or Latin-1")


def _start(content: bytes) -> int:
    """Return the position after comment lines and empty lines at the begin of a text."""
    match = re.match(rb"(?:[ \t]*\r?\n|#[^\n]*(?:\n|$))*", content)
    return match.end() if match else 0


def _first_lines(content: bytes, start: int, path: Path) -> Iterator[str]:
    """Yield the first lines."""
    stream = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline="")
    stream.seek(start)
    size, count = 0, 0
    while count < _SAMPLED_LINES and size <= _SAMPLED and (line := stream.readline(MAX_LINE)):
        if len(line) == MAX_LINE:
            raise _long_line(path)
        size += len(line) * bool(count)
        count += bool(line.strip("\r\n"))
        yield line


def _long_line(path: Path) -> BadInput:
    return BadInput(f"{path} cannot be read (a line of {MAX_LINE} characters or more): expected a table in a text file")


def _delimiter(lines: Sequence[str], suffix: str) -> str:
    """Return the delimiter that splits most lines into as many fields as the first, and the first into most fields."""
    if suffix == ".tsv":
        return "\t"
    candidates = _DELIMITERS + " " * (suffix == ".txt")
    scores = {mark: _consistency(lines, mark) for mark in candidates}
    best = max(candidates, key=lambda mark: scores[mark])
    if scores[best][1] > 1:
        return best
    return next((mark for mark in ",;\t|" if not any(mark in line for line in lines)), ",")


def _consistency(lines: Sequence[str], delimiter: str) -> tuple[float, int]:
    """Return the share of lines with as many fields as the first, and the number of fields of the first."""
    first, *others = _split(lines, delimiter) or [[]]
    width = len(first)
    if width < 2:
        return 0.0, width
    matching = sum(len(fields) == width or _ends_empty(fields, width) for fields in others)
    return (matching / len(others) if others else 0.5), width


def _split(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """Return the fields of lines; a record in quotes may have several lines."""
    if delimiter == " ":
        lines = [" ".join(line.split()) for line in lines]
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        return [[field.strip() for field in fields] for fields in reader if fields]
    except csv.Error:
        return []


def _ends_empty(fields: Sequence[str], width: int) -> bool:
    """Return whether fields are one too many, because of a delimiter at the end of the line."""
    return len(fields) == width + 1 and not fields[-1]


def _names(records: Sequence[Sequence[str]], has_header: bool) -> list[str]:
    """Return the names of the columns, "" for each column without one."""
    first, *others = records
    if not has_header:
        return [f"x{position}" if position < _width(first) else "" for position in range(len(first))]
    names, width = list(first), len(first)
    if others and all(_ends_empty(fields, width) for fields in others):
        return [*names, ""]
    if others and not names[-1] and all(len(fields) == width - 1 for fields in others):
        return names[:-1]
    return names


def _width(fields: Sequence[str]) -> int:
    """Return the number of fields without empty ones at the end."""
    return max((position + 1 for position, field in enumerate(fields) if field), default=0)


def _is_row(first: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
    """Return whether the first line is a row: it has numbers where the others have them, and no names."""
    numeric = [_is_number(field) for field in first]
    if not any(numeric) or _are_numbered(first, numeric):
        return False
    if first[0] and all(is_number or not field for is_number, field in zip(numeric, first, strict=True)):
        return True
    columns = list(zip(*(fields for fields in others if len(fields) == len(first)), strict=True))
    compared = [position for position, field in enumerate(first) if field not in MISSING]
    return bool(columns) and all(numeric[position] == _are_numbers(columns[position]) for position in compared)


def _is_number(field: str) -> bool:
    return bool(re.fullmatch(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?", field))


def _are_numbers(fields: Sequence[str]) -> bool:
    present = [field for field in fields if field not in MISSING]
    return bool(present) and all(map(_is_number, present))


def _are_numbered(first: Sequence[str], numeric: Sequence[bool]) -> bool:
    """Return whether the numbers in the first line are names: years, or 0, 1, 2, ... of a frame without names."""
    numbers = [field for field, is_number in zip(first, numeric, strict=True) if is_number]
    if len(numbers) < 2 or not all(number.isdecimal() for number in numbers):
        return False
    values = [int(number) for number in numbers]
    consecutive = all(after - before == 1 for before, after in pairwise(values))
    years = values[0] >= 1800 and values[-1] <= 2200 and not all(numeric)
    return consecutive and (years or (values[0] == 0 and len(values) > 2))


def _length_of_header(lines: Sequence[str], delimiter: str) -> int:
    """Return the number of bytes of the first record."""
    reader = csv.reader(lines, delimiter=delimiter)
    next(reader)
    return sum(len(line.encode()) for line in lines[: reader.line_num])


# Fields.


def read_fields(file: TextFile) -> list[pa.DictionaryArray]:
    """Return the fields of each column, as they are written.

    Raises:
        BadInput: a line has another number of fields than the first.
    """
    content = _collapsed(file.rows()).encode() if file.delimiter == " " else memoryview(file.content)[file.begin :]
    if len(content) < _BLOCK and not bytes(content).strip():
        raise BadInput(f"{file.path} has no rows: expected at least one below the column names")
    if file.content.count(b'"', file.begin) % 2:
        _require_closed_quotes(file)
    try:
        table = _parse(content, file, _BLOCK)
    except pa.ArrowInvalid as error:
        raise _described(error, file) from error
    return [column.unify_dictionaries().combine_chunks() for column in table.columns]


def _parse(content: bytes | memoryview, file: TextFile, block_size: int) -> pa.Table:
    """Return fields as dictionaries of strings; larger blocks are for lines that do not fit into one."""
    keys = [str(position) for position in range(len(file.names))]
    types = dict.fromkeys(keys, pa.dictionary(pa.int32(), pa.string()))
    quoted = b'"' in file.content
    try:
        return pa.csv.read_csv(
            pa.py_buffer(content),
            pa.csv.ReadOptions(column_names=keys, block_size=block_size),
            pa.csv.ParseOptions(delimiter=file.delimiter, newlines_in_values=quoted),
            pa.csv.ConvertOptions(column_types=types, strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        if "straddling" in str(error) and block_size < MAX_LINE:
            return _parse(content, file, MAX_LINE)
        raise


def _collapsed(text: str) -> str:
    """Return lines with single spaces between their fields."""
    return re.sub(r"(?m)^ | $", "", re.sub(r"[ \t]+", " ", text))


def _require_closed_quotes(file: TextFile) -> None:
    try:
        for _ in csv.reader(io.StringIO(file.rows(), newline=""), delimiter=file.delimiter, strict=True):
            pass
    except csv.Error as error:
        raise BadInput(f"{file.path} cannot be read ({error}): close the quote in its text") from error


def _described(error: pa.ArrowInvalid, file: TextFile) -> BadInput:
    """Return an error that names the line with another number of fields."""
    if "straddling" in str(error):
        return _long_line(file.path)
    width, before = len(file.names), file.content.count(b"\n", 0, file.begin)
    text = _collapsed(file.rows()) if file.delimiter == " " else file.rows()
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=file.delimiter)
    for fields in reader:
        if fields and len(fields) != width:
            line = before + reader.line_num
            return BadInput(
                f"{file.path} has {counted(len(fields), 'field')} in line {line} and {width} in the first: fix this"
                " line"
            )
    reason = " ".join(str(error).split())[:120]
    return BadInput(f"{file.path} cannot be read ({reason}): expected a table with the column names in its first line")
