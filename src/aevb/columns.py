"""Columns of a table and their types.

    real          a number                          normal, with heavy tails beyond 5 σ
    positive      a number above 0                  log-normal, likewise
    bounded       a number between two bounds       truncated logistic
    integer       a whole number                    logistic, rounded and truncated
    nonnegative   a number from 0, often exactly 0  0 with a probability, otherwise log-normal
    count         0, 1, 2, ...                      negative binomial
    binary        one of two values                 Bernoulli
    discrete      one of a few numbers              softmax
    categorical   one of K values                   softmax

A row is D numbers: the columns in the order of this list. Values are stored as they are; those of a binary, discrete or
categorical column as codes 0, 1, ...; a missing value is NaN. A column with a single value is constant: it is not part
of the rows, and it is restored when a table is written.

Columns that list no values may have spikes: numbers that are far more frequent than those beside them, such as 40 hours
per week, or the last week of a study. Each has a probability of its own, beside the distribution. Columns of declared
types have none, and those of nonnegative columns are the zeros alone.
"""

import math
import re
from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field

ColumnKind = Literal[
    "real", "positive", "bounded", "integer", "nonnegative", "count", "binary", "discrete", "categorical"
]
KINDS: tuple[ColumnKind, ...] = get_args(ColumnKind)
CODED: tuple[ColumnKind, ...] = ("binary", "discrete", "categorical")
"""Types of columns that list their values."""
NUMBERS: tuple[ColumnKind, ...] = KINDS[:6]
"""Types of columns that list no values, the first ones of a row."""
OTHER = "other"
"""Value that stands for texts that are not listed."""
DeclaredType = Literal[ColumnKind, "date", "label", "none"]
"""What a column can be declared to be: of a type, dates, the labels, or excluded."""
Value = bool | int | float | str
_Cell = TypeVar("_Cell", bound=Value | None)
TimeUnit = Literal["D", "h", "m", "s", "ms", "us", "ns"]


class NumberNotation(BaseModel):
    """How the numbers of a column are written in text, such as $1,234.50.

    Attributes:
        prefix: text before each number, with its space.
        suffix: text after each number, with its space.
        decimal: decimal mark.
        thousands: separator of groups of three digits; empty without one.
        negative: form of negative numbers, where $ stands for the prefix.
        decimals: smallest and largest number of decimals.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prefix: str = ""
    suffix: str = ""
    decimal: str = "."
    thousands: str = ""
    negative: Literal["-$", "$-", "($)"] = "-$"
    decimals: tuple[Annotated[int, Field(ge=0, le=340)], Annotated[int, Field(ge=0, le=340)]] = (0, 0)


class DateNotation(BaseModel):
    """How the dates or times of a column are written; their numbers are counts of a unit.

    Attributes:
        pattern: directives as of `strftime`, explained in `aevb.data.tables.dates`; empty for durations.
        unit: unit of the numbers, which count from 1970-01-01 in UTC, or from midnight for a time of day.
        offset: UTC offset with which dates are written, such as +02:00.
        arrow_type: name of the Arrow type of the column; empty if it holds texts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pattern: str
    unit: TimeUnit
    offset: str = ""
    arrow_type: str = ""

    @property
    def content(self) -> Literal["date", "time", "duration"]:
        """What the numbers are: dates, with or without a time; times of day; or durations."""
        return "date" if re.search("%-?d", self.pattern) else "time" if self.pattern else "duration"


Notation = NumberNotation | DateNotation


class TextForm(BaseModel):
    """How the rows of a text file are written.

    Attributes:
        suffix: suffix of the file without that of a compression.
        delimiter: character between fields.
        encoding: codec of its bytes.
        has_mark: whether it begins with a byte order mark.
        decimal: decimal mark of the numbers that have no notation of their own.
    """

    model_config = ConfigDict(frozen=True)

    suffix: str
    delimiter: str
    encoding: str
    has_mark: bool = False
    decimal: Literal[".", ","] = "."


class Column(BaseModel):
    """A column of a table.

    Attributes:
        name: name in the table.
        kind: type of its values; constant if they are all the same.
        position: position in the table, counted from 0.
        values: distinct values of a binary, discrete, categorical or constant column, in the order of their codes;
            empty for a constant column without any value.
        other: whether the last value stands for all texts that are not listed.
        low: the least value of a bounded or integer column; None if it has no bound.
        high: the largest value, likewise.
        whole: whether its numbers are whole numbers.
        spikes: numbers with probabilities of their own, in ascending order.
        decimals: the number of digits after the decimal point with which its numbers are written; None for all digits.
        dtype: name of the type in its data frame or Parquet file; empty for a text file, except for "double", of whole
            numbers that are written with a decimal point.
        notation: how its numbers or dates are written; None for plain numbers and for texts.
        typical: the median of numbers or dates with a notation, an example for messages.
        truth: how a text file has false and true.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    kind: ColumnKind | Literal["constant"]
    position: int
    values: tuple[Value, ...] = ()
    other: bool = False
    low: float | None = None
    high: float | None = None
    spikes: tuple[float, ...] = ()
    whole: bool = False
    decimals: int | None = None
    dtype: str = ""
    notation: Notation | None = None
    typical: float | None = None
    truth: tuple[str, str] = ("false", "true")

    @property
    def type_name(self) -> str:
        """The type of its values for readers: date, time or duration if its numbers count time, otherwise the kind."""
        if isinstance(self.notation, DateNotation) and self.kind in ("integer", "real"):
            return self.notation.content
        return self.kind

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the largest value, infinite without a bound."""
        return -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high

    @property
    def labels(self) -> tuple[str, ...]:
        """The values as texts for figures, whole numbers without decimals."""
        if all(isinstance(value, float) and value.is_integer() for value in self.values):
            return tuple(str(int(value)) for value in self.values)
        return tuple(map(str, self.values))

    def as_written(self, value: _Cell) -> _Cell | str:
        """Return a value as a text file has it."""
        return self.truth[value] if isinstance(value, bool) else value

    def with_other(self, listed: Sequence[Value]) -> "Column":
        """Return the column with some values, and one that stands for all other texts."""
        return self.model_copy(
            update={"values": (*(value for value in listed if value != OTHER), OTHER), "other": True}
        )

    def clamp(self, number: int) -> int:
        """Return the nearest whole number that the integer type of the column can hold."""
        match = re.fullmatch(r"(u?)int(8|16|32|64)(\[pyarrow\])?", self.dtype.lower())
        if not match:
            return number
        span: int = 2 ** int(match[2])
        low = 0 if match[1] else -span // 2
        return min(max(number, low), low + span - 1)


def modelled(columns: Sequence[Column]) -> list[Column]:
    """Return the columns of a row, in the order of their types and positions."""
    varying = [column for column in columns if column.kind != "constant"]
    return sorted(varying, key=lambda column: (KINDS.index(column.kind), column.position))


def of_kind(columns: Sequence[Column], *kinds: ColumnKind) -> list[Column]:
    """Return the columns of the given types, in their order in a row."""
    return [column for column in modelled(columns) if column.kind in kinds]


def spikes_of(columns: Sequence[Column]) -> list[tuple[float, ...]]:
    """Return the spikes of each column that lists no values, in their order in a row."""
    return [column.spikes for column in of_kind(columns, *NUMBERS)]


def widths(columns: Sequence[Column]) -> list[int]:
    """Return the number of columns of each type: a row splits into these widths."""
    return [len(of_kind(columns, kind)) for kind in KINDS]
