"""Training: images per second of `aevb.fit`, of its peers, and of the arithmetic alone."""

from statistics import median

from benchmarks.timing import Contestant, Rates, ratio, rounds
from benchmarks.workloads import WORKLOADS

PYTHAE = Contestant("pythae's trainer", "pythae_trainer", peer=True)
DEFAULTS, COMPILED = Contestant("aevb", "ours"), Contestant("aevb, compiled", "ours_compiled")
EIGHT, EIGHT_COMPILED = (
    Contestant("aevb, eight seeds at once", "ours_eight"),
    Contestant("aevb, eight seeds, compiled", "ours_eight_compiled"),
)
FLOOR = Contestant("floor: products and Adam", "floor")
CONTESTANTS = (
    PYTHAE,
    Contestant("Lightning's Trainer", "lightning_trainer", peer=True),
    Contestant("textbook loop", "example_loop", peer=True),
    DEFAULTS,
    COMPILED,
    EIGHT,
    EIGHT_COMPILED,
    FLOOR,
)
BY_PYTHON = Contestant("aevb, kernel by kernel", "ours_python")
"""On a GPU, where the others capture a step as one launch."""
CONVOLUTIONAL = tuple(c for c in CONTESTANTS if c not in (COMPILED, EIGHT, EIGHT_COMPILED))
"""Batch normalisation changes buffers: its steps are neither compiled nor stacked."""


def measured(count: int, device: str, peers: str) -> dict[str, Rates]:
    """By workload."""
    # What is quick is timed for longer.
    longer = {c.title: 4 for c in (DEFAULTS, COMPILED, EIGHT, EIGHT_COMPILED, FLOOR)}
    more = (BY_PYTHON,) if device == "cuda" else ()
    return {
        name: rounds(
            CONVOLUTIONAL if workload.channels else (*CONTESTANTS, *more),
            name,
            count,
            device,
            peers,
            longer if name == "W2" else {},
        )
        for name, workload in WORKLOADS.items()
    }


def table(found: dict[str, Rates]) -> str:
    """Markdown: medians, and ratios within the rounds."""
    lines = ["| | images per second | against pythae's trainer | against the floor |", "|---|---|---|---|"]
    for name, rates in found.items():
        lines.append(f"| **{name}**, {WORKLOADS[name].title} | | | |")
        for title, values in rates.items():
            against = ratio(values, rates[PYTHAE.title])
            lines.append(f"| {title} | {median(values):,.0f} | {against} | {ratio(values, rates[FLOOR.title], 2)} |")
    return "\n".join(lines)
