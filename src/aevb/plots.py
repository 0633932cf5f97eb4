"""Run records to figures, in one visual style. Nothing is trained here: a figure can be drawn again from the folder.

Colours can be told apart by the colour blind (Petroff 2021); training is dashed and validation solid, everywhere.

Images are printed by one rule for a whole picture, so that its parts can be compared. A value v in the range [a, b],
which is [0, 1] or what the values fill, has the shade (v - a) / (b - a): 0 is black, 1 is white. Grey values that are
mostly low, as those of digits are, are ink on white paper instead, 1 minus that.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from aevb.data.dataset import Dataset, Examples
from aevb.model import VAE
from aevb.randomness import Purpose, seeded
from aevb.runs import Run
from aevb.sweep import Row
from aevb.training import Epoch

COLOURS = ["#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"]
STYLE: Any = {
    "axes.prop_cycle": f"cycler('color', {COLOURS})",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "font.size": 10,
    "legend.frameon": False,
    "savefig.dpi": 150,
    "savefig.bbox": "tight",
}
LINES: tuple[Literal["--", ":", "-."], ...] = ("--", ":", "-.")
"""Styles of the levels that numbers are compared with."""
PANELS = 12
"""Columns of a table that a figure shows at most."""
CLASSES = 2 * len(COLOURS)
"""Classes that can be told apart at most: by colour, and the second ten by their marker."""


def figures(run: Run, dataset: Dataset) -> Iterator[tuple[str, Figure]]:
    """The figures of a run, by name: training, reconstructions, samples, and for two latent dimensions more.

    Args:
        run: trained.
        dataset: the one it was trained on; pictures show its test part.
    """
    with rc_context(STYLE):
        if run.epochs:
            yield "training", training(run.epochs)
        yield "reconstructions", reconstructions(run.model, dataset.test)
        yield "samples", samples(run.model, dataset.test, seed=run.config.seed)
        if run.config.model.latent == (2,):
            if len(dataset.shape) == 3:
                yield "manifold", manifold(run.model)
            yield "latent", latent(run.model, dataset.test, dataset.classes)


def save(figure: Figure, path: Any) -> None:
    """Write a figure in the house's resolution."""
    with rc_context(STYLE):
        figure.savefig(path)


def training(epochs: Sequence[Epoch]) -> Figure:
    """Bound, distortion and rate against the epoch; of an autoencoder, which has no other, the distortion."""
    terms = ("bound", "distortion", "rate")
    names = [name for name in terms if any(math.isfinite(getattr(epoch.train, name)) for epoch in epochs)] or terms
    figure, axes = _panels(len(names), columns=3, width=3.4, height=2.8)
    numbers = [epoch.number for epoch in epochs]
    for axis, name in zip(axes, names, strict=True):
        axis.plot(numbers, [getattr(epoch.train, name) for epoch in epochs], "--", color=COLOURS[0], label="train")
        if epochs[0].valid:
            axis.plot(numbers, [getattr(epoch.valid, name) for epoch in epochs], color=COLOURS[2], label="validation")
        axis.set(title=name, xlabel="epoch", ylabel="nats per example")
        if limits := _robust_limits(axis):
            axis.set_ylim(limits)
    axes[0].legend()
    return figure


def reconstructions(model: VAE, examples: Examples) -> Figure:
    """Examples beside the mean of p(x|z) at the mean of q(z|x)."""
    x = examples.batch(slice(0, 20 if len(examples.shape) == 3 else 1000))
    again = model.reconstruct(x.to(_device(model))).cpu()
    if x.dim() == 4:
        return _pictures(torch.stack([x, again]), 10, "test examples above their reconstructions")
    figure, axes = _panels(min(x.shape[1], PANELS))
    for column, axis in enumerate(axes):
        axis.scatter(x[:, column], again[:, column], s=4, alpha=0.5, linewidths=0)
        # Any point of the line would do, but the axes are made to show it: one amid the data widens them least.
        axis.axline((float(x[:, column].median()),) * 2, slope=1, color="black", linewidth=0.5)
        axis.set(title=f"column {column + 1}", xlabel="test example", ylabel="reconstruction")
    return figure


