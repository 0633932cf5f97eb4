"""Many runs: every combination with every seed, once, and a table that says what became of each."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aevb import plots
from aevb.cli import app as cli
from aevb.config.schema import Config
from aevb.errors import BadInput
from aevb.runs.aggregate import RunResult, aggregate
from aevb.runs.run_folder import RunFolder
from aevb.workflow.sweep import Cell, plan, sweep

QUICK = {"data": {"source": "digits"}, "model": {"hidden": [4]}, "train": {"epochs": 1}}
OVER: dict[str, list[Any]] = {"model.latent": [2, "3,2"], "objective.beta": ["0.5"]}


def cells(folder: Path, seeds: int = 2, over: dict[str, list[Any]] = OVER) -> list[Cell]:
    return plan(Config.model_validate(QUICK | {"seed": 5}), over, seeds, folder, n_importance_samples=3)


def test_a_plan_has_every_combination_with_every_seed(tmp_path: Path) -> None:
    found = cells(tmp_path)
    assert [cell.config.model.latent for cell in found] == [(2,), (2,), (3, 2), (3, 2)]
    assert [cell.config.seed for cell in found] == [5, 6, 5, 6]
    assert {cell.config.objective.options["beta"] for cell in found} == {0.5}
    assert {cell.config.model.options["hidden"] for cell in found} == {(4,)}
    assert len({cell.folder for cell in found}) == 4


def test_values_that_mean_the_same_are_one(tmp_path: Path) -> None:
    over = {"model.latent": ["2", "02", "3", "3,2", "3, 2"], "train.lr": ["1e-3", "0.001"], "train.compile": ["off"]}
    found = cells(tmp_path, over=over)
    assert [cell.config.model.latent for cell in found] == [(2,), (2,), (3,), (3,), (3, 2), (3, 2)]
    assert {cell.values["model.latent"] for cell in found} == {"2", "3", "3,2"}
    assert {cell.values["train.lr"] for cell in found} == {"1e-3"}


def test_long_names_of_folders_are_shortened_and_differ(tmp_path: Path) -> None:
    """Also with letters of several bytes, which a file system counts."""
    wide = ",".join(["256"] * 60)
    over = {"model.hidden": [f"{wide},8", f"{wide},9"], "data.source": ["ä" * 200 + ".csv", "b.csv"]}
    folders = {cell.folder.parent for cell in cells(tmp_path, over=over)}
    assert len(folders) == 4
    for folder in folders:
        folder.mkdir()
        assert folder.name.startswith("model.hidden=256,256")


def test_a_run_folder_is_not_the_folder_of_a_sweep(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BadInput, match="already has a run"):
        cells(tmp_path)


def test_a_sweep_that_fails_keeps_the_results_of_another(aevb: Callable[[str], tuple[int, str, str]]) -> None:
    Path("many").mkdir()
    (results := Path("many/sweep.json")).write_text("[]")
    status, out, _ = aevb("sweep digits --over model.likelihood poisson --train.epochs 1 --out many")
    assert (status, results.read_text()) == (2, "[]")
    assert "failed: digits has gray values" in out
    assert "sweep.json" not in out


@pytest.mark.parametrize("over", [{"model.latnt": [2]}, {"model.latent": ["many"]}, {"nothing.at_all": [1]}])
def test_what_is_no_field_or_no_value_of_it_is_refused(over: dict[str, list[Any]], tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        cells(tmp_path, over=over)


@pytest.mark.parametrize("seeds", [1, 2])
def test_what_is_finished_is_not_repeated(tmp_path: Path, seeds: int) -> None:
    found, seen = cells(tmp_path, seeds), list[RunResult]()
    first = sweep(found, on_run=seen.append)
    assert [outcome.values for outcome in seen] == [cell.values for cell in found]
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    (found[1].folder / "scores.json").unlink()  # as if interrupted while it was measured
    again = sweep(found)
    assert seeds > 1 or again == first
    assert [outcome.values for outcome in again] == [outcome.values for outcome in first]
    for one, other in zip(first, again, strict=True):
        # What was trained as one with others is now trained alone: the sums are rounded differently.
        assert one.scores == pytest.approx(other.scores, rel=1e-3, abs=1e-3)
    changed = [path for path, time in files.items() if path.stat().st_mtime_ns != time]
    assert [path.parent for path in changed] == [found[1].folder]


def test_finished_runs_are_evaluated_again_with_another_number_of_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a number, the scores stay as they are; nothing is evaluated twice in a row."""
    made, evaluate = list[int | None](), RunFolder.evaluate

    def counted(run: RunFolder, dataset: Any, split: Any = "test", **options: Any) -> Any:
        made.extend([options["n_importance_samples"]] if split == "test" else [])
        return evaluate(run, dataset, split, **options)

    monkeypatch.setattr(RunFolder, "evaluate", counted)
    tables = []
    for k in (2, 30, 30, None, None, 2):
        found = plan(Config.model_validate(QUICK), {"model.latent": [2]}, 1, tmp_path, n_importance_samples=k)
        tables.append(sweep(found)[0].scores[("test", "log_px")])
    assert made == [2, 30, 2]
    assert tables[0] == tables[5] < tables[1] == tables[2] == tables[3] == tables[4]


