"""What there is to say, as HTML, as Markdown and as JSON. Whatever a text contains, it is text: nothing in it acts."""

import re
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from aevb.report import wording
from aevb.report.trained import RunPage


def html_of_run(page: RunPage) -> str:
    """One page that needs nothing else; the explorer and the files of the run are linked."""
    made = environment(autoescape=True)
    made.filters |= {"typeset": typeset, "embedded": embedded}
    return made.get_template("run.html").render(page=page)


def environment(*packages: str, autoescape: bool = False, finalize: Callable[[Any], Any] | None = None) -> Environment:
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in (*packages, "aevb.report")]),
        autoescape=autoescape,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"duration": wording.duration, "counted": wording.counted}
    return made


def embedded(file: Path) -> str:
    """A picture, as part of a page."""
    return f"data:image/png;base64,{b64encode(file.read_bytes()).decode()}"


def typeset(text: str) -> str:
    """With the minus signs of a printed page."""
    return re.sub(r"(?<![\w)])-(?=[\d.])|(?<=\de)-(?=\d)", "−", text)
