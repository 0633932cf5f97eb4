"""Rows of a table as numbers, and back.

A model accepts any table that has the columns it was trained on, in any order; further columns are ignored.
"""

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import compress

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aevb.columns import CODED, Column, DateNotation, TimeUnit, Value, modelled
from aevb.data.tables.dates import NANOSECONDS
from aevb.data.tables.notation import parse, write
from aevb.data.tables.numbers import LARGEST, LARGEST_COUNT, LARGEST_INTEGER
from aevb.data.tables.raw import RawColumn
from aevb.data.tables.recognize import TRUTH, by_row
from aevb.errors import BadInput, counted

Table = dict[str, list[Value | None]]
"""Columns by name."""
LISTED = 3
"""Largest number of values that a message lists."""
NAN = ("nan", "+nan", "-nan")
"""Numbers in text that are missing."""
_SMALLEST = float(np.finfo(np.float32).smallest_subnormal)
_UNITS: Mapping[TimeUnit, str] = {
    **{"D": "days", "h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds"},
    "ns": "nanoseconds",
}
_EXPECTED = {"positive": "numbers above 0", "nonnegative": "numbers from 0", "count": "whole numbers from 0"}


class WrongValues(BadInput):
    """Values that the type of their column does not allow.

    Args:
        table: name of the table.
        finding: what the column holds.
        advice: what was expected and what to do.

    Attributes:
        finding: what the column holds.
    """

    def __init__(self, table: str, finding: str, advice: str) -> None:
        super().__init__(f"{table}: {finding}: {advice}")
        self.finding = finding


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
    encoded, wrong = list[NDArray[np.float64]](), list[WrongValues]()
    for raw, column in _matched(raw_columns, columns, name):
        if outside is None:
            require_finite(raw, name)
        try:
            encoded.append(encode_column(raw, column, name, outside))
        except WrongValues as error:
            wrong.append(error)
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        findings = "; ".join(error.finding for error in wrong)
        raise BadInput(f"{name}: fix these values, or clear them to count them as missing: {findings}")
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
        return np.clip(_numbers(raw, column, table, None), -LARGEST, LARGEST)
    unknown: dict[int, str] = {}
    codes = _category_codes(raw, column, table, unknown)
    codes[list(unknown)] = len(column.values)
    return codes


def _matched(raw_columns: Sequence[RawColumn], columns: Sequence[Column], name: str) -> list[tuple[RawColumn, Column]]:
    """Return the columns of a model with those of a table, in the order of a row."""
    by_name = {raw.name: raw for raw in raw_columns}
    in_order = sorted(modelled(columns), key=lambda column: column.position)
    if absent := [repr(column.name) for column in in_order if column.name not in by_name]:
        nouns, pronoun = ("column", "it") if len(absent) == 1 else ("columns", "them")
        raise BadInput(f"{name} lacks the {nouns} {', '.join(absent)} of the training table: add {pronoun}")
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
    if column.kind in CODED:
        return _category_codes(raw, column, table, outside)
    numbers = _numbers(raw, column, table, outside)
    wrong = _impossible(numbers, column) & ~np.isnan(numbers)
    if wrong.any() and outside is not None:
        shown = zip(wrong.nonzero()[0].tolist(), _shown(raw, column, numbers, wrong), strict=True)
        _report(outside, {row: f"{column.name} is {text}: expected {_allowed(column)}" for row, text in shown})
        numbers = np.where(wrong, np.nan, numbers)
    elif wrong.any():
        row = int(wrong.argmax())
        finding = (
            f"column {column.name!r} holds {counted(int(wrong.sum()), 'value')} other than {_allowed(column)}, the"
            f" first {next(_shown(raw, column, numbers, wrong))} in row {row} counted from 0"
        )
        raise WrongValues(table, finding, "fix or clear these values, or declare another type")
    return numbers


def _impossible(numbers: NDArray[np.float64], column: Column) -> NDArray[np.bool_]:
    """Return which numbers the type of a column does not allow."""
    low, high = {
        "count": (0.0, LARGEST_COUNT),
        "positive": (_SMALLEST, LARGEST),
        "nonnegative": (0.0, LARGEST),
        "integer": (-LARGEST_INTEGER, LARGEST_INTEGER),
    }.get(column.kind, (-LARGEST, LARGEST))
    least, most = column.limits
    wrong: NDArray[np.bool_] = (numbers < max(low, least)) | (numbers > min(high, most))
    if column.kind in ("count", "integer"):
        wrong |= numbers != np.round(numbers)
    return wrong


