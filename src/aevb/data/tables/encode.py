"""Tables: .csv, .tsv and .parquet files, and the frames of pandas and polars.

A column becomes what its values look like:

    binary        true and false, 0 and 1, or two texts
    categorical   texts, of which a few recur
    count         whole numbers from near 0 on
    positive      numbers above 0 that are better described by a log-normal than by a normal
    real          other numbers

`kinds` says otherwise. Some columns are no part of the model, and the notes say so: one with one value all along is
constant; texts nearly all of which differ, and whole numbers that count the rows, are identifiers and left out. Dates
are refused, with advice. Values may be missing anywhere: empty, NA, NaN, null, None or ?. A row stays one even if all
of it is missing.

The same columns are asked of other tables for the same model (`coded`): in any order, and more of them are no harm.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TextIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aevb import memory
from aevb.columns import Column, Value, modelled
from aevb.data.dataset import Examples, UnsplitData
from aevb.errors import BadInput

Kinds = Mapping[str, Literal["real", "positive", "count", "binary", "categorical", "label", "none"]]
Table = dict[str, list[Value | None]]
"""Columns by name."""
SUFFIXES = (".csv", ".tsv", ".parquet")
MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}
MOST_VALUES = 100
"""Of a categorical column that is not declared to be one."""
NEAR_ZERO = 0.1
"""Counts begin below this share of the largest; other whole numbers, such as years, are real."""
MOST_COLUMNS = 100_000
_LONGEST_LINE = 2**24
"""Characters."""
_EXPANDED = 2**30
"""Bytes to which a Parquet file may expand, however small it is."""
_RATIO = 1000
"""How much larger than the file it may be beyond that."""
_LARGEST, _SMALLEST = float(np.finfo(np.float32).max), float(np.finfo(np.float32).smallest_subnormal)
_LARGEST_COUNT = 2**24
_TRUTH = {"true": True, "false": False}
_LISTED = ("category", "ordered category", "enum", "Categorical")
"""Types that list their values."""
_TYPES = r"(u?int|float|U?Int|Float)\d+|bool|boolean|Boolean|str|string|String|object|\w+\[pyarrow\]"
"""Other types that are given back."""
_DICTIONARY = r"dictionary<values=(\w+), indices=(\w+), ordered=([01])>"
"""What Arrow calls such a type."""
_CODED = ("binary", "categorical", "constant")


@dataclass(frozen=True)
class Raw:
    """A column as it was read.

    Attributes:
        name: of the column.
        numbers: float64, NaN where missing; None of a column of texts.
        texts: None where missing; empty of a column of numbers.
        whole: whether the numbers are whole by their type.
        logical: whether they are true and false.
        type: what their type is called; empty of a text file.
        levels: the categories that a type of its own lists, in their order.
    """

    name: str
    numbers: NDArray[np.float64] | None
    texts: Sequence[str | None] = ()
    whole: bool = False
    logical: bool = False
    type: str = ""
    levels: tuple[Value, ...] = ()

    def __len__(self) -> int:
        return len(self.texts) if self.numbers is None else len(self.numbers)

    @property
    def present(self) -> NDArray[Any]:
        """The values that are not missing."""
        if self.numbers is None:
            return np.array([text for text in self.texts if text is not None], dtype=object)
        return self.numbers[~np.isnan(self.numbers)]


def read_table(path: Path, kinds: Kinds) -> UnsplitData:
    """Read a file.

    Args:
        path: of the file, by whose suffix it is known.
        kinds: of columns, by name, where they are not to be inferred.

    Raises:
        BadInput: it cannot be read, or a column holds what no model can use.
    """
    return pool(path.resolve().name, read_raw(path), kinds)


def read_raw(path: Path) -> list[Raw]:
    """The columns of a file as they are.

    Raises:
        BadInput: it cannot be read.
    """
    columns = _parquet(path) if path.suffix.lower() == ".parquet" else _text(path)
    require_different([column.name for column in columns], str(path))
    return columns


def frame(table: Any, name: str = "the frame") -> list[Raw]:
    """The columns of a pandas or polars frame.

    Raises:
        BadInput: a column holds what no model can use, or two have one name.
    """
    names = [str(column) for column in table.columns]
    require_different(names, name)
    return [_of_series(text, table[column]) for text, column in zip(names, table.columns, strict=True)]


def require_different(names: Sequence[str], table: str) -> None:
    """Refuse columns of one name.

    Raises:
        BadInput: there are some.
    """
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    if count > 1:
        raise BadInput(f"{table} has {count} columns named {name!r}: rename all but one")


def rows(values: NDArray[Any]) -> list[Raw]:
    """The columns of an array ``(N, D)``, which are called x0, x1, ..."""
    return [Raw(f"x{place}", column) for place, column in enumerate(values.T)]


def pool(name: str, raws: Sequence[Raw], kinds: Kinds) -> UnsplitData:
    """Examples of the columns of a table, whose kinds are inferred where they are not given.

    Raises:
        BadInput: a column holds what no model can use, or does not exist.
    """
    known = [raw.name for raw in raws]
    for given in kinds:
        if given not in known:
            raise BadInput(f"{name} has no column {given!r}: expected one of {', '.join(known)}")
    notes, columns, labels, classes = list[str](), list[Column](), None, None
    for place, raw in enumerate(raws):
        kind = kinds.get(raw.name)
        _require_finite(raw, name)
        if kind == "label":
            labels, classes = _labels(raw, name)
            continue
        column = None if kind == "none" else _inferred(raw, place, kind, name)
        if column:
            columns.append(column)
        notes += _notes(raw, column, asked=kind is not None)
    if not modelled(columns):
        raise BadInput(f"{name} has no column that varies: expected at least one")
    values = coded(raws, columns, name)
    return UnsplitData(name, Examples(values, labels), classes, columns=tuple(columns), notes=tuple(notes))


def coded(raws: Sequence[Raw], columns: Sequence[Column], name: str) -> Tensor:
    """The rows of a table as a model of `columns` takes them, ``(N, D)``.

    Raises:
        BadInput: a column is missing, or has values that its kind cannot have.
    """
    by_name = {raw.name: raw for raw in raws}
    wanted = modelled(columns)
    if absent := [column.name for column in wanted if column.name not in by_name]:
        raise BadInput(
            f"{name} lacks the column {', '.join(map(repr, absent))} of the table that the model learned from"
        )
    count = len(next(iter(by_name.values())))
    values = torch.empty(count, len(wanted))
    for place, column in enumerate(wanted):
        _require_finite(by_name[column.name], name)
        values[:, place] = torch.from_numpy(codes(by_name[column.name], column, name))
    return values


def table(
    columns: Sequence[Column],
    rows: NDArray[np.float32],
    given: Sequence[Column] = (),
    condition: NDArray[np.float32] | None = None,
) -> Table:
    """Rows ``(N, D)`` as the columns of a table, in their order in it, with their values and types; and among them what
    was given of each, ``(N, G)``, or ``(1, G)`` of all."""
    numbers = dict(zip((column.name for column in modelled(columns)), rows.T, strict=True))
    if condition is not None:
        every = np.broadcast_to(condition, (len(rows), condition.shape[1]))
        numbers |= dict(zip((column.name for column in modelled(given)), every.T, strict=True))
    found: Table = {}
    for column in sorted((*columns, *given), key=lambda column: column.place):
        if column.kind == "constant":
            found[column.name] = [column.values[0] if column.values else None] * len(rows)
        else:
            found[column.name] = [value_of(column, number) for number in numbers[column.name]]
    return found


def write_table(path: Path, columns: Mapping[str, Sequence[Value | None]], like: Sequence[Column] = ()) -> None:
    """Write a table as .csv, .tsv or .parquet, there with the types of the columns that it is like."""
    if path.suffix.lower() == ".parquet":
        arrow, known = arrow_library(), {column.name: column for column in like}
        arrays = {name: _arrow_array(values, known.get(name)) for name, values in columns.items()}
        arrow.parquet.write_table(arrow.table(arrays), path)
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*(map(_shown, column) for column in columns.values()), strict=True))


def framed(columns: Sequence[Column], values: NDArray[np.float32], library: Literal["pandas", "polars"]) -> Any:
    """Rows ``(N, D)`` as a frame, with the types that its columns had."""
    try:
        module: Any = import_module(library)
    except ImportError as error:
        raise BadInput(f"the model learned from a frame of {library}: pip install {library}") from error
    made = _pandas_series if library == "pandas" else _polars_series
    by_name = {column.name: column for column in columns}
    found = table(columns, values)
    return module.DataFrame({name: made(module, by_name[name], given) for name, given in found.items()})


def _pandas_series(pandas: Any, column: Column, values: Sequence[Value | None]) -> Any:
    if column.type in _LISTED and column.kind in _CODED:
        return pandas.Categorical(values, categories=list(column.values), ordered=column.type.startswith("ordered"))
    series = pandas.Series(values, dtype=object)
    missing = any(value is None for value in values)
    if re.fullmatch(_TYPES, column.type) and not (missing and re.fullmatch(r"bool|u?int\d+", column.type)):
        return series.astype(column.type)
    return series.infer_objects()


def _polars_series(polars: Any, column: Column, values: Sequence[Value | None]) -> Any:
    if column.type == "enum" and column.kind in _CODED:
        return polars.Series(values, dtype=polars.Enum([str(value) for value in column.values]))
    known = re.fullmatch(_TYPES, column.type) or column.type in _LISTED
    return polars.Series(values, dtype=getattr(polars, column.type, None) if known else None, strict=False)


def _arrow_array(values: Sequence[Value | None], column: Column | None) -> Any:
    arrow, kind = arrow_library(), column.type if column else ""
    try:
        if column and column.values and (kind in _LISTED or kind.startswith("dictionary")):
            return _dictionary_array(arrow, values, column)
        return arrow.array(values, type=arrow.type_for_alias(kind.lower()))
    except (ValueError, arrow.ArrowException):  # no type of Arrow's, or one that has no such values
        return arrow.array(values)


def _dictionary_array(arrow: Any, values: Sequence[Value | None], column: Column) -> Any:
    found = re.fullmatch(_DICTIONARY, column.type)
    of_index, of_value = (arrow.type_for_alias(found[2]), arrow.type_for_alias(found[1])) if found else (None, None)
    ordered = found[3] == "1" if found else column.type.startswith("ordered")
    codes: dict[Any, int] = {value: code for code, value in enumerate(column.values)}
    indices = arrow.array([None if value is None else codes[value] for value in values], type=of_index)
    return arrow.DictionaryArray.from_arrays(indices, arrow.array(column.values, type=of_value), ordered=ordered)


def _shown(value: Value | None) -> object:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else value


# Reading.


def _text(path: Path) -> list[Raw]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = next(_lines(file), "")
            file.seek(0)
            delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=first.count)
            _require_columns(first.count(delimiter) + 1, path)
            header, *rows = _rows(csv.reader(_lines(file), delimiter=delimiter, strict=True), path)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        reason = " ".join(str(error).split())[:120]
        raise BadInput(f"{path} cannot be read ({reason}): expected a table with a line of names, in UTF-8") from error
    if not all(header):
        raise BadInput(f"{path} has a column without a name in its first line: name it")
    if not rows:
        raise BadInput(f"{path} has no rows: expected some below the names of its columns")
    if all(_number(name) is not None for name in header):
        raise BadInput(f"{path} begins with a line of numbers: expected the names of its columns")
    return [_of_texts(name, texts) for name, texts in zip(header, zip(*rows, strict=True), strict=True)]


def _lines(file: TextIO) -> Iterator[str]:
    """The lines of a text file, no longer than those of a table are."""
    while line := file.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise ValueError(f"a line of {_LONGEST_LINE} characters or more")
        if "\0" in line:
            raise ValueError("a zero byte, which no text has")
        yield line


def _require_columns(count: int, path: Path) -> None:
    if count > MOST_COLUMNS:
        raise BadInput(f"{path} has {count} columns: expected at most {MOST_COLUMNS}; leave some out")


def _rows(reader: Any, path: Path) -> Iterator[list[str]]:
    """The lines that are not empty, which must have as many fields as the first."""
    width = None
    for row in reader:
        if not row:
            continue
        width = width or len(row)
        if len(row) != width:
            raise BadInput(f"{path} has {len(row)} fields in line {reader.line_num} and {width} in the first: mend it")
        yield [field.strip() for field in row]


def _of_texts(name: str, texts: Sequence[str]) -> Raw:
    """A column of a text file: numbers where all that is not missing is."""
    given = [None if text.lower() in MISSING else text for text in texts]
    present = {text for text in given if text is not None}
    if present and all(text.lower() in _TRUTH for text in present):
        truth = [np.nan if text is None else float(_TRUTH[text.lower()]) for text in given]
        return Raw(name, np.array(truth), logical=True)
    numbers = {text: _number(text) for text in present}
    if any(number is None for number in numbers.values()):
        return Raw(name, None, given)
    whole = all(re.fullmatch(r"[+-]?\d+", text) for text in present)
    return Raw(name, np.array([np.nan if text is None else numbers[text] for text in given]), whole=whole)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _of_values(name: str, values: NDArray[Any]) -> Raw:
    """A column of an array of any type."""
    if values.dtype.kind in "iufb":
        return Raw(name, values.astype(np.float64), whole=values.dtype.kind in "iu", logical=values.dtype.kind == "b")
    if values.dtype.kind in "mM":
        raise BadInput(_dated(name))
    given = [None if _is_missing(value) else value for value in values.tolist()]
    present = [value for value in given if value is not None]
    if all(isinstance(value, str) for value in present):
        return Raw(name, None, given)
    try:
        numbers = np.array([np.nan if value is None else float(value) for value in given])
    except (TypeError, ValueError):
        return Raw(name, None, [value if value is None else str(value) for value in given])
    logical = bool(present) and all(isinstance(value, bool) for value in present)
    return Raw(name, numbers, whole=all(isinstance(value, int) for value in present), logical=logical)


def _of_series(name: str, series: Any) -> Raw:
    """A column of a frame."""
    raw, kind = _of_values(name, np.asarray(series.to_numpy())), str(series.dtype)
    if kind == "category":  # of pandas
        levels, kind = tuple(series.dtype.categories.tolist()), "ordered " * bool(series.dtype.ordered) + kind
    elif kind.startswith("Enum"):  # of polars
        levels, kind = tuple(series.dtype.categories), "enum"
    else:
        levels = tuple(np.unique(raw.present).tolist()) if kind.startswith("Categorical") else ()
        kind = "Categorical" if levels else kind
    whole = raw.whole or bool(re.match("u?int", kind.lower()))
    known = 1 < len(levels) <= MOST_VALUES and all(isinstance(level, Value) for level in levels)
    return replace(raw, whole=whole, type=kind, levels=levels if known else ())


def _is_missing(value: object) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value


def _parquet(path: Path) -> list[Raw]:
    arrow = arrow_library()
    try:
        file = arrow.parquet.ParquetFile(path)
        names = file.schema_arrow.names
        _require_columns(len(names), path)
        _require_modest(file.metadata, path)
        columns = [of_arrow(name, file.read([name]).column(0)) for name in names]
        if len({len(column) for column in columns}) > 1:
            raise ValueError("its columns have different lengths")
        return columns
    except (OSError, ValueError, LookupError, arrow.ArrowException) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path} cannot be read ({' '.join(str(error).split())[:120]}): write it again") from error


def _require_modest(facts: Any, path: Path) -> None:
    """Refuse a table that is far larger than its file, before memory is taken for it."""
    groups = [facts.row_group(place).total_byte_size for place in range(facts.num_row_groups)]
    size = max(sum(groups), 8 * facts.num_rows * facts.num_columns)
    if size > max(_EXPANDED, _RATIO * path.stat().st_size):
        raise BadInput(f"{path} expands to {size} bytes, over {_RATIO} times its own size: write it again")
    memory.require(size, str(path), "give fewer rows or columns")


def arrow_library() -> Any:
    """Arrow, if it is installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise BadInput("Parquet needs pyarrow: pip install 'aevb[arrow]'") from error
    return pyarrow


