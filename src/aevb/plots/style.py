"""What all figures have in common: colours, sizes, and how panels and legends are laid out.

Colours can be told apart by the colour blind (Petroff 2021).
"""

import warnings
from typing import Any, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aevb.errors import printable

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


def save(figure: Figure, path: Any) -> None:
    """Write a figure in the house's resolution."""
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # names in scripts that the font lacks become boxes
        figure.savefig(path)


def as_text(name: str) -> str:
    """A name from the data, of which no part is taken for a formula."""
    return printable(name).replace("$", r"\$")


def subplots(
    count: int, columns: int = 4, width: float = 2.6, height: float = 2.4, share: bool = False
) -> tuple[Figure, list[Axes]]:
    """Axes in rows, with no empty ones."""
    rows, columns = -(-count // columns), min(count, columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    axes: list[Axes] = list(figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share).flat)
    for axis in axes[count:]:
        axis.remove()
    return figure, axes[:count]


def legend_below(figure: Figure, axis: Axes) -> None:
    """One legend for all panels, below them."""
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 8))


def robust_limits(axis: Axes) -> tuple[float, float] | None:
    """Limits that leave the first epochs out where they would flatten the rest; None where nothing else is finite."""
    curves = [np.asarray(line.get_ydata(), dtype=float) for line in axis.get_lines()]
    late = np.concatenate([curve[len(curve) // 20 :] for curve in curves])
    late = late[np.isfinite(late)]
    if len(late) == 0:
        return None
    margin = 0.05 * (np.ptp(late) or 1.0)
    return float(late.min() - margin), float(late.max() + margin)
