"""Time that a command takes apart from training."""

import subprocess
import sys
import tempfile
import time
from statistics import median

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


def measured(count: int) -> dict[str, list[float]]:
    """Return seconds by action."""
    found: dict[str, list[float]] = {"`aevb --help`": [], "setup and first step after `import torch`": [], SHORT: []}
    for _ in range(count):
        found["`aevb --help`"].append(_whole(["-m", "aevb", "--help"]))
        found["setup and first step after `import torch`"].append(_setup())
        found[SHORT].append(_whole(["-m", "aevb", "train", "digits", "--train.epochs", "5", "--out", "run"]))
    return found


SHORT = "`aevb train digits --train.epochs 5`, whole command"


def table(found: dict[str, list[float]]) -> str:
    """Return a Markdown table."""
    rows = [
        f"| {what} | {median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f}) |"
        for what, seconds in found.items()
    ]
    return "\n".join(["| | median (range) |", "|---|---|", *rows])


def _whole(arguments: list[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], cwd=folder, check=True, capture_output=True)
        return time.perf_counter() - start


def _setup() -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", SET_UP]
        return float(subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout)
