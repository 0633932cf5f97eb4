"""What a model is given of each example and does not explain: columns of a table, or the labels.

Either is a small table of its own, N rows of G numbers beside the examples, so that networks see it as they see any
table (`aevb.models.networks.Embedding`): the labels are one categorical column called `label`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from aevb.columns import Column, modelled
from aevb.data.dataset import UnsplitData
from aevb.data.examples import Examples
from aevb.data.tables.encode import Raw, coded
from aevb.errors import BadInput

LABEL = "label"
"""What labels are called."""


def conditioned(pool: UnsplitData, names: Sequence[str]) -> UnsplitData:
    """Take what a model is given out of what it explains.

    Args:
        pool: a source.
        names: of columns of a table, or `label`; none leaves the pool as it is.

    Raises:
        BadInput: there is no such column, it does not vary, none is left to be explained, or there are no labels.
    """
    if not names:
        return pool
    if not pool.columns:
        return _by_label(pool, names)
    order = modelled(pool.columns)
    known = [column.name for column in order]
    for name in names:
        if name not in known:
            raise BadInput(f"{pool.name} has no column {name!r} to be given: expected one of {', '.join(known)}")
    given = [place for place, name in enumerate(known) if name in names]
    explained = [place for place, name in enumerate(known) if name not in names]
    if not explained:
        raise BadInput(f"{pool.name} has no column left to explain: give the model fewer")
    divide = partial(_divided, explained=explained, given=given)
    return replace(
        pool,
        examples=divide(pool.examples),
        stored=pool.stored and pool.stored.changed(divide),
        columns=tuple(column for column in pool.columns if column.name not in names),
        condition_columns=tuple(order[place] for place in given),
    )


def _divided(examples: Examples, explained: Sequence[int], given: Sequence[int]) -> Examples:
    """Rows of which some columns are explained and others given."""
    values = examples.values
    return replace(examples, values=values[:, explained].contiguous(), condition=values[:, given])


def _by_label(pool: UnsplitData, names: Sequence[str]) -> UnsplitData:
    if tuple(names) != (LABEL,):
        raise BadInput(f"{pool.name} is no table, and has no column {names[0]!r} to be given: expected {LABEL}")
    if pool.classes is None or pool.examples.labels is None:
        raise BadInput(f"{pool.name} has no labels to be given")
    column = Column(name=LABEL, kind="categorical", place=0, values=pool.classes)
    given = pool.examples.labels.float().unsqueeze(1)
    return replace(pool, examples=replace(pool.examples, condition=given), condition_columns=(column,))


def labels_given(pool: UnsplitData, column: Column) -> Tensor:
    """The labels of other examples as what is given to a model, ``(N, 1)``.

    Args:
        pool: the examples.
        column: the labels that the model has learned from.

    Raises:
        BadInput: there are no labels, or others.
    """
    if pool.classes is None or pool.examples.labels is None:
        raise BadInput(f"{pool.name} has no labels, which the model is given")
    names = np.array(pool.classes)[pool.examples.labels.numpy()]
    return coded([Raw(LABEL, None, names.tolist())], [column], pool.name)


def stated(given: Sequence[Column], values: Mapping[str, str]) -> Tensor:
    """A condition as a person states it, as what is given to a model, ``(1, G)``.

    Args:
        given: what the model has learned to be given.
        values: by name, as text; an empty one is missing.

    Raises:
        BadInput: something is not stated, unknown, or no value of its column.
    """
    names = [column.name for column in modelled(given)]
    for name in values:
        if name not in names:
            raise BadInput(f"the model is not given {name!r}: expected {', '.join(names)}")
    for column in modelled(given):
        if column.name not in values:
            raise BadInput(f"the model wants {column.name!r} to be given: --given.{column.name} {_expected(column)}")
    return coded([_raw(column, values[column.name]) for column in modelled(given)], given, "what is given")


def _raw(column: Column, text: str) -> Raw:
    if not text:
        return Raw(column.name, np.array([np.nan]))
    if any(isinstance(value, str) for value in column.values):
        return Raw(column.name, None, [text])
    if text.lower() in ("true", "false"):
        return Raw(column.name, np.array([float(text.lower() == "true")]), logical=True)
    try:
        return Raw(column.name, np.array([float(text)]))
    except ValueError as error:
        raise BadInput(f"{column.name!r} is given as {text!r}: expected {_expected(column)}") from error


def _expected(column: Column) -> str:
    values = [str(value).lower() if isinstance(value, bool) else str(value) for value in column.values]
    return " or ".join(values[:20]) if values else "NUMBER"


def every_value(given: Sequence[Column]) -> Tensor | None:
    """Each value of a condition once, ``(K, 1)``; None where it is not one choice of some."""
    columns = modelled(given)
    if len(columns) != 1 or not columns[0].values:
        return None
    return torch.arange(float(len(columns[0].values))).unsqueeze(1)
