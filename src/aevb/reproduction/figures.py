"""The figures of a report, drawn from its runs into files that a repository can hold."""

from pathlib import Path
from typing import NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image

from aevb import plots
from aevb.files import write_atomically
from aevb.reproduction.recipe import Missing, Picture, Results

LARGEST = 250_000
"""Bytes of a picture; a larger one makes do with fewer colours."""
COLORS = (256, 64, 16)


class Drawn(NamedTuple):
    """A picture of the recipe.

    Attributes:
        picture: what it shows.
        file: below the folder of the report; None where it could not be drawn.
        width, height: of the file, in pixels.
        missing: why it could not be drawn, in one line.
    """

    picture: Picture
    file: Path | None
    width: int = 0
    height: int = 0
    missing: str = ""


def draw(picture: Picture, results: Results) -> Drawn:
    """Draw a picture into figures/, unless its runs are missing.

    Raises:
        BadInput: the file cannot be written.
    """
    try:
        with rc_context(plots.STYLE):
            figure = picture.draw(results)
    except Missing as error:
        return Drawn(picture, None, missing=str(error))
    file = Path("figures") / f"{picture.name}.png"
    write_atomically(results.folder / file, lambda path: _save(figure, path))
    with Image.open(results.folder / file) as image:
        return Drawn(picture, file, *image.size)


def _save(figure: Figure, path: Path) -> None:
    """Print a figure with as many colours as the largest size allows."""
    plots.save(figure, path)
    with Image.open(path) as image:
        full = image.convert("RGB")
    for colours in COLORS:
        if path.stat().st_size <= LARGEST:
            return
        full.quantize(colours).save(path, optimize=True)
