"""Side-by-side timing: rounds in which each contestant runs once, medians, and ratios within a round."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch

ROOT = Path(__file__).parents[1]


class Contestant(NamedTuple):
    """A program that is timed.

    Attributes:
        title: in the table.
        module: in `benchmarks.contestants`.
        peer: whether it runs in the environment of the other libraries.
    """

    title: str
    module: str
    peer: bool = False


Rates = dict[str, list[float]]
"""Examples per second in each round, by contestant."""


def rounds(
    contestants: Sequence[Contestant], workload: str, count: int, device: str, peers: str, epochs: Mapping[str, int]
) -> Rates:
    """Run all contestants in rounds.

    Args:
        contestants: to run.
        workload: its name.
        count: of rounds.
        device: cpu or cuda.
        peers: path of Python in the environment of the other libraries.
        epochs: by title, where it differs from the workload's number.
    """
    rates: Rates = {contestant.title: [] for contestant in contestants}
    for _ in range(count):
        for contestant in contestants:
            rates[contestant.title].append(turn(contestant, workload, device, peers, epochs.get(contestant.title, 0)))
    return rates


def turn(contestant: Contestant, workload: str, device: str, peers: str, epochs: int) -> float:
    """Run a contestant in a new process; return examples per second."""
    command = [peers if contestant.peer else sys.executable, "-m", "benchmarks.contestants.run", contestant.module]
    # As in a user's process: the library configures the allocator itself.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [*command, workload, device, str(epochs)], cwd=ROOT, env=inherited, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{contestant.title}, {workload}: {done.stderr.strip().splitlines()[-1]}")
    return float(json.loads(done.stdout.splitlines()[-1]))


def ratio(over: Sequence[float], under: Sequence[float], digits: int = 1) -> str:
    """Format the median of the rounds' ratios, with their range."""
    ratios = sorted(a / b for a, b in zip(over, under, strict=True))
    return f"{median(ratios):.{digits}f} ({ratios[0]:.{digits}f} to {ratios[-1]:.{digits}f})"


def machine(device: str) -> str:
    """Describe the machine in one line."""
    name = torch.cuda.get_device_name() if device == "cuda" else _processor()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores, {platform.system()}, Python {platform.python_version()}, torch {torch.__version__}"


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
