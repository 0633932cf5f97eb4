"""Rows with a value that is isolated from all others, given the rest of the row.

The residuals r_ij = x_ij - E[x_j | z_i] of each column, at the posterior mean z_i of the row, are measured in robust
standard deviations: 1.4826 times their median absolute value. Positive numbers and counts are compared by their
logarithms. A value is an outlier if its residual is beyond `FAR`, and if between it and the values of all other rows is
a gap, a factor of `GAP`: the largest values of a column with heavy tails have no gap among them.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from aevb.columns import Column, modelled
from aevb.data.dataset import Dataset
from aevb.data.examples import Examples, evenly_spaced
from aevb.data.tables.notation import write
from aevb.evaluation.latent_means import BATCH_SIZE
from aevb.models.vae import VAE

FAR, GAP, RARE = 20.0, 2.0, 0.01
"""Robust standard deviations, ratio, and largest share of the rows."""
ROWS = 200_000
"""The largest number of rows that are examined."""


class Outlier(NamedTuple):
    """A row with an isolated value.

    Attributes:
        row: its number in the source, counted from 0; among the examples of its split where that is not known.
        column: the name of the column; x0, x1, ... of an array.
        value: the value.
        text: the value as it is written in the table.
    """

    row: int
    column: str
    value: float
    text: str


@torch.no_grad()
def outliers(model: VAE, dataset: Dataset) -> list[Outlier]:
    """Return the training and validation rows with an isolated value, the most distant first.

    Args:
        model: a trained model; it is put into evaluation mode.
        dataset: its data. Data other than vectors and tables have no outliers here.
    """
    if model.inputs is None or len(dataset.shape) != 1:
        return []
    model.eval()
    columns = modelled(dataset.columns) or [_unnamed(position) for position in range(dataset.shape[0])]
    found: list[tuple[float, Outlier]] = []
    for examples, rows in zip((dataset.train, dataset.valid), dataset.rows or (None, None), strict=False):
        order = evenly_spaced(len(examples), min(ROWS, len(examples)))
        few = examples[order]
        distance = _distances(model, few)
        for index in _isolated(distance.amax(1)).tolist():
            column = int(distance[index].argmax())
            position = int(order[index])
            row = position if rows is None else int(rows[position])
            value = few.values[index, column].item()
            outlier = Outlier(row, columns[column].name, value, _written(columns[column], value))
            found.append((float(distance[index, column]), outlier))
    return [outlier for _, outlier in sorted(found, reverse=True)]


def _unnamed(position: int) -> Column:
    """Return the column of an element of a vector."""
    return Column(name=f"x{position}", kind="real", position=position)


def _written(column: Column, value: float) -> str:
    return write(value, column.notation) if column.notation else f"{value:.6g}"


def _distances(model: VAE, examples: Examples) -> Tensor:
    """Return the residuals of numeric columns in robust standard deviations, ``(N, D)``; 0 where missing."""
    assert model.inputs is not None
    numbers = model.inputs.numbers
    batches = (batch.to(model.device, model.dtype) for batch in examples.batches(BATCH_SIZE))
    residuals = torch.cat([(numbers(batch.x) - numbers(model.reconstruct(batch))).abs().cpu() for batch in batches])
    if not residuals.shape[1]:
        return residuals.new_zeros(len(residuals), 1)
    scale = 1.4826 * residuals.nanmedian(0).values
    return torch.where(scale > 0, residuals.nan_to_num() / scale, 0.0)


def _isolated(distance: Tensor) -> Tensor:
    """Return the indices of the largest distances ``(N,)`` above a gap, if they are few."""
    values, order = distance.sort(descending=True)
    count = int((values > FAR).sum())
    if count == 0:
        return order[:0]
    following = values[1 : count + 1] if count < len(values) else torch.cat([values[1:count], values.new_zeros(1)])
    gaps = (values[:count] > GAP * following).nonzero().flatten()
    last = int(gaps[-1]) + 1 if len(gaps) else 0
    return order[:last] if last <= max(1, RARE * len(values)) else order[:0]
