"""What the training loop chooses by: when to write a step down, compile it, stack models, and share work among threads.

For dense models of growing width, milliseconds for a step: by Python with one thread; written down; written down with
as many threads as there are cores; compiled; and of eight models as one, for each. The steps after which writing down
and compiling have repaid what they cost follow from these.
"""

import os
import time
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
from benchmarks.contestants.ours import model as made
from benchmarks.workloads import Workload

WIDTHS = (32, 64, 128, 256, 512)
OBJECTIVE = build_objective(ObjectiveConfig(), "diagonal")
TOGETHER = 8


class Width(NamedTuple):
    """What was measured at a width.

    Attributes:
        width: of the hidden layers.
        operations: of a pass forward.
        python, written, threads, compiled, stacked: milliseconds for a step of one model.
        writing, compiling: seconds that they take.
    """

    width: int
    operations: int
    python: float
    written: float
    threads: float
    compiled: float
    stacked: float
    writing: float
    compiling: float


def measured(count: int) -> list[Width]:
    """The quickest of so many rounds."""
    inductor.force_disable_caches = True  # what an earlier run compiled would cost nothing
    _of_width(2, 1)  # imports
    return [_of_width(width, count) for width in WIDTHS]


def table(found: list[Width]) -> str:
    """Markdown."""
    head = ["width", "operations", "by Python", "written down", "the same, all threads", "compiled",
            f"{TOGETHER} stacked, each", "writing down repaid after", "compiling repaid after"]  # fmt: skip
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *map(_row, found)])


def _row(w: Width) -> str:
    numbers = (w.python, w.written, w.threads, w.compiled, w.stacked)
    repaid = _repaid(w.writing, w.python - w.written), _repaid(w.compiling, w.written - w.compiled)
    cells = [w.width, f"{w.operations / 1e6:,.1f} M", *(f"{number:.2f} ms" for number in numbers), *repaid]
    return f"| {' | '.join(map(str, cells))} |"


def _repaid(seconds: float, milliseconds: float) -> str:
    return f"{1000 * seconds / milliseconds:,.0f} steps" if milliseconds > 0 else "never"


def _of_width(width: int, count: int) -> Width:
    workload = Workload("", (width,), (width, width), (), "tanh", 8, False, 100, 10_000, 1)
    examples = Examples(workload.data())
    steps = max(20, min(300, 20_000 // width))

    def backend(kind: str) -> GradientBackend:
        models = [made(workload, examples.values).train() for _ in range(TOGETHER if kind == "stacked" else 1)]
        if kind == "python":
            return EagerBackend(models[0], OBJECTIVE, examples, 0)
        return CapturedBackend(models, OBJECTIVE, examples, list(range(len(models))), 100, compiled=kind == "compiled")

    took: dict[str, list[float]] = {}
    cost = {kind: _seconds(lambda kind=kind: backend(kind)) for kind in ("python", "written", "compiled")}  # type: ignore
    backends = {kind: backend(kind) for kind in ("python", "written", "compiled", "stacked")}
    for _ in range(count):
        for kind, each in (*backends.items(), ("threads", backends["written"])):
            torch.set_num_threads((os.cpu_count() or 1) if kind == "threads" else 1)
            took.setdefault(kind, []).append(_step(each, steps))
    best = {kind: 1000 * min(seconds) for kind, seconds in took.items()}
    best["stacked"] /= TOGETHER
    model = backends["python"].models[0]
    writing, compiling = cost["written"] - cost["python"], cost["compiled"] - cost["written"]
    return Width(width, count_operations(model, OBJECTIVE, examples, 100), **best, writing=writing, compiling=compiling)


def _seconds(what: object) -> float:
    start = time.perf_counter()
    what()  # type: ignore[operator]
    return time.perf_counter() - start


def _step(backend: GradientBackend, count: int) -> float:
    """Seconds of one step with its Adam update."""
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
