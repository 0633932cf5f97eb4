"""The quality of synthetic rows: similarity of columns, and differences of pairs of columns."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.transforms import offset_copy
from numpy.typing import NDArray

from aevb.errors import shorten
from aevb.evaluation.quality import PairQuality, Quality
from aevb.plots.style import COLORS, STYLE, as_text

SHOWN, ANNOTATED, LETTERS = 30, 14, 24
"""The largest number of columns in the figure, of columns whose pairs have numbers, and of letters of their names."""


@rc_context(STYLE)
def quality(measured: Quality) -> Figure:
    """Plot the similarity of each column as a bar, and the differences of all pairs of columns as heat maps.

    The reference of real rows is a black line on each bar, and a heat map of its own. Of many columns, those with the
    lowest similarity are shown.
    """
    names = _shown(measured)
    side = 1.2 + 0.36 * len(names)
    figure = Figure(figsize=(4.2 + 2 * side * bool(measured.pairs), max(side, 2.2)), layout="constrained")
    ratios = [3.2, side, side] if measured.pairs else [1]
    axes = np.ravel(figure.subplots(1, len(ratios), width_ratios=ratios)).tolist()
    _bars(axes[0], measured, names)
    below = offset_copy(axes[0].transAxes, figure, y=-0.25)  # inches, below the numbers of the axis
    axes[0].legend(loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below, ncols=2, handlelength=1.2)
    if measured.pairs:
        _heat_maps(figure, axes[1:], measured.pairs, names)
    return figure


def _shown(measured: Quality) -> list[str]:
    """Return the names of the columns of the figure, in their order in the table."""
    paired = {name for pair in measured.pairs for name in pair.columns}
    columns = [one for one in measured.columns if one.column in paired or not paired]
    columns.sort(key=lambda one: np.nan_to_num(one.similarity.synthetic))
    shown = {one.column for one in columns[:SHOWN]}
    return [one.column for one in measured.columns if one.column in shown]


def _bars(axis: Axes, measured: Quality, names: Sequence[str]) -> None:
    columns = [one for one in measured.columns if one.column in names]
    places = np.arange(len(columns))
    axis.barh(places, [one.similarity.synthetic for one in columns], 0.7, color=COLORS[0], label="synthetic rows")
    real = [one.similarity.real for one in columns]
    axis.vlines(real, places - 0.42, places + 0.42, "black", linewidth=1.5, label="real rows")
    axis.set(title="similarity of columns", xlim=(0, 1), ylim=(len(columns) - 0.4, -0.6))
    axis.set_yticks(places, [_short(one.column) for one in columns])


def _heat_maps(figure: Figure, axes: Sequence[Axes], pairs: Sequence[PairQuality], names: Sequence[str]) -> None:
    maps = [_differences(pairs, names, field) for field in ("synthetic", "real")]
    top = max((value for value in chain(*(array.flat for array in maps)) if np.isfinite(value)), default=0.0)
    titles = ("difference of pairs, synthetic rows", "real rows")
    for axis, title, differences in zip(axes, titles, maps, strict=True):
        image = _heat_map(axis, differences, max(top, 5.0))
        axis.set_title(title)
        axis.set_xticks(range(len(names)), [_short(name) for name in names], rotation=90)
        axis.set_yticks(range(len(names)), [_short(name) for name in names] if axis is axes[0] else [])
    figure.colorbar(image, ax=list(axes), fraction=0.03, label="100 (1 - similarity)")


def _heat_map(axis: Axes, differences: NDArray[np.float64], top: float) -> AxesImage:
    if len(differences) <= ANNOTATED:
        for (row, column), value in np.ndenumerate(differences):
            color = "white" if value > 0.6 * top else "black"
            text = f"{value:.0f}" if np.isfinite(value) else ""
            axis.text(column, row, text, ha="center", va="center", color=color, fontsize="x-small")
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    return axis.imshow(differences, "Blues", vmin=0, vmax=top)


def _differences(pairs: Sequence[PairQuality], names: Sequence[str], field: str) -> NDArray[np.float64]:
    """Return 1 - similarity of all pairs in percent, ``(D, D)``, NaN on the diagonal."""
    differences = np.full((len(names), len(names)), np.nan)
    index = {name: number for number, name in enumerate(names)}
    for pair in pairs:
        if index.keys() >= set(pair.columns):
            first, second = (index[name] for name in pair.columns)
            differences[first, second] = differences[second, first] = 100 * (1 - getattr(pair.similarity, field))
    return differences


def _short(name: str) -> str:
    return as_text(shorten(name, LETTERS))
