"""Configuration of the documentation site: `sphinx-build docs build/docs`.

The pages are the Markdown files of this folder, which can also be read without the site. Three files of the repository
are pages as well: each has a page in `project/` that only links to it, and that the site replaces by the file itself.
"""

import re
from functools import partial
from importlib import metadata
from os.path import relpath
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

DOCS = Path(__file__).parent
ROOT = DOCS.parent
FILES = {
    "readme": ROOT / "README.md",
    "changelog": ROOT / "CHANGELOG.md",
    "benchmarks": ROOT / "benchmarks" / "README.md",
}
"""The files of the repository that are pages of the site, by the name of their page in `project/`."""
PAGES = {file: DOCS / "project" / f"{name}.md" for name, file in FILES.items()} | {
    DOCS / "README.md": DOCS / "index.md"
}
"""The page on which the site shows a file, where it is another one."""
LINK = re.compile(r"(?<=\]\()(?![a-z]+:)([^)#\s]+)")
"""The path in a link of Markdown, if it is relative."""
SUM = re.compile(r"<(munder|munderover)>(?=\s*<mo movablelimits)")
LOGARITHM = '<mspace width="0.17em"/><mi>log</mi><mspace width="0.17em"/>'

project = "aevb"
author = "the authors of aevb"
release = version = metadata.version("aevb")
language = "en"
smartquotes = False  # options begin with two hyphens
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["README.md"]  # index.md includes it

myst_enable_extensions = ["html_image"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 4

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {"exclude-members": "Options"}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
python_use_unqualified_type_names = True
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "aevb"
pygments_dark_style = "github-dark"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_math_renderer = "mathml"
html_copy_source = html_show_sourcelink = html_show_copyright = False
copybutton_selector = "div:not(.highlight-text) > div.highlight > pre"


def read_page(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace a page in `project/` by its file, and let links point to the pages of the site."""
    page = DOCS / f"{docname}.md"
    file = {shown_on: file for file, shown_on in PAGES.items() if file.parent != DOCS}.get(page, page)
    if file != page:
        app.env.note_dependency(file)
        source[0] = file.read_text(encoding="utf-8")
    source[0] = LINK.sub(partial(link, page.parent, file.parent), source[0])


def link(page: Path, file: Path, match: re.Match[str]) -> str:
    """Return the target of a link for a page of the site.

    Args:
        page: the folder of the page.
        file: the folder of the file that the page shows.
        match: the target, relative to the file.
    """
    target = (file / match[1]).resolve()
    if not target.is_file():
        return match[1]
    target = PAGES.get(target, target)
    download = DOCS not in target.parents and target.suffix != ".png"
    return "path:" * download + relpath(target, page)


def skip_fields(*event: object) -> bool | None:
    """Skip the fields of named tuples, which the docstring of their class describes."""
    member = event[3]
    return True if str(getattr(member, "__doc__", "")).startswith("Alias for field number") else None


def correct_docstring(*event: object) -> None:
    """Undo two readings of napoleon: `model_` as a link, and the words before a colon as the type of a property."""
    lines = event[5]
    assert isinstance(lines, list)
    lines[:] = [re.sub(r"^(:ivar \w+)_:", r"\1\\_:", line) for line in lines]
    for line in [line for line in lines if event[1] == "property" and line.startswith(":type: ")]:
        lines.remove(line)
        lines[0] = f"{line.removeprefix(':type: ')}: {lines[0]}"


def use_dashes(_: Sphinx, page: nodes.document) -> None:
    """Write a dash between a parameter and its description, where Sphinx writes two hyphens."""
    for text in [text for text in page.findall(nodes.Text) if text == " -- "]:
        text.parent.replace(text, nodes.Text(" – "))


def write_formula(translator: HTML5Translator, node: nodes.math | nodes.math_block) -> None:
    """Write a formula as MathML, which browsers show without a script.

    The limits of sums are beside them, since browsers without a mathematical font would write them over the sum.
    """
    formula = SUM.sub(r'<\1 displaystyle="false">', tex2mathml(node.astext(), as_block=True))
    translator.body.append(f'<div class="math">{formula.replace("<mi>log</mi>", LOGARITHM)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Connect the functions of this file."""
    app.connect("source-read", read_page)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("autodoc-process-docstring", correct_docstring, priority=900)  # after napoleon
    app.connect("doctree-read", use_dashes)
    app.add_html_math_renderer("mathml", (write_formula, None), (write_formula, None))
