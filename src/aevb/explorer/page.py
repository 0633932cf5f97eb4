"""Facts, files and modules as one page.

The page fetches nothing, and forbids itself to: its modules are data: URLs that an import map names, ONNX Runtime Web
becomes a blob: URL, and every file is text in it, gzip in base64. A page whose files are handed out by a server names
them instead. Whatever a text of the user's contains, it is text: nothing in it acts.
"""

import gzip
import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from aevb.errors import BadInput
from aevb.explorer.content import Content

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' data: blob:; style-src 'unsafe-inline';"
    " img-src data: blob:; base-uri 'none'; form-action 'none'"
)
"""What the browser is to refuse to the page: all but itself."""
SERVED = f"{POLICY}; connect-src 'self'"
"""The same of a page whose files are handed out by a server: all but itself and these."""
LARGEST = 25_000_000
"""Bytes of networks that a page holds at most."""


def render(contents: Sequence[Content], files_at: str = "") -> str:
    """The page of one run, or of two side by side.

    Args:
        contents: of the runs.
        files_at: where a server hands out what `packed` gives; where empty, all of it is in the page.

    Raises:
        BadInput: the networks are too large to be in the page.
    """
    if not files_at:
        _require_small(contents)
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("aevb.explorer", "web"), PackageLoader("aevb.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    inlined = () if files_at else packed(contents).items()
    return environment.get_template("page.html").render(
        policy=SERVED if files_at else POLICY,
        files_at=files_at,
        runs=[content.facts for content in contents],
        facts=_json([content.facts for content in contents]),
        imports=_json({"imports": dict(_modules())}),
        files=[(name, b64encode(file).decode()) for name, file in inlined],
    )


def packed(contents: Sequence[Content]) -> Mapping[str, bytes]:
    """All files of the page, gzipped, by name."""
    vendored = {name: (HERE / "vendor" / f"{name}.gz").read_bytes() for name in ("ort.mjs", "ort.wasm")}
    files = {name: file for content in contents for name, file in content.files.items()}
    return vendored | {name: gzip.compress(file, mtime=0) for name, file in files.items()}


def _require_small(contents: Sequence[Content]) -> None:
    files = (file for content in contents for name, file in content.files.items() if name.endswith(".onnx"))
    if (size := sum(map(len, files))) > LARGEST:
        raise BadInput(
            f"the networks take {size / 1e6:.0f} MB, and a page holds at most {LARGEST / 1e6:.0f} MB of them:"
            " aevb explore RUN --serve hands them out instead"
        )


def _modules() -> Iterator[tuple[str, str]]:
    """The modules of the page by the names under which they import each other, as URLs."""
    for path in sorted((HERE / "web").glob("*.js")):
        # A relative name means nothing to a module that comes from a data: URL.
        source = re.sub(r'from "\./(\w+)\.js"', r'from "aevb/\1"', path.read_text(encoding="utf-8"))
        source += f"//# sourceURL=aevb/{path.name}\n"  # what errors call it
        yield f"aevb/{path.stem}", f"data:text/javascript;base64,{b64encode(source.encode()).decode()}"


def _json(content: Any) -> Markup:
    """JSON that can stand in a script element: no character in it begins a tag."""
    text = json.dumps(content, allow_nan=False, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
