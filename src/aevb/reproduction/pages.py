"""The pages of a reproduced report, beside the runs of its recipe:

    report.html     for people: one page with everything in it, which fetches nothing
    results.md      the same for a repository, with the pictures in figures/
    figures/        one picture for each figure of the report
    results.json    the claims and their numbers, for programs

All of it is made from the runs, and nothing is trained. Whatever a text contains, it is text: nothing in it acts.
"""

import json as json_format
import re
from collections.abc import Sequence
from math import isfinite
from typing import Any

from markupsafe import Markup

from aevb.files import write_atomically
from aevb.report.rendering import embedded, environment, typeset
from aevb.reproduction.facts import Report, Table, gather
from aevb.reproduction.figures import Drawn
from aevb.reproduction.recipe import Recipe, Results, Scale

WIDEST = 40
"""Characters to which the cells of a column are filled up in the source of a table."""
_ACTIVE = re.compile(r"[\\`*\[\]<|~$]|&(?=#?\w+;)|(?<!\w)_|_(?!\w)")
"""What would be markup in GitHub's Markdown."""


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
    for name, render in (("results.md", markdown), ("results.json", json), ("report.html", html)):
        text = render(report)
        write_atomically(report.folder / name, lambda path, text=text: path.write_text(text, encoding="utf-8"))  # type: ignore[misc]
    return report


def html(report: Report) -> str:
    """One page that needs nothing else."""

    def image(drawn: Drawn) -> str:
        return embedded(report.folder / drawn.file) if drawn.file else ""

    made = environment("aevb.reproduction", autoescape=True)
    made.filters |= {"typeset": typeset, "image": image}
    return made.get_template("report.html").render(report=report)


def markdown(report: Report) -> str:
    """A page for a repository, with its pictures beside it."""
    made = environment("aevb.reproduction", finalize=_inert)
    made.filters |= {"table": _table, "source": Markup}
    return made.get_template("results.md").render(report=report)


def json(report: Report) -> str:
    """The claims and their numbers; null where there is none."""
    return json_format.dumps(content(report), indent=2, allow_nan=False) + "\n"


def content(report: Report) -> dict[str, Any]:
    """What `json` writes."""
    return {
        "name": report.recipe.name,
        "title": report.recipe.title,
        "command": report.command,
        "versions": report.versions,
        "scale": report.scale,
        "seeds": list(report.seeds),
        "training_seconds": report.seconds,
        "summary": report.summary,
        "claims": [
            {
                "claim": verdict.claim.label,
                "reported": verdict.claim.reported,
                "asked": verdict.claim.rule.text,
                "scale": verdict.claim.scale,
                "values": {seed: _finite(value) for seed, value in values.items()},
                "mean": _finite(verdict.mean),
                "deviation": _finite(verdict.deviation),
                "agree": verdict.agree,
                "outcome": verdict.outcome,
            }
            for verdict, values in zip(report.verdicts, report.by_seed, strict=True)
        ],
        "failures": list(report.failures),
    }


def _inert(value: Any) -> str:
    """Markdown that reads as the text does, on one line."""
    return str(value) if isinstance(value, Markup) else _ACTIVE.sub(r"\\\g<0>", re.sub(r"\s+", " ", str(value)))


def _table(table: Table) -> Markup:
    """Markdown that can be read as it is."""
    rows = [[_inert(cell) for cell in row] for row in (table.columns, *table.rows)]
    widths = [min(WIDEST, max(map(len, column))) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    return Markup("\n".join([lines[0], _line(["-" * width for width in widths], widths), *lines[1:]]))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
