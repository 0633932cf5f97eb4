"""The pages of a reproduced report, in the folder of its runs:

    report.html     a self-contained page
    results.md      the same as Markdown, with the images in figures/
    figures/        an image of each figure of the report
    results.json    claims, numbers and configurations for programs

The pages are made from the runs; nothing is trained. All texts are escaped: nothing in them is executed.
"""

import json as json_format
import re
from collections.abc import Sequence
from functools import partial
from math import isfinite
from pathlib import Path

from markupsafe import Markup

from aevb.files import write_atomically
from aevb.report.rendering import embedded, environment
from aevb.reproduction import verdicts
from aevb.reproduction.facts import Report, Table, gather
from aevb.reproduction.figures import Drawn
from aevb.reproduction.quantities import Results
from aevb.reproduction.recipe import Recipe
from aevb.reproduction.verdicts import Scale

WIDEST = 40
"""The largest width to which the cells of a Markdown table are padded."""
_ACTIVE = re.compile(r"[\\`*\[\]<|~$]|&(?=#?\w+;)|(?<!\w)_|_(?!\w)")
"""Characters that GitHub's Markdown would interpret."""


def write(recipe: Recipe, results: Results, scale: Scale, failures: list[str]) -> Report:
    """Write the pages of a report into the folder of its runs.

    Args:
        recipe: the recipe at this scale.
        results: the results of the recipe.
        scale: the scale of the experiments.
        failures: the failures, one line each.

    Returns:
        The contents of the pages.

    Raises:
        BadInput: a file cannot be written.
    """
    report = gather(recipe, results, scale, failures)
    for name, render in (("results.md", markdown), ("results.json", json), ("report.html", html)):
        text = render(report)
        write_atomically(report.folder / name, partial(_write_text, text))
    return report


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def html(report: Report) -> str:
    """Return a self-contained page."""

    def image(drawn: Drawn) -> str:
        return embedded(report.folder / drawn.file) if drawn.file else ""

    templates = environment("aevb.reproduction", autoescape=True)
    templates.filters["image"] = image
    return templates.get_template("report.html").render(report=report)


def markdown(report: Report) -> str:
    """Return a Markdown page that links to the images."""
    templates = environment("aevb.reproduction", finalize=_escaped)
    templates.filters |= {"table": _table, "source": Markup}
    return templates.get_template("results.md").render(report=report)


def json(report: Report) -> str:
    """Return claims and numbers as JSON; missing numbers are null."""
    return json_format.dumps(content(report), indent=2, allow_nan=False) + "\n"


def content(report: Report) -> dict[str, object]:
    """Return the content of `json`."""
    return {
        "name": report.recipe.name,
        "title": report.recipe.title,
        "command": report.command,
        "versions": report.versions,
        "scale": report.scale,
        "seeds": list(report.seeds),
        "training_seconds": report.seconds,
        "summary": report.summary,
        "rule": (verdicts.__doc__ or "").strip(),
        "claims": [
            {
                "claim": verdict.claim.label,
                "of_report": verdict.claim.of_report,
                "reported": verdict.claim.reported,
                "unit": verdict.claim.unit,
                "required": verdict.required,
                "scale": verdict.claim.scale,
                "values": {seed: _finite(value) for seed, value in values.items()},
                "mean": _finite(verdict.mean),
                "std": _finite(verdict.std),
                "interval": verdict.interval and [_finite(limit) for limit in verdict.interval],
                "outcome": verdict.outcome,
            }
            for verdict, values in zip(report.verdicts, report.by_seed, strict=True)
        ],
        "trials": {
            trial.name: {
                "seeds": trial.seeds,
                "parameters": trial.parameters,
                "seconds": _finite(trial.seconds),
                "epoch_seconds": _finite(trial.epoch_seconds),
                "scores": trial.scores,
                "notes": trial.notes,
                "config": trial.trial.config.model_dump(mode="json"),
            }
            for trial in report.trials
        },
        "failures": list(report.failures),
    }


def _escaped(value: object) -> str:
    """Return a value as one line of escaped Markdown."""
    return str(value) if isinstance(value, Markup) else _ACTIVE.sub(r"\\\g<0>", re.sub(r"\s+", " ", str(value)))


def _table(table: Table) -> Markup:
    """Return a Markdown table with aligned columns."""
    rows = [[_escaped(cell) for cell in row] for row in (table.columns, *table.rows)]
    widths = [min(WIDEST, max(map(len, column))) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    return Markup("\n".join([lines[0], _line(["-" * width for width in widths], widths), *lines[1:]]))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
