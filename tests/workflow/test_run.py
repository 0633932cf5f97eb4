"""A run does the same whatever was called before, and wherever it is called."""

from pathlib import Path

import numpy as np
import pytest
import torch

import aevb

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
QUICK = {"hidden": 4, "latent": 1, "epochs": 1, "n_importance_samples": 2, "report": False}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def trained(data: object = X, **options: object) -> aevb.Run:
    return aevb.train(data, **QUICK | options)  # type: ignore[arg-type]


def test_a_run_stays_in_its_folder_after_a_change_of_the_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(out="run")
    elsewhere = Path("elsewhere")
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    run.evaluate("train", n_importance_samples=2)
    run.diagnose()
    assert list(Path().iterdir()) == []
    assert aevb.load_run(run.folder).scores == run.scores
    assert (run.folder / "findings.json").is_file()


def test_scores_leave_the_model_of_an_estimator_as_it_is() -> None:
    aevb.VariationalAutoencoder(1, hidden=(4,), epochs=1).fit(X).save_pretrained("model")
    run = aevb.load_run("model")
    before = run.encode(X)
    run.score(X, n_importance_samples=2)
    assert run.model.dtype == torch.float32
    assert torch.equal(run.encode(X), before)
