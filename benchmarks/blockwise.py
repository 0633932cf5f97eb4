"""Score a Parquet file larger than memory: python -m benchmarks.blockwise [--rows 20000000].

A model of 20 columns is trained on 100,000 rows, and `aevb score` reads all rows block by block and writes log p(x) as
Parquet: in one process, and in two processes that torchrun starts. Writes benchmarks/results/blockwise-cpu.md.
"""

import argparse
import filecmp
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.timing import machine

PAGE = Path(__file__).parent / "results" / "blockwise-cpu.md"
COLUMNS, TRAINED, GROUP = 20, 100_000, 500_000
"""Columns, rows for training, and rows that are written at once."""


class Scored(NamedTuple):
    """One command: its seconds, and the largest resident memory of a process in MiB."""

    seconds: float
    mib: float


def write_rows(path: Path, count: int, seed: int) -> None:
    """Write rows that depend on five factors: half of the columns are numbers, the others whole numbers."""
    weight = np.random.default_rng(0).normal(size=(5, COLUMNS))
    rng, names = np.random.default_rng(seed), [f"x{place}" for place in range(COLUMNS)]
    writer = None
    for start in range(0, count, GROUP):
        size = min(GROUP, count - start)
        x = rng.normal(size=(size, 5)) @ weight + rng.normal(size=(size, COLUMNS))
        columns = [x[:, j] if j % 2 else np.round(20 * x[:, j]).astype(int) for j in range(COLUMNS)]
        table = pa.table(dict(zip(names, columns, strict=True)))
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=GROUP)
    if writer:
        writer.close()


def scored(folder: Path, processes: int, out: str) -> Scored:
    """Score all rows with a number of processes."""
    launch = ["-m", "torch.distributed.run", f"--nproc-per-node={processes}"] if processes > 1 else []
    rows = ["score", "run", "all.parquet", "--n-importance-samples", "10", "--out", out]
    started = time.perf_counter()
    command = subprocess.Popen([sys.executable, *launch, "-m", "aevb", *rows], cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(command.pid, 0)  # the usage is that of the largest process among its children, too
    if status:
        raise SystemExit(f"aevb score failed with {processes} processes")
    return Scored(time.perf_counter() - started, usage.ru_maxrss / 1024)


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000_000)
    count = parser.parse_args(words).rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder / "all.parquet", count, seed=1)
        write_rows(folder / "some.parquet", TRAINED, seed=2)
        train = ["train", "some.parquet", "--model.hidden", "32", "--train.epochs", "3", "--no-report", "--out", "run"]
        subprocess.run([sys.executable, "-m", "aevb", *train], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        size = (folder / "all.parquet").stat().st_size / 2**30
        found = {processes: scored(folder, processes, f"{processes}.parquet") for processes in (1, 2)}
        equal = filecmp.cmp(folder / "1.parquet", folder / "2.parquet", shallow=False)
        rows = pq.ParquetFile(folder / "1.parquet").metadata.num_rows
    lines = [
        "# Scoring a Parquet file larger than memory",
        "",
        f"{count:,} rows of {COLUMNS} columns, {size:.1f} GiB; {rows:,} scores, K = 10, one hidden layer of 32 units.",
        "",
        "| processes | minutes | rows per second | largest process, MiB |",
        "|---|---|---|---|",
        *(
            f"| {processes} | {one.seconds / 60:.1f} | {count / one.seconds:,.0f} | {one.mib:,.0f} |"
            for processes, one in found.items()
        ),
        "",
        f"The files of both are {'equal byte by byte' if equal else '**different**'}.",
        "",
        f"{machine('cpu')}; `python -m benchmarks.blockwise --rows {count}`",
    ]
    PAGE.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