def samples(model: VAE, examples: Examples, *, seed: int = 0) -> Figure:
    """Draws from the prior, decoded: images as the mean of p(x|z), rows with their noise beside the data."""
    image = len(examples.shape) == 3
    with seeded(seed, Purpose.SAMPLES, device=_device(model)):
        drawn = model.sample(100 if image else min(len(examples), 2000), draw=not image).cpu()
    if image:
        return _pictures(drawn, 10, "mean of p(x|z) for z drawn from the prior")
    x = examples.batch(slice(0, len(drawn)))
    if x.shape[1] == 2:
        return clouds([Cloud("test examples", x), Cloud("samples", drawn)])
    figure, axes = _panels(min(x.shape[1], PANELS))
    for column, axis in enumerate(axes):
        _histograms(axis, x[:, column], drawn[:, column])
        axis.set(title=f"column {column + 1}", ylabel="density")
    axes[0].legend()
    return figure


def manifold(model: VAE, *, side: int = 20, extent: float | None = 3.0) -> Figure:
    """The decoded plane: the mean of p(x|z) on a grid of z.

    Args:
        model: of two latent dimensions and images.
        side: points of the grid in each direction.
        extent: the grid is even over [-extent, extent]²; where None, it is that of the quantiles of the prior, the
            inverse CDF of an even grid over the unit square (Kingma & Welling 2013), so that each image stands for as
            much of the prior.
    """
    figure = Figure(figsize=(7, 7))
    axis = figure.subplots()
    _manifold(axis, model, side, extent)
    axis.set(title="mean of p(x|z) over the latent plane")
    return figure


def manifolds(models: Mapping[str, VAE], *, side: int = 16, extent: float = 3.0) -> Figure:
    """The decoded planes of several models, evenly over [-extent, extent]²."""
    figure, axes = _panels(len(models), columns=2, width=5, height=5)
    for axis, (title, model) in zip(axes, models.items(), strict=True):
        _manifold(axis, model, side, extent)
        axis.set(title=title)
    return figure


def _manifold(axis: Axes, model: VAE, side: int, extent: float | None) -> None:
    if extent is None:
        ticks, edges, of = torch.special.ndtri((torch.arange(side) + 0.5) / side), (0.0, 1.0), "quantile of "
    else:
        half = extent * side / (side - 1)
        ticks, edges, of = torch.linspace(-extent, extent, side), (-half, half), ""
    z = torch.stack(torch.meshgrid(ticks, ticks, indexing="xy"), dim=-1).flip(0).reshape(-1, 2)
    with torch.no_grad():
        images = model.decode(z.to(_device(model))).mean.cpu()
    axis.imshow(_sheet(images, side), cmap="gray", vmin=0, vmax=1, extent=(*edges, *edges))
    axis.set(xlabel=f"{of}$z_1$", ylabel=f"{of}$z_2$")


def morphing(model: VAE, images: Tensor, *, steps: int = 10) -> Figure:
    """Walks from each image to the next, on the line between their codes and on the line between their pixels.

    Args:
        model: of images.
        images: ``(N, C, H, W)``; each row of a panel starts where the last one ended, N - 1 rows.
        steps: images in a row, with both ends.
    """
    start, end = images[:-1].to(_device(model)), images[1:].to(_device(model))
    fade = torch.lerp(start, end, torch.linspace(0, 1, steps, device=start.device).view(-1, 1, 1, 1, 1))
    walks = {"between codes": model.interpolate(start, end, steps), "between pixels": fade}
    return image_sheets(
        {title: walk.transpose(0, 1).flatten(0, 1).cpu() for title, walk in walks.items()}, columns=steps
    )


def learning_curves(
    runs: Mapping[str, Sequence[Run]],
    reported: Mapping[tuple[str, str, str], tuple[Sequence[float], Sequence[float]]] = MappingProxyType({}),
) -> Figure:
    """Bound, distortion and rate against the epoch, a colour for each name, means over seeds ± a deviation.

    Args:
        runs: by name, one for each seed.
        reported: curves to draw faint behind, (epochs, values) by (name, term, "train" or "valid").
    """
    figure, axes = _panels(3, columns=3, width=3.4, height=3.2)
    colours = dict(zip(runs, cycle(COLOURS), strict=False))
    for axis, term in zip(axes, ("bound", "distortion", "rate"), strict=True):
        for name, group in runs.items():
            _curve(axis, group, term, "train", color=colours[name], linestyle="--")
            _curve(axis, group, term, "valid", color=colours[name], label=name)
        axis.set(title=term, xlabel="epoch", ylabel="nats per example")
        if limits := _robust_limits(axis):
            axis.set(ylim=limits, xlim=axis.get_xlim())
        for (name, of, split), curve in reported.items():
            if of == term:
                line = "--" if split == "train" else "-"
                axis.plot(*curve, line, color=colours[name], alpha=0.35, linewidth=4, zorder=0, scalex=False)
    axes[0].legend()
    return figure