def of_arrow(name: str, column: Any) -> Raw:
    """A column of an Arrow table."""
    types, called, levels = arrow_library().types, str(column.type), tuple[Value, ...]()
    if types.is_dictionary(column.type):
        levels = _levels_of_arrow(column)
        column = column.cast(column.type.value_type)
    kind = column.type
    if types.is_temporal(kind):
        raise BadInput(_dated(name))
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        numbers = column.cast("float64", safe=False).to_numpy()
        whole, logical = types.is_integer(kind), types.is_boolean(kind)
        return Raw(name, numbers, whole=whole, logical=logical, type=called, levels=levels)
    if types.is_string(kind) or types.is_large_string(kind):
        return Raw(name, None, column.to_pylist(), type=called, levels=levels)
    raise BadInput(
        f"column {name!r} holds {kind}: expected numbers, texts or truth values; leave it out with kind none"
    )


def _levels_of_arrow(column: Any) -> tuple[Value, ...]:
    """The categories of a dictionary that is shorter than the column by half: others are for compression."""
    chunks = column.unify_dictionaries().chunks
    levels = tuple(chunks[0].dictionary.to_pylist()) if chunks else ()
    return levels if 1 < len(levels) <= MOST_VALUES and len(levels) < len(column) / 2 else ()


# What a column is.


