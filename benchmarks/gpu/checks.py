"""Check training on a device: python -m benchmarks.gpu.checks NAME DEVICE [EPOCHS].

All checks train a small model on digits. Prints whether the check passed and the numbers that it compared, as JSON.
"""

import json
import logging
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import torch
import torch.distributed as dist
from torch import Tensor

from aevb.config.build import build_objective
from aevb.config.resolve import resolve
from aevb.config.schema import Config, TrainConfig
from aevb.data import Dataset, load_data
from aevb.data.examples import ExampleSource
from aevb.models.objectives import Objective
from aevb.models.vae import VAE
from aevb.training import loop
from aevb.training.backends.base import GradientBackend
from aevb.training.backends.captured import CapturedBackend
from aevb.training.backends.distributed import DistributedBackend
from aevb.training.backends.eager import EagerBackend
from aevb.training.fit import TrainingJob, fit_stacked
from aevb.training.history import History
from aevb.training.policy import batch_size
from aevb.workflow.fitting import fit_run, initial_model

TOLERANCE = 1e-4
"""Between two trainings with the same noise: nats per example below 1, and of the value above."""
NATS = 0.5
"""By which the held-out bound of bfloat16 may differ from that of float32."""
Backend = Callable[[Sequence[VAE], Sequence[int], Objective, ExampleSource, TrainConfig], GradientBackend]


class Check(NamedTuple):
    """The result of a check.

    Attributes:
        passed: whether it passed.
        text: the numbers that it compared.
    """

    passed: bool
    text: str


def captured_step(device: str, epochs: int) -> Check:
    """Check a captured step, on a GPU as one CUDA graph, against eager mode."""
    return _same_losses(_losses(device, epochs, _captured), _losses(device, epochs, _eager))


def compiled_step(device: str, epochs: int) -> Check:
    """Check a compiled step against eager mode."""
    return _same_losses(_losses(device, epochs, _compiled), _losses(device, epochs, _eager))


def stacked_models(device: str, epochs: int) -> Check:
    """Check three stacked models against each model alone in eager mode."""
    alone = [_losses(device, epochs, _eager, seed) for seed in range(3)]
    return _same_losses(_losses(device, epochs, _captured, *range(3)), torch.cat(alone))


def bfloat16(device: str, epochs: int) -> Check:
    """Check that training in bfloat16 improves the held-out bound as float32 does, on average over three seeds."""
    bounds = {}
    for precision in ("float32", "bf16"):
        histories = _trained(device, epochs, _captured, range(3), precision=precision)
        bounds[precision] = torch.tensor([[e.valid.bound for e in h.epochs if e.valid] for h in histories]).mean(0)
    last, other = (float(curve[-1]) for curve in bounds.values())
    improved = float(bounds["bf16"][0]) < other or epochs == 1
    text = f"held-out bound: {other:.2f} nats in bfloat16, {last:.2f} in float32 (tolerance {NATS} nats)"
    return Check(improved and abs(last - other) <= NATS, text)


def resumed_run(device: str, epochs: int) -> Check:
    """Check that a run that was interrupted within an epoch ends with the same bits, in eager mode and captured."""
    differences = {"eager": _resumed(device, epochs, _eager), "captured": _resumed(device, epochs, _captured)}
    text = ", ".join(f"{name} {difference:.1e}" for name, difference in differences.items())
    return Check(not any(differences.values()), f"largest difference of a weight: {text} (0 is required)")


def one_process(device: str, epochs: int) -> Check:
    """Check distributed training with one process, by DDP and by FSDP, against eager mode."""
    with _process_group(device):
        found = [_losses(device, epochs, _distributed, strategy=strategy) for strategy in ("ddp", "fsdp")]
    return _same_losses(torch.cat(found), _losses(device, epochs, _eager).expand(2, -1))


CHECKS: dict[str, Callable[[str, int], Check]] = {
    "captured": captured_step,
    "stacked": stacked_models,
    "compiled": compiled_step,
    "bf16": bfloat16,
    "resume": resumed_run,
    "distributed": one_process,
}
EPOCHS = {"bf16": 45}
"""Number of epochs, where it is not `FEW`."""
FEW = 3


