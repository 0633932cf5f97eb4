"""The page of a run, report.html in its folder: one file that fetches nothing. It is made from the run; nothing is
trained."""

from collections.abc import Sequence
from pathlib import Path

from aevb.report import pages, trained
from aevb.runs.run import Run
from aevb.runs.run import write as write_file
from aevb.workflow.diagnosis import Finding

__all__ = ["write_run"]


def write_run(run: Run, findings: Sequence[Finding] | None) -> Path:
    """Write report.html into the folder of a run, with the figures that are there.

    Args:
        run: with its scores.
        findings: of the doctor; None where there was nothing to judge by.

    Raises:
        BadInput: the file cannot be written.
    """
    text, path = pages.html_of_run(trained.gather(run, findings)), run.folder / "report.html"
    write_file(path, lambda file: file.write_text(text, encoding="utf-8"))
    return path
