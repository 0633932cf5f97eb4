"""Curves over epochs, fields and settings. Training is dashed and validation is solid, in all figures."""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from aevb.plots.style import COLORS, LINES, STYLE, legend_below, panel, robust_limits, subplots
from aevb.runs.aggregate import Row
from aevb.runs.run_folder import RunFolder
from aevb.training.history import Epoch


@rc_context(STYLE)
def training(epochs: Sequence[Epoch]) -> Figure:
    """Plot bound, distortion and rate over the epochs; of an autoencoder, the distortion alone."""
    terms = ("bound", "distortion", "rate")
    names = [name for name in terms if any(math.isfinite(getattr(epoch.train, name)) for epoch in epochs)] or terms
    figure, axes = subplots(len(names), columns=3, width=3.4, height=2.8)
    numbers = [epoch.number for epoch in epochs]
    for axis, name in zip(axes, names, strict=True):
        axis.plot(numbers, [getattr(epoch.train, name) for epoch in epochs], "--", color=COLORS[0], label="train")
        if epochs[0].valid:
            axis.plot(numbers, [getattr(epoch.valid, name) for epoch in epochs], color=COLORS[2], label="validation")
        axis.set(title=name, xlabel="epoch", ylabel="nats per example")
        if limits := robust_limits(axis):
            axis.set_ylim(limits)
    axes[0].legend()
    return figure


@rc_context(STYLE)
def learning_curves(
    runs: Mapping[str, Sequence[RunFolder]],
    reported: Mapping[tuple[str, str, str], tuple[Sequence[float], Sequence[float]]] = MappingProxyType({}),
) -> Figure:
    """Plot bound, distortion and rate over the epochs: one color per name, mean ± standard deviation over seeds.

    Args:
        runs: the runs of each name, one for each seed.
        reported: (epochs, values) by (name, term, "train" or "valid"), drawn faintly in the background.
    """
    figure, axes = subplots(3, columns=3, width=3.4, height=3.2)
    colors = dict(zip(runs, cycle(COLORS), strict=False))
    for axis, term in zip(axes, ("bound", "distortion", "rate"), strict=True):
        for name, group in runs.items():
            _curve(axis, group, term, "train", _Line(colors[name], "--"))
            _curve(axis, group, term, "valid", _Line(colors[name], label=name))
        axis.set(title=term, xlabel="epoch", ylabel="nats per example")
        if limits := robust_limits(axis):
            axis.set(ylim=limits, xlim=axis.get_xlim())
        for (name, of, split), curve in reported.items():
            if of == term:
                line = "--" if split == "train" else "-"
                axis.plot(*curve, line, color=colors[name], alpha=0.35, linewidth=4, zorder=0, scalex=False)
    axes[0].legend()
    return figure


@rc_context(STYLE)
def losses(runs: Mapping[str, Sequence[RunFolder]], constant: float, reported: Mapping[str, float]) -> Figure:
    """Plot losses minus a constant over the epochs, one panel per name; reported levels are dotted.

    The vertical axis leaves out the first 5 % of training.
    """
    figure, axes = subplots(len(runs), columns=2, width=5, height=3)
    for axis, (name, group), color in zip(axes, runs.items(), cycle(COLORS), strict=False):
        _curve(axis, group, "loss", "train", _Line(color, "--", "training"), constant)
        _curve(axis, group, "loss", "valid", _Line(color, label="validation"), constant)
        axis.axhline(reported[name], color="black", linestyle=":", linewidth=1, label="reported")
        axis.set(title=name, xlabel="epoch", ylabel="nats per example")
        if limits := robust_limits(axis):
            axis.set_ylim(limits)
    axes[0].legend()
    return figure


@rc_context(STYLE)
def bands(curves: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], field: str, ticks: Sequence[float]) -> Figure:
    """Plot mean ± standard deviation over seeds for each value of a field, on a logarithmic axis.

    Args:
        curves: the values of the seeds at each tick, by quantity (with its unit: the label of the vertical axis) and
            name; an empty tick is skipped.
        field: the name of the field that varies.
        ticks: the values of the field.

    Returns:
        One panel per quantity, one color per name.
    """
    figure, axes = subplots(len(curves), columns=3, width=4, height=3.5)
    for axis, (quantity, lines) in zip(axes, curves.items(), strict=True):
        for (name, numbers), color in zip(lines.items(), cycle(COLORS), strict=False):
            found = {tick: values for tick, values in zip(ticks, numbers, strict=True) if values}
            _seeds_band(axis, list(found), list(found.values()), _Line(color, label=name, marker="o"))
        axis.set(xlabel=field, ylabel=quantity, xscale="log")
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.minorticks_off()
    axes[0].legend()
    return figure


class _Line(NamedTuple):
    """The appearance of a curve."""

    color: str
    style: str = "-"
    label: str | None = None
    marker: str | None = None


