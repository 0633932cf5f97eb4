"""A budget of time becomes a number of epochs, which the run records."""

import signal
import time
from itertools import count
from pathlib import Path

import pytest
import torch

import aevb
from aevb.config.schema import Config
from aevb.data import load_data
from aevb.errors import BadInput
from aevb.workflow.budget import with_budget
from aevb.workflow.sweep import plan


def test_a_run_records_the_epochs_that_fit(tmp_path: Path) -> None:
    """The time of training is not asserted closely: other programs may run. Four times the budget is a failure."""
    data = load_data("digits")
    started = time.perf_counter()
    run = aevb.train(data, budget="3s", hidden=[16], out=tmp_path / "run", n_importance_samples=1, report=False)
    assert run.config.train.budget is None
    assert run.config.train.epochs is not None
    assert len(run.history.epochs) == run.config.train.epochs > 5
    assert sum(epoch.seconds for epoch in run.history.epochs) < 12
    assert time.perf_counter() - started < 60


@pytest.mark.slow
def test_more_time_gives_more_epochs() -> None:
    data, cpu = load_data("digits"), torch.device("cpu")
    epochs = [
        with_budget(Config.model_validate({"train": {"budget": budget}}), data, cpu).train.epochs or 0
        for budget in ("20s", "2min")
    ]
    assert epochs[0] < epochs[1] / 2


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"budget": "10min", "epochs": 3}, "omit epochs"),
        ({"budget": "1s", "batch_size": 1}, "is too short: an epoch takes"),
    ],
)
def test_a_budget_that_cannot_be_met_is_refused(train: dict[str, object], message: str) -> None:
    config = Config.model_validate({"train": train, "model": {"hidden": [3000, 3000]}})
    with pytest.raises(BadInput, match=message):
        with_budget(config, load_data("digits"), torch.device("cpu"))


@pytest.mark.parametrize("after", [3, 20])
def test_ctrl_c_while_the_speed_is_measured_ends_the_command(after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before or after the first steps that count, it must not begin the training itself."""
    config, steps, counter = Config.model_validate({"train": {"budget": "10min"}}), count(1), time.perf_counter

    def press() -> float:
        if next(steps) == after:
            signal.raise_signal(signal.SIGINT)
        return counter()

    monkeypatch.setattr(time, "perf_counter", press)
    with pytest.raises(KeyboardInterrupt):
        with_budget(config, load_data("digits"), torch.device("cpu"))


def test_sweeps_have_epochs() -> None:
    with pytest.raises(BadInput, match="is for a single run"):
        plan(Config.model_validate({"train": {"budget": "1h"}}), {}, 2, Path("sweep"))
