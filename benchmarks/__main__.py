"""Compare the speed of `aevb` with other libraries and with the arithmetic alone: python -m benchmarks [--rounds 5]
[--only training ...] [--device cuda].

Installs the other libraries in an environment of their own, takes about half an hour on two idle cores, and writes
tables, a figure and the raw numbers to benchmarks/results/. Run nothing else meanwhile.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib import pyplot as plt

from benchmarks import busy, choices, detecting, likelihood, peers, reading, scaling, starting, stored, timing, training
from benchmarks.timing import Rates
from benchmarks.workloads import WORKLOADS

RESULTS = Path(__file__).parent / "results"
TITLES = {
    "training": "Training",
    "busy": "Training on a busy machine",
    "likelihood": "log p(x) with K = 5000",
    "starting": "Startup",
    "detecting": "Detectors of anomalies",
    "scaling": "Scaling",
    "stored": "Data on disk",
    "reading": "Reading a table",
    "choices": "Thresholds of the training loop",
}


def main() -> int:
    """Run the selected benchmarks and write their results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no GPU is available: nothing was run")
        return 0
    sections: dict[str, Callable[[], tuple[object, str]]] = {
        "training": lambda: _training(options.rounds, options.device),
        "busy": lambda: _with(busy.table, busy.measured(min(3, options.rounds), options.device, peers.python())),
        "likelihood": lambda: _with(likelihood.table, likelihood.measured(options.rounds, peers.python())),
        "starting": lambda: _with(starting.table, starting.measured(options.rounds)),
        "detecting": lambda: _with(detecting.table, detecting.measured(min(3, options.rounds))),
        "scaling": lambda: _with(scaling.table, scaling.measured(min(3, options.rounds))),
        "stored": lambda: _with(stored.table, stored.measured(options.rounds)),
        "reading": lambda: _with(reading.table, reading.measured(options.rounds)),
        "choices": lambda: _with(choices.table, choices.measured(options.rounds)),
    }
    RESULTS.mkdir(exist_ok=True)
    for name in options.only:
        raw, table = sections[name]()
        path = RESULTS / f"{name}-{options.device}"
        path.with_suffix(".json").write_text(json.dumps(raw, indent=1))
        note = f"{timing.machine(options.device)}; `python -m benchmarks --only {name} --rounds {options.rounds}`"
        path.with_suffix(".md").write_text(f"## {TITLES[name]}\n\n{table}\n\n{note}\n")
        print(path.with_suffix(".md").read_text())
    return 0


def _with(table: Callable[[object], str], results: object) -> tuple[object, str]:
    return results, table(results)


def _training(rounds: int, device: str) -> tuple[object, str]:
    results = training.measured(rounds, device, peers.python())
    mpl.use("agg")
    _plotted(results).savefig(RESULTS / f"training-{device}.png", dpi=150)
    return results, training.table(results)


def _plotted(results: dict[str, Rates]) -> plt.Figure:
    """Plot a dot for each round, as a multiple of the rate of pythae's trainer."""
    figure, axes = plt.subplots(1, len(results), figsize=(6 * len(results), 4), layout="constrained")
    for axis, (name, rates) in zip(axes, results.items(), strict=True):
        theirs = rates[training.PYTHAE.title]
        for row, values in enumerate(rates.values()):
            ratios = [a / b for a, b in zip(values, theirs, strict=True)]
            axis.plot(ratios, [row] * len(ratios), "o", color="C0", alpha=0.6)
        axis.set_yticks(range(len(rates)), rates)
        axis.invert_yaxis()
        axis.set_xscale("log")
        axis.set_xticks(ticks := [1, 4, 16, 64], [f"{tick} x" for tick in ticks])
        axis.set_xlim(0.6, 1.3 * max(max(values) for values in rates.values()) / min(theirs))
        axis.minorticks_off()
        axis.grid(axis="x", alpha=0.3)
        axis.set_title(f"{name}: {WORKLOADS[name].title}", fontsize=10)
    figure.supxlabel("images per second relative to pythae's trainer, one dot for each round", fontsize=9)
    return figure


if __name__ == "__main__":
    sys.exit(main())
