"""Rows of a table as numbers, and back.

A model accepts any table that has the columns it was trained on, in any order; further columns are ignored.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aevb.columns import Column, Value, modelled
from aevb.data.tables.read import RawColumn, parse_number
from aevb.errors import BadInput

Table = dict[str, list[Value | None]]
"""Columns by name."""
LARGEST_COUNT = 2**24
_LARGEST, _SMALLEST = float(np.finfo(np.float32).max), float(np.finfo(np.float32).smallest_subnormal)
_EXPECTED = {"real": "finite numbers", "positive": "numbers above 0", "count": "whole numbers from 0"}


def encode_rows(
    raw_columns: Sequence[RawColumn], columns: Sequence[Column], name: str, outside: dict[int, str] | None = None
) -> Tensor:
    """Return the rows of a table as the input of a model, ``(N, D)`` in float64, NaN where missing.

    Args:
        raw_columns: columns of the table.
        columns: columns of the model.
        name: name of the table.
        outside: receives the rows with values that the type of their column does not allow, with the reason; these
            values then count as missing. None to refuse them.

    Raises:
        BadInput: a column is missing, or has values that its type does not allow.
    """
    encoded = []
    for raw, column in _matched(raw_columns, columns, name):
        if outside is None:
            require_finite(raw, name)
        encoded.append(encode_column(raw, column, name, outside))
    return torch.from_numpy(np.column_stack(encoded))


def encode_any_rows(raw_columns: Sequence[RawColumn], columns: Sequence[Column], name: str) -> Tensor:
    """Return the rows of a table whatever their values, ``(N, D)`` in float64, NaN where missing.

    Numbers stay as they are, also those that the type of their column does not allow. Values that are not among the K
    values of their column have the code K.

    Args:
        raw_columns, columns, name: as for `encode_rows`.

    Raises:
        BadInput: a column is missing, or a column of numbers holds texts or infinite numbers.
    """
    pairs = _matched(raw_columns, columns, name)
    return torch.from_numpy(np.column_stack([_any_values(raw, column, name) for raw, column in pairs]))


def _any_values(raw: RawColumn, column: Column, table: str) -> NDArray[np.float64]:
    if raw.unsupported:
        raise BadInput(f"{table}: {raw.unsupported}")
    if not column.values:
        require_finite(raw, table)
        return np.clip(_numbers(raw, column, table, None), -_LARGEST, _LARGEST)
    unknown: dict[int, str] = {}
    codes = _category_codes(raw, column, table, unknown)
    codes[list(unknown)] = len(column.values)
    return codes


def _matched(raw_columns: Sequence[RawColumn], columns: Sequence[Column], name: str) -> list[tuple[RawColumn, Column]]:
    """Return the columns of a model with those of a table, in the order of a row."""
    by_name = {raw.name: raw for raw in raw_columns}
    if absent := [column.name for column in modelled(columns) if column.name not in by_name]:
        raise BadInput(f"{name} lacks the column {', '.join(map(repr, absent))} of the training table: add it")
    return [(by_name[column.name], column) for column in modelled(columns)]


def decode_rows(
    columns: Sequence[Column],
    rows: NDArray[np.floating],
    condition_columns: Sequence[Column] = (),
    condition: NDArray[np.floating] | None = None,
) -> Table:
    """Return rows as the columns of a table, in their original order and with their original values.

    Args:
        columns: columns of the model.
        rows: ``(N, D)``.
        condition_columns: columns of the condition.
        condition: ``(N, G)``, or ``(1, G)`` for all rows.
    """
    numbers = dict(zip((column.name for column in modelled(columns)), rows.T, strict=True))
    if condition is not None:
        conditions = np.broadcast_to(condition, (len(rows), condition.shape[1]))
        numbers |= dict(zip((column.name for column in modelled(condition_columns)), conditions.T, strict=True))
    table: Table = {}
    for column in sorted((*columns, *condition_columns), key=lambda column: column.position):
        if column.kind == "constant":
            table[column.name] = [column.values[0] if column.values else None] * len(rows)
        else:
            table[column.name] = [decode_value(column, number) for number in numbers[column.name]]
    return table


def encode_column(
    raw: RawColumn, column: Column, table: str, outside: dict[int, str] | None = None
) -> NDArray[np.float64]:
    """Return a column as numbers, ``(N,)``, NaN where missing; `outside` as for `encode_rows`.

    Raises:
        BadInput: a value is not allowed by the type of the column.
    """
    if raw.unsupported:
        raise BadInput(f"{table}: {raw.unsupported}")
    if column.kind in ("binary", "categorical"):
        return _category_codes(raw, column, table, outside)
    numbers = _numbers(raw, column, table, outside)
    wrong = {
        "real": np.abs(numbers) > _LARGEST,
        "positive": (numbers < _SMALLEST) | (numbers > _LARGEST),
        "count": (numbers < 0) | (numbers != np.round(numbers)) | (numbers > LARGEST_COUNT),
    }[column.kind] & ~np.isnan(numbers)
    if wrong.any() and outside is not None:
        _report(outside, column, {row: f"{numbers[row]:g}" for row in wrong.nonzero()[0].tolist()})
        numbers = np.where(wrong, np.nan, numbers)
    elif wrong.any():
        row = int(wrong.argmax())
        raise BadInput(
            f"{table}: column {column.name!r} holds {wrong.sum()} values that are not {_EXPECTED[column.kind]}, the"
            f" first {numbers[row]:g} in row {row} counted from 0: fix or clear these values, or declare another type"
        )
    return numbers


def _numbers(raw: RawColumn, column: Column, table: str, outside: dict[int, str] | None) -> NDArray[np.float64]:
    """Return the numbers of a column; texts are refused or reported."""
    if raw.numbers is not None:
        return raw.numbers
    parsed = {row: parse_number(text) for row, text in enumerate(raw.texts) if text is not None}
    wrong = {row: raw.texts[row] for row, number in parsed.items() if number is None}
    if wrong and outside is None:
        row, text = next(iter(wrong.items()))
        raise BadInput(f"{table}: column {column.name!r} holds {text!r} in row {row} counted from 0: expected numbers")
    if outside is not None:
        _report(outside, column, {row: repr(text) for row, text in wrong.items()})
    return np.array([parsed.get(row) for row in range(len(raw))], dtype=np.float64)


def _report(outside: dict[int, str], column: Column, values: Mapping[int, str]) -> None:
    """Add rows and the values in them that the training data could not have."""
    for row, value in values.items():
        reason = f"{column.name} is {value}, which the training data could not have"
        outside[row] = f"{outside[row]}; {reason}" if row in outside else reason


def _category_codes(raw: RawColumn, column: Column, table: str, outside: dict[int, str] | None) -> NDArray[np.float64]:
    values = _category_values(raw, as_texts=any(isinstance(value, str) for value in column.values))
    codes: Mapping[Value | None, float] = {value: float(code) for code, value in enumerate(column.values)} | {
        None: np.nan
    }
    unknown = {row: value for row, value in enumerate(values) if value not in codes}
    if unknown and outside is None:
        (row, value), known = next(iter(unknown.items())), ", ".join(map(str, column.values[:10]))
        raise BadInput(
            f"{table}: column {column.name!r} holds {value!r} in row {row} counted from 0, which does not occur in the"
            f" training data: expected one of {known}; clear it to count it as missing"
        )
    if outside is not None:
        _report(outside, column, {row: repr(value) for row, value in unknown.items()})
    return np.array([codes.get(value, np.nan) for value in values], dtype=np.float64)


def _category_values(raw: RawColumn, *, as_texts: bool) -> Sequence[Value | None]:
    if raw.numbers is None or (as_texts and raw.texts):
        return [None if text is None else str(text) if as_texts else text for text in raw.texts]
    if as_texts:
        return [None if value is None else str(value) for value in raw.values()]
    return [None if number != number else number for number in raw.numbers.tolist()]


def decode_value(column: Column, number: np.floating) -> Value | None:
    """Return the value that a number of a row stands for, with the digits of its type; None where missing."""
    if np.isnan(number):
        return None
    if column.kind in ("binary", "categorical"):
        return column.values[int(number)]
    if not column.whole:
        return float(str(number))
    whole = column.clamp(round(float(number)))
    return float(whole) if column.dtype.startswith(("float", "double")) else whole


def require_finite(raw: RawColumn, table: str) -> None:
    """Refuse infinite numbers.

    Raises:
        BadInput: a number is infinite.
    """
    if raw.numbers is not None and np.isinf(raw.numbers).any():
        row = int(np.isinf(raw.numbers).argmax())
        raise BadInput(
            f"{table}: column {raw.name!r} is infinite in {np.isinf(raw.numbers).sum()} rows, the first {row} counted"
            " from 0: clear these values or replace them by numbers"
        )
