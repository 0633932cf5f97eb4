"""The pages of docs/ are scripts: their Python and their commands run, and what they show is what comes out.

    ```python    runs, with the names of the blocks before it
    ```sh        lines that begin with aevb run; push and pull, which need the hub, are only parsed; so do lines that
                 begin with torchrun --standalone
    ```text      what the blocks since the last such one printed: the same words, and numbers within a fifth; a line
                 of three dots stands for any lines

`python -m tests.test_docs` runs the pages and puts what came out into them, pictures too.
"""

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from aevb.cli.app import app, main

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```(python|sh|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?!\w)")
DURATION = re.compile(r" (s|min|h)\b")
PAGES = [path for path in sorted(DOCS.glob("*.md")) if "```text" in path.read_text(encoding="utf-8")]
LONG = (
    "anomalies",
    "cluster",
    "density",
    "embeddings",
    "faq",
    "foreign-weights",
    "hierarchical",
    "images",
    "imputation",
    "own-pieces",
    "reproducing",
    "tables",
    "training",
)
"""Pages that take more than five seconds."""
LINK = re.compile(r"""(?:\]\(|src=")([^)"#]+)""")


def played(page: str) -> Iterator[tuple[re.Match[str], str]]:
    """Each block of results of a page, and what came out, in the working folder."""
    names: dict[str, Any] = {"__name__": "page"}
    printed = io.StringIO()
    for block in BLOCK.finditer(page):
        with redirect_stdout(printed), redirect_stderr(printed):
            if block[1] == "python":
                exec(compile(block[2], "page", "exec"), names)
            elif block[1] == "sh":
                for line in block[2].splitlines():
                    command(line)
        if block[1] == "text":
            yield block, "\n".join(line.rstrip() for line in printed.getvalue().splitlines())
            printed = io.StringIO()


def command(line: str) -> None:
    """Run a line of the shell; one that ends in a refusal says so."""
    words = shlex.split(line, comments=True)
    if words[:2] == ["torchrun", "--standalone"]:
        launcher = [sys.executable, "-m", "torch.distributed.run"]
        print(subprocess.run([*launcher, *words[1:]], capture_output=True, text=True, check=True).stdout)
    if words[:1] != ["aevb"]:
        return
    if words[1] in ("push", "pull"):
        app.parse_args(words[1:], exit_on_error=False, print_error=False)
        return
    with pytest.raises(SystemExit) as caught:
        main(words[1:])
    assert (caught.value.code or 0) == (2 if "# refused" in line else 0), line


def difference(shown: str, printed: str) -> str | None:
    """Why what a page shows is not what came out; None where it is."""
    found = pattern(shown).fullmatch(printed.strip())
    if not found:
        return f"shown:\n{shown}\nprinted:\n{printed}"
    far = [
        f"{match[0]} is now {new}"
        for match, new in zip(NUMBER.finditer(shown), found.groups(), strict=True)
        if abs(value(match[0]) - value(new)) > tolerance(match[0], new) and not DURATION.match(shown, match.end())
    ]
    return "; ".join(far) or None


def pattern(shown: str) -> re.Pattern[str]:
    lines = []
    for line in shown.strip().splitlines():
        parts = [re.sub(r"(\\ )+", r"\\s+", re.escape(part)) for part in NUMBER.split(line)]
        lines.append("(?:.*\n)*?" if line.strip() == "..." else f"({NUMBER.pattern})".join(parts) + r"\s*?(?:\n|$)")
    return re.compile("".join(lines))


def value(number: str) -> float:
    return float(number.replace(",", ""))


def tolerance(old: str, new: str) -> float:
    return 0.2 * max(abs(value(old)), abs(value(new))) + 0.05


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "images").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    return tmp_path


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.slow if page.stem in LONG else ()) for page in PAGES],
    ids=[page.stem for page in PAGES],
)
def test_pages_show_what_comes_out(page: Path, folder: Path) -> None:
    pytest.importorskip("pandas")
    for block, printed in played(page.read_text(encoding="utf-8")):
        problem = difference(block[2], printed)
        assert problem is None, problem
    made = {path.name for path in (folder / "images").iterdir()}
    assert made == {Path(link).name for link in LINK.findall(page.read_text(encoding="utf-8")) if link.endswith(".png")}


def test_every_page_is_in_the_index_and_no_link_is_broken() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    for page in DOCS.glob("*.md"):
        assert page.name in ("README.md", "index.md") or f"({page.name})" in index, page.name
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            assert "://" in link or (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_promise_has_a_test() -> None:
    named = re.findall(r"`(test_\w+)::(test_\w+)`", (DOCS / "promises.md").read_text(encoding="utf-8"))
    assert len(named) > 20
    for module, name in named:
        (path,) = (DOCS.parent / "tests").rglob(f"{module}.py")
        assert f"def {name}(" in path.read_text(encoding="utf-8"), (module, name)


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a 1.00 b\n", "a  1.1 b", True),
        ("a 1.00 b\n", "a 1.5 b", False),
        ("a 1.00 b\n", "a 1.00 c", False),
        ("first\n...\nlast 7\n", "first\n1\n2\nlast 7\n", True),
        ("first\n...\nlast 7\n", "first\n1\n2\n", False),
        ("1,000 rows\n", "1,010 rows", True),
    ],
)
def test_what_would_be_noticed(shown: str, printed: str, same: bool) -> None:
    assert (difference(shown, printed) is None) == same


def rewrite(page: Path) -> None:
    """Put what comes out into a page, and its pictures beside it."""
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(temporary)
        Path("images").mkdir()
        made = text
        for block, printed in played(text):
            found = pattern(block[2]).fullmatch(printed.strip()) if block[2].strip() else None
            numbers = iter(found.groups()) if found else iter(())
            fresh = NUMBER.sub(lambda _, numbers=numbers: next(numbers), block[2]) if found else printed.strip() + "\n"
            made = made.replace(block[0], f"```text\n{fresh}```", 1)
        for image in Path("images").iterdir():
            shutil.copy(image, DOCS / "images" / image.name)
        os.chdir(DOCS)
    page.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    os.environ["COLUMNS"] = "110"
    for path in [Path(name).resolve() for name in sys.argv[1:] or PAGES]:
        rewrite(path)
