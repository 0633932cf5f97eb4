"""Growth of time and memory with examples, latent dimensions, image size and samples.

Training N examples of D bytes, in batches of B with S samples, with Θ weights, takes beyond `import aevb`, in bytes,

    90 MiB  +  N (D + 8)  +  44 Θ  +  4 B S a D

- 90 MiB: autograd, the optimizer and the threads on first use;
- 8: an epoch's order;
- 44 = 4 · 11: a weight, its gradient and Adam's two moments, the same without the gradient in the states after this
  epoch and the one before, and the best weights;
- a: what the likelihood keeps for the backward pass: 9 tensors of the size of a batch for a Bernoulli, 13 for a
  Gaussian, 30 for a continuous Bernoulli, whose normalizer is a series near ½. Layers much wider than D add 4 of their
  size."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

POINT = """
import json, sys
from statistics import median
from pathlib import Path
import torch
from aevb.config.schema import ModelConfig, ObjectiveConfig, TrainConfig
from aevb.config.build import build, build_objective
from aevb.config.resolve import resolve
from aevb.data import Dataset, Examples
from aevb.memory import keep_freed_memory
from aevb.training.fit import fit
keep_freed_memory()
def largest():  # resident KiB; getrusage would have those of the process that started this one
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
before = largest()
examples, latent, width, samples = map(int, sys.argv[1:])
x = torch.randint(0, 256, (examples, 1, width, width), dtype=torch.uint8)
part = Examples(x, scale=1 / 255)
dataset = Dataset("random", "unit", (1, width, width), part, part, part, "none", None)
config = ModelConfig(hidden=(200,), latent=latent, likelihood="continuous-bernoulli")
model = build(resolve(config, dataset), dataset.shape)
objective = build_objective(ObjectiveConfig(n_samples=samples), "diagonal")
fit(model, objective, part.subsample(1000), config=TrainConfig(epochs=1))
history = fit(model, objective, part, config=TrainConfig(epochs=max(1, 100_000 // examples)))
grown = largest() - before
weights = sum(p.numel() for p in model.parameters())
print(json.dumps([median(epoch.seconds for epoch in history.epochs) / examples, grown / 1024, weights]))
"""


class Point(NamedTuple):
    """A training and its cost.

    Attributes:
        examples, latent, width, samples: of it.
        microseconds: per example.
        grown: MiB by which the peak size of the process grew, data included.
        weights: numbers in the model.
    """

    examples: int
    latent: int
    width: int
    samples: int
    microseconds: float = 0.0
    grown: float = 0.0
    weights: int = 0


USUAL = Point(50_000, 20, 16, 1)
POINTS = (
    *(USUAL._replace(examples=count) for count in (10_000, 100_000, 1_000_000)),
    *(USUAL._replace(latent=count) for count in (2, 20, 200)),
    *(USUAL._replace(width=count) for count in (8, 16, 32)),
    *(USUAL._replace(samples=count) for count in (1, 5, 25)),
)


def measured(count: int) -> list[Point]:
    """Return the fastest of several rounds at each point, which is the one that other processes disturbed least."""
    rounds = [[_measured(point) for point in POINTS] for _ in range(count)]
    return [min(points, key=lambda point: point.microseconds) for points in zip(*rounds, strict=True)]


def predicted(point: Point) -> float:
    """Return the MiB by which the process should grow."""
    pixels = point.width**2
    batch = 4 * 100 * point.samples * 30 * pixels
    return 90 + (point.examples * (pixels + 8) + 44 * point.weights + batch) / 2**20


def table(points: list[Point]) -> str:
    """Return a Markdown table."""
    head = ["examples", "latent dimensions", "pixels", "samples", "µs per example", "MiB", "formula, MiB"]
    rows = [
        f"| {p.examples:,} | {p.latent} | {p.width} x {p.width} | {p.samples} | {p.microseconds:.1f} |"
        f" {p.grown:.0f} | {predicted(p):.0f} |"
        for p in points
    ]
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *rows])


def _measured(point: Point) -> Point:
    command = [sys.executable, "-c", POINT, *map(str, point[:4])]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], check=True, capture_output=True, text=True)
    seconds, grown, weights = json.loads(done.stdout)
    return point._replace(microseconds=1e6 * seconds, grown=grown, weights=weights)