@pytest.mark.slow
def test_runs_in_processes_are_the_same(tmp_path: Path) -> None:
    alone, together = sweep(cells(tmp_path / "a")), sweep(cells(tmp_path / "b"), jobs=2)
    for one, other in zip(alone, together, strict=True):
        assert one.scores == pytest.approx(other.scores, rel=1e-3, abs=1e-3)


def test_a_folder_of_another_configuration_is_not_taken_for_its_own(tmp_path: Path) -> None:
    sweep(cells(tmp_path, seeds=1))
    other = Config.model_validate(QUICK | {"seed": 5, "train": {"epochs": 2}})
    outcomes = sweep(plan(other, OVER, 1, tmp_path))
    assert all("another configuration" in str(outcome.problem) for outcome in outcomes)


def test_a_summary_has_means_and_standard_deviations_over_seeds() -> None:
    name = ("test", "bound")
    outcomes = [
        RunResult({"model.latent": 2, "seed": seed}, {name: value}, None) for seed, value in ((0, 1.0), (1, 3.0))
    ]
    outcomes.append(RunResult({"model.latent": 3, "seed": 0}, {name: 5.0}, None))
    outcomes.append(RunResult({"model.latent": 3, "seed": 1}, {}, "it broke"))
    first, second = aggregate(outcomes)
    assert (first.seeds, first.mean[name]) == (2, 2.0)
    assert first.std[name] == pytest.approx(math.sqrt(2))
    assert (second.seeds, second.mean[name], second.problems) == (1, 5.0, ["it broke"])
    assert math.isnan(second.std[name])
    assert [axis.get_title() for axis in plots.sweep([first, second]).axes] == ["validation bound", "test log p(x)"]


@pytest.fixture
def aevb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], tuple[int, str, str]]:
    monkeypatch.chdir(tmp_path)

    def call(command: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            cli.main(command.split())
        shown = capsys.readouterr()
        return int(stop.value.code or 0), shown.out, shown.err

    return call


def test_the_command(aevb: Callable[[str], tuple[int, str, str]]) -> None:
    """One of the settings cannot be trained, and is told."""
    options = "--model.hidden 4 --train.epochs 1 --n-importance-samples 3 --seeds 2 --out many"
    command = f"sweep digits --over model.likelihood gaussian poisson model.latent 2 {options}"
    status, out, _ = aevb(command)
    assert status == 0
    assert "model.likelihood" in out
    assert "failed: digits has gray values" in out
    rows = json.loads(aevb(f"{command} --json")[1])
    assert [row["seeds"] for row in rows] == [2, 0]
    assert rows[0]["values"] == {"model.likelihood": "gaussian", "model.latent": "2"}
    assert rows[0]["std"]["test log_px"] > 0
    assert {path.name for path in Path("many").iterdir() if path.is_file()} == {"sweep.json", "sweep.png"}
    assert len(list(Path("many").glob("*/*/model.safetensors"))) == 2
    assert RunFolder.load(next(Path("many").glob("*/seed=1"))).config.seed == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("2 3", "--over must start with an option such as model.latent, got 2"),
        ("model.latent", "--over model.latent has no values"),
        ("model.latnt 2", "unknown option --model.latnt: did you mean --model.latent?"),
        ("model.latent x", "--model.latent: input should be a valid integer"),
    ],
)
def test_bad_fields_get_one_line(words: str, message: str, aevb: Callable[[str], tuple[int, str, str]]) -> None:
    status, out, err = aevb(f"sweep digits --over {words} --out many")
    assert (status, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert not Path("many").exists()
