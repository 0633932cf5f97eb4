"""Time that a command takes apart from training."""

import csv
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from aevb.runs.reference import REFERENCE

SET_UP = """
import time, torch
start = time.perf_counter()
from pathlib import Path
from aevb.workflow.fitting import fit_run
from aevb.config.schema import Config
from aevb.data import load_data
class First(Exception): pass
def stop(): raise First(time.perf_counter() - start)
config = Config()
try: fit_run(config, Path("run"), load_data(**config.load_options()), on_step=stop)
except First as first: print(first.args[0])
"""
"""From the end of `import torch` to the end of the first step."""
IMPORT = "`import torch` alone"
FIRST_STEP = "setup and first step after `import torch`"
COMMANDS = {
    "`aevb --help`": "--help",
    "`aevb train digits --train.epochs 5`, whole command": "train digits --train.epochs 5 --out run",
}
"""Arguments by action."""
TABLE_COMMANDS = {
    "`aevb encode` of 32 rows": "encode run rows.csv",
    "`aevb sample` of 32 rows": "sample run --n-samples 32",
    "`aevb impute` of 32 rows": "impute run rows.csv",
    "`aevb score` of 32 rows, for the first time": "score run rows.csv",
    "`aevb score` of 32 rows, with stored reference scores": "score run rows.csv",
}
"""Arguments by action, for a run that was trained on a table."""


def measured(count: int) -> dict[str, list[float]]:
    """Return seconds by action."""
    found: dict[str, list[float]] = {action: [] for action in (IMPORT, *COMMANDS, FIRST_STEP, *TABLE_COMMANDS)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _train_on_a_table(folder)
        for _ in range(count):
            found[IMPORT].append(_run("-c", "import torch"))
            found[FIRST_STEP].append(_setup())
            for action, arguments in COMMANDS.items():
                found[action].append(_seconds_in_a_new_folder(arguments))
            (folder / "run" / REFERENCE).unlink(missing_ok=True)
            for action, arguments in TABLE_COMMANDS.items():
                found[action].append(_seconds(arguments, folder))
    return found


def table(found: dict[str, list[float]]) -> str:
    """Return a Markdown table."""
    rows = [
        f"| {what} | {median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f}) |"
        for what, seconds in found.items()
    ]
    return "\n".join(["| | median (range) |", "|---|---|", *rows])


def _train_on_a_table(folder: Path) -> None:
    """Write a table of six columns, in which 5 % of the values are missing, and its first rows; train a model."""
    rng = random.Random(0)
    rows = [[value if rng.random() > 0.05 else "" for value in _row(rng)] for _ in range(400)]
    for name, count in (("table.csv", 400), ("rows.csv", 32)):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([["age", "income", "height", "visits", "city", "member"], *rows[:count]])
    _seconds("train table.csv --train.epochs 5 --no-report --out run", folder)


def _row(rng: random.Random) -> tuple[object, ...]:
    numbers = rng.randint(18, 80), round(rng.lognormvariate(10, 0.5), 2), round(rng.gauss(170, 10), 1)
    return *numbers, int(rng.expovariate(0.3)), rng.choice(["Bern", "Oslo", "Paris", "Rome"]), rng.choice(["yes", "no"])


def _seconds(arguments: str, folder: Path) -> float:
    return _run("-m", "aevb", *arguments.split(), folder=folder)


def _run(*arguments: str, folder: Path | None = None) -> float:
    """Return the seconds that Python takes with these arguments."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - start


def _seconds_in_a_new_folder(arguments: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return _seconds(arguments, Path(folder))


def _setup() -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", SET_UP]
        return float(subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout)
