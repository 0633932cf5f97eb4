"""Models with one problem each: the diagnosis finds it and no other, and its remedy improves the metric."""

import json
import math
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from aevb.cli import app as cli
from aevb.config.schema import Config
from aevb.data import Dataset, Examples, Kind, load_data
from aevb.errors import BadInput
from aevb.evaluation import diagnosis
from aevb.evaluation.diagnosis import EXPLAINS, Finding, take_measurements
from aevb.evaluation.diagnosis.findings import Measurements
from aevb.runs.run_folder import RunFolder
from aevb.workflow.fitting import fit_run


def dataset(x: np.ndarray[Any, Any], kind: Kind = "real") -> Dataset:
    values = torch.as_tensor(x).float()
    cuts = int(0.7 * len(x)), int(0.85 * len(x))
    parts = [Examples(part) for part in values.tensor_split(cuts)]
    return Dataset("rows", kind, tuple(values.shape[1:]), parts[0], parts[1], parts[2], "none", None)


def plane(noise: float = 0.5) -> Dataset:
    """Two directions of much variance among five columns."""
    rng = np.random.default_rng(0)
    return dataset(rng.normal(size=(2000, 2)) @ rng.normal(size=(2, 5)) + noise * rng.normal(size=(2000, 5)))


def clusters() -> Dataset:
    rng = np.random.default_rng(0)
    centers = np.array([[0, 0, 1], [10, 0, -1], [5, 9, 0]])
    return dataset(centers[rng.integers(0, 3, 2000)] + 0.3 * rng.normal(size=(2000, 3)))


