"""Scatter plots of data or latent means, histograms and densities."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import NamedTuple

import numpy as np
import torch
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from aevb.data.examples import Examples
from aevb.evaluation.latent_means import latent_means
from aevb.models.vae import VAE
from aevb.plots.style import CLASS_COLORS, COLORS, STYLE, as_text, panel, subplots

MOST_BARS, MOST_LETTERS, TITLE_LETTERS = 8, 11, 16
"""The largest number of values of a column, of letters of their names, and of letters of the names of columns."""
MOST_TOGETHER = 16
"""The largest number of letters of all names below a bar chart without rotation."""
CLASSES = 2 * len(CLASS_COLORS)
"""The largest number of distinguishable classes: ten colors, with two markers."""


@rc_context(STYLE)
def latent(model: VAE, examples: Examples, classes: Sequence[str] | None = None, *, ax: Axes | None = None) -> Figure:
    """Plot the latent means of examples, colored by class if there are at most `CLASSES` classes.

    Of more than two latent dimensions, the plot shows the first two principal components of the means.

    Args:
        model: a model with at least two latent dimensions.
        examples: N examples.
        classes: the names of their labels.
        ax: axes to draw into; None for a new figure.
    """
    means, names = latent_means(model, examples), ("$z_1$", "$z_2$")
    if means.shape[1] > 2:
        means, names = _principal_plane(means)
    figure, axis = panel(ax, 7, 6)
    size = min(12.0, 6e4 / len(means))
    if examples.labels is None or classes is None or len(classes) > CLASSES:
        axis.scatter(means[:, 0], means[:, 1], size, color=COLORS[0], alpha=0.6, linewidths=0)
    else:
        _scatter_classes(axis, means, examples.labels.cpu(), classes, size)
        _opaque(axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), markerscale=3))
    axis.set(title="latent means of test examples", xlabel=names[0], ylabel=names[1], aspect="equal")
    return figure


def _principal_plane(means: Tensor) -> tuple[Tensor, tuple[str, str]]:
    """Return the first two principal components ``(N, 2)`` of points ``(N, Z)``, and their names."""
    centered = means - means.mean(0)
    with_zeros = F.pad(centered, (0, 0, 0, 1))  # has two components even of a single point
    _, sizes, directions = torch.linalg.svd(with_zeros, full_matrices=False)
    variances = sizes.square()
    shares = 100 * variances / variances.sum().clamp_min(torch.finfo(variances.dtype).tiny)
    first, second = (
        f"{place} principal component ({share:.0f} % of the variance)"
        for place, share in zip(("first", "second"), shares[:2], strict=True)
    )
    return centered @ directions[:2].T, (first, second)


class Labelled(NamedTuple):
    """Latent means of labelled examples.

    Attributes:
        means: ``(N, 2)``.
        labels: the class of each example, ``(N,)``.
        classes: the names of the classes.
    """

    means: Tensor
    labels: Tensor
    classes: Sequence[str]


@rc_context(STYLE)
def scatter_latent_means(panels: Mapping[str, Labelled]) -> Figure:
    """Plot latent means side by side, colored by class; the name of each class is at the median of its means."""
    figure, axes = subplots(len(panels), columns=2, width=5.2, height=4.6)
    for axis, (title, (means, labels, classes)) in zip(axes, panels.items(), strict=True):
        _scatter_classes(axis, means, labels, classes, min(12.0, 3e4 / len(labels)))
        for number in labels.unique().tolist():
            x, y = means[labels == number].median(0).values.tolist()
            name = axis.text(x, y, as_text(classes[number]), ha="center", va="center", weight="bold")
            name.set_path_effects([withStroke(linewidth=3, foreground="white")])
        axis.set(title=title, xlabel="$z_1$", ylabel="$z_2$")
    return figure


def _scatter_classes(axis: Axes, means: Tensor, labels: Tensor, names: Sequence[str], size: float) -> None:
    """Plot the classes that occur; the color and marker of a class do not depend on the others."""
    for number in labels.unique().tolist():
        second, first = divmod(number, len(CLASS_COLORS))
        x, y = means[labels == number].T
        axis.scatter(
            x, y, size, CLASS_COLORS[first], marker="o^"[second], label=as_text(names[number]), alpha=0.6, linewidths=0
        )


def _opaque(legend: Legend) -> None:
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)


class Cloud(NamedTuple):
    """Points in the plane.

    Attributes:
        title: the title of the panel.
        points: ``(N, 2)``.
        hues: ``(N,)`` in [0, 1], positions on the color wheel; None for a single color.
    """

    title: str
    points: Tensor
    hues: Tensor | None = None


@rc_context(STYLE)
def clouds(panels: Sequence[Cloud], columns: int = 4) -> Figure:
    """Plot sets of points side by side, on the same axes limits."""
    figure, axes = subplots(len(panels), columns, width=3, height=3, share=True)
    figure.set_layout_engine("compressed")
    for axis, (title, points, hues), color in zip(axes, panels, COLORS[:1] + COLORS[2:3] * len(axes), strict=False):
        shade = color if hues is None else colormaps["hsv"](hues.numpy())
        axis.scatter(points[:, 0], points[:, 1], 4, shade, alpha=0.5, linewidths=0)
        axis.set(title=title, xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
        axis.label_outer()
    return figure


class Ellipse(NamedTuple):
    """A normal distribution in the plane: mean ``(2,)`` and covariance ``(2, 2)``."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