def _curve(axis: Axes, runs: Sequence[RunFolder], term: str, split: str, line: _Line, constant: float = 0.0) -> None:
    """Plot the mean over runs of a term of their epochs, minus a constant, with its band."""
    length = min(len(run.epochs) for run in runs)
    values = [[getattr(getattr(epoch, split), term) - constant for epoch in run.epochs[:length]] for run in runs]
    _seeds_band(axis, range(1, length + 1), list(zip(*values, strict=True)), line)


def _seeds_band(axis: Axes, positions: Sequence[float], values: Sequence[Sequence[float]], line: _Line) -> None:
    """Plot mean and standard deviation of the values of the seeds at each position."""
    std = [float(np.std(numbers, ddof=1)) if len(numbers) > 1 else math.nan for numbers in values]
    _band(axis, positions, [float(np.mean(numbers)) for numbers in values], std, line)


def _band(axis: Axes, positions: Sequence[float], mean: Sequence[float], std: Sequence[float], line: _Line) -> None:
    """Plot a line through means, with a band of ± one standard deviation where it is known."""
    low, high = np.array(mean) - np.array(std), np.array(mean) + np.array(std)
    axis.plot(positions, mean, color=line.color, linestyle=line.style, label=line.label, marker=line.marker)
    axis.fill_between(positions, low, high, color=line.color, alpha=0.2, linewidth=0)


@rc_context(STYLE)
def sweep(rows: Sequence[Row]) -> Figure:
    """Plot validation bound and test log p(x) over the first field that varies, one line per setting of the others.

    Bands are ± one standard deviation over the seeds.
    """
    figure, axes = subplots(2, columns=2, width=4.2, height=3.2)
    field = next(iter(rows[0].values), "")
    ticks = list(dict.fromkeys(str(row.values.get(field, "")) for row in rows))
    lines: dict[str, list[Row]] = {}
    for row in rows:
        rest = ", ".join(f"{name} = {value}" for name, value in row.values.items() if name != field)
        lines.setdefault(rest, []).append(row)
    for axis, name, title in zip(axes, _SWEPT, ("validation bound", "test log p(x)"), strict=True):
        for (label, line), color in zip(lines.items(), cycle(COLORS), strict=False):
            scored = [row for row in line if name in row.mean]
            positions = [ticks.index(str(row.values.get(field, ""))) for row in scored]
            mean, std = [row.mean[name] for row in scored], [row.std[name] for row in scored]
            _band(axis, positions, mean, std, _Line(color, label=label, marker="o"))
        axis.set(title=title, xlabel=field, ylabel="nats per example", xticks=range(len(ticks)), xticklabels=ticks)
    if len(lines) > 1:
        axes[0].legend()
    return figure


@rc_context(STYLE)
def search(rows: Sequence[Row]) -> Figure:
    """Plot the validation bound over each field that varies, one point per setting.

    The horizontal axis of numbers is logarithmic if they span a factor of more than 20.
    """
    scored = [row for row in rows if _SWEPT[0] in row.mean]
    bounds = [row.mean[_SWEPT[0]] for row in scored]
    figure, axes = subplots(len(rows[0].values), columns=3, width=3.4, height=2.8)
    for axis, field in zip(axes, rows[0].values, strict=True):
        values = [row.values[field] for row in scored]
        numbers = [value for value in values if isinstance(value, int | float)]
        if len(numbers) < len(values):  # such as a number or "learned"
            axis.plot(list(map(str, values)), bounds, "o", color=COLORS[2])
        else:
            axis.plot(numbers, bounds, "o", color=COLORS[2])
            if numbers and min(numbers) > 0 and max(numbers) > 20 * min(numbers):
                axis.set_xscale("log")
        axis.set(title="validation bound", xlabel=field, ylabel="nats per example")
    return figure


_SWEPT = (("valid", "bound"), ("test", "log_px"))


Levels = Mapping[str, Mapping[str, float]]
"""Reference levels by group and name."""


@rc_context(STYLE)
def progress(curves: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], levels: Levels, ylabel: str) -> Figure:
    """Plot curves over the epochs: one panel per group, one color per setting, one thin line per seed.

    The vertical axis leaves out the first epoch. It shows the levels.
    """
    figure, axes = subplots(len(curves), width=3, height=2.6)
    for axis, (group, settings) in zip(axes, curves.items(), strict=True):
        for (name, lines), color in zip(settings.items(), cycle(COLORS), strict=False):
            for seed, line in enumerate(lines):
                axis.plot(range(1, len(line) + 1), line, color=color, linewidth=0.8, label="_" * (seed > 0) + name)
        for (name, level), style in zip(levels[group].items(), LINES, strict=False):
            axis.axhline(level, color="black", linewidth=0.8, linestyle=style, label=name)
        late = (value for lines in settings.values() for line in lines for value in line[1:])
        shown = [*late, *levels[group].values()]
        low, high = min(shown), max(shown)
        margin = 0.05 * (high - low) or 1.0
        axis.set_ylim(low - margin, high + margin)
        axis.set(title=group, xlabel="epoch", ylabel=ylabel)
    legend_below(figure, axes[0])
    return figure