def losses(runs: Mapping[str, Sequence[Run]], constant: float, reported: Mapping[str, float]) -> Figure:
    """Losses less a constant against the epoch, training dashed and validation solid, and reported levels dotted."""
    figure, axes = _panels(len(runs), columns=2, width=5, height=3)
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
    figure, axes = _panels(len(curves), columns=2, width=5, height=3.5)
    for axis, (title, lines) in zip(axes, curves.items(), strict=True):
        for (name, numbers), colour in zip(lines.items(), cycle(COLOURS), strict=False):
            places = [place for place, values in enumerate(numbers) if values]
            _mean_and_band(axis, places, [numbers[place] for place in places], marker="o", color=colour, label=name)
        axis.set(title=title, xlabel=field, xticks=range(len(ticks)), xticklabels=ticks)
    axes[0].legend()
    return figure


def _curve(axis: Axes, runs: Sequence[Run], term: str, split: str, constant: float = 0.0, **look: Any) -> None:
    """The mean over runs of a term of their epochs, less a constant, with its band."""
    length = min(len(run.epochs) for run in runs)
    values = [[getattr(getattr(epoch, split), term) - constant for epoch in run.epochs[:length]] for run in runs]
    _mean_and_band(axis, range(1, length + 1), list(zip(*values, strict=True)), **look)


def _mean_and_band(axis: Axes, places: Sequence[int], values: Sequence[Sequence[float]], **look: Any) -> None:
    """A line through the means of the values at each place, with a band of ± a deviation where there are several."""
    mean = np.array([np.mean(numbers) for numbers in values])
    deviation = np.array([np.std(numbers, ddof=1) if len(numbers) > 1 else 0.0 for numbers in values])
    axis.plot(places, mean, **look)
    axis.fill_between(places, mean - deviation, mean + deviation, color=look["color"], alpha=0.2, linewidth=0)


def latent(model: VAE, examples: Examples, classes: Sequence[str] | None = None) -> Figure:
    """The posterior means of test examples in the latent plane, coloured by class where these can be told apart."""
    means = codes(model, examples)
    figure = Figure(figsize=(7, 6))
    axis = figure.subplots()
    look: Any = {"s": min(12.0, 6e4 / len(means)), "alpha": 0.6, "linewidths": 0}
    if examples.labels is None or classes is None or len(classes) > CLASSES:
        axis.scatter(means[:, 0], means[:, 1], color=COLOURS[0], **look)
    else:
        _classes(axis, means, examples.labels.cpu(), classes, look)
    axis.set(title="means of q(z|x), test examples", xlabel="$z_1$", ylabel="$z_2$", aspect="equal")
    return figure


@torch.no_grad()
def codes(model: VAE, examples: Examples) -> Tensor:
    """The means of the top layer's q(z|x), ``(N, Z)``."""
    return torch.cat([model.encode(x.to(_device(model))).mean.cpu() for x in examples.batches(1000)])


@rc_context(STYLE)
def sweep(rows: Sequence[Row]) -> Figure:
    """Validation bound and test log p(x) over the first field that varies, one line for each setting of the others.

    Bands are ± a deviation over the seeds.
    """
    figure, axes = _panels(2, columns=2, width=4.2, height=3.2)
    field = next(iter(rows[0].values), "")
    ticks = list(dict.fromkeys(str(row.values.get(field, "")) for row in rows))
    lines: dict[str, list[Row]] = {}
    for row in rows:
        rest = ", ".join(f"{name} = {value}" for name, value in row.values.items() if name != field)
        lines.setdefault(rest, []).append(row)
    for axis, name, title in zip(axes, _SWEPT, ("validation bound", "test log p(x)"), strict=True):
        for (label, line), colour in zip(lines.items(), cycle(COLOURS), strict=False):
            _band(axis, [(ticks.index(str(row.values.get(field, ""))), row) for row in line], name, label, colour)
        axis.set(title=title, xlabel=field, ylabel="nats per example", xticks=range(len(ticks)), xticklabels=ticks)
    if len(lines) > 1:
        axes[0].legend()
    return figure


_SWEPT = (("valid", "bound"), ("test", "log_px"))


