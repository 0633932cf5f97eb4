"""Columns of .csv, .tsv and .parquet files as they are stored, before their types are inferred.

Missing values may occur anywhere. In a text file they are empty fields and those that pandas takes for missing: NA,
NaN, null, None and others, as they are spelled in `MISSING`. A row counts even if all its values are missing. The row
index that pandas writes, and the nameless first column of a text file, are no columns.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

import numpy as np
from numpy.typing import NDArray

from aevb import memory
from aevb.columns import Value
from aevb.data.optional import arrow_library
from aevb.errors import BadInput, option

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

SUFFIXES = (".csv", ".tsv", ".parquet")
MISSING = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"),
    *("NULL", "NaN", "None", "n/a", "nan", "null"),
)
"""Texts that mean a missing value, by default those of `pandas.read_csv`."""
PANDAS_INDEX = re.compile(r"__index_level_\d+__")
"""Name of the row index in a Parquet file that pandas has written."""
MAX_CATEGORIES = 100
"""Largest number of categories of a column that is not declared to be categorical."""
MAX_COLUMNS = 100_000
_MAX_LINE = 2**24
"""Largest number of characters in a line."""
_EXPANDED = 2**30
"""Bytes to which any Parquet file may expand."""
_RATIO = 1000
"""Largest ratio of expanded to stored bytes of a Parquet file beyond that."""
_TRUTH = {"true": True, "false": False}
Values = NDArray[np.float64] | NDArray[np.object_]
"""Numbers or texts."""


@dataclass(frozen=True)
class RawColumn:
    """A column as it is stored.

    Attributes:
        name: name of the column.
        numbers: float64, NaN where missing; None for a column of texts.
        texts: None where missing; of a text file also those of numbers, otherwise empty for a column of numbers.
        whole: whether the numbers have an integer type.
        logical: whether the values are truth values.
        dtype: name of the type in its file or data frame; empty for a text file.
        levels: the categories that a categorical type lists, in their order.
        unsupported: why no model can use the column, which can only be excluded; empty for all others.
    """

    name: str
    numbers: NDArray[np.float64] | None
    texts: Sequence[str | None] = ()
    whole: bool = False
    logical: bool = False
    dtype: str = ""
    levels: tuple[Value, ...] = ()
    unsupported: str = ""

    def __len__(self) -> int:
        return len(self.texts) if self.numbers is None else len(self.numbers)

    @property
    def present(self) -> Values:
        """The values that are not missing."""
        if self.numbers is None:
            return np.array([text for text in self.texts if text is not None], dtype=object)
        return self.numbers[~np.isnan(self.numbers)]

    def distinct(self) -> Values:
        """Return the sorted distinct values that are not missing."""
        return cast("Values", np.unique(self.present))

    def values(self) -> list[Value | None]:
        """Return all values with the type of the column, None where missing."""
        if self.numbers is None:
            return list(self.texts)
        present = iter(self.plain(self.present))
        return [None if missing else next(present) for missing in np.isnan(self.numbers)]

    def plain(self, values: Values) -> list[Value]:
        """Return values with the type of the column."""
        if self.numbers is None:
            return [str(value) for value in values]
        if self.logical:
            return [bool(value) for value in values]
        return [int(value) if self.whole else float(value) for value in values]


def read_columns(path: Path, missing: Sequence[str] | None = None) -> list[RawColumn]:
    """Read the columns of a file, whose suffix determines its format.

    Args:
        path: a text or Parquet file.
        missing: texts of a text file that mean a missing value, besides empty fields. Default: `MISSING`.

    Raises:
        BadInput: the file cannot be read.
    """
    markers = frozenset(MISSING if missing is None else ("", *missing))
    columns = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_text(path, markers)
    require_distinct([column.name for column in columns], str(path))
    return columns


def array_columns(values: NDArray[np.float64]) -> list[RawColumn]:
    """Return the columns of an array ``(N, D)``, named x0, x1, ..."""
    return [RawColumn(f"x{position}", column) for position, column in enumerate(values.T)]


def require_distinct(names: Sequence[str], table: str) -> None:
    """Refuse columns with equal names.

    Raises:
        BadInput: two columns have the same name.
    """
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    if count > 1:
        raise BadInput(f"{table} has {count} columns named {name!r}: rename all but one")


def parse_number(text: str) -> float | None:
    """Return the number that a text denotes, or None."""
    try:
        return float(text)
    except ValueError:
        return None


def dates_message(name: str) -> str:
    """Return the advice for a column of dates."""
    return (
        f"column {name!r} holds dates: convert them to numbers, such as days since a date or the month, or exclude the"
        f" column with {option('data.column-types', 'none', key=name)}"
    )


# Text files.


def _read_text(path: Path, missing: frozenset[str]) -> list[RawColumn]:
    header, rows = read_fields(path)
    texts = zip(header, zip(*rows, strict=True), strict=True)
    return [_parse_texts(name, column, missing) for name, column in texts if name]


def delimiter_of(path: Path, first: str) -> str:
    """Return the delimiter of a text file with this first line."""
    return "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=first.count)


def read_fields(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the column names and the fields of each row of a text file. The first column may have no name: ""."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = next(_lines(file), "")
            file.seek(0)
            delimiter = delimiter_of(path, first)
            _require_few_columns(first.count(delimiter) + 1, path)
            header, *rows = _rows(csv.reader(_lines(file), delimiter=delimiter, strict=True), path)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        reason = " ".join(str(error).split())[:120]
        raise BadInput(
            f"{path} cannot be read ({reason}): expected a table in UTF-8 with the column names in its first line"
        ) from error
    if not (header[1:] or header[0]) or not all(header[1:]):
        raise BadInput(f"{path} has a column without a name in its first line: add a name")
    if not rows:
        raise BadInput(f"{path} has no rows: expected at least one below the column names")
    if all(parse_number(name) is not None for name in header):
        raise BadInput(f"{path} begins with a line of numbers: expected the column names")
    return header, rows


def _lines(file: TextIO) -> Iterator[str]:
    """Yield the lines of a text file; refuse lines that are too long for a table."""
    while line := file.readline(_MAX_LINE):
        if len(line) == _MAX_LINE:
            raise ValueError(f"a line of {_MAX_LINE} characters or more")
        if "\0" in line:
            raise ValueError("a zero byte, which no text has")
        yield line


def _require_few_columns(count: int, path: Path) -> None:
    if count > MAX_COLUMNS:
        raise BadInput(f"{path} has {count} columns: expected at most {MAX_COLUMNS}; drop some")


def _rows(reader: Iterable[list[str]], path: Path) -> Iterator[list[str]]:
    """Yield the lines that are not empty; all must have as many fields as the first."""
    width = None
    for number, row in enumerate(reader, 1):
        if not row:
            continue
        width = width or len(row)
        if len(row) != width:
            line = getattr(reader, "line_num", number)
            raise BadInput(f"{path} has {len(row)} fields in line {line} and {width} in the first: fix this line")
        yield [field.strip() for field in row]


def _parse_texts(name: str, texts: Sequence[str], missing: frozenset[str]) -> RawColumn:
    """Return a column of numbers if all values that are not missing are numbers, else a column of texts.

    Digits after a leading zero, as in a postcode, are a text.
    """
    values = [None if text in missing else text for text in texts]
    present = {text for text in values if text is not None}
    if present and all(text.lower() in _TRUTH for text in present):
        truth = [np.nan if text is None else float(_TRUTH[text.lower()]) for text in values]
        return RawColumn(name, np.array(truth), values, logical=True)
    numbers = {text: parse_number(text) for text in present}
    if any(number is None or re.match(r"0\d", text) for text, number in numbers.items()):
        return RawColumn(name, None, values)
    whole = all(re.fullmatch(r"[+-]?\d+", text) for text in present)
    parsed = np.array([np.nan if text is None else numbers[text] for text in values])
    return RawColumn(name, parsed, values, whole=whole)


# Parquet and Arrow.


def _read_parquet(path: Path) -> list[RawColumn]:
    arrow = arrow_library()
    try:
        file = arrow.parquet.ParquetFile(path)
        names = [name for name in file.schema_arrow.names if not PANDAS_INDEX.fullmatch(name)]
        _require_few_columns(len(names), path)
        _require_proportionate(file.metadata, path)
        columns = [arrow_column(name, file.read([name]).column(0)) for name in names]
        if len({len(column) for column in columns}) > 1:
            raise ValueError("its columns have different lengths")
        return columns
    except (OSError, ValueError, LookupError, arrow.ArrowException) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path} cannot be read ({' '.join(str(error).split())[:120]}): write it again") from error


def _require_proportionate(metadata: "pq.FileMetaData", path: Path) -> None:
    """Refuse a table that is far larger than its file, before memory is allocated for it."""
    groups = [metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups)]
    size = max(sum(groups), 8 * metadata.num_rows * metadata.num_columns)
    if size > max(_EXPANDED, _RATIO * path.stat().st_size):
        raise BadInput(f"{path} expands to {size} bytes, over {_RATIO} times its own size: write it again")
    memory.require(size, str(path), "use fewer rows or columns")


def arrow_column(name: str, column: "pa.ChunkedArray") -> RawColumn:
    """Return a column of an Arrow table."""
    types, dtype, levels = arrow_library().types, str(column.type), tuple[Value, ...]()
    if types.is_dictionary(column.type):
        levels = _arrow_levels(column)
        column = column.cast(column.type.value_type)
    kind = column.type
    if types.is_temporal(kind):
        return unsupported_column(name, len(column), dates_message(name))
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        numbers = column.cast("float64", safe=False).to_numpy()
        whole, logical = types.is_integer(kind), types.is_boolean(kind)
        return RawColumn(name, numbers, whole=whole, logical=logical, dtype=dtype, levels=levels)
    if types.is_string(kind) or types.is_large_string(kind):
        return RawColumn(name, None, column.to_pylist(), dtype=dtype, levels=levels)
    message = f"column {name!r} holds {kind}: expected numbers, texts or truth values; exclude it with"
    return unsupported_column(name, len(column), f"{message} {option('data.column-types', 'none', key=name)}")


def unsupported_column(name: str, count: int, reason: str) -> RawColumn:
    """Return a column of `count` values that can only be excluded."""
    return RawColumn(name, None, [None] * count, unsupported=reason)


def _arrow_levels(column: "pa.ChunkedArray") -> tuple[Value, ...]:
    """Return the categories of a dictionary less than half as long as the column: longer ones are for compression."""
    chunks = column.unify_dictionaries().chunks
    levels = tuple(chunks[0].dictionary.to_pylist()) if chunks else ()
    return levels if 1 < len(levels) <= MAX_CATEGORIES and len(levels) < len(column) / 2 else ()