@rc_context(STYLE)
def strips(
    values: Mapping[str, Mapping[str, Sequence[float]]],
    levels: Levels,
    ylabel: str,
    least: float,
    *,
    ax: Axes | None = None,
) -> Figure:
    """Plot one point per seed: groups side by side, one color per setting; levels are short lines.

    Args:
        values: the values of the seeds, by group and setting.
        levels: the reference levels of each group.
        ylabel: the label of the vertical axis.
        least: the lower end of the logarithmic axis; smaller values are drawn there.
        ax: axes to draw into; None for a new figure.
    """
    figure, axis = panel(ax, 10, 4.2, "constrained")
    for position, (group, settings) in enumerate(values.items()):
        hidden = "_" * (position > 0)  # the legend names each setting once
        for number, ((name, seeds), color) in enumerate(zip(settings.items(), cycle(COLORS), strict=False)):
            middle = position + 0.8 * ((number + 0.5) / len(settings) - 0.5)
            shown = np.maximum(seeds, least)
            axis.scatter(_side_by_side(middle, len(seeds)), shown, s=16, color=color, linewidths=0, label=hidden + name)
        for (name, level), style in zip(levels[group].items(), LINES, strict=False):
            axis.hlines(level, position - 0.45, position + 0.45, "black", style, linewidth=1, label=hidden + name)
    axis.set(yscale="log", ylabel=ylabel, xticks=range(len(values)), xticklabels=list(values))
    axis.set_ylim(bottom=0.8 * least)
    ticks = [tick for tick in axis.get_yticks() if least <= tick <= axis.get_ylim()[1]]
    axis.set_yticks(ticks, [f"≤ {tick:g}" if tick == ticks[0] else f"{tick:g}" for tick in ticks])
    legend_below(figure, axis) if ax is None else axis.legend()
    return figure


@rc_context(STYLE)
def above(groups: Mapping[str, Mapping[str, Sequence[float]]], xlabel: str, *, ax: Axes | None = None) -> Figure:
    """Plot values above the best reference of their group: one row for each name, one point for each value.

    Args:
        groups: values by group and name; the first name of a group is ours, the others are its references.
        xlabel: the label of the horizontal axis.
        ax: axes to draw into; None for a new figure.
    """
    count = sum(len(values) + 1 for values in groups.values())
    figure, axis = panel(ax, 9, 0.24 * count + 0.8, "constrained")
    ticks, position = dict[int, str](), 0
    for group, values in groups.items():
        ours, *references = values
        best = max(max(values[name]) for name in references)
        for name in values:
            color, face = (COLORS[0], COLORS[0]) if name == ours else ("black", "none")
            axis.scatter(
                np.subtract(values[name], best), [position] * len(values[name]), s=28, facecolor=face, edgecolor=color
            )
            ticks[position] = f"{group}: {name}" if name == ours else name
            position += 1
        position += 1
    axis.axvline(0, color="black", linewidth=0.8, linestyle=":")
    axis.set(xlabel=xlabel, ylim=(position - 1, -1))
    axis.set_yticks(list(ticks), list(ticks.values()))
    return figure


def _side_by_side(middle: float, count: int, width: float = 0.1) -> NDArray[np.float64]:
    """Return `count` positions around a middle, ``(count,)``."""
    return middle + width * ((np.arange(count) + 0.5) / max(count, 1) - 0.5)


@rc_context(STYLE)
def stacks(parts: Mapping[str, Mapping[str, Mapping[str, float]]], ylabel: str) -> Figure:
    """Plot sums as labelled stacked bars on one scale: a panel per group, a bar per setting, a color per part."""
    figure, axes = subplots(len(parts), width=3, height=2.6, share=True)
    highest = max(sum(bar.values()) for settings in parts.values() for bar in settings.values())
    for axis, (group, settings) in zip(axes, parts.items(), strict=True):
        names = next(iter(settings.values()))
        heights = np.array([list(bar.values()) for bar in settings.values()])  # (settings, parts)
        tops = np.cumsum(heights, 1)
        for name, height, top, color in zip(names, heights.T, tops.T, COLORS, strict=False):
            bars = axis.bar(list(settings), height, bottom=top - height, color=color, label=name, width=0.7)
        axis.bar_label(bars, [f"{total:.2f}" for total in tops[:, -1]], fontsize=7)
        axis.set(title=group, ylabel=ylabel, ylim=(None, 1.05 * highest))
        for label in axis.get_xticklabels():
            label.set(rotation=30, horizontalalignment="right", rotation_mode="anchor")
    legend_below(figure, axes[0])
    return figure
