"""A run that was cut off goes on from its last checkpoint, and ends as it would have without, bit for bit."""

import errno
import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import chain, count, repeat
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from aevb import files
from aevb.config.schema import Config
from aevb.data import Dataset
from aevb.errors import BadInput
from aevb.models.vae import VAE
from aevb.runs.checkpoint import load_state
from aevb.runs.records import Outcome
from aevb.runs.run_folder import RunFolder
from aevb.training.history import Epoch
from aevb.training.optimizer import OPTIMIZERS
from aevb.workflow import fitting, sweep
from aevb.workflow.fitting import fit_run, fit_runs
from tests.conftest import mostly_slow, some

TRAIN = {"epochs": 8, "batch_size": 10}
MODEL = {"network": "conv", "channels": [3]}  # with the buffers of batch normalisation


def config(**train: Any) -> Config:
    return Config.model_validate({"model": MODEL, "train": TRAIN | train})


def data(seed: int = 0) -> Dataset:
    return some("unit", (1, 8, 8), seed=seed)


def end(folder: Path) -> tuple[bytes, list[dict[str, Any]], Any]:
    """What a run ended with, all but the seconds; its checkpoint is gone, and nothing half-written lies about."""
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.json", "model.safetensors", "metrics.jsonl", "scores.json"}
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    outcome = json.loads((folder / "scores.json").read_text())["training"]
    timeless = [{key: value for key, value in line.items() if key != "seconds"} for line in lines]
    return (folder / "model.safetensors").read_bytes(), timeless, outcome | {"seconds": None}


def press(after: int) -> Callable[[], None]:
    """Ctrl-C after so many steps."""
    steps = count(1)

    def on_step() -> None:
        if next(steps) == after:
            os.kill(os.getpid(), signal.SIGINT)

    return on_step


def cut_off(folder: Path, config: Config, after: int = 17) -> RunFolder:
    return fit_run(config, folder, data(), on_step=press(after))


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run that was interrupted in its sixth epoch of three steps."""
    return cut_off(tmp_path / "run", config())


def resume(folder: Path, config: Config = config(), **options: Any) -> list[int]:  # noqa: B008  (immutable)
    """Train to the end; the numbers of the epochs that were made."""
    made: list[Epoch] = []
    fit_run(config, folder, data(), resume=True, on_epoch=made.append, **options)
    return [epoch.number for epoch in made]


LONG = config(epochs=40, checkpoint_every="1steps")


def child(folder: Path) -> None:
    """Some slow steps, so that each kill finds other ones; then it waits for its end."""
    torch.set_num_threads(1)
    pauses = chain(repeat(0.005, 4), repeat(600))
    fit_run(LONG, folder, data(), resume=True, on_step=lambda: time.sleep(next(pauses)))


def content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


@pytest.mark.parametrize("kills", [1, pytest.param(25, marks=pytest.mark.slow)])
def test_a_killed_process(tmp_path: Path, kills: int) -> None:
    """Killed at moments that nobody chose, be it in the middle of writing."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([fitting.__name__, __name__])
    folder, chance = tmp_path / "run", random.Random()
    checkpoint = folder / "checkpoint.safetensors"
    for _ in range(kills):
        process = processes.Process(target=child, args=(folder,), daemon=True)
        before = content(checkpoint)
        process.start()
        while process.is_alive() and content(checkpoint) == before:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.15))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert RunFolder.load(folder).outcome is None  # good weights, at any moment
    assert resume(folder, LONG)
    fit_run(LONG, tmp_path / "whole", data())
    assert end(folder) == end(tmp_path / "whole")


