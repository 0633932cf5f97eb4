"""Numbers against epochs, fields and settings; training is dashed and validation solid, everywhere."""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from aevb.plots.style import COLOURS, LINES, STYLE, legend_below, robust_limits, subplots
from aevb.runs.run import Run
from aevb.training.loop import Epoch
from aevb.workflow.sweep import Row


def training(epochs: Sequence[Epoch]) -> Figure:
    """Bound, distortion and rate against the epoch; of an autoencoder, which has no other, the distortion."""
    terms = ("bound", "distortion", "rate")
    names = [name for name in terms if any(math.isfinite(getattr(epoch.train, name)) for epoch in epochs)] or terms
    figure, axes = subplots(len(names), columns=3, width=3.4, height=2.8)
    numbers = [epoch.number for epoch in epochs]
    for axis, name in zip(axes, names, strict=True):
        axis.plot(numbers, [getattr(epoch.train, name) for epoch in epochs], "--", color=COLOURS[0], label="train")
        if epochs[0].valid:
            axis.plot(numbers, [getattr(epoch.valid, name) for epoch in epochs], color=COLOURS[2], label="validation")
        axis.set(title=name, xlabel="epoch", ylabel="nats per example")
        if limits := robust_limits(axis):
            axis.set_ylim(limits)
    axes[0].legend()
    return figure


def learning_curves(
    runs: Mapping[str, Sequence[Run]],
    reported: Mapping[tuple[str, str, str], tuple[Sequence[float], Sequence[float]]] = MappingProxyType({}),
) -> Figure:
    """Bound, distortion and rate against the epoch, a colour for each name, means over seeds ± a deviation.

    Args:
        runs: by name, one for each seed.
        reported: curves to draw faint behind, (epochs, values) by (name, term, "train" or "valid").
    """
    figure, axes = subplots(3, columns=3, width=3.4, height=3.2)
    colours = dict(zip(runs, cycle(COLOURS), strict=False))
    for axis, term in zip(axes, ("bound", "distortion", "rate"), strict=True):
        for name, group in runs.items():
            _curve(axis, group, term, "train", color=colours[name], linestyle="--")
            _curve(axis, group, term, "valid", color=colours[name], label=name)
        axis.set(title=term, xlabel="epoch", ylabel="nats per example")
        if limits := robust_limits(axis):
            axis.set(ylim=limits, xlim=axis.get_xlim())
        for (name, of, split), curve in reported.items():
            if of == term:
                line = "--" if split == "train" else "-"
                axis.plot(*curve, line, color=colours[name], alpha=0.35, linewidth=4, zorder=0, scalex=False)
    axes[0].legend()
    return figure


def losses(runs: Mapping[str, Sequence[Run]], constant: float, reported: Mapping[str, float]) -> Figure:
    """Losses less a constant against the epoch, training dashed and validation solid, and reported levels dotted."""
    figure, axes = subplots(len(runs), columns=2, width=5, height=3)
    for axis, (name, group), colour in zip(axes, runs.items(), cycle(COLOURS), strict=False):
        _curve(axis, group, "loss", "train", constant, color=colour, linestyle="--", label="training")
        _curve(axis, group, "loss", "valid", constant, color=colour, label="validation")
        axis.axhline(reported[name], color="black", linestyle=":", linewidth=1, label="reported")
        axis.set(title=name, xlabel="epoch", ylabel="nats per example")
    axes[0].legend()
    return figure


def bands(curves: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], field: str, ticks: Sequence[str]) -> Figure:
    """Means over seeds ± a deviation against a field's values, a panel for each quantity and a colour for each name.

    Args:
        curves: the numbers of the seeds for each tick, by quantity and name; none where there are none.
        field: that varies.
        ticks: its values.
    """
    figure, axes = subplots(len(curves), columns=2, width=5, height=3.5)
    for axis, (title, lines) in zip(axes, curves.items(), strict=True):
        for (name, numbers), colour in zip(lines.items(), cycle(COLOURS), strict=False):
            places = [place for place, values in enumerate(numbers) if values]
            _seeds_band(axis, places, [numbers[place] for place in places], marker="o", color=colour, label=name)
        axis.set(title=title, xlabel=field, xticks=range(len(ticks)), xticklabels=ticks)
    axes[0].legend()
    return figure


def _curve(axis: Axes, runs: Sequence[Run], term: str, split: str, constant: float = 0.0, **look: Any) -> None:
    """The mean over runs of a term of their epochs, less a constant, with its band."""
    length = min(len(run.epochs) for run in runs)
    values = [[getattr(getattr(epoch, split), term) - constant for epoch in run.epochs[:length]] for run in runs]
    _seeds_band(axis, range(1, length + 1), list(zip(*values, strict=True)), **look)


def _seeds_band(axis: Axes, places: Sequence[int], values: Sequence[Sequence[float]], **look: Any) -> None:
    """A band from the numbers of the seeds at each place."""
    deviation = [float(np.std(numbers, ddof=1)) if len(numbers) > 1 else math.nan for numbers in values]
    _band(axis, places, [float(np.mean(numbers)) for numbers in values], deviation, **look)


def _band(axis: Axes, places: Sequence[int], mean: Sequence[float], deviation: Sequence[float], **look: Any) -> None:
    """A line through means with a band of ± a deviation, where that is known."""
    low, high = np.array(mean) - np.array(deviation), np.array(mean) + np.array(deviation)
    axis.plot(places, mean, **look)
    axis.fill_between(places, low, high, color=look["color"], alpha=0.2, linewidth=0)


