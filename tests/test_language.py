"""Texts use the standard terms of the field: a list of phrases that the project has replaced by them.

The texts are the documentation, all strings in the source (help, messages and docstrings among them) and the pages for
the browser.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import aevb

ROOT = Path(__file__).parents[1]
PACKAGE = Path(aevb.__file__).parent
FORBIDDEN = {
    r"\brungs?\b": "stochastic layer",
    r"\blearnt\b": "learned",
    r"\bnot to be had\b": "not available",
    r"\bis there already\b": "already exists",
    r"\bcut off\b": "interrupted",
    r"\b(go|goes|gone|going) on with\b": "resume",
    r"\bwritten down\b": "captured",
    r"\bis it well\b|\billness(es)?\b|\bthe doctor\b": "diagnostics, problem",
    r"\blook(s|ing)? around in\b": "explore",
    r"\bz of \d": "latent dimensions",
    r"\bmend(s|ed|ing)?\b": "fix, correct",
    r"\bweighed\b": "weighted",
    r"(?<!standard )(?<!absolute )\bdeviations?\b": "standard deviation",
    r"\btold\b": "reported, passed to",
    r"\bthe weights of .{1,20} have collapsed\b": "the effective sample size is below",
    r"\bdraws of z\b|\bdraws each\b": "importance samples",
    r"\bwants\b": "requires, is conditional on",
    r"\bhand(s|ed)? (it |the page )?out\b": "serve",
    r"\bof (which|whom) (some|all|each|none)\b": "a relative clause in plain order",
    r"\bas ever\b": "as before",
    r"(binari|maximi|minimi|optimi|initiali|amorti|normali|standardi|parameteri|discreti|randomi|organi|recogni)"
    r"s(e|ed|es|ing|ation|ations|er)\b": "American spelling: -ize",
    r"\b(colour|behaviour|neighbour|licence|centre|grey|favour)(s|ed|ing)?\b": "American spelling",
}
PATTERN = re.compile("|".join(f"(?:{phrase})" for phrase in FORBIDDEN), re.IGNORECASE)
PAGES = [
    *sorted(ROOT.glob("*.md")),
    ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(
        path for path in PACKAGE.rglob("*") if path.suffix in (".html", ".js", ".md") and "vendor" not in path.parts
    ),
]
MODULES = sorted(PACKAGE.rglob("*.py"))


def strings(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each string, docstrings and parts of f-strings included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def violations(text: str) -> list[str]:
    """Return each forbidden phrase in a text with the term to use instead."""
    return [f"{match[0]!r}: write {_instead(match[0])!r}" for match in PATTERN.finditer(" ".join(text.split()))]


def _instead(phrase: str) -> str:
    return next(term for forbidden, term in FORBIDDEN.items() if re.search(forbidden, phrase, re.IGNORECASE))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_use_standard_terms(path: Path) -> None:
    assert violations(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_help_messages_and_docstrings_use_standard_terms(path: Path) -> None:
    found = [(line, violations(text)) for line, text in strings(path.read_text(encoding="utf-8"))]
    assert [(line, phrases) for line, phrases in found if phrases] == []


@pytest.mark.parametrize("phrase", ["a rung", "z of 2", "2 deviations", "was told", "optimised", "colours"])
def test_a_forbidden_phrase_is_found(phrase: str) -> None:
    assert len(violations(phrase)) == 1
