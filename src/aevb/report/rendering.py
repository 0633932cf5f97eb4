"""Jinja2 templates and filters of the pages. All texts are escaped: nothing in a name is executed."""

import re
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from aevb.errors import counted
from aevb.report import wording
from aevb.report.run_page import RunPage

if TYPE_CHECKING:
    from jinja2 import Environment


def run_html(page: RunPage) -> str:
    """Return the page of a run as self-contained HTML that links to the explorer and the files of the run."""
    templates = environment(autoescape=True)
    return templates.get_template("run.html").render(page=page)


def environment(
    *packages: str, autoescape: bool = False, finalize: Callable[[object], object] | None = None
) -> "Environment":
    """Return an environment with the templates of some packages, then those of the report.

    Args:
        packages: packages with a folder templates/.
        autoescape: whether texts are escaped for HTML.
        finalize: applied to each value before it is written.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined  # no command needs it to start

    templates = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in (*packages, "aevb.report")]),
        autoescape=autoescape,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {"duration": wording.duration, "counted": counted}
    templates.filters |= {"typeset": typeset, "embedded": embedded}
    return templates


def embedded(file: Path) -> str:
    """Return a PNG file as a data: URL."""
    return f"data:image/png;base64,{b64encode(file.read_bytes()).decode()}"


def typeset(text: str) -> str:
    """Return a text with typographic minus signs."""
    return re.sub(r"(?<![\w)])-(?=[\d.])|(?<=\de)-(?=\d)", "−", text)