def _inferred(raw: Raw, place: int, kind: str | None, table: str) -> Column | None:
    """The column that its values make, of a given kind if there is one; None of an identifier."""
    present = raw.present
    different = np.unique(present)
    if len(different) < 2:
        facts: Any = {"place": place, "whole": raw.whole, "type": raw.type}
        return Column(name=raw.name, kind="constant", values=tuple(plain(raw, different)), **facts)
    kind = kind or _kind(raw, different, table)
    if kind is None:
        return None
    if kind not in ("binary", "categorical"):
        if raw.numbers is None:
            raise BadInput(f"{table}: column {raw.name!r} is to be {kind}, and holds texts such as {different[0]!r}")
        return Column(name=raw.name, kind=kind, place=place, whole=raw.whole or kind == "count", type=raw.type)
    values = raw.levels or tuple(plain(raw, different))
    if kind == "binary" and len(values) > 2:
        raise BadInput(f"{table}: column {raw.name!r} is to be binary, and has {len(values)} values: use categorical")
    return Column(name=raw.name, kind=kind, place=place, values=values, type=raw.type)


def _kind(raw: Raw, different: NDArray[Any], table: str) -> str | None:
    if raw.levels:
        return "binary" if len(raw.levels) == 2 else "categorical"
    return _kind_of_texts(raw, different, table) if raw.numbers is None else _kind_of_numbers(raw, different)


