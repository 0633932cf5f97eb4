"""A budget of time: the number of epochs that fit into it, from the measured speed of a few steps.

The schedule of the learning rate and the warm-up then span the budget, and the run stays a function of its
configuration, which records the number of epochs.
"""

import time
from contextlib import suppress
from math import floor

import torch

from aevb.config.build import build_objective
from aevb.config.resolve import resolve
from aevb.config.schema import Config, TrainConfig
from aevb.data import Dataset
from aevb.data.examples import ExampleSource
from aevb.errors import BadInput, option
from aevb.models.objectives import Objective, stages
from aevb.models.vae import VAE
from aevb.training import environment
from aevb.training.fit import fit
from aevb.training.validation import sufficient_repeats, validate
from aevb.workflow.fitting import initial_model

UNITS = {"s": 1, "min": 60, "h": 3600}
SPARE = 0.05
"""Share of the budget that is left for slower steps and for saving."""
FIRST_STEPS = 10
"""Steps that are not measured: they allocate memory."""
MEASURED_SHARE, MEASURED_SECONDS = 0.02, 10.0
"""Largest share of the budget, and the most seconds, for the measurement."""


class _Enough(Exception):
    """Ends a training whose speed has been measured."""


def with_budget(config: Config, dataset: Dataset, device: torch.device) -> Config:
    """Return a configuration with as many epochs as fit into its budget; the same one if it has none.

    Args:
        config: of the run.
        dataset: the data of the run.
        device: on which the run is trained.

    Raises:
        BadInput: the number of epochs is set as well, several processes train, or the budget is below one epoch.
    """
    budget = config.train.budget
    if budget is None:
        return config
    name = option("train.budget", budget)
    if config.train.epochs:
        raise BadInput(f"{name} chooses the number of epochs: omit {option('train.epochs')}")
    if environment.world_size() > 1:
        raise BadInput(f"{name} is for a single process: use {option('train.epochs')} under torchrun")
    number = budget.rstrip("".join(UNITS))
    seconds = int(number) * UNITS[budget.removeprefix(number)]
    epoch = _seconds_per_epoch(config, dataset, device, min(MEASURED_SHARE * seconds, MEASURED_SECONDS))
    epochs = floor((1 - SPARE) * seconds / epoch)
    if epochs < 1:
        raise BadInput(f"{name} is too short: an epoch takes {epoch:.1f} s, expected a longer time")
    return _with_train(config, budget=None, epochs=epochs)


def _seconds_per_epoch(config: Config, dataset: Dataset, device: torch.device, seconds: float) -> float:
    """Return the time of an epoch with its validation, from steps that take so many seconds."""
    resolved = resolve(config.model, dataset)
    model = initial_model(config, resolved, dataset).to(device)
    objective = build_objective(config.objective, resolved.posterior, dataset)
    source, begun, step = dataset.train_source, 0.0, 0.0
    long = _with_train(config, budget=None, epochs=10**6, patience=None).train
    parts = stages(objective)
    for part, until in parts:
        step += (until - begun) * _seconds_per_step(model, part, source, long, seconds / len(parts))
        begun = until
    started = time.perf_counter()
    repeats = sufficient_repeats(len(source), len(dataset.valid))
    validate(model, objective, dataset.valid.to(device), repeats=repeats)
    return step * long.plan(len(source))[1] + time.perf_counter() - started


def _seconds_per_step(
    model: VAE, objective: Objective, source: ExampleSource, config: TrainConfig, seconds: float
) -> float:
    """Return the time of a step, from steps that take so many seconds.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    times = list[float]()

    def on_step() -> None:
        times.append(time.perf_counter())
        if len(times) > FIRST_STEPS + 1 and times[-1] - times[FIRST_STEPS] > seconds:
            raise _Enough

    with suppress(_Enough):
        fit(model, objective, source, None, config, on_step=on_step)
        raise KeyboardInterrupt  # training ends by itself only where it is interrupted
    return (times[-1] - times[FIRST_STEPS]) / (len(times) - 1 - FIRST_STEPS)


def _with_train(config: Config, **values: object) -> Config:
    return config.model_copy(update={"train": TrainConfig.model_validate(config.train.model_dump() | values)})
