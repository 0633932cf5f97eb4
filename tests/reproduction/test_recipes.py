"""The vocabulary of recipes, and every recipe carried out at its smallest scale."""

import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from aevb.cli import app as cli
from aevb.config.schema import Config
from aevb.reproduction import NAMES, recipe
from aevb.reproduction.figures import draw
from aevb.reproduction.quantities import Missing, Quantity, Results, epoch, least, number, score
from aevb.reproduction.recipe import Recipe, Trial
from aevb.reproduction.run import cells, reproduce, share_done
from aevb.reproduction.verdicts import Scale

LEFT_OUT = {"hu": "after epoch", "guo": "set "}
"""What the smallest scale has no number for: late epochs, and most of the sets."""
QUICK = Config.model_validate({"model": {"hidden": [4]}, "train": {"epochs": 2}})


def constant(*values: float) -> Quantity:
    return Quantity(lambda _, seed: values[seed])


@pytest.fixture
def nothing(tmp_path: Path) -> Results:
    return Results(tmp_path, range(2))


def test_quantities_have_the_arithmetic_of_numbers(nothing: Results) -> None:
    one, two = constant(1.0, 2.0), constant(10.0, 30.0)
    assert (two - one).values(nothing) == [9.0, 28.0]
    assert (2.0 * one + two + 1.0).values(nothing) == [13.0, 35.0]
    assert (-one - 1.0).values(nothing) == [-2.0, -3.0]
    assert least(one, two - 9.0).values(nothing) == [1.0, 2.0]


def test_what_is_not_there_is_missing(nothing: Results) -> None:
    for quantity in (score("a", "bound"), epoch("a", "bound"), number("a", "value")):
        assert quantity.values(nothing) == []
    with pytest.raises(Missing, match="was not trained with seed 0"):
        nothing.run("a")


def test_trials_and_studies_are_made_once_and_give_their_numbers(nothing: Results) -> None:
    asked: list[int] = []

    def study(seed: int, _: str | None) -> dict[str, float]:
        asked.append(seed)
        return {"square": seed**2}

    trials = {"a": Trial(QUICK, n_importance_samples=2), "b": Trial(QUICK, n_importance_samples=2, seeds=1)}
    made = Recipe("it", "It", "", trials, [], [], studies={"study": study})
    assert share_done(list(cells(made, nothing))) == 0
    assert reproduce(made, nothing) == []
    assert share_done(list(cells(made, nothing))) == 1
    files = {path: path.stat().st_mtime_ns for path in nothing.folder.rglob("*") if path.is_file()}
    assert reproduce(made, Results(nothing.folder, range(2))) == []
    assert asked == [0, 1]
    assert all(path.stat().st_mtime_ns == time for path, time in files.items() if path.suffix != ".json")
    assert number("study", "square").values(nothing) == [0.0, 1.0]
    assert len(score("a", "bound", "valid").values(nothing)) == 2
    assert len(score("b", "log_px").values(nothing)) == 1
    last, second = epoch("a", "bound").values(nothing), epoch("a", "bound", number=2).values(nothing)
    assert last == second != epoch("a", "bound", number=1).values(nothing)
    assert epoch("a", "bound", number=3).values(nothing) == []


def test_a_trial_that_fails_does_not_stop_the_others(nothing: Results) -> None:
    bad = QUICK.model_copy(update={"train": QUICK.train.model_copy(update={"lr": 1e30})})
    made = Recipe(
        "it",
        "It",
        "",
        {"bad": Trial(bad, n_importance_samples=2), "good": Trial(QUICK, n_importance_samples=2)},
        [],
        [],
    )
    results = replace(nothing, seeds=range(1))
    assert [line.partition(":")[0] for line in reproduce(made, results)] == ["bad, seed 0"]
    assert len(results.runs("good")) == 1


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", NAMES)
def test_figures_without_runs_stop_no_page(name: str, nothing: Results) -> None:
    made = recipe(name, "smoke")
    drawn = {picture.name: draw(picture, nothing) for picture in made.pictures}
    assert {"training", "optimizers", "gaps"}.isdisjoint(name for name, figure in drawn.items() if figure.file)


def test_a_mean_of_nothing_is_missing(nothing: Results) -> None:
    assert constant(1.0, 3.0).mean(nothing) == 2.0
    with pytest.raises(Missing, match="no seed has the required results"):
        score("a", "bound").mean(nothing)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", get_args(Scale))
def test_recipes_are_consistent(name: str, scale: Scale) -> None:
    """Every trial says how long it is, every picture and claim has its words, and no name is there twice."""
    made = recipe(name, scale)
    assert made.name == name
    assert all(trial.config.train.epochs for trial in made.trials.values())
    assert not made.trials.keys() & made.studies.keys()
    for names in ([claim.label for claim in made.claims], [picture.name for picture in made.pictures]):
        assert len(set(names)) == len(names)
    assert all(picture.caption and picture.original for picture in made.pictures)
    assert made.errata or not made.author
    assert made.differences


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of the classifiers that the recipes share."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in ("guo", "records", "yong", "zhao") else ())
        for name in NAMES
    ],
)
def test_every_recipe_runs_at_its_smallest_scale(
    name: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command: every picture, and a number for every claim that does not look past the end of training."""
    monkeypatch.setattr("pooch.os_cache", lambda name: cache / name)
    with pytest.raises(SystemExit) as stop:
        cli.main(["reproduce", name, "--scale", "smoke", "--jobs", "1", "--out", str(tmp_path)])
    assert not stop.value.code
    folder, made = tmp_path / f"{name}-smoke", recipe(name, "smoke")
    claims = json.loads((folder / "results.json").read_text(encoding="utf-8"))["claims"]
    assert len(claims) == len(made.claims)
    empty = [claim["claim"] for claim in claims if claim["mean"] is None]
    assert all(LEFT_OUT.get(name, "nothing") in label for label in empty)
    assert {path.stem for path in (folder / "figures").iterdir()} == {picture.name for picture in made.pictures}
    assert (folder / "report.html").stat().st_size > 100_000
