"""Columns as they are stored, before their types are inferred."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from aevb.columns import Notation, Value
from aevb.data.tables.notation import write
from aevb.data.tables.numbers import LARGEST_INTEGER
from aevb.errors import BadInput, option

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
_UNSUPPORTED = (list, tuple, set, frozenset, dict, np.ndarray, bytes, bytearray)
"""Types of Python objects that are no values of a column."""
Values = NDArray[np.float64] | NDArray[np.object_]
"""Numbers or texts."""


@dataclass(frozen=True)
class RawColumn:
    """A column as it is stored.

    Attributes:
        name: name of the column.
        numbers: float64, NaN where missing; None for a column of texts.
        texts: texts as a dictionary array, null where missing; of a text file also those of numbers, otherwise None
            for a column of numbers that are exact.
        whole: whether the numbers have an integer type.
        logical: whether the values are truth values.
        dtype: name of the type in its file or data frame; empty for a text file.
        levels: the categories that a categorical type lists, in their order.
        notation: how numbers or dates are written; None for plain numbers and for texts.
        unsupported: why no model can use the column, which can only be excluded; empty for all others.
        note: how the column was read, if this is not obvious.
        decimal_comma: whether a comma before three digits is a decimal mark: semicolons separate the fields.
        inexact: whether float64 lacks some of the whole numbers, such as 2^53 + 1, whose digits the texts have.
    """

    name: str
    numbers: NDArray[np.float64] | None
    texts: "pa.DictionaryArray | None" = None
    whole: bool = False
    logical: bool = False
    dtype: str = ""
    levels: tuple[Value, ...] = ()
    notation: Notation | None = None
    unsupported: str = ""
    note: str = ""
    decimal_comma: bool = False
    inexact: bool = False

    def __len__(self) -> int:
        return len(self._words) if self.numbers is None else len(self.numbers)

    @property
    def _words(self) -> pa.DictionaryArray:
        assert self.texts is not None
        return self.texts

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Whether each value is missing."""
        missing: NDArray[np.bool_] = (
            self._words.is_null().to_numpy(zero_copy_only=False) if self.numbers is None else np.isnan(self.numbers)
        )
        return missing

    @property
    def count(self) -> int:
        """Number of values that are not missing."""
        return int((~self.missing).sum())

    @property
    def present(self) -> Values:
        """The values that are not missing."""
        if self.numbers is None:
            return _objects(self._words.drop_null().dictionary_decode())
        return self.numbers[~np.isnan(self.numbers)]

    def distinct(self) -> Values:
        """Return the sorted distinct values that are not missing; -0 is 0."""
        if self.numbers is None:
            return cast("Values", np.sort(_objects(pc.unique(self._words.drop_null()).dictionary_decode())))
        present = cast("NDArray[np.float64]", self.present)
        return cast("Values", np.sort(pc.unique(pa.array(present + 0.0)).to_numpy()))

    def values(self) -> list[Value | None]:
        """Return all values with the type of the column, None where missing."""
        if self.numbers is None or self.inexact:
            return [None if text is None else self._word(text) for text in self._words.to_pylist()]
        present = iter(self.plain(self.present))
        return [None if missing else next(present) for missing in np.isnan(self.numbers)]

    def as_written(self) -> list[Value | None]:
        """Return all values, None where missing; those of a text file as texts, such as 00123."""
        return self.values() if self.texts is None or self.dtype else list(self.texts.to_pylist())

    def plain(self, values: Values) -> list[Value]:
        """Return values with the type of the column; those with a notation are texts."""
        if self.numbers is None:
            return [self._word(str(value)) for value in values]
        if self.notation:
            return [write(float(value), self.notation) for value in values]
        if self.logical:
            return [bool(value) for value in values]
        return [int(value) if self.whole else float(value) for value in values]

    def _word(self, text: str) -> Value:
        return int(text) if self.inexact else text

    def with_digits(self, integers: Callable[[], Iterable[int | None]]) -> "RawColumn":
        """Return a column of whole numbers, with their digits as texts if float64 lacks some of the numbers.

        Args:
            integers: returns the numbers, None where missing; called for large ones only.
        """
        assert self.numbers is not None
        if np.isinf(self.numbers).any() or not (np.abs(self.numbers) >= LARGEST_INTEGER).any():
            return self
        exact = list(integers())
        pairs = zip(exact, self.numbers.tolist(), strict=True)
        if all(integer is None or integer == number for integer, number in pairs):
            return self
        return replace(self, texts=coded_texts([None if one is None else str(one) for one in exact]), inexact=True)

    def without_rounding(self) -> "RawColumn":
        """Return a column of inexact numbers as one of texts, whose values are whole numbers; others as they are."""
        return replace(self, numbers=None, whole=False, levels=()) if self.inexact else self


def _objects(texts: pa.Array) -> NDArray[np.object_]:
    return cast("NDArray[np.object_]", np.array(texts.to_pylist(), dtype=object))


def coded_texts(texts: "Iterable[str | None] | pa.Array | pa.ChunkedArray") -> pa.DictionaryArray:
    """Return texts as a dictionary array whose values are distinct and all used."""
    array = texts if isinstance(texts, pa.Array | pa.ChunkedArray) else pa.array(texts, type=pa.string())
    encoded = array.dictionary_encode()
    return encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded


def text_column(name: str, texts: "Iterable[str | None] | pa.Array | pa.ChunkedArray", dtype: str = "") -> RawColumn:
    """Return a column of texts, None where missing."""
    return RawColumn(name, None, coded_texts(texts), dtype=dtype)


def unsupported_column(name: str, count: int, kind: str) -> RawColumn:
    """Return a column of `count` values of a type that no model supports, which can only be excluded."""
    reason = (
        f"column {name!r} holds {kind}: expected numbers, texts, truth values or dates; exclude it with"
        f" {option('data.column-types', 'none', key=name)}"
    )
    return RawColumn(name, None, coded_texts([None] * count), unsupported=reason)


def object_column(name: str, values: Sequence[object], dtype: str = "") -> RawColumn:
    """Return Python objects, such as numbers, texts and truth values, as a column; mixed ones are texts."""
    if unsupported := next((type(value).__name__ for value in values if isinstance(value, _UNSUPPORTED)), ""):
        return unsupported_column(name, len(values), f"values of type {unsupported}")
    plain = [None if _is_missing(value) else value for value in values]
    present = [value for value in plain if value is not None]
    if all(isinstance(value, str) for value in present):
        return text_column(name, cast("list[str | None]", plain), dtype)
    try:
        numbers = np.array([np.nan if value is None else float(value) for value in plain])  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return text_column(name, [value if value is None else str(value) for value in plain], dtype)
    logical = bool(present) and all(isinstance(value, bool) for value in present)
    whole = all(isinstance(value, int) for value in present)
    raw = RawColumn(name, numbers, whole=whole, logical=logical, dtype=dtype)
    return raw.with_digits(lambda: cast("list[int | None]", plain)) if whole else raw


def _is_missing(value: object) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value


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


def require_few_columns(count: int, table: object) -> None:
    """Refuse a table with too many columns.

    Raises:
        BadInput: it has more than `MAX_COLUMNS`.
    """
    if count > MAX_COLUMNS:
        raise BadInput(f"{table} has {count} columns: expected at most {MAX_COLUMNS}; drop some")
