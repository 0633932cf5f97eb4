"""Every measure by its name: scores that say what they are, for every kind of data and model that has them."""

import json
import math
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from aevb.cli import app as cli
from aevb.config.schema import Config
from aevb.data import Dataset, Examples, load_data
from aevb.errors import BadInput
from aevb.evaluation.measures import Effort, measure
from aevb.evaluation.scores import Score, with_error
from aevb.models.registry import register
from aevb.runs.run_folder import RunFolder
from aevb.workflow.fitting import fit_run
from tests.conftest import some

NAMES = {
    "likelihood": {"bound", "log_px", "mutual_information"},
    "quadrature": {"log_px_quadrature"},
    "annealing": {"log_px_annealed"},
    "sandwich": {"log_px_lower", "log_px_between", "log_px_upper"},
    "gaps": {"approximation_gap", "amortization_gap"},
    "latent-space": {"path_ratio", "largest_step", "lipschitz", "prior_holes"},
    "sample-quality": {"frechet_distance", "sample_precision", "two_sample_accuracy", "mmd", "copied"},
}
OF_LABELS = {"neighbors_accuracy", "probe_accuracy", "silhouette", "class_distance"}
OF_LABELLED_IMAGES = {"sample_confidence", "class_imbalance"}
EFFORT = Effort(n_importance_samples=20, examples=25)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def trained(folder: Path, dataset: Dataset, **model: object) -> RunFolder:
    config = {"model": {"hidden": [8]} | model, "train": {"epochs": 2, "batch_size": 20}}
    return fit_run(Config.model_validate(config), folder, dataset)


def everything(run: RunFolder, dataset: Dataset, *names: str) -> dict[str, Score]:
    return {score.name: score for name in names for score in measure(name, run.model, dataset, "test", EFFORT)}


@pytest.mark.slow
def test_every_measure_of_a_plane(tmp_path: Path) -> None:
    dataset = load_data("gaussian", validation=200)
    run = trained(tmp_path / "run", dataset)
    own = {name for name in register.measure if register.measure.module(name).startswith("aevb.")}
    assert set(NAMES) == own
    for name, expected in NAMES.items():
        scores = everything(run, dataset, name)
        assert expected <= set(scores)
        assert all(math.isfinite(score.value) and score.estimator for score in scores.values())
        run.save_scores(list(scores.values()))
    saved = json.loads((run.folder / "scores.json").read_text())["scores"]
    names = {field.name for field in fields(Score)}
    assert all(set(score) == names for score in saved)
    assert RunFolder.load(run.folder).scores == run.scores


@pytest.mark.slow
def test_labels_give_more(tmp_path: Path) -> None:
    dataset = load_data("digits")
    run = trained(tmp_path / "run", dataset)
    found = everything(run, dataset, "latent-space", "sample-quality")
    assert set(found) >= OF_LABELS | OF_LABELLED_IMAGES
    assert "classifier of accuracy 0.9" in found["frechet_distance"].estimator
    assert 0 < found["neighbors_accuracy"].value < 1


def test_images_without_labels(tmp_path: Path) -> None:
    dataset = some("binary", (1, 4, 4), count=40)
    run = trained(tmp_path / "run", dataset)
    found = everything(run, dataset, "latent-space", "sample-quality")
    assert not set(found) & (OF_LABELS | OF_LABELLED_IMAGES)
    assert "standardized values" in found["frechet_distance"].estimator


def test_one_class_is_no_class(tmp_path: Path) -> None:
    dataset = load_data("digits")
    one = Dataset(**{**vars(dataset), "classes": ("digit",), **_labelled(dataset, 0)})
    run = trained(tmp_path / "run", one)
    found = everything(run, one, "latent-space", "sample-quality")
    assert not set(found) & (OF_LABELS | OF_LABELLED_IMAGES)


def _labelled(dataset: Dataset, label: int) -> dict[str, Examples]:
    parts = {name: getattr(dataset, name) for name in ("train", "valid", "test")}
    return {name: replace(part, labels=torch.full((len(part),), label)) for name, part in parts.items()}