@pytest.mark.parametrize("optimizer", mostly_slow(OPTIMIZERS))
@pytest.mark.parametrize(
    "options",
    [
        {"keep": "last", "weight_decay": 0.1, "lr_decay": 1.0},
        {"lr": 0.03, "patience": 5, "clip_grad_norm": 9.0, "epochs": 30},
    ],
)
def test_an_interrupted_run(tmp_path: Path, optimizer: str, options: dict[str, Any]) -> None:
    """Within its first epoch, and within its sixth."""
    chosen = config(optimizer=optimizer, **options)
    fit_run(chosen, tmp_path / "whole", data())
    for after, epochs in ((2, 0), (17, 5)):
        folder = tmp_path / str(after)
        outcome = cut_off(folder, chosen, after).outcome
        assert outcome
        assert (outcome.ended, outcome.epochs) == ("interrupted", epochs)
        assert (folder / "checkpoint.safetensors").is_file()
        assert resume(folder, chosen)[0] == epochs + 1
        assert end(folder) == end(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 2])
def test_within_an_epoch_of_steps_that_are_written_down(tmp_path: Path, seeds: int) -> None:
    """Of one model, and of two that are trained as one: 600 steps, with noise and values that are drawn anew."""
    small = {"model": {"hidden": [4], "posterior": "full"}, "train": TRAIN | {"epochs": 200, "clip_grad_norm": 5.0}}
    dataset = replace(data(), train=replace(data().train, resampled=True), kind="binary", binarize="resampled")
    for name, steps in (("whole", []), ("run", [301, 2, 100])):
        places = [(Config.model_validate(small | {"seed": seed}), tmp_path / f"{name}{seed}") for seed in range(seeds)]
        for after in [*steps, 10_000]:
            runs = fit_runs(places, dataset, resume=True, on_step=press(after))
            checkpoint = places[0][1] / "checkpoint.safetensors"
            assert checkpoint.is_file() == (after < 10_000)
    for seed, run in enumerate(runs):
        assert end(run.folder) == end(tmp_path / f"whole{seed}")


@pytest.mark.parametrize(
    ("every", "steps", "epochs"),
    [("1steps", 16, 8), ("2steps", 8, 4), ("4steps", 4, 2), ("2epochs", 0, 4), ("60s", 0, 0), ("1min", 0, 0)],
)
def test_checkpoints_are_made_as_often_as_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: str, steps: int, epochs: int
) -> None:
    made: list[bool] = []
    save = RunFolder.save_checkpoint

    def noted(self: RunFolder) -> None:
        if self.state and not self.outcome:
            made.append(self.state.position is not None)
        save(self)

    monkeypatch.setattr(RunFolder, "save_checkpoint", noted)
    fit_run(config(checkpoint_every=every), tmp_path / "run", data())
    assert (made.count(True), made.count(False)) == (steps, epochs)


