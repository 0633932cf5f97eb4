"""Plot the figures of a report into image files of limited size."""

from pathlib import Path
from typing import NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image

from aevb import plots
from aevb.files import write_atomically
from aevb.reproduction.quantities import Missing, Results
from aevb.reproduction.recipe import Picture

LARGEST = 250_000
"""The largest size of an image in bytes; larger images are reduced to fewer colors."""
PALETTE_SIZES = (256, 64, 16)


class Drawn(NamedTuple):
    """A plotted figure of the recipe.

    Attributes:
        picture: the figure of the recipe.
        file: the file, relative to the folder of the report; None if results are missing.
        width, height: the size of the image in pixels.
        missing: the missing result, in one line.
    """

    picture: Picture
    file: Path | None
    width: int = 0
    height: int = 0
    missing: str = ""


def draw(picture: Picture, results: Results) -> Drawn:
    """Plot a figure into figures/, unless its runs are missing.

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
    """Save a figure with as many colors as `LARGEST` allows."""
    plots.save(figure, path)
    with Image.open(path) as image:
        full = image.convert("RGB")
    for colors in PALETTE_SIZES:
        if path.stat().st_size <= LARGEST:
            return
        full.quantize(colors).save(path, optimize=True)