def arms() -> Dataset:
    """Five bent arms around the origin: the normal posterior of the default gives z up before it finds them."""
    rng = np.random.default_rng(0)
    along, across = 1 + 0.3 * rng.normal(size=4000), 0.1 * rng.normal(size=4000)
    angle = 2 * np.pi * rng.integers(0, 5, 4000) / 5 + 0.25 * np.exp(along)
    turn = np.stack([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return dataset(2 * np.einsum("ijn,jn->ni", turn, np.stack([along, across])))


def prototypes() -> Dataset:
    """Binary rows that differ in a few elements from one of three."""
    rng = np.random.default_rng(0)
    three = rng.integers(0, 2, (3, 40))
    x = three[rng.integers(0, 3, 2000)]
    return dataset(np.where(rng.random(x.shape) < 0.02, 1 - x, x), "binary")


def bursts() -> Dataset:
    """Counts with far more variance than Poisson's."""
    rng = np.random.default_rng(0)
    share = 1 / (1 + np.exp(rng.normal(size=(2000, 1)) @ np.ones((1, 6)) + 1))
    return dataset(rng.negative_binomial(1.0, share, size=(2000, 6)), "counts")


def little() -> Dataset:
    """197 images to learn from."""
    return load_data("digits", validation=0.3, test=0.59)


class Problem(NamedTuple):
    name: str
    data: Callable[[], Dataset]
    config: dict[str, Any]


def config(epochs: int, **sections: dict[str, Any]) -> dict[str, Any]:
    """For rows, unless the sections say otherwise."""
    model = {"hidden": [32], "latent": [2]} | sections.get("model", {})
    train = {"epochs": epochs, "batch_size": 50} | sections.get("train", {})
    return sections | {"model": model, "train": train}


LINEAR: dict[str, Any] = {"hidden": []}
FAST: dict[str, Any] = {"lr": 1e-2}
PROBLEMS = {
    "five arms": Problem(
        "simpler model is better", arms, config(100, model={"hidden": [128, 128]}, objective={"warmup": 0})
    ),
    "weight of 50": Problem("posterior collapse", plane, config(60, objective={"beta": 50.0})),
    "twenty dimensions": Problem(
        "inactive or redundant", plane, config(200, model={"latent": [20]}, train={"lr": 1e-2})
    ),
    "no noise": Problem("vanishing variance", lambda: plane(0.0), config(300, model=LINEAR, train=FAST)),
    "three clusters": Problem("simpler model is better", clusters, config(60, model=LINEAR, train=FAST)),
    "three prototypes": Problem("prior holes", prototypes, config(100, model=LINEAR, train=FAST)),
    "three epochs": Problem("training ended too early", lambda: load_data("digits"), config(3, model={"latent": [10]})),
    "few images": Problem("over-fitting", little, config(300, model={"hidden": [500], "latent": [10]})),
    "weight of 0.05": Problem("objective is not the bound", plane, config(60, objective={"beta": 0.05})),
    "bursts": Problem("likelihood does not fit", bursts, config(60, model={"latent": [1], "likelihood": "poisson"})),
    "too much noise": Problem("likelihood does not fit", plane, config(60, model={"variance": 5.0})),
}


def train(folder: Path, data: Dataset, given: dict[str, Any], seed: int) -> RunFolder:
    return fit_run(Config.model_validate(given | {"seed": seed}), folder, data)


def diagnose(run: RunFolder, data: Dataset) -> list[Finding]:
    trained = (run.model, run.config, run.resolved, run.epochs)
    return diagnosis.diagnose(*trained, data)


def measurements(run: RunFolder, data: Dataset) -> Measurements:
    trained = (run.model, run.config, run.resolved, run.epochs)
    return take_measurements(*trained, data, seed=0)


def following(given: dict[str, Any], remedy: str) -> dict[str, Any]:
    """A configuration with the options of a remedy."""
    result: dict[str, Any] = {name: dict(section) for name, section in given.items()}
    words = shlex.split(remedy)
    for option, value in zip(words[::2], words[1::2], strict=True):
        section, _, field = option.removeprefix("--").partition(".")
        if not field:  # a preset, in place of the options that it would set
            result = {"train": given["train"], section: value}
            continue
        result.setdefault(section, {})[field] = json.loads(value) if value[0].isdigit() else value
    return result


def value(findings: list[Finding], name: str) -> float | None:
    return next((finding.value for finding in findings if finding.metric == name), None)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_is_found_alone_and_its_remedy_helps(name: str, tmp_path: Path) -> None:
    problem, seed = PROBLEMS[name], 0
    data = problem.data()
    ill = train(tmp_path / "ill", data, problem.config, seed)
    findings = diagnose(ill, data)
    assert len(findings) == 1, findings
    found = findings[0]
    assert problem.name in found.problem
    treated = train(tmp_path / "treated", data, following(problem.config, found.remedy), seed)
    after = value(diagnose(treated, data), found.metric)
    if after is None:
        return  # within its limit
    assert (after < found.value) if found.better == "lower" else (after > found.value)


@pytest.mark.slow
def test_the_weight_of_one_gives_the_better_bound(tmp_path: Path) -> None:
    """With weight 1 there is no finding, so its metric is compared here."""
    problem = PROBLEMS["weight of 0.05"]
    data, bounds = problem.data(), []
    for number, beta in enumerate((0.05, 1.0)):
        run = train(tmp_path / str(number), data, problem.config | {"objective": {"beta": beta}}, 0)
        found = measurements(run, data).valid
        bounds.append(-(found.rate + found.distortion).mean().item())
    assert bounds[1] > bounds[0] + 0.5


@pytest.mark.slow
def test_a_good_model_has_no_problems(tmp_path: Path) -> None:
    data = plane()
    assert diagnose(train(tmp_path / "run", data, config(200), 0), data) == []


@pytest.mark.slow
def test_a_good_autoencoder_has_no_problems(tmp_path: Path) -> None:
    data = plane()
    run = train(tmp_path / "run", data, config(200, model={"posterior": "point"}), 0)
    assert diagnose(run, data) == []


def test_a_diagnosis_does_not_use_the_test_split(tmp_path: Path) -> None:
    data = plane()
    run = train(tmp_path / "run", data, config(2), 0)
    broken = Dataset(
        **{**vars(data), "test": Examples(torch.full_like(data.test.values, math.nan))},
    )
    assert diagnose(run, broken) == diagnose(run, data)


def test_a_run_without_an_epoch_has_no_diagnosis(tmp_path: Path) -> None:
    data = plane()
    run = train(tmp_path / "run", data, config(1), 0)
    run.epochs.clear()
    with pytest.raises(BadInput, match="need a finished epoch and at least two validation examples"):
        diagnose(run, data)


@pytest.mark.slow
@pytest.mark.parametrize(("ill", "json_wanted"), [(True, False), (False, True)])
def test_the_command(
    ill: bool, json_wanted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.save("rows.npy", rng.normal(size=(2000, 2)) @ rng.normal(size=(2, 5)) + 0.5 * rng.normal(size=(2000, 5)))
    options = "--model.hidden 32 --train.batch-size 50 --n-importance-samples 2 --out run --train.epochs"
    commands = [
        f"train rows.npy {options} {3 if ill else 200}",
        f"diagnose run {'--json' * json_wanted}",
    ]
    for command in commands:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main(command.split())
        assert not stop.value.code
    shown = capsys.readouterr().out
    if json_wanted:
        findings = json.loads(shown)["findings"]
        assert [finding["problem"] for finding in findings] == ["training ended too early"] * ill
    elif ill:
        assert "training ended too early" in shown
        assert "try       --train.epochs" in shown
    else:
        assert f"run: {len(EXPLAINS)} checks, no problems found" in shown
