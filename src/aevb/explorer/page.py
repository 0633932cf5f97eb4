"""Rendering of facts, files and modules as one page.

The page makes no network requests, and its content security policy forbids them: the modules are data: URLs in an
import map, ONNX Runtime Web is a blob: URL, and every file is embedded as gzip in base64. A served page names its files
instead. All texts are escaped: nothing in a name is executed.
"""

import gzip
import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from aevb.errors import BadInput
from aevb.explorer.content import Content

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' data: blob:; style-src 'unsafe-inline';"
    " img-src data: blob:; base-uri 'none'; form-action 'none'"
)
"""The content security policy of a page with embedded files: no requests."""
SERVED = f"{POLICY}; connect-src 'self'"
"""The content security policy of a served page: requests to its own server only."""
LARGEST = 25_000_000
"""The largest size of embedded networks, in bytes."""


def render(contents: Sequence[Content], files_at: str = "") -> str:
    """Return the page of one run, or of two side by side.

    Args:
        contents: the contents of the runs.
        files_at: the URL of the folder with the files of `packed`; if empty, they are embedded.

    Raises:
        BadInput: the networks are too large to embed.
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
    """Return all files of the page, gzipped, by name."""
    vendored = {name: (HERE / "vendor" / f"{name}.gz").read_bytes() for name in ("ort.mjs", "ort.wasm")}
    files = {name: file for content in contents for name, file in content.files.items()}
    return vendored | {name: gzip.compress(file, mtime=0) for name, file in files.items()}


def _require_small(contents: Sequence[Content]) -> None:
    files = (file for content in contents for name, file in content.files.items() if name.endswith(".onnx"))
    if (size := sum(map(len, files))) > LARGEST:
        raise BadInput(
            f"the networks have {size / 1e6:.0f} MB, more than the {LARGEST / 1e6:.0f} MB that a page can embed:"
            " use aevb explore RUN --serve"
        )


def _modules() -> Iterator[tuple[str, str]]:
    """Yield the modules of the page: import name and data: URL."""
    for path in sorted((HERE / "web").glob("*.js")):
        # Relative imports cannot be resolved from a data: URL.
        source = re.sub(r'from "\./(\w+)\.js"', r'from "aevb/\1"', path.read_text(encoding="utf-8"))
        source += f"//# sourceURL=aevb/{path.name}\n"  # the name in error messages
        yield f"aevb/{path.stem}", f"data:text/javascript;base64,{b64encode(source.encode()).decode()}"


def _json(content: object) -> Markup:
    """Return JSON for a script element: no character in it begins a tag."""
    text = json.dumps(content, allow_nan=False, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
