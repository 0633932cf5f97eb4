"""The documentation site: every public name has an entry, it builds without warnings, and it needs no other host."""

import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import aevb
from aevb import plots
from tests import options
from tests.explorer.browser import Opened, chromium, violations

DOCS = Path(__file__).parents[1] / "docs"
BASES = (
    "aevb.models.registry.Registry",
    "aevb.models.options.PieceOptions",
    "aevb.models.likelihoods.Likelihood",
    "aevb.models.posteriors.Posterior",
    "aevb.models.priors.Prior",
    "aevb.models.networks.Network",
    "aevb.models.objectives.Objective",
    "aevb.models.objectives.Terms",
    "aevb.models.objectives.Weight",
    "aevb.evaluation.measures.Task",
)
"""What pieces of one's own derive from, and what they receive and return."""
PUBLIC = {f"aevb.{name}" for name in aevb.__all__} | {f"aevb.plots.{name}" for name in plots.__all__} | {*BASES}
ENTRY = re.compile(r"^\.\. (?:py:data|auto(?:class|function|exception|module)):: (aevb[\w.]+)", re.MULTILINE)
REFERENCE = re.compile(r'(?:href|src)="([^"]*)"')
LOADED = re.compile(r'<(?:script|img|iframe|link)[^>]*(?:src|href)="(https?:)?//|@import|url\(["\']?(https?:)?//')
LOOKED_AT = ("index", "tables", "mathematics", "faq", "options", "api/models", "results/hu/README")


def entries() -> set[str]:
    """Return the full names that the pages in `docs/api` have entries for; of a module, those in its `__all__`."""
    names = {name for page in (DOCS / "api").glob("*.rst") for name in ENTRY.findall(page.read_text(encoding="utf-8"))}
    return names | {f"aevb.plots.{name}" for name in plots.__all__ if "aevb.plots" in names}


def test_every_public_name_has_an_entry() -> None:
    assert sorted(PUBLIC - entries()) == []


@pytest.mark.parametrize("name", sorted(entries()))
def test_every_entry_has_a_docstring(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    value = getattr(import_module(module), attribute)
    assert (value.__doc__ or "").strip()


def test_the_page_of_options_is_that_of_the_configuration() -> None:
    """`python -m tests.options` writes it."""
    assert options.page() == (DOCS / "options.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; warnings are errors."""
    pytest.importorskip("sphinx")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", str(DOCS), str(folder)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_every_public_name_is_in_the_index_of_the_site(site: Path) -> None:
    compressed = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    names = {line.split()[0] for line in zlib.decompress(compressed).decode().splitlines()}
    assert sorted(PUBLIC - names) == []


@pytest.mark.slow
def test_no_link_within_the_site_is_broken(site: Path) -> None:
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    anchors = {path: set(re.findall(r'\bid="([^"]+)"', text)) for path, text in pages.items()}
    assert len(pages) > 30
    for path, text in pages.items():
        for reference in REFERENCE.findall(text):
            if not reference or reference.startswith(("https:", "http:", "data:", "mailto:")):
                continue
            address, _, anchor = reference.partition("#")
            target = (path.parent / address.partition("?")[0]).resolve() if address else path
            assert target.exists(), f"{path.relative_to(site)}: {reference}"
            assert not anchor or anchor in anchors[target], f"{path.relative_to(site)}: {reference}"


@pytest.mark.slow
def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    files = [path for path in site.rglob("*") if path.suffix in (".html", ".css")]
    assert [str(path) for path in files if LOADED.search(path.read_text(encoding="utf-8"))] == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", LOOKED_AT)
def test_a_page_can_be_read(site: Path, browser: Any, name: str, width: int, scheme: str) -> None:
    """Nothing is wider than the screen, axe-core finds no problem, and all requests are for files of the site."""
    opened = Opened(browser, site / f"{name}.html", width, color_scheme=scheme)
    try:
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        assert opened.complaints == []
        assert violations(opened.page) == []
        assert [request for request in opened.requests if not request.startswith(site.as_uri())] == []
    finally:
        opened.close()


@pytest.mark.slow
def test_the_search_works_from_disk(site: Path, browser: Any) -> None:
    opened = Opened(browser, site / "search.html")
    try:
        opened.page.goto((site / "search.html").as_uri() + "?q=posterior+collapse")
        opened.page.wait_for_selector("#search-results li a")
    finally:
        opened.close()
