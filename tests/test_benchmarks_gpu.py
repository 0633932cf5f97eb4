"""The measurement on a GPU: what can be checked without one."""

import json
import sys
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

import pytest
import torch

from aevb.training import policy
from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import checks, laird, rates
from benchmarks.gpu.page import TITLES
from benchmarks.gpu.pieces import NO_TIME, NOT_INSTALLED, NOT_YET, Budget, Outcome, Piece, run_process, run_within
from benchmarks.workloads import Workload

SPEED = {"rate": 4000.0, "step": 2e-3, "kernels": 1e-3}
VALUES: dict[str, dict[str, Any]] = {
    "checks": {"passed": False, "text": "a difference"},
    "likelihood": {"rate": 5.0, "mean": -80.0, "floor": 7.0},
    "laird": {
        "runs": [{"trial": "adam", "seed": 1, "epochs": 20, "planned": 2000, "seconds": 3.0}],
        "claims": [
            {"claim": "a claim", "reported": None, "values": [1.5], "required": "above 1", "outcome": "undecided"}
        ],
    },
}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--minutes", "1", "--out", str(tmp_path / "results")]) == 0
    assert capsys.readouterr().out == "no CUDA device is available: nothing was measured\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ("captured", "resume", "distributed") else pytest.mark.slow)
        for name in checks.CHECKS
    ],
)
def test_checks_pass_on_a_cpu(name: str) -> None:
    check = checks.CHECKS[name]("cpu", 2)
    assert check.passed, check.text


def test_a_check_fails_where_losses_differ() -> None:
    check = checks._same_losses(torch.tensor([[100.0, 0.1]]), torch.tensor([[100.0, 0.2]]))
    assert not check.passed
    assert "a loss: 1.0e-01 (tolerance 1e-04)" in check.text


@pytest.mark.parametrize("title", ["aevb", "aevb, eager", "aevb, eight stacked seeds"])
def test_rates_are_those_of_the_steps(title: str) -> None:
    before = policy.CAPTURE_FROM_STEPS
    small, row = Workload("", (2,), (4,), (), "relu", 2, False, 10, 50, 1), rates.ROWS[title]
    speed = rates.measured(row, small, "cpu", steps=20, seconds=0.0)
    assert speed.rate == pytest.approx(10 * row.seeds / speed.step)
    assert 0 < speed.kernels < 100 * speed.step
    assert before == policy.CAPTURE_FROM_STEPS


@pytest.mark.slow
def test_lairds_report_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At the smallest scale it is complete, and nothing is trained again."""
    laird.main("cpu", str(tmp_path), "smoke", "60")
    done = json.loads(capsys.readouterr().out)
    assert {run["epochs"] for run in done["runs"]} == {1}
    assert len(done["claims"]) == 7
    laird.main("cpu", str(tmp_path), "smoke", "60")
    assert json.loads(capsys.readouterr().out) == done


def seconds(*values: float) -> Budget:
    """A budget of 100 seconds, of whose clock these are the times."""
    times: Iterator[float] = iter((0.0, *values, *[values[-1]] * 9))
    return Budget(100, clock=lambda: next(times))


def piece(**options: object) -> Piece:
    return Piece("checks", "captured", ("nothing",), 10)._replace(**options)  # type: ignore[arg-type]


def taken(piece: Piece, budget: Budget) -> float | str:
    """The most seconds that a piece may take, or why it does not run."""
    outcome = run_within(piece, budget, lambda piece, limit: Outcome(piece.part, piece.title, {"limit": limit}))
    return outcome.value["limit"] if outcome.value else outcome.reason


def test_a_piece_runs_where_it_fits_into_the_budget() -> None:
    assert taken(piece(), seconds(0)) == 40
    assert taken(piece(), seconds(75)) == 25
    assert taken(piece(), seconds(91)) == NO_TIME
    assert taken(piece(open_ended=True), seconds(25)) == 75
    assert taken(piece(python=None), seconds(0)) == NOT_INSTALLED


@pytest.mark.parametrize(
    ("program", "limit", "value", "reason"),
    [
        ("print('noise'); print('{\"a\": 1}')", 60, {"a": 1}, ""),
        ("raise ValueError('a problem')", 60, None, "failed: ValueError: a problem"),
        ("print('noise')", 60, None, "failed: it printed no result"),
        ("import time; time.sleep(60)", 0.5, None, "not complete: ended after 0 s"),
    ],
)
def test_a_piece_is_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, limit: float, value: object, reason: str
) -> None:
    (tmp_path / "program.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    outcome = run_process(piece(arguments=("program",)), limit)
    assert (outcome.value, outcome.reason) == (value, reason)
    assert outcome.seconds < 30


def test_the_page_is_complete_after_each_piece(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned, record = list(gpu.pieces("cpu", sys.executable)), gpu.Record(tmp_path, "a machine")
    pages: list[str] = []

    def run(piece: Piece, _: float) -> Outcome:
        if (tmp_path / "gpu.md").is_file():
            pages.append((tmp_path / "gpu.md").read_text())
        return Outcome(piece.part, piece.title, VALUES.get(piece.part, SPEED))

    gpu.measure(planned, Budget(inf), record, run)
    pages.append((tmp_path / "gpu.md").read_text())
    assert len(pages) == len(planned) == len(json.loads((tmp_path / "gpu.json").read_text())["pieces"])
    assert len(capsys.readouterr().out.splitlines()) == len(planned)
    for number, page in enumerate(pages):
        assert all(f"### {title}" in page for title in TITLES.values())
        assert page.count(NOT_YET) == len(planned) - 1 - number
    assert "| captured | **failed** | a difference |" in pages[-1]
    assert "| aevb, compiled | 4,000 | 1.0 | 2,000 | 1,000 | 50% |" in pages[-1]
    assert "| matrix products of the decoder alone | 7.0 |  |" in pages[-1]
    assert "| adam | 1 | 20 of 2,000 | 3 |" in pages[-1]


def test_pieces_without_time_are_named_on_the_page(tmp_path: Path) -> None:
    planned = list(gpu.pieces("cpu", None))
    gpu.measure(planned, Budget(0), gpu.Record(tmp_path, "a machine"))
    page = (tmp_path / "gpu.md").read_text()
    assert page.count(NO_TIME) + page.count(NOT_INSTALLED) == len(planned)
    assert page.count(NOT_INSTALLED) == 4
