"""Constraints on the rows of a table: a column compared with a value or with another column.

age >= 18        town != Bern        start <= end        joined > 2020-01-31
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from aevb.columns import CODED, Column, DateNotation, Value, modelled
from aevb.data.tables.encode import rounded, truth_or_number
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
    """

    column: Column
    compare: Compare
    other: Column | float


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
    other = right if isinstance(right, Column) else _value(column, right, text)
    if _unit(column) != (_unit(other) if isinstance(other, Column) else _unit(column)):
        raise BadInput(f"{text!r} compares columns of different types")
    if _is_text(column) and COMPARISONS[sign] not in (np.equal, np.not_equal):
        raise BadInput(f"{text!r}: {column.name} holds texts, which == and != compare")
    return Constraint(column, COMPARISONS[sign], other)


def _value(column: Column, text: str, constraint: str) -> float:
    """Return a value that is stated as text, as `_values` returns those of the column."""
    if _is_text(column):
        if text not in column.values:
            raise BadInput(f"{constraint!r}: {column.name} has no value {text!r}: expected one of {_listed(column)}")
        return float(column.values.index(text))
    number = parse(pa.array([text]), column.notation)[0] if column.notation else np.nan
    if np.isnan(number) and not isinstance(column.notation, DateNotation):
        number = truth_or_number(text)
    if isinstance(number, str) or np.isnan(number):
        raise BadInput(f"{constraint!r}: {text!r} is not a value like those of {column.name}")
    return float(number)


def _listed(column: Column) -> str:
    return ", ".join(map(str, column.values[:20]))


def _is_text(column: Column) -> bool:
    return column.notation is None and any(isinstance(value, str) for value in column.values)


def _unit(column: Column) -> str:
    """Return what the values of a column are: texts, numbers, or dates of a unit."""
    if _is_text(column):
        return "text"
    return column.notation.unit if isinstance(column.notation, DateNotation) else "number"


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
    for column, compare, other in constraints:
        left = _values(column, rows[:, order.index(column)], column)
        right = _values(other, rows[:, order.index(other)], column) if isinstance(other, Column) else other
        fits &= compare(left, right)
    return fits


def _values(column: Column, numbers: NDArray[np.floating], like: Column) -> Numbers:
    """Return the numbers of a row as they are written; of texts their codes in another column, -1 for other texts."""
    if column.kind not in CODED:
        return np.array([rounded(column, number) for number in numbers.tolist()], dtype=np.float64)
    values: Sequence[Value] = column.values
    if column.notation:
        values = parse(pa.array(list(map(str, values))), column.notation).tolist()
    if _is_text(column):
        values = [like.values.index(value) if value in like.values else -1 for value in column.values]
    codes: Numbers = np.array(values, dtype=np.float64)[numbers.astype(int)]
    return codes
