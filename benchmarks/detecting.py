"""Time that a detector of anomalies takes from the start of a process to its scores, with its defaults."""

import subprocess
import sys
import time
from statistics import median

from benchmarks.timing import ROOT, ratio

SIZES = (1_000, 50_000)
COLUMNS = 20
DETECTORS = {
    "aevb": "from aevb import VAEOutlierDetector as Detector",
    "scikit-learn's isolation forest": "from sklearn.ensemble import IsolationForest as Detector",
}
"""Import of the detector by title."""
PROGRAM = """
import numpy as np
{imported}
rng = np.random.default_rng(0)
x = rng.normal(size=({rows}, 5)) @ rng.normal(size=(5, {columns})) + 0.3 * rng.normal(size=({rows}, {columns}))
Detector(random_state=0).fit(x).score_samples(x)
"""
"""Five factors and noise."""


def measured(count: int) -> dict[int, dict[str, list[float]]]:
    """Return the seconds by number of rows and detector."""
    return {rows: _rounds(rows, count) for rows in SIZES}


def _rounds(rows: int, count: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {title: [] for title in DETECTORS}
    for _ in range(count):
        for title, imported in DETECTORS.items():
            program = PROGRAM.format(imported=imported, rows=rows, columns=COLUMNS)
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True)
            seconds[title].append(time.perf_counter() - start)
    return seconds


def table(results: dict[int, dict[str, list[float]]]) -> str:
    """Return a Markdown table."""
    lines = [f"| rows of {COLUMNS} columns | {' | '.join(DETECTORS)} | ratio |", "|---|---|---|---|"]
    for rows, seconds in results.items():
        ours, theirs = seconds.values()
        lines.append(f"| {rows:,} | {median(ours):.1f} s | {median(theirs):.1f} s | {ratio(ours, theirs)} |")
    return "\n".join(lines)
