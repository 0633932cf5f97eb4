"""Time and memory of reading a text file with the rows and columns of nycflights13, synthetic ones.

Each action runs in a process of its own, after the import of the libraries. The memory is the peak beyond what the
process had before. Seconds are those of the processors, added over all threads, so that other work on the machine
counts little. The cache of the file system is warm.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

COUNT = 336_776
PREPARE = f"""
import numpy as np, pandas as pd
rng, count = np.random.default_rng(0), {COUNT}
def gaps(values):
    return pd.Series(values.round()).mask(rng.random(count) < 0.025).astype("Int64")
def codes(form, number):
    return np.array([form.format(code) for code in range(number)])[rng.integers(0, number, count)]
hours = pd.Timestamp("2013-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 365 * 24, count)), unit="h")
columns = {{"year": 2013, "month": hours.month, "day": hours.day}}
columns |= {{name: gaps(rng.uniform(1, 2400, count)) for name in ("dep_time", "arr_time")}}
columns |= {{name: rng.integers(1, 2400, count) for name in ("sched_dep_time", "sched_arr_time")}}
columns |= {{name: gaps(rng.normal(10, 40, count)) for name in ("dep_delay", "arr_delay", "air_time")}}
columns |= {{"carrier": codes("C{{}}", 16), "tailnum": codes("N{{}}AB", 4044), "origin": codes("O{{}}", 3)}}
columns |= {{"dest": codes("D{{}}", 95), "flight": rng.integers(1, 8500, count)}}
columns |= {{"distance": rng.integers(17, 4983, count)}}
columns |= {{"hour": hours.hour, "minute": rng.integers(0, 60, count), "weight": rng.normal(100, 10, count).round(5)}}
columns |= {{"time_hour": hours.strftime("%Y-%m-%dT%H:%M:%SZ")}}
pd.DataFrame(columns).to_csv("flights.csv", index=False, na_rep="NA")
"""
ACTIONS = {
    "`read_columns`: fields as texts": "read_columns(Path(sys.argv[1]))",
    "`load_data`: types, numbers and splits": "load_data(sys.argv[1], column_types={'tailnum': 'none'})",
    "pandas.read_csv": "pandas.read_csv(sys.argv[1])",
}
TURN = """
import json, sys, time
from pathlib import Path
import pandas
from aevb.data import load_data
from aevb.data.tables.read import read_columns
load_data("blobs")
def status(key):
    return int(Path("/proc/self/status").read_text().split(key)[1].split()[0]) / 1024
before, start = status("VmRSS:"), time.process_time()
{action}
print(json.dumps([time.process_time() - start, status("VmHWM:") - before]))
"""
Turns = dict[str, list[tuple[float, float]]]
"""Processor seconds and MiB in each round, by action."""


def measured(count: int) -> Turns:
    """Run the rounds of each action."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", PREPARE], cwd=folder, check=True)
        path = Path(folder) / "flights.csv"
        return {name: [_turn(action, path) for _ in range(count)] for name, action in ACTIONS.items()}


def table(results: Turns) -> str:
    """Return a Markdown table."""
    lines = [f"| {COUNT:,} rows of 20 columns in .csv | processor seconds | MiB |", "|---|---|---|"]
    for name, turns in results.items():
        seconds, memory = zip(*turns, strict=True)
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
        lines.append(f"| {name} | {median(seconds):.2f} ({spread}) | {median(memory):.0f} |")
    return "\n".join(lines)


def _turn(action: str, path: Path) -> tuple[float, float]:
    command = [sys.executable, "-c", TURN.replace("{action}", action), str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, memory = json.loads(done.stdout.splitlines()[-1])
    return seconds, memory
