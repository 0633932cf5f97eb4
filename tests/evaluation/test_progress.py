"""The examples that are done during an evaluation."""

from collections.abc import Callable

import pytest
from rich.console import Console

from aevb.cli import terminal
from aevb.data import Examples
from aevb.evaluation.importance_sampling import per_example
from aevb.evaluation.progress import report, watched
from aevb.evaluation.quadrature import quadrature
from tests.conftest import Exact


def test_estimators_report_the_examples_that_are_done(exact: Callable[..., Exact]) -> None:
    linear = exact()
    x, seen = Examples(linear.sample(700)), list[tuple[int, int]]()
    with watched(lambda *counts: seen.append(counts)):
        per_example(linear.model, x, 3, memory=2**16)
        sampled = len(seen)
        assert seen[-1] == (700, 700)
        assert seen == sorted(seen)
        quadrature(linear.model, x)
    assert seen[sampled] == (0, 700)
    assert seen[-1][0] < 700
    count = len(seen)
    per_example(linear.model, x, 3)
    assert len(seen) == count  # nobody watches


def test_a_terminal_shows_the_examples_that_are_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "_errors", lambda: Console(stderr=True, force_terminal=True, width=80))
    with terminal.status("evaluating"):
        report(1200, 10_000)
    assert "evaluating, 1,200 of 10,000 examples" in capsys.readouterr().err
