"""The notebooks run from first to last cell, are small, and carry no traces of the machine that ran them.

`python -m tests.test_notebooks` runs them and puts their outputs into them; with names of notebooks, only these.
"""

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.test_language import violations

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
MOST_CELLS, MOST_BYTES = 12, 1_500_000
"""Cells of a notebook, and bytes of all notebooks."""
nbformat = pytest.importorskip("nbformat")


def executed(path: Path, folder: Path) -> Any:
    """A notebook with the outputs of a run in another folder."""
    from nbclient import NotebookClient

    notebook = nbformat.read(path, 4)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False, resources=resources).execute()
    return notebook


def sources(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, 4).cells]


def test_there_are_five() -> None:
    names = ["anomalies", "images", "imputation", "own-pieces", "table"]
    assert [path.stem for path in PATHS] == names
    assert sum(path.stat().st_size for path in PATHS) < MOST_BYTES


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.stem))
def test_a_notebook_is_short_executed_and_clean(path: Path) -> None:
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    assert notebook.metadata == METADATA
    assert len(notebook.cells) <= MOST_CELLS
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(not cell.metadata for cell in notebook.cells)
    streams = [output.text for cell in code for output in cell.outputs if output.output_type == "stream"]
    assert not [text for text in streams if re.search(r"/(tmp|home|root|work)/|Warning", text)]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.stem))
def test_the_text_of_a_notebook_uses_standard_terms(path: Path) -> None:
    assert violations("\n".join(sources(path))) == []


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.stem))
def test_a_notebook_runs_without_errors_and_warnings(path: Path, tmp_path: Path) -> None:
    pytest.importorskip("ipykernel")
    outputs = [output for cell in executed(path, tmp_path).cells for output in cell.get("outputs", [])]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []


def rewrite(path: Path) -> None:
    """Run a notebook and put its outputs into it."""
    with tempfile.TemporaryDirectory() as folder:
        notebook = executed(path, Path(folder))
    notebook.metadata = METADATA
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number + 1}", {}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    for notebook in [Path(name).resolve() for name in sys.argv[1:] or PATHS]:
        rewrite(notebook)
