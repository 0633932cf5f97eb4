"""Thresholds of the training loop: when to capture a step, compile it, stack models, and use several threads.

For dense models of growing width, milliseconds of a step: eager with one thread; captured; captured with as many
threads as there are cores; compiled; and of eight stacked models, per model. They determine the number of steps after
which capture and compilation have repaid their cost."""

import os
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch._inductor import config as inductor

from aevb.config.build import build_objective
from aevb.config.schema import ObjectiveConfig
from aevb.data import Examples
from aevb.training.backends.base import GradientBackend
from aevb.training.backends.captured import CapturedBackend
from aevb.training.backends.eager import EagerBackend
from aevb.training.policy import count_operations
from benchmarks.contestants.ours import model as build_model
from benchmarks.workloads import Workload

WIDTHS = (32, 64, 128, 256, 512)
OBJECTIVE = build_objective(ObjectiveConfig(), "diagonal")
STACKED = 8


class Width(NamedTuple):
    """The measurements at a width.

    Attributes:
        width: of the hidden layers.
        operations: of a forward pass.
        eager, captured, threads, compiled, stacked: milliseconds of a step of one model.
        capture, compilation: seconds that they take.
    """

    width: int
    operations: int
    eager: float
    captured: float
    threads: float
    compiled: float
    stacked: float
    capture: float
    compilation: float


def measured(count: int) -> list[Width]:
    """Return the fastest of several rounds."""
    inductor.force_disable_caches = True  # results of earlier compilations would be reused
    _of_width(2, 1)  # imports
    return [_of_width(width, count) for width in WIDTHS]


def table(widths: list[Width]) -> str:
    """Return a Markdown table."""
    head = ["width", "operations", "eager", "captured", "captured, all threads", "compiled",
            f"{STACKED} stacked, per model", "capture repaid after", "compilation repaid after"]  # fmt: skip
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *map(_row, widths)])


def _row(w: Width) -> str:
    numbers = (w.eager, w.captured, w.threads, w.compiled, w.stacked)
    repaid = _repaid(w.capture, w.eager - w.captured), _repaid(w.compilation, w.captured - w.compiled)
    cells = [w.width, f"{w.operations / 1e6:,.1f} M", *(f"{number:.2f} ms" for number in numbers), *repaid]
    return f"| {' | '.join(map(str, cells))} |"


def _repaid(seconds: float, milliseconds: float) -> str:
    return f"{1000 * seconds / milliseconds:,.0f} steps" if milliseconds > 0 else "never"


def _of_width(width: int, count: int) -> Width:
    workload = Workload("", (width,), (width, width), (), "tanh", 8, False, 100, 10_000, 1)
    examples = Examples(workload.data())
    steps = max(20, min(300, 20_000 // width))

    def backend(kind: str) -> GradientBackend:
        models = [build_model(workload, examples.values).train() for _ in range(STACKED if kind == "stacked" else 1)]
        if kind == "eager":
            return EagerBackend(models[0], OBJECTIVE, examples, 0)
        return CapturedBackend(models, OBJECTIVE, examples, list(range(len(models))), 100, compiled=kind == "compiled")

    took: dict[str, list[float]] = {}
    cost = {kind: _seconds(partial(backend, kind)) for kind in ("eager", "captured", "compiled")}
    backends = {kind: backend(kind) for kind in ("eager", "captured", "compiled", "stacked")}
    for _ in range(count):
        for kind, timed in (*backends.items(), ("threads", backends["captured"])):
            torch.set_num_threads((os.cpu_count() or 1) if kind == "threads" else 1)
            took.setdefault(kind, []).append(_step(timed, steps))
    best = {kind: 1000 * min(seconds) for kind, seconds in took.items()}
    best["stacked"] /= STACKED
    model = backends["eager"].models[0]
    capture, compilation = cost["captured"] - cost["eager"], cost["compiled"] - cost["captured"]
    return Width(
        width, count_operations(model, OBJECTIVE, examples, 100), **best, capture=capture, compilation=compilation
    )


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _step(backend: GradientBackend, count: int) -> float:
    """Return the seconds of one step with its Adam update."""
    optimizer = torch.optim.Adam(backend.weights.values(), fused=True)
    with backend.epoch(1) as gradients:
        for step in range(-5, count):
            if step == 0:
                start = time.perf_counter()
            rows = slice(100 * (step % 100), 100 * (step % 100) + 100)
            optimizer.zero_grad()
            gradients(rows, 0.5)
            optimizer.step()
    return (time.perf_counter() - start) / count
