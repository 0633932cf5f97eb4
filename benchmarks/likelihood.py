"""log p(x) with K = 5000 importance samples at W1: `aevb`, two other programs, and the decoder's matrix products alone.

All get the same weights and the same images.
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
"""Numbers of images: in a round, of ours and of the others, and in the run whose memory is measured."""
PYTHAE = "pythae_likelihood"
OTHERS = {"pythae's get_nll": PYTHAE, "JAX, all images in one program": "jax_likelihood"}
"""Modules in `benchmarks.contestants` by title."""


class Results(NamedTuple):
    """The results.

    Attributes:
        ours, floor: images per second in each round.
        theirs: the same of the others, by title.
        means: of log p(x) over the same images, ours and those of the others.
        seconds, grown: for all images, and the MiB by which the peak resident size grew.
    """

    ours: list[float]
    theirs: dict[str, list[float]]
    floor: list[float]
    means: list[float]
    seconds: float
    grown: float


def measured(count: int, peers: str) -> Results:
    """Run the rounds, then all images at once."""
    model, images = model_and_images("cpu")
    results = Results([], {title: [] for title in OTHERS}, [], [], 0.0, 0.0)
    for _ in range(count):
        rate, mean = ours(model, images[:OURS])
        others = {title: theirs(peers, model, images, module) for title, module in OTHERS.items()}
        results.ours.append(rate)
        results.floor.append(floor(model))
        for title, (their_rate, _) in others.items():
            results.theirs[title].append(their_rate)
        results.means[:] = [mean, *(their_mean for _, their_mean in others.values())]
    seconds, grown = _whole(model, images)
    return results._replace(seconds=seconds, grown=grown)


def model_and_images(device: str) -> tuple[VAE, torch.Tensor]:
    """Return the model on a device, and the images ``(ALL, 1, 28, 28)`` on the CPU."""
    torch.manual_seed(0)
    workload = WORKLOADS["W1"]
    images = workload.data(ALL)
    return made(workload, images).eval().to(device), images


def table(results: Results) -> str:
    """Return a Markdown table."""
    others = "".join(
        f"| {title} | {median(rates):.2f} | {ratio(results.ours, rates)} |\n" for title, rates in results.theirs.items()
    )
    own, *means = (f"{mean:.2f}" for mean in results.means)
    return (
        "| | images per second | aevb relative to it |\n|---|---|---|\n"
        f"| aevb | {median(results.ours):.1f} | |\n{others}"
        f"| matrix products of the decoder alone | {median(results.floor):.1f} |"
        f" {ratio(results.ours, results.floor, 2)} |\n\n"
        f"The means over {THEIRS} images agree: {own} (aevb), {' and '.join(means)} nats. {ALL} images"
        f" take {results.seconds:.0f} s, and the peak resident size grows by {results.grown:.0f} MiB (the bound is"
        " 1 GiB)."
    )


def _weights(model: VAE) -> dict[str, np.ndarray]:
    """Return the weights by the names that the others use."""
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


def theirs(python: str, model: VAE, images: torch.Tensor, module: str = PYTHAE) -> tuple[float, float]:
    """Return images per second and the mean of log p(x) of another program."""
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "given.npz"
        np.savez(given, images=images.numpy(), **_weights(model))
        arguments = [str(given), str(THEIRS), str(SAMPLES), model.device.type]
        command = [python, "-m", f"benchmarks.contestants.{module}", *arguments]
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
