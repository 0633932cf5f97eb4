"""The common style of all figures: colors, sizes, and the layout of panels and legends.

The colors are distinguishable with color vision deficiency (Petroff 2021).
"""

import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aevb.display import in_notebook
from aevb.errors import printable

COLORS = ["#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"]
CLASS_COLORS = [
    "#1f77b4",
    "#ff7f0e",
    "#2ca02c",
    "#d62728",
    "#9467bd",
    "#8c564b",
    "#e377c2",
    "#000000",
    "#bcbd22",
    "#17becf",
]
"""Ten saturated colors, for small points of classes."""
STYLE: Any = {
    "axes.prop_cycle": f"cycler('color', {COLORS})",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "font.size": 10,
    "legend.frameon": False,
    "savefig.dpi": 150,
    "savefig.bbox": "tight",
}
LINES: tuple[Literal["--", ":", "-."], ...] = ("--", ":", "-.")
"""Line styles of reference levels."""

if in_notebook():
    import_module("matplotlib_inline.backend_inline")  # notebooks show figures, as they do after importing pyplot


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure at the resolution of `STYLE`."""
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the font lacks some scripts; their letters become boxes
        figure.savefig(path)


def as_text(name: str) -> str:
    """Return a name from the data, escaped so that no part is read as a formula."""
    return printable(name).replace("$", r"\$")


def subplots(
    count: int, columns: int = 4, width: float = 2.6, height: float = 2.4, share: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its axes, in rows, without empty axes."""
    rows, columns = -(-count // columns), min(count, columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    axes: list[Axes] = list(figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share).flat)
    for axis in axes[count:]:
        axis.remove()
    return figure, axes[:count]


def panel(
    ax: Axes | None, width: float, height: float, layout: Literal["constrained"] | None = None
) -> tuple[Figure, Axes]:
    """Return axes to draw into, and their figure: those of the caller, or new ones of a size in inches."""
    if ax is not None:
        figure = ax.figure.figure  # also where the axes are in a part of it
        assert figure is not None
        return figure, ax
    figure = Figure(figsize=(width, height), layout=layout)
    return figure, figure.subplots()


def legend_below(figure: Figure, axis: Axes) -> None:
    """Add one legend for all panels, below them."""
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 8))


def robust_limits(axis: Axes) -> tuple[float, float] | None:
    """Return limits that ignore the first 5 % of each curve; None if nothing else is finite."""
    curves = [np.asarray(line.get_ydata(), dtype=float) for line in axis.get_lines()]
    late = np.concatenate([curve[len(curve) // 20 :] for curve in curves])
    late = late[np.isfinite(late)]
    if len(late) == 0:
        return None
    margin = 0.05 * (np.ptp(late) or 1.0)
    return float(late.min() - margin), float(late.max() + margin)
