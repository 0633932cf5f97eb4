"""Training: images per second of `aevb.fit`, of other libraries, and of the arithmetic alone."""

from statistics import median

from benchmarks.timing import Contestant, Rates, ratio, rounds
from benchmarks.workloads import WORKLOADS

PYTHAE = Contestant("pythae's trainer", "pythae_trainer", peer=True)
DEFAULTS, COMPILED = (
    Contestant("aevb", "ours"),
    Contestant("aevb, compiled", "ours_compiled"),
)
EIGHT, EIGHT_COMPILED = (
    Contestant("aevb, eight stacked seeds", "ours_eight"),
    Contestant("aevb, eight stacked seeds, compiled", "ours_eight_compiled"),
)
JAX = Contestant("JAX, an epoch as one scan", "jax_scan", peer=True)
FLOOR = Contestant("floor: matrix products and Adam", "floor")
LIMIT = Contestant("limit: operations and bytes", "limit")
CONTESTANTS = (
    PYTHAE,
    Contestant("Lightning's Trainer", "lightning_trainer", peer=True),
    Contestant("textbook loop", "example_loop", peer=True),
    JAX,
    DEFAULTS,
    COMPILED,
    EIGHT,
    EIGHT_COMPILED,
    FLOOR,
    LIMIT,
)
EAGER = Contestant("aevb, eager", "ours_python")
"""Measured on a GPU, where the others launch a step as one CUDA graph."""
CONVOLUTIONAL = tuple(c for c in CONTESTANTS if c not in (JAX, COMPILED, EIGHT, EIGHT_COMPILED))
"""Batch normalization changes buffers: its steps are neither compiled nor stacked. JAX: see `jax_scan`."""

LONGER = {"W1": 5, "W2": 20, "W3": 1}
"""Epochs of contestants that are fast or have costs at the start: at W2, 10,000 steps, the default of a training."""


def measured(count: int, device: str, peers: str) -> dict[str, Rates]:
    """Return the rates by workload."""
    more = (EAGER,) if device == "cuda" else ()
    return {
        name: rounds(
            CONVOLUTIONAL if workload.channels else (*CONTESTANTS, *more),
            name,
            count,
            device,
            peers,
            {c.title: LONGER[name] for c in (JAX, DEFAULTS, COMPILED, EIGHT, EIGHT_COMPILED, FLOOR)},
        )
        for name, workload in WORKLOADS.items()
    }


def table(found: dict[str, Rates]) -> str:
    """Return a Markdown table of medians, and of ratios within the rounds."""
    lines = ["| | images per second | relative to pythae's trainer | relative to the floor |", "|---|---|---|---|"]
    for name, rates in found.items():
        lines.append(f"| **{name}**, {WORKLOADS[name].title} | | | |")
        for title, values in rates.items():
            against = ratio(values, rates[PYTHAE.title])
            lines.append(f"| {title} | {median(values):,.0f} | {against} | {ratio(values, rates[FLOOR.title], 2)} |")
    return "\n".join(lines)
