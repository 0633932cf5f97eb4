"""Points of a plane, of the data or of the codes, and densities."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from numpy.typing import NDArray
from torch import Tensor

from aevb.data.dataset import Examples
from aevb.evaluation.latent_means import latent_means
from aevb.models.vae import VAE
from aevb.plots.style import COLOURS, STYLE, as_text, subplots

MOST_BARS, MOST_LETTERS = 8, 14
"""Values of a column that are shown, and letters of their names."""
CLASSES = 2 * len(COLOURS)
"""Classes that can be told apart at most: by colour, and the second ten by their marker."""


def latent(model: VAE, examples: Examples, classes: Sequence[str] | None = None) -> Figure:
    """The posterior means of test examples in the latent plane, coloured by class where these can be told apart."""
    means = latent_means(model, examples)
    figure = Figure(figsize=(7, 6))
    axis = figure.subplots()
    look: Any = {"s": min(12.0, 6e4 / len(means)), "alpha": 0.6, "linewidths": 0}
    if examples.labels is None or classes is None or len(classes) > CLASSES:
        axis.scatter(means[:, 0], means[:, 1], color=COLOURS[0], **look)
    else:
        _classes(axis, means, examples.labels.cpu(), classes, look)
    axis.set(title="means of q(z|x), test examples", xlabel="$z_1$", ylabel="$z_2$", aspect="equal")
    return figure


@rc_context(STYLE)
def clouds_of_codes(clouds: Mapping[str, Tensor], labels: Sequence[Tensor], classes: Sequence[str]) -> Figure:
    """Codes in the plane ``(N, 2)`` of each title, side by side, coloured by the class ``(N,)`` of their examples."""
    figure, axes = subplots(len(clouds), columns=2, width=4.6, height=4.2)
    for axis, (title, means), numbers in zip(axes, clouds.items(), labels, strict=True):
        look: Any = {"s": min(12.0, 3e4 / len(numbers)), "alpha": 0.6, "linewidths": 0}
        _clouds_of_classes(axis, means, numbers, classes, look)
        axis.set(title=title, xlabel="$z_1$", ylabel="$z_2$")
    handles = axes[0].get_legend_handles_labels()
    _opaque(figure.legend(*handles, loc="outside right center", markerscale=3))
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
            chosen[:, 0], chosen[:, 1], color=COLOURS[colour], marker="o^"[second], label=as_text(names[number]), **look
        )


def _opaque(legend: Legend) -> None:
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)


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
    figure, axes = subplots(len(panels), columns, width=3, height=3, share=True)
    figure.set_layout_engine("compressed")
    for axis, (title, points, hues), colour in zip(axes, panels, COLOURS[:1] + COLOURS[2:3] * len(axes), strict=False):
        look: Any = {"color": colour} if hues is None else {"c": hues, "cmap": "hsv", "vmin": 0, "vmax": 1}
        axis.scatter(points[:, 0], points[:, 1], s=4, alpha=0.5, linewidths=0, **look)
        axis.set(title=title, xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
        axis.label_outer()
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
    figure, axes = subplots(len(normals), width=4.6, height=4, share=True)
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


def histograms(axis: Axes, x: Tensor, drawn: Tensor) -> None:
    """The densities of one column of the data and of the samples, over the same bins."""
    # float64: numpy divides a range no finer than the values' own type does.
    columns = [values[values.isfinite()].double().numpy() for values in (x, drawn)]
    edges = bin_edges(np.concatenate(columns))
    for values, label, colour in zip(columns, ("test examples", "samples"), COLOURS[:3:2], strict=True):
        counts = np.histogram(values, edges)[0]
        density = counts / (max(len(values), 1) * np.diff(edges))  # none are no density, not 0 / 0
        axis.stairs(density, edges, color=colour, label=label, linewidth=1.5)


def shares(axis: Axes, x: Tensor, drawn: Tensor, values: Sequence[object]) -> None:
    """How often each value of one column comes in the data and in the samples, the most frequent ones first."""
    counts = [torch.bincount(codes.long(), minlength=len(values)).double() for codes in (x, drawn)]
    shown = counts[0].argsort(descending=True, stable=True)[:MOST_BARS]
    for side, (count, label, colour) in enumerate(
        zip(counts, ("test examples", "samples"), COLOURS[:3:2], strict=True)
    ):
        share = count[shown] / count.sum().clamp_min(1)
        axis.bar(np.arange(len(shown)) + 0.4 * side - 0.2, share.numpy(), 0.4, color=colour, label=label)
    names = [as_text(_short(str(values[code]))) for code in shown.tolist()]
    axis.set_xticks(range(len(shown)), names, rotation=45 if max(map(len, names)) > 3 else 0, ha="right")


def _short(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "…"


def bin_edges(values: NDArray[np.float64], bins: int = 30) -> NDArray[np.float64]:
    """Bins from the smallest value to the largest; around the value where there is only one."""
    low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
    margin = 0.0 if low < high else max(0.5, 1e-3 * abs(low))
    return np.linspace(low - margin, high + margin, bins + 1)
