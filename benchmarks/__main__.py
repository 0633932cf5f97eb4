"""Time `aevb` beside its peers and the floor: python -m benchmarks [--rounds 5] [--only training ...] [--device cuda].

Makes an environment with the peers, takes about half an hour on two quiet cores, and writes tables, a picture and the
raw figures into benchmarks/results/. Nothing else should run meanwhile.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib import pyplot as plt

from benchmarks import choices, likelihood, peers, scaling, starting, stored, timing, training
from benchmarks.timing import Rates
from benchmarks.workloads import WORKLOADS

RESULTS = Path(__file__).parent / "results"
TITLES = {
    "training": "Training",
    "likelihood": "log p(x) with K = 5000",
    "starting": "Starting",
    "scaling": "Growing",
    "stored": "Data that stay in their files",
    "choices": "What the loop chooses by",
}


def main() -> int:
    """Measure what is asked for, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    chosen = parser.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        print("no GPU is visible here: nothing was run")
        return 0
    sections: dict[str, Callable[[], tuple[object, str]]] = {
        "training": lambda: _training(chosen.rounds, chosen.device),
        "likelihood": lambda: _with(likelihood.table, likelihood.measured(chosen.rounds, peers.python())),
        "starting": lambda: _with(starting.table, starting.measured(chosen.rounds)),
        "scaling": lambda: _with(scaling.table, scaling.measured(min(3, chosen.rounds))),
        "stored": lambda: _with(stored.table, stored.measured(chosen.rounds)),
        "choices": lambda: _with(choices.table, choices.measured(chosen.rounds)),
    }
    RESULTS.mkdir(exist_ok=True)
    for name in chosen.only:
        raw, table = sections[name]()
        place = RESULTS / f"{name}-{chosen.device}"
        place.with_suffix(".json").write_text(json.dumps(raw, indent=1))
        note = f"{timing.machine(chosen.device)}; `python -m benchmarks --only {name} --rounds {chosen.rounds}`"
        place.with_suffix(".md").write_text(f"## {TITLES[name]}\n\n{table}\n\n{note}\n")
        print(place.with_suffix(".md").read_text())
    return 0


def _with(table: Callable[[object], str], found: object) -> tuple[object, str]:
    return found, table(found)


def _training(rounds: int, device: str) -> tuple[object, str]:
    found = training.measured(rounds, device, peers.python())
    mpl.use("agg")
    _drawn(found).savefig(RESULTS / f"training-{device}.png", dpi=150)
    return found, training.table(found)


def _drawn(found: dict[str, Rates]) -> plt.Figure:
    """A dot for each round, as multiples of pythae's trainer."""
    figure, axes = plt.subplots(1, len(found), figsize=(5 * len(found), 3.2), layout="constrained")
    for axis, (name, rates) in zip(axes, found.items(), strict=True):
        theirs = rates[training.PYTHAE.title]
        for place, values in enumerate(rates.values()):
            ratios = [a / b for a, b in zip(values, theirs, strict=True)]
            axis.plot(ratios, [place] * len(ratios), "o", color="C0", alpha=0.6)
        axis.set_yticks(range(len(rates)), rates)
        axis.invert_yaxis()
        axis.set_xscale("log")
        axis.set_xticks(ticks := [1, 2, 4, 8, 16, 32], [f"{tick} x" for tick in ticks])
        axis.set_xlim(0.6, 1.3 * max(max(values) for values in rates.values()) / min(theirs))
        axis.minorticks_off()
        axis.grid(axis="x", alpha=0.3)
        axis.set_title(f"{name}: {WORKLOADS[name].title}", fontsize=10)
    figure.supxlabel("images per second, as a multiple of pythae's trainer; a dot for each round", fontsize=9)
    return figure


if __name__ == "__main__":
    sys.exit(main())
