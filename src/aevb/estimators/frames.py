"""X: arrays, and data frames of pandas and polars."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aevb.columns import Column
from aevb.data.tables.encode import decode_rows
from aevb.data.tables.frames import frame_columns, to_frame
from aevb.data.tables.raw import RawColumn, array_columns

Rows: TypeAlias = Any
"""An array ``(N, D)``, or a data frame of pandas or polars with N rows and D columns, which have no common type."""
Library = Literal["array", "pandas", "polars"]


def is_frame(X: Rows) -> bool:
    """Return whether X is a data frame of pandas or polars."""
    return hasattr(X, "columns") and hasattr(X, "to_numpy")


def library(X: Rows) -> Library:
    """Return the kind of X."""
    if not is_frame(X):
        return "array"
    return "polars" if hasattr(X, "with_columns") else "pandas"


def column_names(X: Rows) -> tuple[int | str, ...]:
    """Return the column names of a data frame, none of an array; names that are no integers become texts."""
    return tuple(name if isinstance(name, int) else str(name) for name in X.columns) if is_frame(X) else ()


def read_columns(X: Rows) -> list[RawColumn]:
    """Return the columns of X with their values as they are."""
    return frame_columns(X, "X") if is_frame(X) else array_columns(X)


def to_rows(values: Tensor, columns: Sequence[Column], like: Library, names: Sequence[int | str]) -> Rows:
    """Return rows of a model as an array or a data frame.

    Args:
        values: rows of the model, ``(N, D)``.
        columns: of the model.
        like: kind of the result.
        names: column names of a data frame, by position.
    """
    if like == "array":
        return np.array(list(decode_rows(columns, values.numpy()).values()), dtype=np.float64).T
    result = to_frame(columns, values.numpy(), like)
    result.columns = [names[position] for position in sorted(column.position for column in columns)]
    return result


def fill_missing(X: Rows, values: Rows, columns: Sequence[Column]) -> Rows:
    """Return X with its missing values replaced by those of `values`, of the same kind.

    Args:
        X: rows, ``(N, D)``.
        values: rows of the model as `to_rows` returns them, which lack the columns that the model excludes.
        columns: of the model.
    """
    if not is_frame(X):
        return _fill_array(np.asarray(X, dtype=np.float64), values, sorted(column.position for column in columns))
    return _fill_polars(X, values) if library(X) == "polars" else _fill_pandas(X, values)


def _fill_array(x: NDArray[np.float64], values: NDArray[np.float64], positions: Sequence[int]) -> NDArray[np.float64]:
    filled: NDArray[np.float64] = x.copy()
    filled[:, positions] = np.where(np.isnan(x[:, positions]), values, x[:, positions])
    return filled


def _fill_polars(X: Rows, values: Rows) -> Rows:
    nullable = {name: X[name].fill_nan(None) if X[name].dtype.is_float() else X[name] for name in values.columns}
    return X.with_columns([column.fill_null(values[name]) for name, column in nullable.items()])


def _fill_pandas(X: Rows, values: Rows) -> Rows:
    filled, originals = X.copy(), dict(zip(column_names(X), X.columns, strict=True))
    for name in values.columns:
        column = originals[name]
        filled[column] = X[column].fillna(values[name].set_axis(X.index))
    return filled