def main(name: str, device: str, epochs: str = "0") -> None:
    """Run a check and print its result."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    check = CHECKS[name](device, int(epochs) or EPOCHS.get(name, FEW))
    print(json.dumps(check._asdict()))


def _eager(
    models: Sequence[VAE], seeds: Sequence[int], objective: Objective, examples: ExampleSource, config: TrainConfig
) -> EagerBackend:
    return EagerBackend(models[0], objective, examples, seeds[0], bf16=config.precision == "bf16")


def _captured(
    models: Sequence[VAE],
    seeds: Sequence[int],
    objective: Objective,
    examples: ExampleSource,
    config: TrainConfig,
    *,
    compiled: bool = False,
) -> CapturedBackend:
    size, bf16 = batch_size(config, examples), config.precision == "bf16"
    return CapturedBackend(models, objective, examples, seeds, size, compiled=compiled, bf16=bf16)


def _compiled(
    models: Sequence[VAE], seeds: Sequence[int], objective: Objective, examples: ExampleSource, config: TrainConfig
) -> CapturedBackend:
    return _captured(models, seeds, objective, examples, config, compiled=True)


def _distributed(
    models: Sequence[VAE], seeds: Sequence[int], objective: Objective, examples: ExampleSource, config: TrainConfig
) -> DistributedBackend:
    size = batch_size(config, examples)
    return DistributedBackend(models[0], objective, examples, seeds[0], size, config.strategy)


@contextmanager
def _process_group(device: str) -> Iterator[None]:
    """Make this process the only one of a job."""
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group(backend, init_method=f"file://{folder}/store", rank=0, world_size=1)
        try:
            yield
        finally:
            dist.destroy_process_group()


@cache
def _digits() -> Dataset:
    return load_data("digits")


def _config(epochs: int, seed: int, **train: object) -> Config:
    return Config.model_validate({"model": {"hidden": [100]}, "seed": seed, "train": {"epochs": epochs, **train}})


def _trained(device: str, epochs: int, backend: Backend, seeds: Sequence[int] = (0,), **train: object) -> list[History]:
    """Train models by a backend, as one stacked model if there are several."""
    dataset, configs = _digits(), [_config(epochs, seed, **train) for seed in seeds]
    resolved = resolve(configs[0].model, dataset)
    jobs = [TrainingJob(initial_model(each, resolved, dataset).to(device), each.seed) for each in configs]
    objective = build_objective(configs[0].objective, resolved.posterior, dataset)
    with patch.object(loop, "choose_backend", backend):
        return fit_stacked(jobs, objective, dataset.train, dataset.valid, configs[0].train)


def _losses(device: str, epochs: int, backend: Backend, *seeds: int, **train: object) -> Tensor:
    """Return the losses of the epochs of each model, ``(M, E)``."""
    histories = _trained(device, epochs, backend, seeds or (0,), **train)
    return torch.tensor([[epoch.train.loss for epoch in history.epochs] for history in histories])


def _same_losses(actual: Tensor, expected: Tensor) -> Check:
    difference = float(((actual - expected).abs() / expected.abs().clamp_min(1)).max())
    text = f"largest relative difference of a loss: {difference:.1e} (tolerance {TOLERANCE:.0e})"
    return Check(difference <= TOLERANCE, text)


class _Stop(Exception):
    """Ends a run within an epoch."""


def _resumed(device: str, epochs: int, backend: Backend) -> float:
    """Return the largest difference between the weights of a whole run and of one that was interrupted and resumed."""
    dataset, config = _digits(), _config(epochs, 0, checkpoint_every="3steps", keep="last")
    steps, numbers = config.train.plan(len(dataset.train))[1], count(1)

    def stop() -> None:
        if next(numbers) == steps * epochs - steps // 2:
            raise _Stop

    with patch.object(loop, "choose_backend", backend), tempfile.TemporaryDirectory() as place:
        whole = fit_run(config, Path(place) / "whole", dataset, device=device)
        with suppress(_Stop):
            fit_run(config, Path(place) / "interrupted", dataset, device=device, on_step=stop)
        resumed = fit_run(config, Path(place) / "interrupted", dataset, device=device, resume=True)
    pairs = zip(whole.model.parameters(), resumed.model.parameters(), strict=True)
    return max(float((one - other).detach().abs().max()) for one, other in pairs)


if __name__ == "__main__":
    main(*sys.argv[1:])
