"""Examples that stay where they lie: each once in an epoch, in an order that repeats, within little memory."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray
from torch import Tensor

from aevb.config.schema import Config
from aevb.data import Dataset, load_data, out_of_core
from aevb.data.examples import Examples, Order
from aevb.errors import BadInput
from aevb.training.capture import CaptureError
from aevb.workflow.fitting import can_stack, fit_run, fit_runs

READERS = "aevb reads ahead"


@pytest.fixture(autouse=True)
def _little_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use small blocks, buffers and scans."""
    monkeypatch.setattr(out_of_core, "BUFFER", 4000)
    monkeypatch.setattr("aevb.data.sources.filesystem.LOCAL_BLOCK", 256)
    monkeypatch.setattr(out_of_core, "SCANNED", 300)


@pytest.fixture(autouse=True)
def _no_reader_is_left() -> Iterator[None]:
    yield
    end = time.monotonic() + 10
    while any(thread.name == READERS for thread in threading.enumerate()):
        assert time.monotonic() < end, "a thread still reads"
        time.sleep(0.01)


def numbered(rows: int = 1000) -> NDArray[np.float32]:
    """Return rows of three numbers, the first of which is the number of the row."""
    rest = np.random.default_rng(0).normal(size=(rows, 2))
    return np.column_stack([np.arange(rows), rest]).astype(np.float32)


def saved(folder: Path, array: NDArray[Any], name: str = "rows.npy") -> str:
    np.save(folder / name, array)
    return str(folder / name)


def left(path: str, **options: Any) -> Dataset:
    """Load a file with its training examples on disk."""
    dataset = load_data(path, in_memory="off", **options)
    assert dataset.out_of_core
    return dataset


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def epoch(order: Order, total: int, size: int = 70, start: int = 0) -> Tensor:
    """Return the concatenated batches of the rest of an epoch."""
    return torch.cat([order.batch(slice(first, first + size)).x for first in range(start, total, size)])


def rows_of(*examples: Examples | Tensor) -> list[int]:
    values = (part.values if isinstance(part, Examples) else part for part in examples)
    return sorted(torch.cat([part[:, 0] for part in values]).int().tolist())


# The order.


def test_every_row_is_in_one_split_and_once_in_an_epoch(tmp_path: Path) -> None:
    dataset = left(saved(tmp_path, numbered()))
    supply = dataset.train_source
    learnt = epoch(supply.shuffled(generator()), len(supply))
    assert (len(supply), len(dataset.train), len(dataset.valid), len(dataset.test)) == (910, 210, 30, 60)
    assert rows_of(learnt, dataset.valid, dataset.test) == list(range(1000))
    assert set(rows_of(dataset.train)) <= set(rows_of(learnt))
    assert torch.equal(learnt[learnt[:, 0].argsort()][:5], torch.from_numpy(numbered())[rows_of(learnt)][:5])


