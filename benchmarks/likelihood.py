"""K = 5000 importance samples: `aevb` against the best-known peer's routine (pythae), and against the arithmetic.

    python -m benchmarks.likelihood RUN --data-dir DATA

RUN is a trained 784-500-20 model of binarised MNIST. Both sides get the same weights and the same images. The rounds
are interleaved; rates are medians of images per second, ratios have their range over the rounds. The peer is installed
into an environment of its own under the user's cache. The floor is the time of the decoder's two matrix products alone.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from statistics import median

import numpy as np
import pooch
import torch

import aevb
from aevb.data import Examples
from aevb.evaluation.likelihood import per_example

SAMPLES, ROUNDS = 5000, 5
OURS, THEIRS, ALL = 100, 20, 1000
"""Images in a round, and in the run whose memory is measured."""


def main() -> None:
    """Time both and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--data-dir")
    chosen = parser.parse_args()
    run = aevb.load(chosen.run)
    images = run.load_data(chosen.data_dir).test.batch(slice(0, ALL))
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "given.npz"
        np.savez(given, images=images.numpy(), **weights(run.model))
        python = peer()
        rows = [(ours(run.model, images[:OURS]), theirs(python, given), floor(run.model)) for _ in range(ROUNDS)]
    report(rows, *whole(run.model, images))


def weights(model: aevb.VAE) -> dict[str, np.ndarray]:
    """By the names that the peer's side knows."""
    linears = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    names = ("hidden", "head", "up", "out")
    return {
        f"{name}.{part}": getattr(layer, part).detach().numpy()
        for name, layer in zip(names, linears, strict=True)
        for part in ("weight", "bias")
    }


def peer() -> str:
    """The Python of an environment with the peer in it."""
    folder = Path(pooch.os_cache("aevb")) / "peers"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "torch>=2.9,<2.14", "pythae==0.1.2"], check=True)
    return str(python)


def ours(model: aevb.VAE, images: torch.Tensor) -> tuple[float, float]:
    """Images per second and the mean."""
    per_example(model, Examples(images[:1]), SAMPLES)
    start = time.perf_counter()
    found = per_example(model, Examples(images), SAMPLES)
    return len(images) / (time.perf_counter() - start), found.log_px[:THEIRS].mean().item()


def theirs(python: str, given: Path) -> tuple[float, float]:
    """The same of the peer."""
    script = Path(__file__).with_name("peer_likelihood.py")
    found = subprocess.run(
        [python, str(script), str(given), str(THEIRS), str(SAMPLES)], check=True, capture_output=True, text=True
    )
    result = json.loads(found.stdout.splitlines()[-1])
    return THEIRS / result["seconds"], result["mean"]


@torch.no_grad()
def floor(model: aevb.VAE) -> float:
    """Images per second if the decoder's matrix products were all."""
    up, out = (layer for layer in model.decoder.modules() if isinstance(layer, torch.nn.Linear))
    z, h = torch.randn(SAMPLES, up.in_features), torch.randn(SAMPLES, out.in_features)
    start = time.perf_counter()
    for _ in range(20):
        up(z)
        out(h)
    return 20 / (time.perf_counter() - start)


def whole(model: aevb.VAE, images: torch.Tensor) -> tuple[float, float]:
    """Seconds for all images, and the growth of the largest resident size in MiB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    per_example(model, Examples(images), SAMPLES)
    seconds = time.perf_counter() - start
    return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10


def report(rows: list[tuple[tuple[float, float], tuple[float, float], float]], seconds: float, memory: float) -> None:
    """Markdown."""
    own, peers, floors = [row[0][0] for row in rows], [row[1][0] for row in rows], [row[2] for row in rows]
    ratios = sorted(a / b for a, b in zip(own, peers, strict=True))
    shares = sorted(a / b for a, b in zip(own, floors, strict=True))
    print(
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}\n"
    )
    print("| K = 5000, 784-500-20 | images per second | against aevb |\n|---|---|---|")
    print(f"| aevb | {median(own):.1f} | 1 |")
    print(
        f"| pythae 0.1.2, get_nll | {median(peers):.2f} | aevb is {median(ratios):.1f} times as fast"
        f" ({ratios[0]:.1f} to {ratios[-1]:.1f}) |"
    )
    print(
        f"| the decoder's matrix products alone | {median(floors):.1f} | aevb reaches {100 * median(shares):.0f} %"
        f" ({100 * shares[0]:.0f} to {100 * shares[-1]:.0f}) |"
    )
    print(
        f"\n{len(rows)} interleaved rounds; log p(x) of the first {THEIRS} images: aevb {rows[0][0][1]:.2f},"
        f" pythae {rows[0][1][1]:.2f} nats (which its routine returns under the name NLL)."
    )
    print(f"{ALL} images: {seconds:.0f} s, largest resident size {memory:.0f} MiB above that before.")


if __name__ == "__main__":
    sys.exit(main())
