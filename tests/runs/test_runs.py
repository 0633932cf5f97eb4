"""The run folder: what is written comes back, and nothing else gets in."""

import json
import math
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from aevb.config.schema import Config
from aevb.data import Dataset
from aevb.errors import BadInput
from aevb.runs import run_folder
from aevb.runs.format import FORMAT, epoch_line, read_epochs
from aevb.runs.run_folder import RunFolder
from aevb.runs.summary import description
from aevb.training.history import Epoch, EpochMetrics
from aevb.workflow.fitting import fit_run

CONFIG = Config.model_validate({"model": {"hidden": [6]}, "train": {"epochs": 3, "batch_size": 20}})


@pytest.fixture
def run(tmp_path: Path, stripes: Dataset) -> RunFolder:
    run = fit_run(CONFIG, tmp_path / "run", stripes)
    run.evaluate(stripes, n_importance_samples=5)
    return run


def test_a_run_comes_back(run: RunFolder, stripes: Dataset) -> None:
    again = RunFolder.load(run.folder)
    assert again.config == run.config
    assert again.data == run.data
    assert again.epochs == run.epochs
    assert again.scores == run.scores
    assert again.outcome == run.outcome
    x = stripes.test.all().x
    torch.testing.assert_close(again.model.reconstruct(x), run.model.reconstruct(x), atol=0, rtol=0)
    assert again.evaluate(stripes, n_importance_samples=5) == run.scores


def test_a_run_interrupted_in_its_first_epoch_has_its_initial_weights(tmp_path: Path, stripes: Dataset) -> None:
    run = fit_run(CONFIG, tmp_path / "run", stripes, on_step=lambda: signal.raise_signal(signal.SIGINT))
    assert description(run)["training"].endswith("interrupted; weights of epoch 0")
    assert RunFolder.load(run.folder).weights_epoch == 0


def test_an_objective_without_a_bound(tmp_path: Path) -> None:
    """What an objective of a user does not have, and gives as NaN, is written as that of an autoencoder."""
    metrics = EpochMetrics(loss=2.0, bound=math.nan, rate=math.nan, distortion=2.0)
    (tmp_path / "metrics.jsonl").write_text(epoch_line(Epoch(1, 0.5, metrics, None)))
    (epoch,) = read_epochs(tmp_path / "metrics.jsonl")
    assert epoch == Epoch(1, 0.5, EpochMetrics(2.0, -math.inf, math.inf, 2.0), None)


def test_an_address_is_no_folder_to_train_in(tmp_path: Path, stripes: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before anything is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="hub:me/run is not on this machine"):
        fit_run(CONFIG, Path("hub:me/run"), stripes)
    assert not list(tmp_path.iterdir())


def test_the_folder_holds_what_it_says(run: RunFolder) -> None:
    assert {path.name for path in run.folder.iterdir()} == {
        *("config.json", "model.safetensors", "metrics.jsonl", "scores.json")
    }
    lines = (run.folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == [1, 2, 3]
    scores = json.loads((run.folder / "scores.json").read_text())["scores"]
    assert {tuple(score) for score in scores} == {
        ("name", "value", "stderr", "split", "estimator", "n_importance_samples", "binarization", "note", "examples")
    }


def test_scores_are_kept_by_what_they_are(run: RunFolder, stripes: Dataset) -> None:
    count = len(run.scores)
    run.evaluate(stripes, n_importance_samples=5)
    assert len(run.scores) == count
    run.evaluate(stripes, n_importance_samples=7)
    assert {score.n_importance_samples for score in run.scores if score.name == "log_px"} == {5, 7}
    assert len([score for score in run.scores if score.name == "active_units"]) == 1


def test_same_seed_same_bytes(tmp_path: Path, stripes: Dataset, run: RunFolder) -> None:
    again = fit_run(CONFIG, tmp_path / "again", stripes)
    other = fit_run(CONFIG.model_copy(update={"seed": 1}), tmp_path / "other", stripes)
    weights = [(r.folder / "model.safetensors").read_bytes() for r in (run, again, other)]
    assert weights[0] == weights[1] != weights[2]


def test_learned_and_fixed_variance_come_back(tmp_path: Path, stripes: Dataset) -> None:
    for name, variance in (("fixed", 0.05), ("learned", "learned")):
        model = CONFIG.model.model_copy(update={"variance": variance})
        run = fit_run(CONFIG.model_copy(update={"model": model}), tmp_path / name, stripes)
        torch.testing.assert_close(RunFolder.load(run.folder).model.state_dict(), run.model.state_dict())


def test_a_taken_folder_is_refused_and_left_alone(run: RunFolder, stripes: Dataset) -> None:
    before = (run.folder / "model.safetensors").read_bytes()
    with pytest.raises(BadInput, match="already exists: choose another out"):
        fit_run(CONFIG, run.folder, stripes)
    assert (run.folder / "model.safetensors").read_bytes() == before


def test_a_file_in_the_way_is_refused(tmp_path: Path, stripes: Dataset) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(BadInput, match="already exists"):
        fit_run(CONFIG, tmp_path / "run", stripes)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "scores.json", "metrics.jsonl"])