def _band(axis: Axes, line: Sequence[tuple[int, Row]], name: tuple[str, str], label: str, colour: str) -> None:
    found = [(place, row.mean[name], row.deviation[name]) for place, row in line if name in row.mean]
    if not found:
        return
    place, mean, deviation = (np.array(values) for values in zip(*found, strict=True))
    axis.plot(place, mean, "o-", color=colour, label=label)
    axis.fill_between(place, mean - deviation, mean + deviation, color=colour, alpha=0.2, linewidth=0)


@rc_context(STYLE)
def image_rows(rows: Mapping[str, Tensor], title: str) -> Figure:
    """Equally many images ``(N, C, H, W)`` of each name, in a row behind it."""
    stacked = torch.stack(list(rows.values()))
    sheet = _sheet(stacked.flatten(0, 1), stacked.shape[1])
    figure = Figure(figsize=(7, 7 * sheet.shape[0] / sheet.shape[1] + 0.3), layout="constrained")
    axis = figure.subplots()
    axis.imshow(sheet, cmap="gray", vmin=0, vmax=1)
    middles = (np.arange(len(rows)) + 0.5) * sheet.shape[0] / len(rows)
    axis.set(title=title, xticks=[], yticks=middles, yticklabels=list(rows))
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return figure


@rc_context(STYLE)
def image_sheets(sheets: Mapping[str, Tensor], *, columns: int, across: int = 2) -> Figure:
    """Images ``(N, C, H, W)``, or pairs ``(2, N, C, H, W)``, of each title below it, in rows of so many columns.

    Args:
        sheets: of one shape, printed with one range.
        columns: of a sheet.
        across: sheets in a row.
    """
    shades = _shades(torch.stack(list(sheets.values())))
    printed = [tiles(_interleave(part, columns) if part.dim() == 5 else part, columns) for part in shades]
    width = 10 / min(across, len(sheets))
    figure, axes = _panels(len(sheets), across, width, width * printed[0].shape[0] / printed[0].shape[1] + 0.3)
    for axis, title, sheet in zip(axes, sheets, printed, strict=True):
        axis.imshow(sheet, cmap="gray", vmin=0, vmax=1)
        axis.set_title(title)
        axis.set_axis_off()
    return figure


@rc_context(STYLE)
def clouds_of_codes(clouds: Mapping[str, Tensor], labels: Sequence[Tensor], classes: Sequence[str]) -> Figure:
    """Codes in the plane ``(N, 2)`` of each title, side by side, coloured by the class ``(N,)`` of their examples."""
    figure, axes = _panels(len(clouds), columns=2, width=4.6, height=4.2)
    for axis, (title, codes), numbers in zip(axes, clouds.items(), labels, strict=True):
        look: Any = {"s": min(12.0, 3e4 / len(numbers)), "alpha": 0.6, "linewidths": 0}
        _clouds_of_classes(axis, codes, numbers, classes, look)
        axis.set(title=title, xlabel="$z_1$", ylabel="$z_2$")
    handles = axes[0].get_legend_handles_labels()
    _opaque(figure.legend(*handles, loc="outside right center", markerscale=3))
    return figure


