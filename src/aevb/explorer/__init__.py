"""A page in which a trained model can be explored: one file, which opens from disk and asks nothing of anyone.

content     what the page needs of a run: facts, arrays and networks
networks    the networks among them, as ONNX files
page        both, and the modules of web/, as one page
web/        what runs in the browser, an ES module for each idea
vendor/     ONNX Runtime Web, which computes the networks there, with its licence
"""

from collections.abc import Sequence
from pathlib import Path

from aevb.data.dataset import Dataset
from aevb.explorer.content import gather
from aevb.explorer.page import render
from aevb.runs import Run, write

__all__ = ["explore"]


def explore(runs: Sequence[tuple[Run, Dataset]]) -> Path:
    """Write explorer.html into the folder of the first run.

    Args:
        runs: one, or two to compare, each with the data it was trained on; on the CPU.

    Raises:
        BadInput: a network cannot be exported or is too large for a page, or the file cannot be written.
    """
    path = runs[0][0].folder / "explorer.html"
    text = render([gather(run, dataset, str(number), path.parent) for number, (run, dataset) in enumerate(runs)])
    write(path, lambda file: file.write_text(text, encoding="utf-8"))
    return path