@pytest.mark.parametrize("damage", ["empty", "half", "noise", "other"])
def test_damaged_files_are_named(run: RunFolder, name: str, damage: str) -> None:
    path = run.folder / name
    content = path.read_bytes()
    path.write_bytes(
        {"empty": b"", "half": content[: len(content) // 2], "noise": b"\x80\x02}q\x00.\n", "other": b'{"a": [1]}\n'}[
            damage
        ]
    )
    if name == "metrics.jsonl" and damage in ("empty", "half"):
        # A line that was cut off while it was written does not count.
        assert len(RunFolder.load(run.folder).epochs) < 3
        return
    with pytest.raises(BadInput, match=f"{name} is damaged or was not written by aevb") as caught:
        RunFolder.load(run.folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_missing_files_are_named(run: RunFolder, name: str) -> None:
    (run.folder / name).unlink()
    with pytest.raises(BadInput, match=name):
        RunFolder.load(run.folder)


def test_weights_know_their_epoch(run: RunFolder) -> None:
    assert run.outcome
    assert RunFolder.load(run.folder).weights_epoch == run.outcome.kept
    run.save_weights(2)
    assert RunFolder.load(run.folder).weights_epoch == 2


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_newer_format_is_refused(run: RunFolder) -> None:
    edit(run.folder / "config.json", format=FORMAT + 1, aevb="9.0", surprise=1)
    with pytest.raises(BadInput, match=r"has format 2 of aevb 9.0, .* install that version or a newer one"):
        RunFolder.load(run.folder)


def test_weights_of_another_model_are_refused(run: RunFolder) -> None:
    edit(run.folder / "config.json", resolved=run.resolved.model_dump() | {"latent": 3})
    with pytest.raises(BadInput, match=r"model.safetensors is damaged or was not written by aevb"):
        RunFolder.load(run.folder)


def test_no_space_is_noticed_before_training(tmp_path: Path, stripes: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(BadInput, match="no space left"):
        fit_run(CONFIG, tmp_path / "run", stripes)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_up_while_writing(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old file stays, whole, and nothing lies beside it."""
    before = {path.name: path.read_bytes() for path in run.folder.iterdir()}

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(BadInput, match=r"cannot write .*model.safetensors: no space left on device"):
        run.save_weights(3)
    assert {path.name: path.read_bytes() for path in run.folder.iterdir()} == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path, stripes: Dataset) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(BadInput, match=r"cannot write .*: permission denied"):
        fit_run(CONFIG, tmp_path / "run", stripes)


def test_a_loss_not_finite_in_the_first_epoch_leaves_nothing(tmp_path: Path, stripes: Dataset) -> None:
    config = CONFIG.model_copy(update={"train": CONFIG.train.model_copy(update={"lr": 1e30})})
    with pytest.raises(ArithmeticError, match="is not finite"):
        fit_run(config, tmp_path / "run", stripes)
    assert not list(tmp_path.iterdir())


def test_a_failure_later_leaves_the_last_good_weights(tmp_path: Path, stripes: Dataset) -> None:
    def fail(epoch: Any) -> None:
        if epoch.number == 2:
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        fit_run(CONFIG, tmp_path / "run", stripes, on_epoch=fail)
    run = RunFolder.load(tmp_path / "run")
    assert run.outcome
    assert (run.outcome.ended, len(run.epochs)) == ("failed", 2)


def test_weights_are_written_now_and_then(tmp_path: Path, stripes: Dataset) -> None:
    """What a killed process leaves: here, the folder is looked at from within the second epoch's end."""
    chosen = CONFIG.model_copy(update={"train": CONFIG.train.model_copy(update={"checkpoint_every": "1epoch"})})
    seen: list[bytes] = []
    look = lambda _: seen.append((tmp_path / "run" / "model.safetensors").read_bytes())  # noqa: E731
    fit_run(chosen, tmp_path / "run", stripes, on_epoch=look)
    assert len(set(seen)) == 3


def test_changed_data_are_noticed(run: RunFolder, stripes: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    for dataset, same in ((stripes, True), (replace(stripes, test=stripes.valid), False)):
        monkeypatch.setattr(run_folder, "load_data", lambda dataset=dataset, **_: dataset)
        if same:
            assert run.load_data() is dataset
        else:
            with pytest.raises(BadInput, match=r"has changed since .* was trained"):
                run.load_data()