def tiles(shades: Tensor, columns: int) -> NDArray[np.float32]:
    """Shades ``(N, C, H, W)`` side by side in rows, with a gap of paper: one array, with colours ``(…, 3)``.

    Paper is white, 1, also in the missing tiles of the last row.
    """
    count, channels, height, width = shades.shape
    rows, gap = -(-count // columns), -(-height // 16)
    height, width = height + gap, width + gap
    sheet = torch.ones(rows * columns, channels, height, width)
    sheet[:count, :, : height - gap, : width - gap] = shades
    sheet = sheet.view(rows, columns, channels, height, width).permute(0, 3, 1, 4, 2)
    sheet = sheet.reshape(rows * height, columns * width, channels)
    return (sheet[..., 0] if channels == 1 else sheet).numpy()


def save_picture(images: Tensor, columns: int, path: Any) -> None:
    """Write images ``(N, C, H, W)``, or pairs ``(2, N, C, H, W)`` one above the other, enlarged to be seen."""
    sheet = _sheet(images, columns)
    factor = max(1, 1000 // sheet.shape[1])
    Image.fromarray((255 * sheet).round().astype(np.uint8).repeat(factor, 0).repeat(factor, 1)).save(path)


def _sheet(images: Tensor, columns: int) -> NDArray[np.float32]:
    """Images ``(N, C, H, W)``, or pairs ``(2, N, C, H, W)`` one above the other, as they are printed."""
    shades = _shades(images)
    return tiles(_interleave(shades, columns) if images.dim() == 5 else shades, columns)


def _shades(images: Tensor) -> Tensor:
    """Values ``(..., C, H, W)`` of any scale to shades; what is not a number is left white."""
    values = images.double()  # the width of a float32 range may exceed float32
    finite = values[values.isfinite()]
    low, high = _range(finite)
    shades = ((values - low) / ((high - low) or 1.0)).clamp(0, 1)
    # Of an even number the lower median: what is half ink is ink.
    ink = images.shape[-3] == 1 and len(finite) > 0 and finite.median().item() < (low + high) / 2
    return (1 - shades if ink else shades).nan_to_num(nan=1.0).float()


def _range(finite: Tensor) -> tuple[float, float]:
    """The values of black and white: 0 and 1, also where a model's means stray from them a little."""
    if len(finite) == 0 or (finite.min() >= -0.5 and finite.max() <= 1.5):
        return 0.0, 1.0
    return finite.min().item(), finite.max().item()


def _interleave(pairs: Tensor, columns: int) -> Tensor:
    """Pairs ``(2, N, ...)`` to rows of `columns` firsts, each above the row of their seconds, ``(2 N', ...)``.

    Missing pairs of the last row are white.
    """
    missing = -pairs.shape[1] % columns
    pairs = torch.cat([pairs, pairs.new_ones(2, missing, *pairs.shape[2:])], 1)
    return pairs.reshape(2, -1, columns, *pairs.shape[2:]).transpose(0, 1).flatten(0, 2)


def _pictures(images: Tensor, columns: int, title: str) -> Figure:
    sheet = _sheet(images, columns)
    figure = Figure(figsize=(7, 7 * sheet.shape[0] / sheet.shape[1] + 0.3))
    axis = figure.subplots()
    axis.imshow(sheet, cmap="gray", vmin=0, vmax=1)
    axis.set(title=title)
    axis.set_axis_off()
    return figure


def _classes(axis: Axes, means: Tensor, labels: Tensor, names: Sequence[str], look: dict[str, Any]) -> None:
    """One cloud for each class that occurs, and a legend; a class has its colour and marker whichever others occur."""
    _clouds_of_classes(axis, means, labels, names, look)
    _opaque(axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), markerscale=3))


def _clouds_of_classes(axis: Axes, means: Tensor, labels: Tensor, names: Sequence[str], look: dict[str, Any]) -> None:
    for number in labels.unique().tolist():
        second, colour = divmod(number, len(COLOURS))
        chosen = means[labels == number]
        axis.scatter(
            chosen[:, 0], chosen[:, 1], color=COLOURS[colour], marker="o^"[second], label=names[number], **look
        )


def _opaque(legend: Legend) -> None:
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)


def _histograms(axis: Axes, x: Tensor, drawn: Tensor) -> None:
    """The densities of one column of the data and of the samples, over the same bins."""
    # float64: numpy divides a range no finer than the values' own type does.
    columns = [values[values.isfinite()].double().numpy() for values in (x, drawn)]
    edges = _edges(np.concatenate(columns))
    for values, label, colour in zip(columns, ("test examples", "samples"), COLOURS[:3:2], strict=True):
        counts = np.histogram(values, edges)[0]
        density = counts / (max(len(values), 1) * np.diff(edges))  # none are no density, not 0 / 0
        axis.stairs(density, edges, color=colour, label=label, linewidth=1.5)


def _edges(values: NDArray[np.float64], bins: int = 30) -> NDArray[np.float64]:
    """Bins from the smallest value to the largest; around the value where there is only one."""
    low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
    margin = 0.0 if low < high else max(0.5, 1e-3 * abs(low))
    return np.linspace(low - margin, high + margin, bins + 1)


class Cloud(NamedTuple):
    """Points of the plane.

    Attributes:
        title: what they are.
        points: ``(N, 2)``.
        hues: ``(N,)`` in [0, 1], places on a circle of colours; None: all have one colour.
    """

    title: str
    points: Tensor
    hues: Tensor | None = None


