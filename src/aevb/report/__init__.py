"""The page of a run: report.html in its folder, one self-contained file made from the run without training."""

from collections.abc import Sequence
from pathlib import Path

from aevb.data.dataset import Dataset
from aevb.evaluation.diagnosis import Finding
from aevb.files import write_atomically
from aevb.report import rendering, run_page
from aevb.runs.run_folder import RunFolder

__all__ = ["write_run"]


def write_run(run: RunFolder, findings: Sequence[Finding] | None, dataset: Dataset | None = None) -> Path:
    """Write report.html into the folder of a run, with the figures in the folder.

    Args:
        run: a run with scores.
        findings: the findings of the diagnosis; None if there is no diagnosis.
        dataset: the data of the run, whose columns and notes are shown; None without them.

    Raises:
        BadInput: the file cannot be written.
    """
    text, path = rendering.run_html(run_page.gather(run, findings, dataset)), run.folder / "report.html"
    write_atomically(path, lambda file: file.write_text(text, encoding="utf-8"))
    return path