def _kind_of_texts(raw: Raw, different: NDArray[Any], table: str) -> str | None:
    if len(different) == 2:
        return "binary"
    count = len(raw.present)
    if all(_is_date(text) for text in different[:50]):
        raise BadInput(f"{table}: {_dated(raw.name)}")
    if len(different) <= MOST_VALUES and len(different) < count / 2:
        return "categorical"
    numbers = sum(_number(text) is not None for text in raw.present)
    if 2 * numbers > count:
        row = next(i for i, text in enumerate(raw.texts) if text is not None and _number(text) is None)
        raise BadInput(
            f"{table}: column {raw.name!r} holds {numbers} numbers and {count - numbers} texts, the first"
            f" {raw.texts[row]!r} in row {row} counted from 0: mend or empty these"
        )
    if len(different) > MOST_VALUES and len(different) < count / 2:
        raise BadInput(
            f"{table}: column {raw.name!r} has {len(different)} different texts, and at most {MOST_VALUES} are taken"
            f" for categories: --data.column-types.{raw.name} categorical takes them all, none leaves them out"
        )
    return None


def _kind_of_numbers(raw: Raw, different: NDArray[Any]) -> str | None:
    if raw.logical or different.tolist() == [0.0, 1.0]:
        return "binary"
    low, high, whole = different[0], different[-1], bool((different == different.round()).all())
    with np.errstate(all="ignore"):  # numbers too large to work with are refused later, by `_codes`
        if whole and len(different) == len(raw) > 2 and high - low == len(raw) - 1:
            return None
        if whole and 0 <= low <= NEAR_ZERO * high and high <= _LARGEST_COUNT:
            return "count"
        return "positive" if low > 0 and _is_log_normal(raw.present) else "real"