def test_order_is_a_function_of_the_generator(tmp_path: Path) -> None:
    supply = left(saved(tmp_path, numbered())).train_source
    first, again, other = (epoch(supply.shuffled(generator(seed)), len(supply)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert rows_of(first) == rows_of(other)


def test_each_buffer_has_rows_from_the_whole_file(tmp_path: Path) -> None:
    supply = left(saved(tmp_path, numbered())).train_source
    learnt = epoch(supply.shuffled(generator()), len(supply))[:, 0]
    for part in learnt.split(300):
        assert part.max() - part.min() > 700
    steps = (learnt[1:] - learnt[:-1]).abs()
    assert (steps == 1).float().mean() < 0.05


@pytest.mark.parametrize("start", [70, 350, 700, 840])
def test_an_epoch_can_be_resumed_anywhere(tmp_path: Path, start: int) -> None:
    supply = left(saved(tmp_path, numbered())).train_source
    whole = epoch(supply.shuffled(generator()), len(supply))
    assert torch.equal(epoch(supply.shuffled(generator()), len(supply), start=start), whole[start:])


def test_a_buffer_of_all_rows_allows_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out_of_core, "BUFFER", 2**20)
    supply = left(saved(tmp_path, numbered())).train_source
    halves = epoch(supply.shuffled(generator()), len(supply)).chunk(2)
    assert all(abs(half[:, 0].mean().item() - 499.5) < 5.3 * 289 / len(half) ** 0.5 for half in halves)


# What files hold.


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", ">i4", "<i8", "u1", "?"])
def test_values_of_any_type_are_those_of_memory(tmp_path: Path, dtype: str) -> None:
    values = np.random.default_rng(0).integers(0, 2 if dtype == "?" else 200, size=(100, 5)).astype(dtype)
    path = saved(tmp_path, values)
    dataset, whole = left(path), load_data(path)
    learnt = epoch(dataset.train_source.shuffled(generator()), len(dataset.train_source))
    rows = np.concatenate([learnt.numpy(), *(part.all().x.numpy() for part in (dataset.valid, dataset.test))])
    assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, values.astype(np.float32).tolist()))
    assert dataset.kind == whole.kind


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3), (3, 6, 5), (6, 5, 1)])
def test_images_are_laid_out_and_scaled_as_in_memory(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = saved(tmp_path, np.random.default_rng(0).integers(0, 256, size=(60, *shape), dtype=np.uint8))
    dataset, whole = left(path), load_data(path)
    assert (dataset.shape, dataset.kind, dataset.train.scale) == (whole.shape, "unit", 1 / 255)
    batch = dataset.train_source.shuffled(generator()).batch(slice(0, 8)).x
    every = torch.cat([part.all().x for part in (whole.train, whole.valid, whole.test)])
    assert all((every == image).flatten(1).all(1).any() for image in batch)


def test_gray_levels_are_binarized_when_they_are_read(tmp_path: Path) -> None:
    path = saved(tmp_path, np.random.default_rng(0).uniform(size=(200, 4)))
    drawn, cut = left(path, binarize="resampled").train_source, left(path, binarize="threshold").train_source
    first, again, other = (drawn.shuffled(generator()).batch(slice(0, 50), generator(seed)).x for seed in (0, 0, 1))
    assert set(first.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert set(cut.shuffled(generator()).batch(slice(0, 50)).x.unique().tolist()) == {0.0, 1.0}


def test_rows_after_the_last_validation_rows_are_skipped(tmp_path: Path) -> None:
    dataset = left(saved(tmp_path, numbered()), validate_on="last")
    learnt = epoch(dataset.train_source.shuffled(generator()), len(dataset.train_source))
    assert max(rows_of(learnt)) < min(rows_of(dataset.valid))


def test_only_large_files_stay_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, numbered())
    assert load_data(path).out_of_core is None
    monkeypatch.setattr(out_of_core, "LIMIT", 12_000)
    assert load_data(path).out_of_core
    assert load_data(path, in_memory="on").out_of_core is None


def test_the_fingerprint_depends_on_the_data(tmp_path: Path) -> None:
    path, rows = saved(tmp_path, numbered()), numbered()
    first = left(path).fingerprint
    assert left(path).fingerprint == first
    saved(tmp_path, rows[:-1])
    assert left(path).fingerprint != first
    saved(tmp_path, rows + 1)
    assert left(path).fingerprint != first


# What goes wrong.


def one_line(error: BadInput, *fragments: object) -> None:
    assert "\n" not in str(error)
    assert all(str(fragment) in str(error) for fragment in fragments), error


def spoilt(path: str, spoil: Callable[[NDArray[np.float32]], None]) -> BadInput:
    """Return the message of training on a file that is changed after it was opened."""
    supply = left(path).train_source
    rows = np.load(path)
    spoil(rows)
    np.save(path, rows)
    with pytest.raises(BadInput) as caught:
        epoch(supply.shuffled(generator()), len(supply))
    return caught.value


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_named_with_its_row(tmp_path: Path, value: float) -> None:
    path = saved(tmp_path, numbered())
    held_out = rows_of(left(path).valid, left(path).test)
    row = next(row for row in range(500, 1000) if row not in held_out)
    one_line(
        spoilt(path, lambda rows: rows[row].fill(value)), path, f"row {row} ", "NaN" if np.isnan(value) else "finite"
    )


def test_a_value_of_another_kind_is_named_with_its_row(tmp_path: Path) -> None:
    path = saved(tmp_path, np.random.default_rng(0).integers(0, 2, size=(1000, 3)))
    held_out = [5, 6]  # among the rows that nobody looked at, or else the kind is another from the beginning
    looked = left(path).out_of_core.scanned.tolist()  # type: ignore[union-attr]
    row = next(row for row in range(500, 1000) if row not in looked)
    assert row not in held_out
    one_line(spoilt(path, lambda rows: rows[row].fill(7)), path, f"row {row} ", "binary")


def test_a_file_that_shrinks_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path, numbered())
    supply = left(path).train_source
    os.truncate(path, 6000)
    with pytest.raises(BadInput) as caught:
        epoch(supply.shuffled(generator()), len(supply))
    one_line(caught.value, path, "shorter")


