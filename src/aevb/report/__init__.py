"""What a run came to, and what a reproduced report: pages for whoever wants to know.

A run has one, report.html in its folder. Beside the runs of a recipe there are

    report.html     for people: one page with everything in it, which fetches nothing
    results.md      the same for a repository, with the pictures in figures/
    figures/        one picture for each figure of the report
    results.json    the claims and their numbers, for programs

All of it is made from the runs, and nothing is trained.
"""

from collections.abc import Sequence
from pathlib import Path

from aevb.doctor import Finding
from aevb.recipes.recipe import Recipe, Results, Scale
from aevb.report import pages, trained
from aevb.report.facts import Report, gather
from aevb.report.pages import content
from aevb.runs import Run
from aevb.runs import write as write_file

__all__ = ["Report", "content", "gather", "write", "write_run"]


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


def write(recipe: Recipe, results: Results, scale: Scale, failures: list[str]) -> Report:
    """Write the pages of a report into the folder of its runs.

    Args:
        recipe: at this scale.
        results: of the recipe.
        scale: at which it was reproduced.
        failures: what failed, a line each.

    Returns:
        What the pages say.

    Raises:
        BadInput: a file cannot be written.
    """
    report = gather(recipe, results, scale, failures)
    for name, render in (("results.md", pages.markdown), ("results.json", pages.json), ("report.html", pages.html)):
        text = render(report)
        write_file(report.folder / name, lambda path, text=text: path.write_text(text, encoding="utf-8"))  # type: ignore[misc]
    return report