def _is_log_normal(values: NDArray[np.float64]) -> bool:
    """Whether values above 0 are more probable under the log-normal that fits them than under the normal."""
    logarithms = np.log(values)
    return bool(np.log(values.std()) > np.log(logarithms.std()) + logarithms.mean())


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return bool(re.fullmatch(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}", text))
    return not text.isdigit()


def _dated(name: str) -> str:
    return (
        f"column {name!r} holds dates: turn them into numbers, such as days since a date or the month, or leave them"
        f" out with --data.column-types.{name} none"
    )


def plain(raw: Raw, values: NDArray[Any]) -> list[Value]:
    """Values with the type that they had."""
    if raw.numbers is None:
        return [str(value) for value in values]
    if raw.logical:
        return [bool(value) for value in values]
    return [int(value) if raw.whole else float(value) for value in values]


def _notes(raw: Raw, column: Column | None, *, asked: bool) -> list[str]:
    if column is None and not asked:
        return [f"{raw.name} is left out: an identifier, with {len(np.unique(raw.present))} different values"]
    if column and column.kind == "constant":
        what = f"always {column.values[0]!r}" if column.values else "empty"
        return [f"{raw.name} is {what}, and no part of the model"]
    return []


# Codes.


def codes(raw: Raw, column: Column, table: str) -> NDArray[np.float32]:
    """The column as numbers, NaN where missing."""
    if column.kind in ("binary", "categorical"):
        return _places(raw, column, table)
    if raw.numbers is None:
        if not len(raw.present):
            return np.full(len(raw), np.nan, dtype=np.float32)
        raise BadInput(f"{table}: column {column.name!r} holds texts such as {raw.present[0]!r}: expected numbers")
    numbers = raw.numbers
    wrong = {
        "real": np.abs(numbers) > _LARGEST,
        "positive": (numbers < _SMALLEST) | (numbers > _LARGEST),
        "count": (numbers < 0) | (numbers != np.round(numbers)) | (numbers > _LARGEST_COUNT),
    }[column.kind] & ~np.isnan(numbers)
    if wrong.any():
        expected = {"real": "finite numbers", "positive": "numbers above 0", "count": "whole numbers from 0 on"}
        row = int(wrong.argmax())
        raise BadInput(
            f"{table}: column {column.name!r} holds {wrong.sum()} values that are no {expected[column.kind]}, the first"
            f" {numbers[row]:g} in row {row} counted from 0: mend or empty these, or give another kind"
        )
    return numbers.astype(np.float32)


def _places(raw: Raw, column: Column, table: str) -> NDArray[np.float32]:
    given: Sequence[Any] = raw.texts if raw.numbers is None else [None if v != v else v for v in raw.numbers.tolist()]
    texts = any(isinstance(value, str) for value in column.values)
    codes: dict[Any, float] = {value: float(code) for code, value in enumerate(column.values)} | {None: np.nan}
    found = [None if value is None else str(value) if texts and raw.numbers is None else value for value in given]
    try:
        return np.array([codes[value] for value in found], dtype=np.float32)
    except KeyError as error:
        row = found.index(error.args[0])
        raise BadInput(
            f"{table}: column {column.name!r} holds {error.args[0]!r} in row {row} counted from 0, which the model has"
            f" not seen: expected one of {', '.join(map(str, column.values[:10]))}; empty it, and it counts as missing"
        ) from error


def value_of(column: Column, number: float) -> Value | None:
    """A number of a row as the value that it stands for."""
    if np.isnan(number):
        return None
    if column.kind in ("binary", "categorical"):
        return column.values[int(number)]
    return column.within(round(float(number))) if column.whole else float(str(np.float32(number)))


def _labels(raw: Raw, table: str) -> tuple[Tensor, tuple[str, ...]]:
    if len(raw.present) < len(raw):
        raise BadInput(f"{table}: labels are missing in column {raw.name!r}: fill them, or give it another kind")
    names, codes = np.unique(raw.present, return_inverse=True)
    return torch.from_numpy(codes.astype(np.int64)), tuple(map(str, plain(raw, names)))


def _require_finite(raw: Raw, table: str) -> None:
    if raw.numbers is not None and np.isinf(raw.numbers).any():
        row = int(np.isinf(raw.numbers).argmax())
        raise BadInput(
            f"{table}: column {raw.name!r} is infinite in {np.isinf(raw.numbers).sum()} rows, the first {row} counted"
            " from 0: empty these, or give them numbers"
        )