def test_a_deleted_file_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path, numbered())
    supply = left(path).train_source
    Path(path).unlink()
    with pytest.raises(BadInput) as caught:
        epoch(supply.shuffled(generator()), len(supply))
    one_line(caught.value, path, "cannot be read")


def header(path: Path, shape: tuple[int, ...], descr: str = "<f4", fortran: bool = False, body: int = 4000) -> str:
    with path.open("wb") as file:
        npy.write_array_header_1_0(file, {"descr": descr, "fortran_order": fortran, "shape": shape})
        file.write(b"\0" * body)
    return str(path)


@pytest.mark.parametrize(
    ("make", "fragment"),
    [
        (lambda path: header(path, (2**40, 3)), "bytes too short"),
        (lambda path: header(path, (2**62, 2**62)), "bytes too short"),
        (lambda path: header(path, (100, 10), fortran=True), "Fortran order"),
        (lambda path: header(path, (100, 10), "<c8"), "real numbers"),
        (lambda path: header(path, (1000,)), "the shape (1000,): expected vectors (N, D)"),
        (lambda path: header(path, ()), "the shape (): expected vectors (N, D)"),
        (lambda path: header(path, (0, 10)), "expected at least"),
        (lambda path: header(path, (100, 0)), "at least one value"),
        (lambda path: path.write_bytes(b"\x93NUMPY") and str(path), "cannot be read"),
        (lambda path: path.write_bytes(b"") or str(path), "cannot be read"),
        (lambda path: header(path, (100, 10), "|O"), "real numbers"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, make: Callable[[Path], str], fragment: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_data(make(tmp_path / "x.npy"), in_memory="off")
    one_line(caught.value, "x.npy", fragment)


# Training.

SMALL = {"data": {"in_memory": "off"}, "model": {"hidden": [8]}, "train": {"epochs": 3, "batch_size": 50}}


def config(path: str) -> Config:
    return Config.model_validate(SMALL | {"data": {"source": path, "in_memory": "off"}})


@pytest.mark.parametrize("after", [5, 18, 29])
def test_a_run_is_resumed_within_an_epoch_bit_for_bit(tmp_path: Path, after: int) -> None:
    chosen, steps = config(saved(tmp_path, numbered())), count(1)
    dataset = load_data(**chosen.load_options())

    def press() -> None:
        if next(steps) == after:
            os.kill(os.getpid(), signal.SIGINT)

    whole = fit_run(chosen, tmp_path / "whole", dataset)
    cut = fit_run(chosen, tmp_path / "cut", dataset, on_step=press)
    assert cut.outcome
    assert cut.outcome.ended == "interrupted"
    fit_run(chosen, tmp_path / "cut", dataset, resume=True)
    weights = [(folder / "model.safetensors").read_bytes() for folder in (whole.folder, cut.folder)]
    assert weights[0] == weights[1]


def test_an_error_during_training_leaves_no_thread(tmp_path: Path) -> None:
    chosen = config(path := saved(tmp_path, numbered()))
    dataset, steps = load_data(**chosen.load_options()), count(1)

    def shrink() -> None:
        if next(steps) == 3:
            os.truncate(path, 6000)

    with pytest.raises(BadInput, match="shorter"):
        fit_run(chosen, tmp_path / "run", dataset, on_step=shrink)


def test_several_models_are_trained_one_by_one(tmp_path: Path) -> None:
    chosen = config(saved(tmp_path, numbered()))
    dataset = load_data(**chosen.load_options())
    assert not can_stack(chosen, dataset)
    places = [(chosen.model_copy(update={"seed": seed}), tmp_path / str(seed)) for seed in (0, 1)]
    with pytest.raises(CaptureError, match="one model at a time"):
        fit_runs(places, dataset)


@pytest.mark.slow
def test_train_reads_examples_out_of_core(tmp_path: Path) -> None:
    saved(tmp_path, numbered(300))
    options = ["--data.in-memory", "off", "--model.hidden", "8", "--train.epochs", "2", "--n-importance-samples", "10"]
    done = aevb(tmp_path, "train", "rows.npy", *options, "--out", "run")
    assert done.returncode == 0, done.stderr
    assert "210 train, 30 validation, 60 test" in done.stdout
    assert (tmp_path / "run" / "report.html").is_file()


def aevb(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aevb", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.slow
def test_all_commands_read_examples_out_of_core(tmp_path: Path) -> None:
    saved(tmp_path, np.random.default_rng(0).integers(0, 256, size=(400, 8, 8), dtype=np.uint8))
    options = ["--data.in-memory", "off", "--model.hidden", "8", "--train.epochs", "2", "--n-importance-samples", "10"]
    done = aevb(tmp_path, "train", "rows.npy", *options, "--out", "run", "--seeds", "2")
    assert done.returncode == 0, done.stderr
    first, second = sorted(path.parent for path in (tmp_path / "run").rglob("config.json"))
    baselines = ("baseline", "rows.npy", "--data.in-memory", "off", "--components", "2")
    for command in (("evaluate", first), ("diagnose", first), ("explore", first, second), ("report", first), baselines):
        done = aevb(tmp_path, *map(str, command))
        assert done.returncode == 0, done.stderr
    assert (first / "explorer.html").is_file()


LARGE = """
import json, os, signal, sys, time
from pathlib import Path
from aevb.workflow.fitting import fit_run, fit_runs, can_stack
from aevb.config.schema import Config
from aevb.data import load_data
from aevb.memory import keep_freed_memory
keep_freed_memory()
path, after = sys.argv[1], int(sys.argv[2])
model = {"hidden": [100]}
config = Config.model_validate({"data": {"source": path}, "model": model, "train": {"epochs": 1, "batch_size": 200}})
dataset = load_data(**config.load_options())
times = []
def step():
    times.append(time.process_time())  # of this process and its reader, whatever else the machine does
    if len(times) == after:
        os.kill(os.getpid(), signal.SIGINT)
run = fit_run(config, Path("run"), dataset, on_step=step)
lines = Path("/proc/self/status").read_text().splitlines()
peak = next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
rate = 200 * (after - 100) / (times[-1] - times[99])
print(json.dumps([len(dataset.train_source), peak, rate, run.outcome.ended]))
"""


def trained_for(folder: Path, gib: int, steps: int) -> tuple[int, float, float]:
    """Train some steps on a sparse file; return examples, peak resident MiB and examples per second of CPU time."""
    rows = gib * 2**30 // 784
    header(folder / "big.npy", (rows, 28, 28), "|u1", body=0)
    os.truncate(folder / "big.npy", (folder / "big.npy").stat().st_size + rows * 784)
    command = [sys.executable, "-c", LARGE, "big.npy", str(steps)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    number, peak, rate, ended = json.loads(done.stdout)
    assert ended == "interrupted"
    return number, peak, rate


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs Linux")
def test_three_gib_take_less_than_one(tmp_path: Path) -> None:
    number, peak, _ = trained_for(tmp_path, 3, 200)
    assert number > 4_000_000
    assert peak < 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs Linux")
def test_twenty_gib_take_less_than_one_and_keep_a_rate(tmp_path: Path) -> None:
    number, peak, rate = trained_for(tmp_path, 20, 2000)
    print(f"{number:,} examples, {peak:.0f} MiB, {rate:,.0f} examples per second of computing time")
    assert number > 27_000_000
    assert peak < 1024
    assert rate > 5000
