"""Constraints on the rows of a table: a column compared with a value or with another column.

age >= 18        town != Bern        start <= end        joined > 2020-01-31

Dates are compared in the coarser of the two units: a time on 2020-01-31 is equal to that day.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from aevb.columns import CODED, Column, DateNotation, TimeUnit, Value, modelled
from aevb.data.tables.dates import coarser, parse_stated, to_unit
from aevb.data.tables.encode import expected, rounded, truth_or_number
from aevb.data.tables.notation import parse
from aevb.errors import BadInput

Numbers = NDArray[np.float64]
Compare = Callable[[Numbers, Numbers | float], NDArray[np.bool_]]
COMPARISONS: Mapping[str, Compare] = {
    ">=": np.greater_equal,
    "<=": np.less_equal,
    "!=": np.not_equal,
    "==": np.equal,
    ">": np.greater,
    "<": np.less,
    "=": np.equal,
}
_SIGN = re.compile("|".join(COMPARISONS))


class Constraint(NamedTuple):
    """A comparison that rows must satisfy.

    Attributes:
        column: its left side.
        compare: the comparison.
        other: its right side: a column, or a number as `_values` returns them.
        unit: unit in which dates are compared; None for other values.
    """

    column: Column
    compare: Compare
    other: Column | float
    unit: TimeUnit | None = None


def parse_constraint(columns: Sequence[Column], text: str) -> Constraint:
    """Return the constraint that a text states.

    Args:
        columns: the columns of the table.
        text: the name of a column, a sign, and a value or the name of a column.

    Raises:
        BadInput: it is not of this form, a column is unknown, or the two sides cannot be compared.
    """
    names = {column.name: column for column in sorted(modelled(columns), key=lambda column: column.position)}
    for found in _SIGN.finditer(text):
        column, right = names.get(text[: found.start()].strip()), text[found.end() :].strip()
        if column and right:
            return _constraint(column, found[0], names.get(right, right), text)
    raise BadInput(
        f"{text!r} is not a constraint: expected a column ({', '.join(names)}), one of {' '.join(COMPARISONS)}, and a"
        " value or a column"
    )


def _constraint(column: Column, sign: str, right: Column | str, text: str) -> Constraint:
    unit = column.notation.unit if isinstance(column.notation, DateNotation) else None
    other: Column | float
    if isinstance(right, Column):
        other = right
        if _content(column) != _content(right):
            raise BadInput(f"{text!r} compares {_content(column)} with {_content(right)}: compare columns of one type")
        if unit and isinstance(right.notation, DateNotation):
            unit = coarser(unit, right.notation.unit)
    elif isinstance(column.notation, DateNotation):
        other, unit = _date(column, column.notation, right, text)
    else:
        other = _value(column, right, text)
    if _is_text(column) and COMPARISONS[sign] not in (np.equal, np.not_equal):
        raise BadInput(f"{text!r}: {column.name} holds texts, which == and != compare")
    return Constraint(column, COMPARISONS[sign], other, unit)


def _date(column: Column, notation: DateNotation, text: str, constraint: str) -> tuple[float, TimeUnit]:
    """Return a date that is stated as text in the unit of the comparison, and this unit."""
    stated = parse_stated(text, notation)
    if stated is None:
        raise BadInput(
            f"{constraint!r}: {text!r} is not a value like those of {column.name}: expected {expected(column)}"
        )
    number, unit = stated[0], coarser(notation.unit, stated[1])
    return float(to_unit(np.array([number]), notation, unit)[0]), unit


def _value(column: Column, text: str, constraint: str) -> float:
    """Return a value that is stated as text, as `_values` returns those of the column."""
    if _is_text(column):
        if text not in column.values:
            raise BadInput(f"{constraint!r}: {column.name} has no value {text!r}: expected one of {_listed(column)}")
        return float(column.values.index(text))
    number = parse(pa.array([text]), column.notation)[0] if column.notation else np.nan
    if np.isnan(number):
        number = truth_or_number(text)
    if isinstance(number, str) or np.isnan(number):
        raise BadInput(
            f"{constraint!r}: {text!r} is not a value like those of {column.name}: expected {expected(column)}"
        )
    return float(number)


def _listed(column: Column) -> str:
    return ", ".join(map(str, column.values[:20]))


def _is_text(column: Column) -> bool:
    return column.notation is None and any(isinstance(value, str) for value in column.values)


def _content(column: Column) -> str:
    """Return what the values of a column are: texts, numbers, dates, times of day or durations."""
    if not isinstance(column.notation, DateNotation):
        return "texts" if _is_text(column) else "numbers"
    return {"date": "dates", "time": "times of day", "duration": "durations"}[column.notation.content]


def satisfied(
    constraints: Sequence[Constraint], columns: Sequence[Column], rows: NDArray[np.floating]
) -> NDArray[np.bool_]:
    """Return which rows satisfy all constraints, ``(N,)``. Values are rounded as they are written.

    Args:
        constraints: of these columns.
        columns: the columns of the table.
        rows: ``(N, D)``.
    """
    order = modelled(columns)
    fits = np.ones(len(rows), dtype=bool)
    for column, compare, other, unit in constraints:
        left = _values(column, rows[:, order.index(column)], column, unit)
        right = _values(other, rows[:, order.index(other)], column, unit) if isinstance(other, Column) else other
        fits &= compare(left, right)
    return fits


def _values(column: Column, numbers: NDArray[np.floating], like: Column, unit: TimeUnit | None) -> Numbers:
    """Return the numbers of a column as they are written, dates in a unit, and of texts their codes in another column.

    The code of a text that the other column does not have is -1.
    """
    values = _plain_values(column, numbers, like)
    return to_unit(values, column.notation, unit) if unit and isinstance(column.notation, DateNotation) else values


def _plain_values(column: Column, numbers: NDArray[np.floating], like: Column) -> Numbers:
    if column.kind not in CODED:
        return np.array([rounded(column, number) for number in numbers.tolist()], dtype=np.float64)
    values: Sequence[Value] = column.values
    if column.notation:
        values = parse(pa.array(list(map(str, values))), column.notation).tolist()
    if _is_text(column):
        values = [like.values.index(value) if value in like.values else -1 for value in column.values]
    codes: Numbers = np.array(values, dtype=np.float64)[numbers.astype(int)]
    return codes
