"""Training that starts from the weights of another run."""

import shutil
import signal
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch

from aevb.config.schema import Config
from aevb.data import Dataset, load_data
from aevb.errors import BadInput
from aevb.runs.run_folder import RunFolder
from aevb.workflow.fitting import fit_run, fit_runs
from tests.conftest import some

DATA = some("unit", (1, 8, 8))
MODEL = {"hidden": (6,), "latent": 2}


def config(seed: int = 0, model: Any = None, **train: Any) -> Config:
    content = {"seed": seed, "model": MODEL | (model or {}), "train": {"epochs": 4, "batch_size": 10} | train}
    return Config.model_validate(content)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return fit_run(config(), tmp_path_factory.mktemp("first") / "run", DATA)


def weights(run: RunFolder) -> dict[str, torch.Tensor]:
    return dict(run.model.state_dict())


def test_training_starts_there(first: RunFolder, tmp_path: Path) -> None:
    """Steps of no length leave the weights as they were, also with another objective and seed."""
    chosen = config(seed=5, init_from=str(first.folder), lr=1e-30, epochs=1, keep="last")
    chosen = chosen.model_copy(update={"objective": type(chosen.objective)(kind="dreg", n_samples=3)})
    run = fit_run(chosen, tmp_path / "second", DATA)
    for name, weight in weights(run).items():
        assert torch.equal(weight, first.model.state_dict()[name]), name


def test_several_seeds_start_there(first: RunFolder, tmp_path: Path) -> None:
    options = {"init_from": str(first.folder), "lr": 1e-30, "epochs": 1, "keep": "last"}
    runs = fit_runs([(config(seed, **options), tmp_path / str(seed)) for seed in (1, 2)], DATA)
    for run in runs:
        assert torch.equal(weights(run)["decoder.0.weight"], first.model.state_dict()["decoder.0.weight"])


def test_it_resumes_without_the_other_run(first: RunFolder, tmp_path: Path) -> None:
    """An interrupted run needs its own checkpoint alone, and ends like an uninterrupted one."""
    other = tmp_path / "other"
    shutil.copytree(first.folder, other)
    chosen = config(init_from=str(other))
    whole = fit_run(chosen, tmp_path / "whole", DATA)
    steps = count(1)

    def interrupt() -> None:
        if next(steps) == 5:
            signal.raise_signal(signal.SIGINT)

    fit_run(chosen, tmp_path / "again", DATA, on_step=interrupt)
    shutil.rmtree(other)
    again = fit_run(chosen, tmp_path / "again", DATA, resume=True)
    assert again.finished
    assert all(torch.equal(weight, weights(again)[name]) for name, weight in weights(whole).items())


@pytest.mark.usefixtures("in_command")
@pytest.mark.parametrize(
    ("model", "message"),
    [({"latent": 3}, "latent"), ({"activation": "relu"}, "activation"), ({"prior": "mixture"}, "its prior is normal")],
)
def test_another_model_is_refused(first: RunFolder, tmp_path: Path, model: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        fit_run(config(model=model, init_from=str(first.folder)), tmp_path / "run", DATA)
    assert not (tmp_path / "run").exists()


def rows(classes: str, price: str = "$12.50") -> Dataset:
    """A table with a price and a condition; the seed is the number of classes."""
    chance = np.random.default_rng(len(classes))
    columns: dict[str, Any] = {"x": chance.normal(size=60), "c": list(classes * 60)[:60], "exported": price}
    columns["price"] = [f"${number:.2f}" for number in chance.normal(30, 9, 60)]
    return load_data(pandas.DataFrame(columns), condition=("c",))


def test_other_data_of_the_same_kind(tmp_path: Path) -> None:
    """Constants, and the median that messages name, are no part of the model; the classes of its condition are."""
    table = {"condition": ["c"], "activation": "relu"}
    first = fit_run(config(model=table, epochs=1), tmp_path / "first", rows("uvw"))
    chosen = config(model=table, epochs=1, init_from=str(first.folder))
    fit_run(chosen, tmp_path / "second", rows("uvwuvw", "$9.00"))
    for number, classes in enumerate(("uvwz", "abc")):
        with pytest.raises(BadInput, match=r"another model: its condition 1 is .*'u', 'v', 'w'.*, here it is .*; use"):
            fit_run(chosen, tmp_path / str(number), rows(classes))
        assert not (tmp_path / str(number)).exists()


def test_a_shared_run_has_no_path_of_the_other(first: RunFolder, tmp_path: Path) -> None:
    run = fit_run(config(init_from=str(first.folder), epochs=1), tmp_path / "run", DATA)
    run.save_copy(tmp_path / "copy", "card")
    text = (tmp_path / "copy" / "config.json").read_text()
    assert str(first.folder.parent) not in text
    assert f'"init_from": "{first.folder.name}"' in text


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a run folder"):
        fit_run(config(init_from=str(tmp_path)), tmp_path / "run", DATA)