@rc_context(STYLE)
def sweep(rows: Sequence[Row]) -> Figure:
    """Validation bound and test log p(x) over the first field that varies, one line for each setting of the others.

    Bands are ± a deviation over the seeds.
    """
    figure, axes = subplots(2, columns=2, width=4.2, height=3.2)
    field = next(iter(rows[0].values), "")
    ticks = list(dict.fromkeys(str(row.values.get(field, "")) for row in rows))
    lines: dict[str, list[Row]] = {}
    for row in rows:
        rest = ", ".join(f"{name} = {value}" for name, value in row.values.items() if name != field)
        lines.setdefault(rest, []).append(row)
    for axis, name, title in zip(axes, _SWEPT, ("validation bound", "test log p(x)"), strict=True):
        for (label, line), colour in zip(lines.items(), cycle(COLOURS), strict=False):
            found = [row for row in line if name in row.mean]
            places = [ticks.index(str(row.values.get(field, ""))) for row in found]
            mean, deviation = [row.mean[name] for row in found], [row.deviation[name] for row in found]
            _band(axis, places, mean, deviation, marker="o", color=colour, label=label)
        axis.set(title=title, xlabel=field, ylabel="nats per example", xticks=range(len(ticks)), xticklabels=ticks)
    if len(lines) > 1:
        axes[0].legend()
    return figure


_SWEPT = (("valid", "bound"), ("test", "log_px"))


Levels = Mapping[str, Mapping[str, float]]
"""Of each group, levels by name: lines that numbers are compared with."""


@rc_context(STYLE)
def progress(curves: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], levels: Levels, ylabel: str) -> Figure:
    """Curves against the epoch: a panel for each group, a colour for each setting, a line for each seed.

    What a first half has beyond second halves and levels is left out.
    """
    figure, axes = subplots(len(curves), width=3, height=2.6)
    for axis, (group, settings) in zip(axes, curves.items(), strict=True):
        for (name, lines), colour in zip(settings.items(), cycle(COLOURS), strict=False):
            for seed, line in enumerate(lines):
                axis.plot(range(1, len(line) + 1), line, color=colour, linewidth=1, label="_" * (seed > 0) + name)
        for (name, level), style in zip(levels[group].items(), LINES, strict=False):
            axis.axhline(level, color="black", linewidth=0.8, linestyle=style, label=name)
        late = (value for lines in settings.values() for line in lines for value in line[len(line) // 2 :])
        shown = [*late, *levels[group].values()]
        low, high = min(shown), max(shown)
        margin = 0.05 * (high - low) or 1.0
        axis.set_ylim(low - margin, high + margin)
        axis.set(title=group, xlabel="epoch", ylabel=ylabel)
    legend_below(figure, axes[0])
    return figure


@rc_context(STYLE)
def strips(values: Mapping[str, Mapping[str, Sequence[float]]], levels: Levels, ylabel: str, linear: float) -> Figure:
    """A point for each seed: groups side by side, in each a colour for each setting; levels are short lines.

    Args:
        values: of the seeds, by group and setting.
        levels: of each group.
        ylabel: of the axis, which is logarithmic above `linear` and linear about zero.
        linear: where that changes.
    """
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    axis = figure.subplots()
    for place, (group, settings) in enumerate(values.items()):
        again = "_" * (place > 0)  # names each thing once
        for number, ((name, found), colour) in enumerate(zip(settings.items(), cycle(COLOURS), strict=False)):
            middle = place + 0.8 * ((number + 0.5) / len(settings) - 0.5)
            axis.scatter(_beside(middle, len(found)), found, s=16, color=colour, linewidths=0, label=again + name)
        for (name, level), style in zip(levels[group].items(), LINES, strict=False):
            axis.hlines(level, place - 0.45, place + 0.45, "black", style, linewidth=1, label=again + name)
    axis.set_yscale("symlog", linthresh=linear)
    axis.set(ylabel=ylabel, xticks=range(len(values)), xticklabels=list(values))
    legend_below(figure, axis)
    return figure


def _beside(middle: float, count: int, width: float = 0.1) -> NDArray[np.float64]:
    """So many places side by side."""
    return middle + width * ((np.arange(count) + 0.5) / max(count, 1) - 0.5)


@rc_context(STYLE)
def stacks(parts: Mapping[str, Mapping[str, Mapping[str, float]]], ylabel: str) -> Figure:
    """Sums and what they are made of: a panel for each group, a bar for each setting, a colour for each part."""
    figure, axes = subplots(len(parts), width=3, height=2.6)
    for axis, (group, settings) in zip(axes, parts.items(), strict=True):
        names = next(iter(settings.values()))
        heights = np.array([list(bar.values()) for bar in settings.values()])  # (settings, parts)
        tops = np.cumsum(heights, 1)
        for name, height, top, colour in zip(names, heights.T, tops.T, COLOURS, strict=False):
            axis.bar(list(settings), height, bottom=top - height, color=colour, label=name, width=0.7)
        axis.set(title=group, ylabel=ylabel, ylim=(None, 1.05 * tops.max()))
        for label in axis.get_xticklabels():
            label.set(rotation=30, horizontalalignment="right", rotation_mode="anchor")
    legend_below(figure, axes[0])
    return figure