@rc_context(STYLE)
def clouds(panels: Sequence[Cloud], columns: int = 4) -> Figure:
    """Points side by side, over the same stretch of the plane."""
    figure, axes = _panels(len(panels), columns, width=3, height=3, share=True)
    figure.set_layout_engine("compressed")
    for axis, (title, points, hues), colour in zip(axes, panels, COLOURS[:1] + COLOURS[2:3] * len(axes), strict=False):
        look: Any = {"color": colour} if hues is None else {"c": hues, "cmap": "hsv", "vmin": 0, "vmax": 1}
        axis.scatter(points[:, 0], points[:, 1], s=4, alpha=0.5, linewidths=0, **look)
        axis.set(title=title, xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
        axis.label_outer()
    return figure


Levels = Mapping[str, Mapping[str, float]]
"""Of each group, levels by name: lines that numbers are compared with."""


@rc_context(STYLE)
def progress(curves: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], levels: Levels, ylabel: str) -> Figure:
    """Curves against the epoch: a panel for each group, a colour for each setting, a line for each seed.

    What a first half has beyond second halves and levels is left out.
    """
    figure, axes = _panels(len(curves), width=3, height=2.6)
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
    _legend(figure, axes[0])
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
    _legend(figure, axis)
    return figure


@rc_context(STYLE)
def stacks(parts: Mapping[str, Mapping[str, Mapping[str, float]]], ylabel: str) -> Figure:
    """Sums and what they are made of: a panel for each group, a bar for each setting, a colour for each part."""
    figure, axes = _panels(len(parts), width=3, height=2.6)
    for axis, (group, settings) in zip(axes, parts.items(), strict=True):
        heights = np.array([list(bar.values()) for bar in settings.values()])  # (settings, parts)
        tops = np.cumsum(heights, 1)
        for name, height, foot, colour in zip(
            next(iter(settings.values())), heights.T, (tops - heights).T, COLOURS, strict=False
        ):
            axis.bar(list(settings), height, bottom=foot, color=colour, label=name, width=0.7)
        axis.set(title=group, ylabel=ylabel, ylim=(None, 1.05 * tops.max()))
        for label in axis.get_xticklabels():
            label.set(rotation=30, horizontalalignment="right", rotation_mode="anchor")
    _legend(figure, axes[0])
    return figure


class Ellipse(NamedTuple):
    """A normal in the plane, by its mean ``(2,)`` and covariance ``(2, 2)``."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


@rc_context(STYLE)
def contours(
    density: NDArray[np.float64], extent: tuple[float, float, float, float], normals: Mapping[str, Sequence[Ellipse]]
) -> Figure:
    """A density in the plane and normals over it, as their ellipses of one and two deviations; a panel for each title.

    Args:
        density: on a grid, ``(rows, columns)``, from the lower left.
        extent: of the grid: left, right, bottom, top.
        normals: by title.
    """
    figure, axes = _panels(len(normals), width=4.6, height=4, share=True)
    figure.set_layout_engine("compressed")
    turn = np.linspace(0, 2 * np.pi, 200)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    for axis, (title, ellipses) in zip(axes, normals.items(), strict=True):
        axis.contourf(density, levels=10, cmap="Greys", extent=extent)
        for ellipse, colour in zip(ellipses, cycle(COLOURS), strict=False):
            outline = np.linalg.cholesky(ellipse.covariance) @ circle
            for deviations, width in ((1, 1.8), (2, 0.9)):
                axis.plot(*(ellipse.mean[:, None] + deviations * outline), color=colour, linewidth=width)
        axis.set(title=title, xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
        axis.label_outer()
    return figure


def _beside(middle: float, count: int, width: float = 0.1) -> NDArray[np.float64]:
    """So many places side by side."""
    return middle + width * ((np.arange(count) + 0.5) / max(count, 1) - 0.5)


def _legend(figure: Figure, axis: Axes) -> None:
    """One legend for all panels, below them."""
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 8))


def _panels(
    count: int, columns: int = 4, width: float = 2.6, height: float = 2.4, share: bool = False
) -> tuple[Figure, list[Axes]]:
    """Axes in rows, with no empty ones."""
    rows, columns = -(-count // columns), min(count, columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    axes: list[Axes] = list(figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share).flat)
    for axis in axes[count:]:
        axis.remove()
    return figure, axes[:count]


def _robust_limits(axis: Axes) -> tuple[float, float] | None:
    """Limits that leave the first epochs out where they would flatten the rest; None where nothing else is finite."""
    curves = [np.asarray(line.get_ydata(), dtype=float) for line in axis.get_lines()]
    late = np.concatenate([curve[len(curve) // 20 :] for curve in curves])
    late = late[np.isfinite(late)]
    if len(late) == 0:
        return None
    margin = 0.05 * (np.ptp(late) or 1.0)
    return float(late.min() - margin), float(late.max() + margin)


def _device(model: VAE) -> torch.device:
    return next(model.parameters()).device