@pytest.mark.parametrize("every", ["1h", "0s", "steps", "-1s", "1.5s", "10", ""])
def test_no_other_words_for_how_often(every: str) -> None:
    with pytest.raises(ValidationError, match="checkpoint_every"):
        config(checkpoint_every=every)


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it fills up, one line, and what was there before is still good."""
    chosen = config(checkpoint_every="1steps")
    fit_run(chosen, tmp_path / "whole", data())
    flush, folder = files.flush, tmp_path / "run"
    for room in (7, 20, 11, 5):
        left = [room]

        def full(path: Path, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            flush(path)

        monkeypatch.setattr(files, "flush", full)
        with pytest.raises(BadInput, match="no space left on device") as caught:
            fit_run(chosen, folder, data(), resume=True)
        assert "\n" not in str(caught.value)
        monkeypatch.setattr(files, "flush", flush)
        assert RunFolder.load(folder).model
    resume(folder, chosen)
    assert end(folder) == end(tmp_path / "whole")


def test_a_run_that_failed(tmp_path: Path) -> None:
    def fail(epoch: Epoch) -> None:
        if epoch.number == 4:
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        fit_run(config(), tmp_path / "run", data(), on_epoch=fail)
    assert resume(tmp_path / "run") == [4, 5, 6, 7, 8]
    fit_run(config(), tmp_path / "whole", data())
    assert end(tmp_path / "run") == end(tmp_path / "whole")


@pytest.mark.parametrize(("seeds", "resumed"), [(1, False), (1, True), (2, True)])
def test_a_failure_in_the_first_epoch_keeps_the_checkpoint(tmp_path: Path, seeds: int, resumed: bool) -> None:
    """A second Ctrl-C, a full disk or too little memory: hours of the first epoch may be in the checkpoint."""
    chosen = Config.model_validate({"train": {"epochs": 2, "batch_size": 5, "checkpoint_every": "1steps"}})
    jobs = [(chosen.model_copy(update={"seed": seed}), tmp_path / str(seed)) for seed in range(seeds)]
    if resumed:
        fit_runs(jobs, data(), on_step=press(2))
    steps = count(1)

    def fail() -> None:
        if next(steps) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_runs(jobs, data(), resume=True, on_step=fail)
    for _, folder in jobs:
        assert RunFolder.load(folder).outcome == Outcome(ended="failed", kept=0, epochs=0, seconds=0.0)
        assert (folder / "checkpoint.safetensors").is_file()
    assert all(run.finished for run in fit_runs(jobs, data(), resume=True))


def test_a_failure_leaves_the_weights_of_the_last_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the step that failed has done to them."""
    models, initial, steps = list[VAE](), fitting.initial_model, count(1)

    def built(*arguments: Any) -> VAE:
        models.append(initial(*arguments))
        return models[-1]

    def fail() -> None:
        if next(steps) == 4:
            models[0].get_parameter("posterior.head.bias").data.fill_(float("nan"))
            raise MemoryError

    monkeypatch.setattr(fitting, "initial_model", built)
    with pytest.raises(MemoryError):
        fit_run(config(), tmp_path / "run", data(), on_step=fail)
    assert RunFolder.load(tmp_path / "run").weights_epoch == 1
    assert resume(tmp_path / "run")[0] == 2


def test_what_came_after_the_checkpoint_is_dropped(run: RunFolder, tmp_path: Path) -> None:
    """Lines of later epochs, half a line, half a file, and numbers of the weights that were interrupted."""
    run.evaluate(data(), n_importance_samples=2)
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write((run.folder / "metrics.jsonl").read_text() + '{"number": 6')
    (run.folder / ".checkpoint-123.safetensors").write_bytes(b"half")
    assert resume(run.folder) == [6, 7, 8]
    fit_run(config(), tmp_path / "whole", data())
    assert end(run.folder) == end(tmp_path / "whole")


