"""A search: ranges become trials, each is made once, and an interrupted search has the trials of a whole one."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aevb import plots
from aevb.config.schema import Config
from aevb.errors import BadInput
from aevb.runs.aggregate import RunResult, aggregate
from aevb.workflow import search as searches
from aevb.workflow.search import JOURNAL, Range, has_ranges, search, search_space
from tests.workflow.test_sweep import QUICK, aevb

__all__ = ["aevb"]  # a fixture
OVER: dict[str, list[Any]] = {
    "train.lr": ["1e-4..1e-2:log"],
    "model.latent": ["2..9"],
    "model.prior": ["normal", "flow"],
}
Trained = list[dict[str, object]]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Trained:
    """Sweeps train nothing: the bound is highest for five latent dimensions and a learning rate of 1e-3."""
    values = list[dict[str, object]]()

    def sweep(cells: Any, **_: Any) -> list[RunResult]:
        return [result(cell) for cell in cells]

    def result(cell: Any) -> RunResult:
        values.append(dict(cell.values))
        assert cell.config.model.latent == (cell.values["model.latent"],)
        if cell.values["model.latent"] == 9:
            return RunResult(cell.values, {}, "it broke")
        bound = -abs(cell.values["model.latent"] - 5) - 100 * abs(cell.config.train.learning_rate(1) - 1e-3)
        return RunResult(cell.values, {("valid", "bound"): bound}, None)

    monkeypatch.setattr(searches, "sweep", sweep)
    return values


def config(**options: object) -> Config:
    return Config.model_validate(QUICK | options)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2..20", Range(2, 20, False, True)),
        ("2..64:log", Range(2, 64, True, True)),
        ("1e-4..1e-2:log", Range(1e-4, 1e-2, True, False)),
        ("0.5..4", Range(0.5, 4, False, False)),
        ("-1..2.", Range(-1, 2, False, False)),
        ("0..1E0", Range(0, 1, False, False)),
    ],
)
def test_a_range_is_read(text: str, expected: Range) -> None:
    assert search_space({"x": [text]}) == {"x": expected}
    assert has_ranges({"y": ["1"], "x": [text]})


@pytest.mark.parametrize("text", ["5", "a..b", "../data.csv", "1e-3", "normal", "100,50"])
def test_other_values_are_no_range(text: str) -> None:
    assert search_space({"x": [text, "other"]}) == {"x": [text, "other"]}
    assert not has_ranges({"x": [text]})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["5..2"], "x=5..2: expected LOW..HIGH with LOW below HIGH"),
        (["0..2:log"], "LOW below HIGH, above 0 for log"),
        (["1..2", "5"], "x has a range and other values"),
    ],
)
def test_other_ranges_are_refused(values: list[str], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        search_space({"x": values})


def test_a_search_stays_within_its_ranges_and_improves(trained: Trained, tmp_path: Path) -> None:
    results = search(config(), OVER, 40, tmp_path)
    for values in trained:
        assert 1e-4 <= float(str(values["train.lr"])) <= 1e-2
        assert f"{values['train.lr']:.4g}" == str(values["train.lr"])
        assert values["model.prior"] in ("normal", "flow")
    assert {values["model.latent"] for values in trained} <= set(range(2, 10))
    bounds = [result.scores.get(searches.BOUND, -99) for result in results]
    assert sum(bounds[20:]) > sum(bounds[:20])
    assert max(bounds) > -1.5


def test_a_resumed_search_has_the_trials_of_a_whole_one(trained: Trained, tmp_path: Path) -> None:
    whole = search(config(), OVER, 15, tmp_path / "whole")
    trained.clear()
    search(config(), OVER, 6, tmp_path / "resumed")
    resumed = search(config(), OVER, 15, tmp_path / "resumed")
    assert [result.values for result in resumed] == [result.values for result in whole]
    other = search(config(seed=1), OVER, 15, tmp_path / "other")
    assert [result.values for result in other] != [result.values for result in whole]


def test_an_interrupted_trial_is_made_again(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = search(config(), OVER, 5, tmp_path / "whole")
    train: Any = getattr(searches, "sweep")  # noqa: B009  (a function of another module)

    def interrupted(cells: Any, **options: Any) -> Any:
        if len(trained) == 8:
            raise KeyboardInterrupt
        return train(cells, **options)

    monkeypatch.setattr(searches, "sweep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search(config(), OVER, 5, tmp_path / "resumed")
    monkeypatch.setattr(searches, "sweep", train)
    resumed = search(config(), OVER, 5, tmp_path / "resumed")
    assert [result.values for result in resumed] == [result.values for result in whole]


@pytest.mark.usefixtures("trained")
def test_the_mean_over_the_seeds_counts_and_jobs_choose_several_trials(tmp_path: Path) -> None:
    results = search(config(), OVER, 5, tmp_path, seeds=2, jobs=3)
    rows = aggregate(results)
    assert [row.seeds for row in rows if not row.problems] == [2] * len([row for row in rows if not row.problems])
    assert [result.values["seed"] for result in results] == [0, 1] * len(rows)


def test_equal_trials_are_trained_once(trained: Trained, tmp_path: Path) -> None:
    results = search(config(), {"model.latent": ["2..3"]}, 12, tmp_path, jobs=4)
    assert len(results) == len(trained) == 2


@pytest.mark.usefixtures("trained")
def test_a_folder_of_another_search_is_refused(tmp_path: Path) -> None:
    search(config(), OVER, 1, tmp_path)
    for other in ({"over": OVER | {"model.latent": ["2..8"]}}, {"config": config(seed=1)}, {"seeds": 2}):
        arguments: dict[str, Any] = {"config": config(), "over": OVER, "n_trials": 2, "folder": tmp_path} | other
        with pytest.raises(BadInput, match="has a search with other options"):
            search(**arguments)


def test_nothing_is_made_of_a_search_that_cannot_run(tmp_path: Path) -> None:
    for over in ({"model.latnt": ["2..9"]}, {"train.lr": ["-1.0..1.0"]}, {"model.prior": ["normal", "x"]}):
        with pytest.raises(BadInput):
            search(config(), over, 3, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_figure_has_a_panel_for_each_option() -> None:
    rows = aggregate(
        [
            RunResult({"train.lr": rate, "model.prior": prior, "seed": 0}, {("valid", "bound"): bound}, None)
            for rate, prior, bound in ((1e-4, "normal", -3.0), (1e-2, "flow", -2.0))
        ]
        + [RunResult({"train.lr": 1.0, "model.prior": "flow", "seed": 0}, {}, "it broke")]
    )
    first, second = plots.search(rows).axes
    assert (first.get_xlabel(), first.get_xscale()) == ("train.lr", "log")
    assert [label.get_text() for label in second.get_xticklabels()] == ["normal", "flow"]


def test_the_command(aevb: Callable[[str], tuple[int, str, str]]) -> None:
    options = "--model.hidden 4 --train.epochs 1 --n-importance-samples 3 --out found"
    command = f"sweep digits --search 2 --over train.lr=1e-3..1e-2:log --over model.latent=2..5 {options}"
    status, out, _ = aevb(command)
    assert status == 0
    assert "train.lr" in out
    assert (Path("found") / JOURNAL).is_file()
    models = {path: path.stat().st_mtime_ns for path in Path("found").glob("*/*/model.safetensors")}
    assert len(models) == 2
    rows = json.loads(aevb(f"{command} --json")[1])
    assert {path: path.stat().st_mtime_ns for path in models} == models
    bounds = [row["mean"]["valid bound"] for row in rows]
    assert bounds == sorted(bounds, reverse=True)
    assert all(2 <= row["values"]["model.latent"] <= 5 for row in rows)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--over model.latent=2..9", "--over has a range: add --search N"),
        ("--search 3 --over model.latent=9..2", "model.latent=9..2: expected LOW..HIGH"),
        ("--search 3 --over model.latnt=2..9", "unknown option --model.latnt"),
    ],
)
def test_bad_ranges_get_one_line(words: str, message: str, aevb: Callable[[str], tuple[int, str, str]]) -> None:
    status, out, err = aevb(f"sweep digits {words} --out found")
    assert (status, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert not Path("found").exists()


def test_the_missing_extra_is_named(
    aevb: Callable[[str], tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    status, _, err = aevb("sweep digits --search 3 --over model.latent=2..9 --out found")
    assert status == 2
    assert "pip install 'aevb[search]'" in err
    assert not Path("found").exists()


def test_a_file_in_place_of_the_folder_is_refused(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a,b")
    with pytest.raises(BadInput, match=r"data\.csv is a file, expected a folder"):
        search(config(), OVER, 2, tmp_path / "data.csv")
    assert not trained
