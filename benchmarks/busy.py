"""Training beside busy processes: the rate relative to that on the idle machine.

The neighbors are processes that count. Each contestant runs with none, one and two of them in turn, within each round.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from benchmarks.timing import Rates, ratio, turn
from benchmarks.training import COMPILED, DEFAULTS, JAX, PYTHAE
from benchmarks.workloads import WORKLOADS

NEIGHBORS = (0, 1, 2)
MEASURED = (PYTHAE, JAX, DEFAULTS, COMPILED)
DENSE = ("W1", "W2")


def measured(count: int, device: str, peers: str) -> dict[str, Rates]:
    """Return the rates by workload; the contestant's title ends in the number of neighbors."""
    results: dict[str, Rates] = {}
    for workload in DENSE:
        rates = results.setdefault(workload, {})
        for _ in range(count):
            for contestant in MEASURED:
                for neighbors in NEIGHBORS:
                    with busy(neighbors):
                        rate = turn(contestant, workload, device, peers, 0)
                    rates.setdefault(f"{contestant.title}, {neighbors}", []).append(rate)
    return results


@contextmanager
def busy(neighbors: int) -> Iterator[None]:
    """Keep as many processors busy."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(neighbors)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def table(results: dict[str, Rates]) -> str:
    """Return a Markdown table of images per second on the idle machine, and of shares of it beside neighbors."""
    lines = ["| | images per second, idle | one busy process | two busy processes |", "|---|---|---|---|"]
    for name, rates in results.items():
        lines.append(f"| **{name}**, {WORKLOADS[name].title} | | | |")
        for title in (contestant.title for contestant in MEASURED):
            idle, *beside = (rates[f"{title}, {neighbors}"] for neighbors in NEIGHBORS)
            lines.append(f"| {title} | {median(idle):,.0f} | {' | '.join(ratio(one, idle, 2) for one in beside)} |")
    return "\n".join(lines)