def test_a_run_cut_off_after_its_last_epoch(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its patience had run out, and its cooldown of one epoch was over: not one epoch more."""
    monkeypatch.setattr(RunFolder, "close", lambda *_: None)
    chosen, folder = config(patience=1, lr=0.3, epochs=40, checkpoint_every="1epoch"), run.folder.with_name("early")
    epochs = fit_run(chosen, folder, data()).epochs
    assert len(epochs) < 40
    monkeypatch.undo()
    assert resume(folder, chosen) == []
    outcome = RunFolder.load(folder).outcome
    assert outcome
    best = max((epoch for epoch in epochs if epoch.valid), key=lambda epoch: epoch.valid.merit if epoch.valid else 0)
    assert (outcome.ended, outcome.kept, outcome.epochs) == ("early", best.number, len(epochs))


def test_interrupted_in_the_cooldown(tmp_path: Path) -> None:
    """The last epoch, of three steps, belongs to it: the checkpoint says where the learning rate began to fall."""
    chosen = config(patience=1, lr=0.3, epochs=40, lr_decay=0.5, ema=0.9)
    last = len(fit_run(chosen, tmp_path / "whole", data()).epochs)
    again = tmp_path / "again"
    cut_off(again, chosen, after=3 * last - 1)
    state = load_state(RunFolder.load(again).model, again / "checkpoint.safetensors")
    assert state
    assert (state.number, state.step) == (last - 1, 2)
    assert state.cooldown
    assert state.cooldown.start < state.cooldown.end == last
    assert resume(again, chosen) == [last]
    assert end(again) == end(tmp_path / "whole")


def test_interrupted_again(run: RunFolder, tmp_path: Path) -> None:
    assert resume(run.folder, on_step=press(1)) == [6]  # the third and last step of its sixth epoch
    assert resume(run.folder, on_step=press(1)) == []
    assert resume(run.folder, on_step=press(1)) == []
    assert resume(run.folder, on_step=press(2)) == [7]
    assert resume(run.folder) == [8]
    fit_run(config(), tmp_path / "whole", data())
    assert end(run.folder) == end(tmp_path / "whole")


def refused(folder: Path, chosen: Config = config(), seed: int = 0) -> str:  # noqa: B008  (immutable)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(BadInput) as caught:
        fit_run(chosen, folder, data(seed), resume=True)
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    return str(caught.value)


@pytest.mark.parametrize("damage", ["empty", "half", "noise", "other model", "other file"])
def test_a_damaged_checkpoint_is_refused(run: RunFolder, damage: str) -> None:
    path = run.folder / "checkpoint.safetensors"
    content = path.read_bytes()
    if damage == "other model":
        other = Config.model_validate({"model": MODEL | {"channels": [5]}, "train": TRAIN})
        content = (cut_off(run.folder.with_name("other"), other).folder / path.name).read_bytes()
    model = (run.folder / "model.safetensors").read_bytes()
    damaged = {"empty": b"", "half": content[: len(content) // 2], "noise": b"\x80\x02}q\x00.\n", "other file": model}
    path.write_bytes(damaged.get(damage, content))
    assert "checkpoint.safetensors is damaged or was not written by aevb" in refused(run.folder)


def test_metrics_behind_the_checkpoint_are_refused(run: RunFolder) -> None:
    path = run.folder / "metrics.jsonl"
    path.write_text(path.read_text().split("\n")[0] + "\n")
    assert "metrics.jsonl is damaged" in (message := refused(run.folder))
    assert "it has 1 epochs, but checkpoint.safetensors is of epoch 5" in message


def test_another_experiment_is_not_continued(run: RunFolder) -> None:
    assert "has a run with another configuration" in refused(run.folder, config(lr=0.5))
    assert "has changed since" in refused(run.folder, seed=1)
    resume(run.folder)
    assert "already exists" in refused(run.folder)


def test_nothing_is_continued_unasked(run: RunFolder) -> None:
    with pytest.raises(BadInput, match="already exists"):
        fit_run(config(), run.folder, data())


def test_the_data_may_lie_elsewhere_now(run: RunFolder) -> None:
    chosen = config()
    moved = chosen.model_copy(update={"data": chosen.data.model_copy(update={"data_dir": "elsewhere"})})
    assert resume(run.folder, moved) == [6, 7, 8]


def test_where_there_is_nothing_yet_it_begins(tmp_path: Path) -> None:
    assert resume(tmp_path / "new") == list(range(1, 9))


def test_a_sweep_goes_on_within_a_run(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    append = RunFolder.append_epoch

    def noted(self: RunFolder, epoch: Epoch) -> None:
        made.append(epoch.number)
        append(self, epoch)

    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setattr(sweep, "load_data", lambda **_: data())
    monkeypatch.setattr(RunFolder, "append_epoch", noted)
    cells = [sweep.Cell({"seed": 0}, config(), run.folder, n_importance_samples=2)]
    (outcome,) = sweep.sweep(cells)
    assert outcome.problem is None
    assert made == [6, 7, 8]
    (run.folder / "checkpoint.safetensors").write_bytes(b"")  # nobody looks at one of a finished run
    assert sweep.sweep(cells) == [outcome]
    assert len(made) == 3


def test_two_processes_do_not_train_one_run(run: RunFolder, tmp_path: Path) -> None:
    """While a run is trained, another process that would resume it is refused, and disturbs nothing."""

    def intrude(_: Epoch) -> None:
        with pytest.raises(BadInput, match="run is in use by another process"):
            resume(run.folder)
        with pytest.raises(BadInput, match="already exists"):
            fit_run(config(), run.folder, data())

    fit_run(config(), run.folder, data(), resume=True, on_epoch=intrude)
    fit_run(config(), tmp_path / "whole", data())
    assert end(run.folder) == end(tmp_path / "whole")