def _shown(raw: RawColumn, column: Column, numbers: NDArray[np.float64], chosen: NDArray[np.bool_]) -> Iterator[str]:
    """Yield the numbers in the chosen rows, dates as the table has them."""
    if isinstance(column.notation, DateNotation):
        return map(repr, compress(raw.as_written(), chosen))
    return (f"{number:.12g}" for number in numbers[chosen])


def _allowed(column: Column) -> str:
    """Return what the type of a numeric column allows."""
    if isinstance(column.notation, DateNotation):
        return f"{column.notation.content}s in whole {_UNITS[column.notation.unit]}"
    if column.kind in _EXPECTED:
        return _EXPECTED[column.kind]
    what = "whole numbers" if column.kind == "integer" else "finite numbers"
    ends = (("from", column.low), ("to", column.high))
    return " ".join([what, *(f"{word} {end:.12g}" for word, end in ends if end is not None and abs(end) <= LARGEST)])


def _numbers(raw: RawColumn, column: Column, table: str, outside: dict[int, str] | None) -> NDArray[np.float64]:
    """Return the numbers of a column by the notation of the model; other texts are refused or reported."""
    if raw.texts is None or (raw.numbers is not None and raw.notation == column.notation):
        return stored_numbers(raw, column, table)
    texts = raw.texts.dictionary
    values = parse(texts, column.notation)
    unfit = np.isnan(values) & ~np.array([text.lower() in NAN for text in texts.to_pylist()], dtype=bool)
    wrong = np.flatnonzero(by_row(raw, unfit.astype(np.float64)) == 1).tolist()
    odd: dict[int, object] = {row: raw.texts[row].as_py() for row in wrong}
    if odd and outside is None:
        raise WrongValues(table, f"column {column.name!r} holds {_listed(odd)}", f"expected {expected(column)}")
    if outside is not None:
        _report(outside, {row: f"{column.name} is {text!r}: expected {expected(column)}" for row, text in odd.items()})
    return by_row(raw, values)


