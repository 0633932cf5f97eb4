"""log p(x) with K = 5000 importance samples at W1: `aevb`, pythae's routine, and the decoder's matrix products alone.

Both routines get the same weights and the same images.
"""

import json
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch

from aevb.data import Examples
from aevb.evaluation.importance_sampling import per_example
from aevb.models.vae import VAE
from benchmarks.contestants.ours import model as made
from benchmarks.contestants.run import settle
from benchmarks.timing import ROOT, ratio
from benchmarks.workloads import WORKLOADS

SAMPLES = 5000
OURS, THEIRS, ALL = 100, 20, 1000
"""Numbers of images: in a round, of both routines, and in the run whose memory is measured."""


class Results(NamedTuple):
    """The results.

    Attributes:
        ours, theirs, floor: images per second in each round.
        means: of log p(x) over the same images, ours and theirs.
        seconds, grown: for all images, and the MiB by which the peak resident size grew.
    """

    ours: list[float]
    theirs: list[float]
    floor: list[float]
    means: tuple[float, float]
    seconds: float
    grown: float


def measured(count: int, peers: str) -> Results:
    """Run the rounds, then all images at once."""
    model, images = model_and_images("cpu")
    rows = [(*ours(model, images[:OURS]), *theirs(peers, model, images), floor(model)) for _ in range(count)]
    our_rates, own_means, their_rates, their_means, floors = map(list, zip(*rows, strict=True))
    return Results(our_rates, their_rates, floors, (own_means[0], their_means[0]), *_whole(model, images))


def model_and_images(device: str) -> tuple[VAE, torch.Tensor]:
    """Return the model on a device, and the images ``(ALL, 1, 28, 28)`` on the CPU."""
    torch.manual_seed(0)
    workload = WORKLOADS["W1"]
    images = workload.data(ALL)
    return made(workload, images).eval().to(device), images


def table(results: Results) -> str:
    """Return a Markdown table."""
    limit = ratio(results.ours, results.floor, 2)
    return (
        "| | images per second | aevb relative to it |\n|---|---|---|\n"
        f"| aevb | {median(results.ours):.1f} | |\n"
        f"| pythae's get_nll | {median(results.theirs):.2f} | {ratio(results.ours, results.theirs)} |\n"
        f"| matrix products of the decoder alone | {median(results.floor):.1f} | {limit} |\n\n"
        f"The means over {THEIRS} images agree: {results.means[0]:.2f} and {results.means[1]:.2f} nats. {ALL} images"
        f" take {results.seconds:.0f} s, and the peak resident size grows by {results.grown:.0f} MiB (the bound is"
        " 1 GiB)."
    )


def _weights(model: VAE) -> dict[str, np.ndarray]:
    """Return the weights by the names that the other routine uses."""
    linears = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    names = ("hidden", "head", "up", "out")
    return {
        f"{name}.{part}": getattr(layer, part).detach().cpu().numpy()
        for name, layer in zip(names, linears, strict=True)
        for part in ("weight", "bias")
    }


def ours(model: VAE, images: torch.Tensor) -> tuple[float, float]:
    """Return images per second and the mean of log p(x)."""
    per_example(model, Examples(images[:1]), SAMPLES)
    start = time.perf_counter()
    result = per_example(model, Examples(images), SAMPLES)
    return len(images) / (time.perf_counter() - start), result.log_px[:THEIRS].mean().item()


def theirs(python: str, model: VAE, images: torch.Tensor) -> tuple[float, float]:
    """Return images per second and the mean of log p(x) of the other routine."""
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "given.npz"
        np.savez(given, images=images.numpy(), **_weights(model))
        arguments = [str(given), str(THEIRS), str(SAMPLES), model.device.type]
        command = [python, "-m", "benchmarks.contestants.pythae_likelihood", *arguments]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    return THEIRS / result["seconds"], result["mean"]


@torch.no_grad()
def floor(model: VAE) -> float:
    """Return images per second of the decoder's matrix products alone."""
    up, out = (layer for layer in model.decoder.modules() if isinstance(layer, torch.nn.Linear))
    z, h = (torch.randn(SAMPLES, layer.in_features, device=model.device) for layer in (up, out))
    out(h)
    settle(model.device.type)
    start = time.perf_counter()
    for _ in range(20):
        up(z)
        out(h)
    settle(model.device.type)
    return 20 / (time.perf_counter() - start)


def _whole(model: VAE, images: torch.Tensor) -> tuple[float, float]:
    """Return the seconds for all images, and the growth of the peak resident size in MiB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    per_example(model, Examples(images), SAMPLES)
    seconds = time.perf_counter() - start
    return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
