"""Columns of a table: reconstructions beside test examples, and samples beside them."""

from collections.abc import Iterator

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, DateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from aevb.columns import Column, DateNotation, modelled
from aevb.data.dataset import Dataset
from aevb.data.tables.dates import NANOSECONDS, is_time_of_day
from aevb.data.tables.encode import decode_value
from aevb.models.vae import VAE
from aevb.plots.points import TITLE_LETTERS, histograms, listed, name_values, shares, short
from aevb.plots.style import COLORS, STYLE, as_text, legend_below, subplots
from aevb.rng import RNGStream, seeded

PANELS = 12
"""The largest number of columns of a table in a figure."""
YEARS = (-719_000.0, 2_932_000.0)
"""The first and the last date that matplotlib can write, with a margin, in days from 1970."""
ROWS = 2000
"""The largest number of rows in a figure."""


@rc_context(STYLE)
def reconstructed_columns(model: VAE, dataset: Dataset) -> Figure:
    """Plot each column of a table, test examples against their reconstructions: numbers as points, values as shares.

    The title has the share of the variance of the numbers, R², or the share of the values that are reconstructed.
    """
    batch = dataset.test.subsample(ROWS).all()
    again = model.reconstruct(batch.to(model.device)).cpu()
    columns = list(_shown(dataset))
    figure, axes = subplots(len(columns), height=2.6)
    for (index, column), axis in zip(columns, axes, strict=True):
        observed = ~batch.x[:, index].isnan()
        x, mean = batch.x[observed, index], again[observed, index]
        quality = (_values if column.values else _numbers)(axis, column, x, mean) if len(x) else "no test values"
        axis.set(
            title=f"{as_text(short(column.name, TITLE_LETTERS))}: {quality}",
            xlabel="test example",
            ylabel="reconstruction",
        )
    return figure


def _numbers(axis: Axes, column: Column, x: Tensor, mean: Tensor) -> str:
    """Plot reconstructions over the numbers of a column, and return R²."""
    shown = _on_axis(column, x)
    axis.scatter(shown, _on_axis(column, mean), s=4, alpha=0.5, linewidths=0, color=COLORS[0])
    axis.axline((float(shown.median()),) * 2, slope=1, color="black", linewidth=0.5)
    for side in (axis.xaxis, axis.yaxis):
        _write_ticks(side, column)
    variance = (x - x.mean()).square().sum()
    return f"R² = {1 - (x - mean).square().sum() / variance:.2f}" if variance > 0 else "constant"


def _values(axis: Axes, column: Column, x: Tensor, mean: Tensor) -> str:
    """Plot the shares of the reconstructions of each value of a column, and return the share that is right."""
    counts = torch.zeros(len(column.values), len(column.values))
    counts.index_put_((x.long(), mean.long()), torch.ones(len(x)), accumulate=True)
    shown = listed(counts.sum(1), column.labels)
    share = (counts / counts.sum(1, keepdim=True).clamp_min(1))[shown][:, shown]
    axis.imshow(share.T.numpy(), cmap="Blues", vmin=0, vmax=1, origin="lower", aspect="auto")
    for side in (axis.xaxis, axis.yaxis):
        name_values(side, [column.labels[code] for code in shown.tolist()])
    return f"{(x == mean).double().mean():.0%} right"


def _write_ticks(axis: Axis, column: Column) -> None:
    """Write dates as such, and whole numbers without decimals."""
    if _days(column):
        _write_dates(axis, column)
        return
    is_duration = isinstance(column.notation, DateNotation)
    if is_duration:
        axis.set_major_formatter(lambda value, _: str(decode_value(column, np.float64(value))))
        axis.set_tick_params(rotation=30)
    if is_duration or column.whole:
        axis.set_major_locator(MaxNLocator(3, integer=True))


def _days(column: Column) -> float | None:
    """Return the number of days in the unit of dates and times of day; None for other columns."""
    notation = column.notation
    if not isinstance(notation, DateNotation) or not notation.pattern:
        return None
    return NANOSECONDS[notation.unit] / NANOSECONDS["D"]


def _on_axis(column: Column, values: Tensor) -> Tensor:
    """Return numbers as they are drawn: dates as days from 1970, within the years that matplotlib can write."""
    days = _days(column)
    return values if days is None else (values.double() * days).clamp(*YEARS)


def _write_dates(axis: Axis, column: Column) -> None:
    """Write a few dates, as short as their differences allow; times of day as hours and minutes."""
    assert isinstance(column.notation, DateNotation)
    locator = AutoDateLocator(minticks=2, maxticks=5)
    axis.set_major_locator(locator)
    is_time = is_time_of_day(column.notation)
    axis.set_major_formatter(DateFormatter("%H:%M") if is_time else ConciseDateFormatter(locator))


def _shown(dataset: Dataset) -> Iterator[tuple[int, Column]]:
    """Yield the first columns of a table with their indices in a row."""
    order = modelled(dataset.columns)
    for column in sorted(order, key=lambda column: column.position)[:PANELS]:
        yield order.index(column), column


@rc_context(STYLE)
def sampled_columns(model: VAE, dataset: Dataset, *, seed: int = 0) -> Figure:
    """Plot each column of a table, test examples beside samples: numbers as densities, other values as shares."""
    with seeded(seed, RNGStream.SAMPLES, device=model.device):
        condition = dataset.test.subsample(ROWS).condition
        drawn = model.sample(min(len(dataset.test), ROWS), condition, draw=True).cpu()
    x, columns = dataset.test.all().x, list(_shown(dataset))
    figure, axes = subplots(len(columns))
    for (index, column), axis in zip(columns, axes, strict=True):
        observed = x[:, index][~x[:, index].isnan()]
        if column.values:
            shares(axis, observed, drawn[:, index], column.labels)
        else:
            shown = _on_axis(column, _near(drawn[:, index], observed))
            histograms(axis, _on_axis(column, observed), shown)
            _write_ticks(axis.xaxis, column)
        axis.set(title=as_text(short(column.name, 2 * TITLE_LETTERS)), ylabel="share" if column.values else "density")
    legend_below(figure, axes[0])
    return figure


def _near(drawn: Tensor, x: Tensor) -> Tensor:
    """Return the samples near the range of the data: a single outlier would hide the histogram."""
    if not len(x):
        return drawn
    low, high = x.min(), x.max()
    return drawn[(drawn >= low - 0.5 * (high - low)) & (drawn <= high + 0.5 * (high - low))]
