"""Several processes against one."""

import inspect
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from torch.distributed.run import get_args_parser

from aevb.cli import train as cli
from aevb.data import load_data
from aevb.runs.run_folder import RunFolder
from aevb.training import environment
from aevb.training.backends.base import split_rows
from aevb.training.history import Epoch
from aevb.workflow.fitting import fit_run
from tests.training.job import BATCH_NORMALISED, CASES, STEPS, curve, settings

USUAL = ["importance-weighted, resampled"]
RARE = [case for case in CASES if case not in (*USUAL, BATCH_NORMALISED)]
AS_ONE = 1e-5
"""Between two processes and one: nats per example below 1, and of the value above."""


def launched(*command: str, count: int = 2) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count), "-m", *command],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


@pytest.mark.parametrize("size", [2, 7, 61, 100])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_shares_cover_a_batch(size: int, count: int) -> None:
    if size < count:
        return
    shares = split_rows(slice(0, size), count)
    assert len(shares) == count
    assert [place for share in shares for place in range(size)[share]] == list(range(size))
    sizes = [share.stop - share.start for share in shares]
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1


def together(cases: Sequence[str], place: Path) -> dict[str, list[list[float]]]:
    """The curves of two processes."""
    done = launched("tests.training.job", "curves", str(place / "curves.json"), *cases)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    found: dict[str, list[list[float]]] = json.loads((place / "curves.json").read_text())
    return found


@pytest.mark.parametrize("cases", [USUAL, pytest.param(RARE, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_two_processes_train_as_one(cases: Sequence[str], tmp_path: Path) -> None:
    found = together(cases, tmp_path)
    for case in cases:
        alone = curve(case, "ddp")
        assert len(alone) == STEPS + 1
        for strategy in ("ddp", "fsdp"):
            for one, two in zip(alone, found[f"{case}, {strategy}"], strict=True):
                assert two == pytest.approx(one, rel=AS_ONE, abs=AS_ONE), (case, strategy)


@pytest.mark.slow
def test_processes_with_batch_normalization_learn(tmp_path: Path) -> None:
    """Statistics of a share are not those of the batch."""
    found = together([BATCH_NORMALISED], tmp_path)
    for strategy in ("ddp", "fsdp"):
        *rows, _ = found[f"{BATCH_NORMALISED}, {strategy}"]
        assert np.isfinite(rows).all()
        assert rows[-1][0] < rows[0][0] - 1


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_lost_process_ends_the_job_and_another_number_resumes(tmp_path: Path, strategy: str) -> None:
    folder, dataset = tmp_path / "run", load_data("digits")
    done = launched("tests.training.job", "cut-off", str(folder), strategy)
    assert done.returncode != 0
    assert "another process of this job is gone" in done.stderr
    lost = RunFolder.load(folder)
    assert lost.outcome
    assert lost.outcome.ended == "interrupted"

    def stop(epoch: Epoch) -> None:
        if epoch.number == 6:
            signal.raise_signal(signal.SIGINT)

    run = fit_run(settings(strategy), folder, dataset, resume=True, on_epoch=stop)
    assert [epoch.number for epoch in run.epochs] == [1, 2, 3, 4, 5, 6]
    done = launched("aevb", "train", "--resume", str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("log p(x)  ") == 1  # one process speaks
    whole = fit_run(settings(strategy), tmp_path / "whole", dataset)
    for one, two in zip(whole.epochs, RunFolder.load(folder).epochs, strict=True):
        assert two.train.loss == pytest.approx(one.train.loss, rel=AS_ONE, abs=AS_ONE)
        assert one.valid
        assert two.valid
        assert two.valid.bound == pytest.approx(one.valid.bound, rel=AS_ONE, abs=AS_ONE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["nothing"], "no data set is named 'nothing'"),
        (["digits", "--seeds", "2"], "--seeds 2 does not work under torchrun"),
        (["digits", "--train.batch-size", "1"], "cannot be shared by 2 processes"),
    ],
)
def test_bad_input_is_reported_once(options: list[str], said: str, tmp_path: Path) -> None:
    done = launched("aevb", "train", *options, "--out", str(tmp_path / "run"))
    assert done.returncode != 0
    assert sum(line.startswith("aevb: ") and said in line for line in done.stderr.splitlines()) == 1
    assert done.stderr.count("Traceback (") == 1  # of torchrun itself
    assert not (tmp_path / "run").exists()


def test_no_option_is_a_prefix_of_one_of_torchrun() -> None:
    """It takes beginnings of its own options, wherever they stand."""
    own = [f"--{name.replace('_', '-')}" for name in inspect.signature(cli.train).parameters]
    theirs = [word for action in get_args_parser()._actions for word in action.option_strings]
    assert "--logger" in own
    assert not [(one, word) for one in own for word in theirs if word.startswith(one)]


def test_one_process_is_a_job() -> None:
    assert environment.world_size() == 1
    assert environment.is_first()
    assert environment.any_process(True, False) == (True, False)
    assert environment.run_on_first(lambda: 7) == 7