@rc_context(STYLE)
def contours(
    density: NDArray[np.float64], extent: tuple[float, float, float, float], normals: Mapping[str, Sequence[Ellipse]]
) -> Figure:
    """Plot a density with normals over it, as ellipses of one and two standard deviations; one panel per title.

    Args:
        density: values on a grid, ``(rows, columns)``, from the lower left.
        extent: left, right, bottom and top of the grid.
        normals: the normals of each title.
    """
    figure, axes = subplots(len(normals), width=4.6, height=4, share=True)
    figure.set_layout_engine("compressed")
    turn = np.linspace(0, 2 * np.pi, 200)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    for axis, (title, ellipses) in zip(axes, normals.items(), strict=True):
        axis.contourf(density, levels=10, cmap="binary", extent=extent)
        for ellipse, color in zip(ellipses, cycle(COLORS), strict=False):
            outline = np.linalg.cholesky(ellipse.covariance) @ circle
            for scale, width in ((1, 1.8), (2, 0.9)):
                axis.plot(*(ellipse.mean[:, None] + scale * outline), color=color, linewidth=width)
        axis.set(title=title, xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
        axis.label_outer()
    return figure


def histograms(axis: Axes, x: Tensor, samples: Tensor) -> None:
    """Plot the histograms of one column of the data and of the samples, with the same bins."""
    # float64: numpy cannot divide a range more finely than the precision of the values.
    columns = [values[values.isfinite()].double().numpy() for values in (x, samples)]
    edges = bin_edges(np.concatenate(columns))
    for values, label, color in zip(columns, ("test examples", "samples"), COLORS[:3:2], strict=True):
        counts = np.histogram(values, edges)[0]
        density = counts / (max(len(values), 1) * np.diff(edges))  # without values the density is 0, not 0 / 0
        axis.stairs(density, edges, color=color, label=label, linewidth=1.5)


def shares(axis: Axes, x: Tensor, samples: Tensor, labels: Sequence[str]) -> None:
    """Plot the frequencies of the values of one column in the data and in the samples."""
    counts = [torch.bincount(codes.long(), minlength=len(labels)).double() for codes in (x, samples)]
    shown = listed(counts[0], labels)
    for side, (count, label, color) in enumerate(zip(counts, ("test examples", "samples"), COLORS[:3:2], strict=True)):
        share = count[shown] / count.sum().clamp_min(1)
        axis.bar(np.arange(len(shown)) + 0.4 * side - 0.2, share.numpy(), 0.4, color=color, label=label)
    name_values(axis.xaxis, [labels[code] for code in shown.tolist()])


def listed(counts: Tensor, labels: Sequence[str]) -> Tensor:
    """Return the codes of the most frequent values: numbers in ascending order, others the most frequent first.

    Args:
        counts: of the values, ``(K,)``.
        labels: their names.
    """
    codes = counts.argsort(descending=True, stable=True)[:MOST_BARS]
    numbers = [_as_number(labels[code]) for code in codes.tolist()]
    if all(number is None for number in numbers):
        return codes
    # Values that are not numbers, such as "other", follow.
    order = sorted(range(len(codes)), key=lambda index: np.inf if (n := numbers[index]) is None else n)
    return codes[order]


def _as_number(label: str) -> float | None:
    try:
        return float(label)
    except ValueError:
        return None


def name_values(axis: Axis, labels: Sequence[str]) -> None:
    """Name the ticks 0, 1, ... of an axis; long names are shortened, and those of the x-axis rotated."""
    names = [as_text(short(label)) for label in labels]
    axis.set_ticks(range(len(names)), names, fontsize="small")
    if isinstance(axis, XAxis) and sum(map(len, names)) > MOST_TOGETHER:
        for text in axis.get_ticklabels():
            text.set(rotation=45, ha="right", rotation_mode="anchor")


def short(name: str, letters: int = MOST_LETTERS) -> str:
    """Return a name, or its beginning with an ellipsis."""
    return name if len(name) <= letters else name[: letters - 1] + "…"


def bin_edges(values: NDArray[np.float64], bins: int = 30) -> NDArray[np.float64]:
    """Return bin edges from the smallest value to the largest; around the value if there is only one."""
    low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
    margin = 0.0 if low < high else max(0.5, 1e-3 * abs(low))
    return np.linspace(low - margin, high + margin, bins + 1)
