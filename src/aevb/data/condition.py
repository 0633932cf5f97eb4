"""Conditions: what a conditional model receives of each example and does not model, columns of a table or the labels.

A condition is a small table of its own, N rows of G numbers beside the examples, so that networks embed it as any table
(`aevb.models.networks.Embedding`). The labels are one categorical column called `label`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from aevb.columns import Column, DateNotation, modelled
from aevb.data.dataset import UnsplitData
from aevb.data.examples import Examples
from aevb.data.tables.dates import parse_stated
from aevb.data.tables.encode import encode_column, encode_rows, expected, truth_or_number
from aevb.data.tables.notation import parse
from aevb.data.tables.raw import RawColumn, text_column
from aevb.errors import BadInput, option

LABEL = "label"
"""Name of the condition that holds the labels."""


def with_condition(data: UnsplitData, names: Sequence[str]) -> UnsplitData:
    """Move columns of a table, or the labels, into the condition.

    Args:
        data: the examples of a source.
        names: names of columns, or `label`.

    Raises:
        BadInput: a column does not exist or does not vary, no column is left to model, or there are no labels.
    """
    if not names:
        return data
    if not data.columns:
        return _with_labels(data, names)
    columns = modelled(data.columns)
    available = [column.name for column in columns]
    for name in names:
        if name not in available:
            raise BadInput(
                f"{data.name} has no column {name!r} for a condition: expected one of {', '.join(available)}"
            )
    condition = [position for position, name in enumerate(available) if name in names]
    remaining = [position for position, name in enumerate(available) if name not in names]
    if not remaining:
        raise BadInput(f"{data.name} has no column left to model: use fewer columns as condition")
    divide = partial(_divide, remaining=remaining, condition=condition)
    return replace(
        data,
        examples=divide(data.examples),
        out_of_core=data.out_of_core and data.out_of_core.transformed(divide),
        columns=tuple(column for column in data.columns if column.name not in names),
        condition_columns=tuple(columns[position] for position in condition),
    )


def _divide(examples: Examples, remaining: Sequence[int], condition: Sequence[int]) -> Examples:
    values = examples.values
    return replace(examples, values=values[:, remaining].contiguous(), condition=values[:, condition])


def _with_labels(data: UnsplitData, names: Sequence[str]) -> UnsplitData:
    if tuple(names) != (LABEL,):
        raise BadInput(f"{data.name} is not a table and has no column {names[0]!r} for a condition: expected {LABEL}")
    if data.classes is None or data.examples.labels is None:
        raise BadInput(f"{data.name} has no labels for a condition: add labels, or omit the condition")
    column = Column(name=LABEL, kind="categorical", position=0, values=data.classes)
    condition = data.examples.labels.float().unsqueeze(1)
    return replace(data, examples=replace(data.examples, condition=condition), condition_columns=(column,))


def label_condition(data: UnsplitData, column: Column, outside: dict[int, str] | None = None) -> Tensor:
    """Return the labels of other examples as the condition of a model, ``(N, 1)``.

    Args:
        data: the examples.
        column: the labels of the training data.
        outside: as for `aevb.data.tables.encode.encode_rows`.

    Raises:
        BadInput: there are no labels, or other ones.
    """
    if data.classes is None or data.examples.labels is None:
        raise BadInput(f"{data.name} has no labels, which are the condition of this model: add labels")
    names = np.array(data.classes)[data.examples.labels.numpy()]
    return encode_rows([text_column(LABEL, names.tolist())], [column], data.name, outside)


def parse_row(columns: Sequence[Column], values: Mapping[str, object]) -> Tensor:
    """Return a row of a table from values that are stated as text, ``(1, D)``; the others are missing.

    Args:
        columns: columns of the table.
        values: values by column name.

    Raises:
        BadInput: a column is unknown, or a value is missing or not one of its column.
    """
    names = [column.name for column in modelled(columns)]
    for name in values:
        if name not in names:
            raise BadInput(f"the model has no column {name!r}: expected one of {', '.join(names)}")
    row = _encoded_row(columns, values, "given")
    for column, is_missing in zip(modelled(columns), row[0].isnan().tolist(), strict=True):
        if is_missing and column.name in values:
            stated = option("given", values[column.name], key=column.name)
            raise BadInput(f"{stated} is a missing value: expected {expected(column)}")
    return row


def parse_condition(columns: Sequence[Column], values: Mapping[str, object]) -> Tensor:
    """Return a condition that is stated as text, ``(1, G)``.

    Args:
        columns: columns of the condition.
        values: values by column name; an empty text is a missing value.

    Raises:
        BadInput: a column is missing or unknown, or a value is not one of its column.
    """
    names = [column.name for column in modelled(columns)]
    for name in values:
        if name not in names:
            raise BadInput(f"{name!r} is not a condition of this model: expected {', '.join(names)}")
    for column in modelled(columns):
        if column.name not in values:
            raise BadInput(
                f"this model is conditional and {column.name!r} is missing: pass"
                f" {option('condition', _expected(column), key=column.name)}"
            )
    return _encoded_row(columns, values, "condition")


def _encoded_row(columns: Sequence[Column], values: Mapping[str, object], name: str) -> Tensor:
    """Return values that are stated as text in the option with a name, ``(1, D)``."""
    numbers = []
    for column in modelled(columns):
        value, outside = values.get(column.name, ""), dict[int, str]()
        raw = _raw_column(column, value)
        numbers.append(encode_column(raw, column, option(name), outside) if raw else np.array([np.nan]))
        if raw is None or outside:
            raise BadInput(f"{option(name, value, key=column.name)} is not possible: expected {expected(column)}")
    return torch.from_numpy(np.column_stack(numbers))


def _raw_column(column: Column, value: object) -> RawColumn | None:
    """Return a value that is stated as text as a column of one row; None if it is none of its column."""
    text = str(value)
    if not text:
        return RawColumn(column.name, np.array([np.nan]))
    if isinstance(column.notation, DateNotation):
        stated = parse_stated(text, column.notation)
        return RawColumn(column.name, np.array([stated[0]]), notation=column.notation) if stated else None
    is_written = column.notation is not None and not np.isnan(parse(pa.array([text]), column.notation)[0])
    if is_written or column.values:
        return text_column(column.name, [text])
    number = truth_or_number(text)
    return None if isinstance(number, str) else RawColumn(column.name, np.array([float(number)]))


def _expected(column: Column) -> str:
    values = [str(value).lower() if isinstance(value, bool) else str(value) for value in column.values]
    return " or ".join(values[:20]) if values else "NUMBER"


def all_conditions(columns: Sequence[Column]) -> Tensor | None:
    """Return each value of a single categorical condition once, ``(K, 1)``; None for other conditions."""
    varying = modelled(columns)
    if len(varying) != 1 or not varying[0].values:
        return None
    return torch.arange(float(len(varying[0].values))).unsqueeze(1)