def stored_numbers(raw: RawColumn, column: Column, table: str) -> NDArray[np.float64]:
    """Return numbers that are no texts, dates in the unit of the model."""
    assert raw.numbers is not None
    if np.isnan(raw.numbers).all():
        return raw.numbers
    dated = isinstance(raw.notation, DateNotation)
    if dated != isinstance(column.notation, DateNotation):
        holds = "dates" if dated else "numbers"
        raise BadInput(f"{table}: column {column.name!r} holds {holds}: expected {expected(column)}")
    if not (isinstance(raw.notation, DateNotation) and isinstance(column.notation, DateNotation)):
        return raw.numbers
    size, unit = NANOSECONDS[raw.notation.unit], NANOSECONDS[column.notation.unit]
    return raw.numbers * (size // unit) if size >= unit else raw.numbers / (unit // size)


def expected(column: Column) -> str:
    """Return what a column holds, with an example, for messages."""
    if column.values and not isinstance(column.notation, DateNotation):
        listed = [str(value).lower() if isinstance(value, bool) else str(value) for value in column.values]
        return f"one of {', '.join(listed[:10])}" + ", …" * (len(listed) > 10)
    if column.notation is None:
        return _allowed(column).removeprefix("finite ")
    dated = isinstance(column.notation, DateNotation)
    typical = (0 if dated else 1234.5) if column.typical is None else column.typical
    return f"{'dates' if dated else 'numbers'} such as {write(typical, column.notation)!r}"


def _report(outside: dict[int, str], reasons: Mapping[int, str]) -> None:
    """Add the reasons why rows have values that do not occur in the training data."""
    for row, reason in reasons.items():
        outside[row] = f"{outside[row]}; {reason}" if row in outside else reason


def _listed(values: Mapping[int, object]) -> str:
    """Return up to three distinct values with their rows, and the number of the others."""
    rows: dict[object, list[int]] = {}
    for row, value in values.items():
        rows.setdefault(value, []).append(row)
    frequent = sorted(rows, key=lambda value: -len(rows[value]))
    listed = [f"{value!r} in {_rows(rows[value])}" for value in frequent[:LISTED]]
    listed[0] += " counted from 0"
    listed += [counted(len(rows) - LISTED, "other value")] * (len(rows) > LISTED)
    *first, last = listed
    return f"{', '.join(first)} and {last}" if first else last


def _rows(rows: Sequence[int]) -> str:
    return f"row {rows[0]}" if len(rows) == 1 else f"{len(rows)} rows, the first {rows[0]}"


def _category_codes(raw: RawColumn, column: Column, table: str, outside: dict[int, str] | None) -> NDArray[np.float64]:
    values, rows = _category_values(raw, column, table)
    codes: Mapping[Value | None, float] = {value: float(code) for code, value in enumerate(column.values)}
    if column.other:
        values = [value if value in codes else column.values[-1] for value in values]
    unknown = [position for position, value in enumerate(values) if value not in codes]
    wrong = {row: values[rows[row]] for row in np.flatnonzero(np.isin(rows, unknown)).tolist()} if unknown else {}
    if wrong and outside is None:
        absent = "which do" + "es" * (len(set(wrong.values())) == 1) + " not occur in the training data"
        finding = f"column {column.name!r} holds {_listed(wrong)}, {absent}{_without_zeros(column, wrong.values())}"
        raise WrongValues(table, finding, f"expected {expected(column)}; clear it to count it as missing")
    if outside is not None:
        reason = "which does not occur in the training data"
        _report(outside, {row: f"{column.name} is {value!r}, {reason}" for row, value in wrong.items()})
    return np.array([codes.get(value, np.nan) for value in (*values, None)], dtype=np.float64)[rows]


def _without_zeros(column: Column, values: Iterable[object]) -> str:
    """Return a hint if a value lacks the leading zeros of a value of the training data."""
    known = {str(value).lstrip("0"): value for value in column.values if str(value).startswith("0")}
    plain = next((text for value in values if (text := str(value).removesuffix(".0")) in known), None)
    return "" if plain is None else f" ({known[plain]!r} does: read this column as texts, which keep leading zeros)"


def _category_values(raw: RawColumn, column: Column, table: str) -> tuple[Sequence[Value | None], NDArray[np.int64]]:
    """Return values as those of the column are, and for each row the position of its value, -1 where missing."""
    as_texts = any(isinstance(value, str) for value in column.values)
    if raw.texts is not None:
        texts = raw.texts.dictionary.to_pylist()
        if column.notation:
            numbers = parse(raw.texts.dictionary, column.notation)
            pairs = zip(texts, numbers.tolist(), strict=True)
            texts = [text if number != number else write(number, column.notation) for text, number in pairs]
        rows: NDArray[np.int64] = raw.texts.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        return texts if as_texts else list(map(truth_or_number, texts)), rows
    stored = replace(raw, numbers=stored_numbers(raw, column, table), notation=column.notation)
    known = set(column.values)
    values = [_as_text(value, known) for value in stored.values()] if as_texts else _list(stored.numbers)
    return values, np.where(stored.missing, -1, np.arange(len(values)))


def _as_text(value: Value | None, known: Container[object]) -> str:
    """Return the known text that a number or truth value stands for, such as 1 for 1.0 and true for True."""
    texts = [str(value)]
    if isinstance(value, bool):
        texts += [str(value).lower(), str(value).upper()]
    elif isinstance(value, int | float) and float(value).is_integer():
        texts += [str(int(value)), str(float(value))]
    return next((text for text in texts if text in known), texts[0])


def _list(numbers: NDArray[np.float64] | None) -> list[Value]:
    return [] if numbers is None else numbers.tolist()


def truth_or_number(text: str) -> Value:
    """Return the truth value or plain number that a text denotes, whole numbers with all digits, or the text."""
    for denoted in (lambda: TRUTH[text.lower()], lambda: int(text), lambda: float(text)):
        with suppress(ValueError, KeyError):
            return denoted()
    return text


def decode_value(column: Column, number: np.floating) -> Value | None:
    """Return the value that a number of a row stands for, with the digits of its type; None where missing."""
    if np.isnan(number):
        return None
    if column.kind in CODED:
        return column.values[int(number)]
    value = rounded(column, float(str(number)))
    if column.notation:
        return write(value, column.notation)
    return float(value) if column.dtype.startswith(("float", "double")) else value


def rounded(column: Column, number: float) -> int | float:
    """Return a number with the digits that its column has, within its bounds; no positive number becomes zero."""
    if column.whole:
        return column.clamp(max(round(number), 1) if column.kind == "positive" else round(number))
    low, high = column.limits
    if column.decimals is None:
        spike = next((spike for spike in column.spikes if np.float32(spike) == np.float32(number)), number)
        return min(max(spike, low), high)
    least = 10.0**-column.decimals if column.kind in ("positive", "nonnegative") and number > 0 else -math.inf
    return min(max(round(number, column.decimals), least, low), high)


def require_finite(raw: RawColumn, table: str) -> None:
    """Refuse infinite numbers.

    Raises:
        BadInput: a number is infinite.
    """
    if raw.numbers is not None and np.isinf(raw.numbers).any():
        rows = np.flatnonzero(np.isinf(raw.numbers))
        raise BadInput(
            f"{table}: column {raw.name!r} is infinite in {counted(len(rows), 'row')}, the first {rows[0]} counted from"
            " 0: clear these values or replace them by numbers"
        )
