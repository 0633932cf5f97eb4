"""What a process of a job does in test_distributed: python -m torch.distributed.run -m tests.training.job TASK
FOLDER."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from aevb.config.build import build, build_objective
from aevb.config.resolve import resolve
from aevb.config.schema import Config, DataConfig, ModelConfig, ObjectiveConfig, TrainConfig
from aevb.data import load_data
from aevb.data.dataset import Dataset
from aevb.rng import RNGStream, seeded
from aevb.training import environment
from aevb.training.fit import fit
from aevb.training.history import Epoch
from aevb.workflow.fitting import fit_run

DIGITS = DataConfig(source="digits")
BITS = DataConfig(source="digits", binarize="resampled")
SMALL = {"hidden": (16,)}
CASES: dict[str, tuple[DataConfig, ModelConfig, ObjectiveConfig, dict[str, Any]]] = {
    "learned variance": (DIGITS, ModelConfig(**SMALL), ObjectiveConfig(), {}),
    "importance-weighted, resampled": (
        BITS,
        ModelConfig(**SMALL, latent=(4, 2), latent_hidden=(8,)),
        ObjectiveConfig(kind="iwae", n_samples=3),
        {"optimizer": "sgd", "clip_grad_norm": 1.0, "weight_decay": 0.01, "lr": 1e-2},
    ),
    "conditional, full covariance": (
        DIGITS,
        ModelConfig(**SMALL, posterior="full", condition=("label",)),
        ObjectiveConfig(kind="elbo-mc"),
        {"optimizer": "adagrad", "lr": 1e-2, "bias_lr_factor": 0.5},
    ),
    "mixture prior": (
        DIGITS.model_copy(update={"binarize": "threshold"}),
        ModelConfig(**SMALL, prior="mixture", components=3),
        ObjectiveConfig(warmup=0.5),
        {"optimizer": "rmsprop", "lr": 1e-4},
    ),
}
BATCH_NORMALISED = "batch normalisation"
CASES[BATCH_NORMALISED] = (DIGITS, ModelConfig(network="conv", channels=(4,)), ObjectiveConfig(), {})
STEPS, EXAMPLES, BATCH = 50, 64, 61


def curve(case: str, strategy: str) -> list[list[float]]:
    """The terms of 50 steps, each an epoch, of a batch that two processes cannot halve; then sums of the weights."""
    data, model_config, objective, train = CASES[case]
    dataset = load_data(**data.model_dump(), condition=model_config.condition)
    resolved = resolve(model_config, dataset)
    with seeded(0, RNGStream.WEIGHTS):
        model = build(resolved, dataset.shape, dataset.columns, dataset.condition_columns)
    rows: list[list[float]] = []

    def on_epoch(epoch: Epoch) -> None:
        assert epoch.valid
        rows.append([epoch.train.loss, epoch.train.bound, epoch.train.rate, epoch.valid.bound])

    settings = TrainConfig(**{"epochs": STEPS, "batch_size": BATCH, "strategy": strategy, **train})
    examples, valid = dataset.train.subsample(EXAMPLES), dataset.valid.subsample(20)
    fit(model, build_objective(objective, resolved.posterior), examples, valid, settings, on_epoch=on_epoch)
    return [*rows, [weight.detach().double().norm().item() for weight in model.parameters()]]


def settings(strategy: str) -> Config:
    """Of a run that is cut off."""
    train = TrainConfig(epochs=12, checkpoint_every="7steps", strategy=strategy, lr_decay=0.5)
    return Config(model=ModelConfig(**SMALL), train=train)


def cut_off(folder: Path, dataset: Dataset, strategy: str, at: int) -> None:
    """Train until the last process kills itself at a step."""
    steps = iter(range(at))

    def on_step() -> None:
        if next(steps, None) is None and not environment.is_first():
            os.kill(os.getpid(), signal.SIGKILL)

    fit_run(settings(strategy), folder, dataset, on_step=on_step)


def main(task: str, place: str, *words: str) -> None:
    """`curves FILE CASE ...` or `cut-off FOLDER STRATEGY`."""
    with environment.process_group(torch.device("cpu")):
        if task == "curves":
            found = {f"{case}, {kind}": curve(case, kind) for case in words for kind in ("ddp", "fsdp")}
            if environment.is_first():
                Path(place).write_text(json.dumps(found))
        else:
            cut_off(Path(place), load_data("digits"), words[0], at=30)


if __name__ == "__main__":
    main(*sys.argv[1:])
