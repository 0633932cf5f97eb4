"""Train, interrupt, resume, evaluate and load repeatedly, and watch memory and open files.

    python -m benchmarks.soak [--minutes 60]

Every round trains three models one after another in this process: of images, of a table with missing values, and of
images by convolutions. Each is interrupted within an epoch, resumed from its checkpoint, evaluated on its test part,
loaded again and sampled. Leaks would add up: memory in use is compared between the second and the last tenth of the
rounds, files and threads between the first round and the last. Writes benchmarks/results/soak-cpu.md."""

import argparse
import gc
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from sklearn.datasets import load_wine

from aevb.config.schema import Config, DataConfig, ModelConfig, TrainConfig
from aevb.data import load_data
from aevb.runs.run_folder import RunFolder
from aevb.workflow.fitting import fit_run
from benchmarks.timing import machine

PAGE = Path(__file__).parent / "results" / "soak-cpu.md"
FLAT = 8
"""MiB by which memory in use may differ, which is the noise of a heap."""


class Level(NamedTuple):
    """Resources in use after a round: seconds since the start, MiB of memory, open files, threads."""

    seconds: float
    memory: float
    files: int
    threads: int


def main() -> int:
    """Run for some minutes, write the page, and report whether resources stayed flat."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    minutes = parser.parse_args().minutes
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have turned it off
    levels, start = list[Level](), time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        settings = _settings(Path(place))
        while time.monotonic() - start < 60 * minutes:
            for name, config in settings.items():
                _once(Path(place) / f"{name}-{len(levels)}", config)
            levels.append(_level(start))
    text, flat = _page(levels, minutes)
    PAGE.write_text(text)
    print(text)
    return 0 if flat else 1


def _settings(place: Path) -> dict[str, Config]:
    train = TrainConfig(epochs=3, checkpoint_every="5steps")
    wine = load_wine(as_frame=True).frame.drop(columns="target")
    wine.mask(wine.rank(pct=True) < 0.1).to_csv(place / "wine.csv", index=False)
    table = DataConfig(source=str(place / "wine.csv"))
    return {
        "images": Config(train=train),
        "table": Config(data=table, train=train.model_copy(update={"batch_size": 16})),
        "convolutions": Config(model=ModelConfig(network="conv", channels=(8, 16)), train=train),
    }


def _once(folder: Path, config: Config) -> None:
    """Train, interrupt, resume, evaluate, load and sample one model."""
    dataset, steps = load_data(**config.load_options()), iter(range(9))

    def stop() -> None:
        if next(steps, None) is None:
            signal.raise_signal(signal.SIGINT)

    interrupted = fit_run(config, folder, dataset, on_step=stop)
    if interrupted.finished:
        raise RuntimeError(f"{folder.name} was not interrupted")
    run = fit_run(config, folder, dataset, resume=True)
    run.evaluate(dataset, n_importance_samples=10)
    RunFolder.load(folder).model.sample(10)
    for path in folder.iterdir():
        path.unlink()


def _level(start: float) -> Level:
    gc.collect()
    status = Path("/proc/self/status").read_text()
    memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024
    return Level(time.monotonic() - start, memory, len(list(Path("/proc/self/fd").iterdir())), threading.active_count())


def _page(levels: Sequence[Level], minutes: float) -> tuple[str, bool]:
    tenth = max(1, len(levels) // 10)
    early, late = (median(level.memory for level in part) for part in (levels[tenth : 2 * tenth], levels[-tenth:]))
    first, last = levels[0], levels[-1]
    flat = late - early < FLAT and last.files <= first.files and last.threads <= first.threads
    shown = [levels[round(share * (len(levels) - 1) / 6)] for share in range(7)]
    rows = [f"| {a.seconds / 60:.0f} | {a.memory:.1f} | {a.files} | {a.threads} |" for a in shown]
    text = "\n".join(
        [
            "## An hour of training",
            "",
            f"{len(levels)} rounds, each of three models that are trained, interrupted within an epoch, resumed,",
            f"measured and loaded again, in one process for {last.seconds / 60:.0f} minutes.",
            "",
            "| minutes | memory in use, MiB | open files | threads |",
            "|---|---|---|---|",
            *rows,
            "",
            f"Memory in use: a median of {early:.1f} MiB in the second tenth of the rounds, {late:.1f} MiB in the last:"
            f" {'flat' if flat else '**not flat**'} (less than {FLAT} MiB more, and no more files or threads).",
            "",
            f"{machine('cpu')}; `python -m benchmarks.soak --minutes {minutes:g}`",
            "",
        ]
    )
    return text, flat


if __name__ == "__main__":
    sys.exit(main())