@pytest.mark.parametrize("name", ["latent-space", "sample-quality"])
def test_nothing_is_compared_with_itself(name: str, tmp_path: Path) -> None:
    dataset = some("real", (3,), count=40)
    run = trained(tmp_path / "run", dataset)
    with pytest.raises(BadInput, match="compares with the training split"):
        measure(name, run.model, dataset, "train", EFFORT)


def test_scores_of_few_examples_stand_beside_those_of_all(tmp_path: Path) -> None:
    dataset = some("real", (3,), count=40)
    run = trained(tmp_path / "run", dataset)
    run.evaluate(dataset, n_importance_samples=5)
    run.save_scores(measure("likelihood", run.model, dataset, "test", Effort(n_importance_samples=5, examples=10)))
    assert [score.examples for score in run.scores if score.name == "bound"] == [40, 10]
    run.evaluate(dataset, n_importance_samples=5)
    assert [score.examples for score in run.scores if score.name == "bound"] == [10, 40]


def test_resampled_binarization_is_sampled_once(tmp_path: Path) -> None:
    dataset = load_data("digits", binarize="resampled")
    run = trained(tmp_path / "run", dataset)
    effort = Effort(n_importance_samples=2, examples=300)
    first, again = (measure("likelihood", run.model, dataset, "train", effort) for _ in range(2))
    assert first == again
    values = {score.name: score.value for score in first}
    assert values["mutual_information"] <= math.log(300)


@pytest.mark.slow
def test_several_layers(tmp_path: Path) -> None:
    dataset = some("real", (3,), count=40)
    run = trained(tmp_path / "run", dataset, latent=[2, 2], latent_hidden=[4])
    names = set(NAMES) - {"quadrature"}
    assert set().union(*(NAMES[name] for name in names)) <= set(everything(run, dataset, *names))
    with pytest.raises(BadInput, match="one layer of one or two latent dimensions"):
        everything(run, dataset, "quadrature")


def test_an_autoencoder_has_a_latent_space_and_samples_only(tmp_path: Path) -> None:
    dataset = some("real", (3,), count=40)
    run = trained(tmp_path / "run", dataset, posterior="point")
    assert {"path_ratio", "frechet_distance"} <= set(everything(run, dataset, "latent-space", "sample-quality"))
    for name in ("quadrature", "annealing", "sandwich", "gaps"):
        with pytest.raises(BadInput, match=f"measure {name} needs a posterior with a density"):
            everything(run, dataset, name)


def test_the_command_measures_and_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (
        "train gaussian --model.hidden 8 --train.epochs 1 --n-importance-samples 2 --no-report --out run",
        "evaluate run --measure quadrature gaps --max-examples 20 --n-importance-samples 10 --memory 64",
    ):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main(command.split())
        assert not stop.value.code
    shown = capsys.readouterr().out
    assert "log p(x), quadrature" in shown
    assert "amortization gap" in shown
    names = {score.name for score in RunFolder.load("run").scores}
    assert {"log_px", "log_px_quadrature", "amortization_gap"} <= names


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (-83.8123, 0.0789, "-83.812 ± 0.079"),
        (0.005, 0.002, "0.0050 ± 0.0020"),
        (-83.8, 1e-6, "-83.8000 ± 0.0000"),
        (3.4e-4, 4.2e-5, "0.00034 ± 4.2e-05"),
        (1e-24, 1.2e-25, "1e-24 ± 1.2e-25"),
        (0.0, 0.0, "0.00 ± 0.00"),
        (12.345, None, "12.35"),
        (0.0041, None, "0.0041"),
        (-1e-9, None, "-1e-09"),
        (0.0, None, "0.00"),
    ],
)
def test_small_scores_are_not_written_as_zero(value: float, stderr: float | None, text: str) -> None:
    assert with_error(Score("mmd", value, stderr, "test", "", None, "none")) == text
