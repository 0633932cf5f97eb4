"""What there is to say, as HTML, as Markdown and as JSON. Whatever a text contains, it is text: nothing in it acts."""

import json as json_format
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from aevb.report import wording
from aevb.report.facts import Report, Table
from aevb.report.figures import Drawn
from aevb.report.trained import RunPage

WIDEST = 40
"""Characters to which the cells of a column are filled up in the source of a table."""
_ACTIVE = re.compile(r"[\\`*\[\]<|~$]|&(?=#?\w+;)|(?<!\w)_|_(?!\w)")
"""What would be markup in GitHub's Markdown."""


def html(report: Report) -> str:
    """One page that needs nothing else."""

    def image(drawn: Drawn) -> str:
        return _embedded(report.folder / drawn.file) if drawn.file else ""

    environment = _environment(autoescape=True)
    environment.filters |= {"typeset": _typeset, "image": image}
    return environment.get_template("report.html").render(report=report)


def html_of_run(page: RunPage) -> str:
    """One page that needs nothing else; the explorer and the files of the run are linked."""
    environment = _environment(autoescape=True)
    environment.filters |= {"typeset": _typeset, "embedded": _embedded}
    return environment.get_template("run.html").render(page=page)


def markdown(report: Report) -> str:
    """A page for a repository, with its pictures beside it."""
    environment = _environment(finalize=_inert)
    environment.filters |= {"table": _table, "source": Markup}
    return environment.get_template("results.md").render(report=report)


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


def _environment(*, autoescape: bool = False, finalize: Callable[[Any], Any] | None = None) -> Environment:
    environment = Environment(
        loader=PackageLoader("aevb.report"),
        autoescape=autoescape,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"duration": wording.duration, "counted": wording.counted}
    return environment


def _embedded(file: Path) -> str:
    """A picture, as part of a page."""
    return f"data:image/png;base64,{b64encode(file.read_bytes()).decode()}"


def _typeset(text: str) -> str:
    """With the minus signs of a printed page."""
    return re.sub(r"(?<![\w)])-(?=[\d.])|(?<=\de)-(?=\d)", "−", text)


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
