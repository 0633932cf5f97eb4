"""What a reproduced report came to: beside the runs of a recipe, for whoever wants to know.

    report.html     for people: one page with everything in it, which fetches nothing
    results.md      the same for a repository, with the pictures in figures/
    figures/        one picture for each figure of the report
    results.json    the claims and their numbers, for programs

All of it is made from the runs, nothing is trained, and none of it says on which machine it was made.
"""

from aevb.recipes.recipe import Recipe, Results, Scale
from aevb.report import pages
from aevb.report.facts import Report, gather
from aevb.report.pages import content
from aevb.runs import write as write_file

__all__ = ["Report", "content", "gather", "write"]


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
