"""How objects appear in a notebook: HTML with tables and curves, and text where there is no HTML.

Colors and fonts are those of the notebook, light or dark. Texts are escaped, and nothing is loaded from elsewhere.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from aevb.errors import printable

WIDTH, HEIGHT, LEFT, BOTTOM = 420, 150, 48, 18
"""The size of the area of curves in pixels, and of the margins with the numbers of its axes."""
PAGE = 760
"""The height of a page in a notebook, in pixels."""
MOST_POINTS = 400
"""The largest number of points of a curve."""
LINES = {"train": ("#3f90da", "6 3"), "validation": ("#e76300", "none")}
"""Color and dashes of each curve, legible on light and dark paper."""


def in_notebook() -> bool:
    """Return whether the code runs in an IPython kernel, whose outputs are displayed by a notebook."""
    ipython = sys.modules.get("IPython")  # a kernel has imported it
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")


def block(title: str, *parts: str) -> str:
    """Return parts of HTML below a title."""
    return f'<div style="margin: 0.3em 0"><div><strong>{_escaped(title)}</strong></div>{"".join(parts)}</div>'


def note(text: str) -> str:
    """Return a line of small text as HTML."""
    return f'<div style="font-size: smaller; opacity: 0.8">{_escaped(text)}</div>'


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as HTML; without a header, its first column contains the names of the rows."""
    heads = "".join(f'<th scope="col" style="text-align: left">{_escaped(title)}</th>' for title in header)
    head = f"<thead><tr>{heads}</tr></thead>" if header else ""
    lines = "".join(f"<tr>{_cells(row, named=not header)}</tr>" for row in rows)
    return f'<table style="margin: 0.3em 0">{head}<tbody>{lines}</tbody></table>'


def _cells(row: Sequence[str], *, named: bool) -> str:
    tags = ['th scope="row"' if named else "td", *["td"] * (len(row) - 1)]
    style = "text-align: left; vertical-align: top; white-space: pre-line"
    return "".join(f'<{tag} style="{style}">{_escaped(cell)}</{tag[:2]}>' for tag, cell in zip(tags, row, strict=True))


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as text, in columns of equal width."""
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


class _Axes(NamedTuple):
    """The ranges of the axes of a figure."""

    first: int
    last: int
    low: float
    high: float

    def point(self, number: int, value: float) -> str:
        """Return the position of a value in the figure, in pixels."""
        x = (number - self.first) / max(self.last - self.first, 1)
        y = (self.high - value) / (self.high - self.low)
        return f"{WIDTH * x:.1f},{HEIGHT * y:.1f}"


def curves(title: str, numbers: Sequence[int], lines: Mapping[str, Sequence[float]]) -> str:
    """Return curves over the epochs as SVG; the vertical axis leaves out the first 5 % of them.

    Args:
        title: what the curves show, with its unit.
        numbers: the epochs.
        lines: values at these epochs, by "train" and "validation".
    """
    late = [value for line in lines.values() for value in line[len(line) // 20 :] if isfinite(value)]
    if not late:
        return ""
    margin = 0.05 * (max(late) - min(late)) or 1.0
    axes = _Axes(numbers[0], numbers[-1], min(late) - margin, max(late) + margin)
    frame = f'<svg x="{LEFT}" y="{BOTTOM}" width="{WIDTH}" height="{HEIGHT}">'  # an inner svg clips what it contains
    paths = "".join(_path(axes, numbers, line, *LINES[name]) for name, line in lines.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{_escaped(title)} over the epochs"'
        f' viewBox="0 0 {LEFT + WIDTH + 12} {HEIGHT + 2 * BOTTOM + 4}" width="{LEFT + WIDTH + 12}" fill="currentColor"'
        f' font-size="11" style="max-width: 100%; display: block; margin: 0.3em 0">'
        f"{frame}{paths}</svg>{_frame(axes, title, list(lines))}</svg>"
    )


def _path(axes: _Axes, numbers: Sequence[int], values: Sequence[float], color: str, dashes: str) -> str:
    shown = [pair for pair in zip(numbers, values, strict=True) if isfinite(pair[1])]
    points = " ".join(axes.point(*pair) for pair in shown[:: -(-len(shown) // MOST_POINTS) or 1])
    return f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.6" stroke-dasharray="{dashes}"/>'


def _frame(axes: _Axes, title: str, names: Sequence[str]) -> str:
    """Return the axes with their ends, the title and the legend."""
    right, below = LEFT + WIDTH, BOTTOM + HEIGHT
    legend = "".join(f'<tspan dx="10" fill="{LINES[name][0]}">{name}</tspan>' for name in names)
    texts = (
        _text(LEFT, 12, _escaped(title)),
        _text(right, 12, legend, "end"),
        _text(LEFT - 5, BOTTOM + 10, _number(axes.high), "end"),
        _text(LEFT - 5, below, _number(axes.low), "end"),
        _text(LEFT, below + 15, f"epoch {axes.first}"),
        _text(right, below + 15, str(axes.last), "end"),
    )
    lines = f"M{LEFT} {BOTTOM}V{below}H{right}"
    return f'<path d="{lines}" fill="none" stroke="currentColor" opacity="0.5"/>{"".join(texts)}'


def _text(x: int, y: int, content: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{content}</text>'


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")


def _escaped(text: str) -> str:
    return escape("\n".join(map(printable, text.splitlines())))


@dataclass(frozen=True)
class Page:
    """The path of an HTML file. A notebook displays the page in a frame, if the file is below the notebook's folder.

    Attributes:
        path: of the file.
    """

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Page({str(self.path)!r})"

    def _repr_html_(self) -> str:
        text, path, here = note(str(self.path)), self.path.resolve(), Path.cwd()
        if here not in path.parents:
            return text
        source = quote(path.relative_to(here).as_posix())
        return (
            f'<iframe src="{source}" width="100%" height="{PAGE}" style="border: 0" title="{path.stem}"></iframe>{text}'
        )
