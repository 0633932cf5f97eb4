"""Column types, inferred from values.

    binary        true and false, 0 and 1, or two texts
    categorical   texts, of which a few recur
    others        numbers (`aevb.data.tables.numbers`)

Declared column types override the inference. Some columns are not part of the model: a column with a single value is
constant; texts that nearly all differ, and whole numbers that count the rows, are identifiers. Dates
are whole numbers of their unit.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, cast

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from aevb.columns import CODED, NUMBERS, OTHER, Column, ColumnKind, DateNotation, DeclaredType, Notation, modelled
from aevb.data.dataset import UnsplitData
from aevb.data.examples import Examples
from aevb.data.tables.dates import NANOSECONDS, is_time_of_day
from aevb.data.tables.encode import encode_rows, require_finite
from aevb.data.tables.notation import describe, recognize_most
from aevb.data.tables.numbers import (
    LARGEST_INTEGER,
    Bounds,
    are_whole,
    bounds_of,
    decimals_of,
    find_spikes,
    type_of_numbers,
)
from aevb.data.tables.raw import MAX_CATEGORIES, RawColumn, Values
from aevb.data.tables.recognize import as_numbers, by_row, recognize_column, truth_texts
from aevb.data.tables.summary import ColumnSummary, summarize
from aevb.errors import BadInput, counted, option

ColumnTypes = Mapping[str, DeclaredType]
MAX_ODD_TEXTS = 5
"""Largest number of different texts among numbers that are errors or missing values."""


def unsplit_table(name: str, raw_columns: Sequence[RawColumn], column_types: ColumnTypes) -> UnsplitData:
    """Return the rows of a table, with the types of its columns inferred unless they are declared.

    Args:
        name: name of the table.
        raw_columns: its columns.
        column_types: declared types, by column name.

    Raises:
        BadInput: a column holds values that no model supports, or a declared column does not exist.
    """
    raw_columns = [_exact(recognize_column(raw), column_types.get(raw.name)) for raw in raw_columns]
    names = [raw.name for raw in raw_columns]
    for declared in column_types:
        if declared not in names:
            raise BadInput(f"{name} has no column {declared!r}: expected one of {', '.join(names)}")
    found, columns, labels, classes = list[ColumnSummary](), list[Column](), None, None
    for position, raw in enumerate(raw_columns):
        declared_type = column_types.get(raw.name)
        require_finite(raw, name)
        if declared_type == "label":
            labels, classes = _labels(raw, name)
            column = None
        else:
            column = None if declared_type == "none" else _infer_column(raw, position, declared_type, name)
        columns += [column] if column else []
        found.append(summarize(raw, column, declared_type))
    if not modelled(columns):
        raise BadInput(f"{name} has no column that varies: expected at least one")
    values = encode_rows(raw_columns, columns, name)
    return UnsplitData(
        name,
        Examples(values, labels),
        classes,
        columns=tuple(columns),
        summaries=tuple(found),
        notes=tuple(_notes(raw_columns, columns)),
    )


def _exact(raw: RawColumn, declared: DeclaredType | None) -> RawColumn:
    """Return a column that is declared to hold numbers as one, others without the whole numbers that float64 lacks."""
    return as_numbers(raw) if declared in (*NUMBERS, "discrete") else raw.without_rounding()


def _require_dates(raw: RawColumn, table: str) -> ColumnKind:
    """Return the type of a column that is declared to hold dates.

    Raises:
        BadInput: it holds something else.
    """
    if not isinstance(raw.notation, DateNotation):
        if raw.numbers is None:
            _require_no_odd_texts(raw, table)
        first = raw.plain(raw.present[:1])[0]
        raise BadInput(f"{table}: column {raw.name!r} is declared date and holds {first!r}: expected dates")
    return "integer"


def _infer_column(
    raw: RawColumn, position: int, declared: ColumnKind | Literal["date"] | None, table: str
) -> Column | None:
    """Return the column with its declared or inferred type, or None for an identifier."""
    if raw.unsupported:
        raise BadInput(f"{table}: {raw.unsupported}")
    distinct = raw.distinct()
    if len(distinct) < 2:
        values = tuple(raw.plain(distinct))
        return Column(
            name=raw.name,
            kind="constant",
            position=position,
            values=values,
            whole=raw.whole,
            dtype=raw.dtype,
            notation=raw.notation,
            truth=truth_texts(raw),
        )
    kind = _require_dates(raw, table) if declared == "date" else declared or _infer_type(raw, distinct, table)
    if kind is None:
        return None
    if kind not in CODED:
        column = _numeric_column(raw, position, kind, table)
        if declared or kind == "nonnegative":
            return column
        return column.model_copy(update={"spikes": find_spikes(cast("NDArray[np.float64]", raw.present))})
    if kind == "categorical" and not declared and len(distinct) > MAX_CATEGORIES:
        return _with_other(raw, position)
    values = raw.levels or tuple(raw.plain(distinct))
    if kind == "binary" and len(values) > 2:
        raise BadInput(f"{table}: column {raw.name!r} is declared binary and has {len(values)} values: use categorical")
    return Column(
        name=raw.name,
        kind=kind,
        position=position,
        values=values,
        dtype=raw.dtype,
        notation=raw.notation,
        truth=truth_texts(raw),
    )


def _with_other(raw: RawColumn, position: int) -> Column:
    """Return a column of texts that lists the most frequent ones."""
    texts, counts = np.unique(raw.present, return_counts=True)
    frequent = np.sort(texts[np.argsort(-counts, kind="stable")[: MAX_CATEGORIES - 1]])
    column = Column(name=raw.name, kind="categorical", position=position, dtype=raw.dtype)
    return column.with_other([str(text) for text in frequent])


def _numeric_column(raw: RawColumn, position: int, kind: ColumnKind, table: str) -> Column:
    """Return a column of numbers, with their bounds and how they are written."""
    if raw.numbers is None:
        _require_no_odd_texts(raw, table)
        raise BadInput(f"{table}: column {raw.name!r} is declared {kind} and holds texts such as {raw.present[0]!r}")
    present = cast("NDArray[np.float64]", raw.present)
    with_gaps = not raw.whole and len(present) < len(raw) and are_whole(present)  # integers cannot be missing
    low, high = _bounds(present, raw.notation) if kind in ("bounded", "integer") else Bounds()
    if kind == "bounded":
        low, high = (float(present.min()), float(present.max())) if low is high is None else (low, high)
    whole = raw.whole or kind in ("count", "integer") or with_gaps
    return Column(
        name=raw.name,
        kind=kind,
        position=position,
        low=low,
        high=high,
        whole=whole,
        decimals=None if whole else decimals_of(_as_stored(present, raw.dtype)),
        dtype=raw.dtype or ("double" if with_gaps else ""),
        notation=raw.notation,
        typical=float(np.sort(present)[len(present) // 2]) if raw.notation else None,
    )


def _bounds(values: NDArray[np.float64], notation: Notation | None) -> Bounds:
    """Return the bounds of numbers, or of the times of a day; dates have none."""
    if not isinstance(notation, DateNotation):
        return bounds_of(values)
    return Bounds(0.0, NANOSECONDS["D"] // NANOSECONDS[notation.unit] - 1.0) if is_time_of_day(notation) else Bounds()


def _as_stored(values: NDArray[np.float64], dtype: str) -> NDArray[np.float64]:
    """Return numbers with the digits of their type."""
    short = dtype.lower() in ("float32", "float", "halffloat", "float16")
    return np.array([str(value) for value in values.astype(np.float32)], np.float64) if short else values


def _infer_type(raw: RawColumn, distinct: Values, table: str) -> ColumnKind | None:
    if raw.levels:
        return "binary" if len(raw.levels) == 2 else "categorical"
    if raw.numbers is None:
        return _infer_type_of_texts(raw, distinct, table)
    if isinstance(raw.notation, DateNotation):
        return "integer" if raw.whole and np.abs(distinct).max() <= LARGEST_INTEGER else "real"
    return _infer_type_of_numbers(raw, cast("NDArray[np.float64]", distinct))


def _infer_type_of_texts(raw: RawColumn, distinct: Values, table: str) -> ColumnKind | None:
    if len(distinct) == 2:
        return "binary"
    few = len(distinct) <= MAX_CATEGORIES and len(distinct) < raw.count / 2
    _require_no_odd_texts(raw, table, ("dates",) if few else ("numbers", "dates"))
    return "categorical" if len(distinct) < raw.count / 2 else None


def _require_no_odd_texts(raw: RawColumn, table: str, kinds: Sequence[str] = ("numbers", "dates")) -> None:
    """Refuse a column of numbers or dates with up to `MAX_ODD_TEXTS` other texts: errors, or missing values."""
    assert raw.texts is not None
    most = recognize_most(raw.texts.dictionary, decimal_comma=raw.decimal_comma, max_others=MAX_ODD_TEXTS)
    if most is None or most[1] not in kinds:
        return
    fits = by_row(raw, most[0].astype(np.float64))
    count, fitting = raw.count, int((fits == 1).sum())
    if count / 2 < fitting < count:
        row = int((fits == 0).argmax())
        text = raw.texts[row].as_py()
        others = raw.texts.dictionary.filter(pa.array(~most[0])).to_pylist()
        meaning = "it means a missing value" if len(others) == 1 else "these mean missing values"
        marker = "" if raw.dtype else f", or pass {option('data.missing', others)} if {meaning}"
        raise BadInput(
            f"{table}: column {raw.name!r} holds {fitting} {most[1]} and {counted(count - fitting, 'text')}, the"
            f" first {text!r} in row {row} counted from 0: fix or clear these values{marker}"
        )


def _infer_type_of_numbers(raw: RawColumn, distinct: NDArray[np.float64]) -> ColumnKind | None:
    if raw.logical or distinct.tolist() == [0.0, 1.0]:
        return "binary"
    if len(distinct) == len(raw) > 2 and are_whole(distinct) and distinct[-1] - distinct[0] == len(raw) - 1:
        return None
    return type_of_numbers(cast("NDArray[np.float64]", raw.present), distinct)


def _notes(raw_columns: Sequence[RawColumn], columns: Sequence[Column]) -> list[str]:
    """Return how columns were read, where this is not obvious."""
    own = {column.name: column for column in columns if column.notation and column.kind != "constant"}
    described = [describe(raw.name, raw.notation) for raw in raw_columns if raw.notation and raw.name in own]
    merged = {column.name for column in columns if column.other}
    merging = [_merging(raw.name) for raw in raw_columns if raw.name in merged]
    exact = _exactness([raw.name for raw in raw_columns if raw.inexact and raw.numbers is None])
    return list(filter(None, [*described, *(raw.note for raw in raw_columns), *merging, exact]))


def _merging(name: str) -> str:
    """Return the note on a column whose rare values are merged."""
    return (
        f"rare values of {name} are one value, {OTHER!r}: exclude the column with"
        f" {option('data.column-types', 'none', key=name)} if it names the rows"
    )


def _exactness(names: Sequence[str]) -> str:
    """Return the note on columns of whole numbers that float64 lacks; empty without one."""
    if not names:
        return ""
    return (
        f"whole numbers beyond 2^53 are read as names, in {', '.join(names)}: use"
        f" {option('data.column-types', 'real', key=names[0])} to model them as numbers of 16 digits"
    )


def _labels(raw: RawColumn, table: str) -> tuple[Tensor, tuple[str, ...]]:
    if raw.unsupported:
        raise BadInput(f"{table}: {raw.unsupported}")
    if raw.count < len(raw):
        raise BadInput(f"{table}: labels are missing in column {raw.name!r}: fill them in, or declare another type")
    names, codes = np.unique(raw.present, return_inverse=True)
    return torch.from_numpy(codes.astype(np.int64)), tuple(map(str, raw.plain(cast("Values", names))))
