"""A whole experiment: a configuration and data to a model, trained and recorded in a run folder."""

import time
from collections.abc import Callable
from pathlib import Path

import torch

from aevb.config import Config, build, build_objective, resolve
from aevb.data import Dataset
from aevb.errors import NonFinite
from aevb.randomness import Purpose, seeded
from aevb.runs import Run, create
from aevb.training import Epoch, fit

START_EXAMPLES = 10_000
"""Training examples, at most, that a model starts from."""
SAVE_EVERY = 10.0
"""Seconds between two writings of the weights during training."""


def train(
    config: Config,
    folder: Path,
    dataset: Dataset,
    *,
    device: torch.device | str = "cpu",
    on_step: Callable[[], object] | None = None,
    on_epoch: Callable[[Epoch], object] | None = None,
) -> Run:
    """Build and train a model and record it as it goes: after every epoch its metrics, and now and then its weights.

    Whatever ends training early, the folder has good weights; where there are none, no folder is left.

    Args:
        config: what to do; what it leaves open is resolved by the data.
        folder: to make; it must not exist yet, or be empty.
        dataset: its test part is not looked at.
        device: where to train.
        on_step, on_epoch: called after each.

    Raises:
        BadInput: the configuration does not fit the data, or the folder cannot be written.
        NonFinite: a loss became infinite or NaN.
    """
    resolved = resolve(config.model, dataset)
    objective = build_objective(config.objective, resolved.posterior)
    with seeded(config.seed, Purpose.WEIGHTS):
        model = build(resolved, dataset.shape)
        model.start(dataset.train.some(START_EXAMPLES).batch(slice(None)), output=resolved.initial == "data")
    run = create(folder, config, resolved, dataset, model.to(device))
    saved = time.monotonic()

    def after(epoch: Epoch) -> None:
        nonlocal saved
        run.append(epoch)
        if time.monotonic() - saved > SAVE_EVERY:
            run.save_model(epoch.number)
            saved = time.monotonic()
        if on_epoch:
            on_epoch(epoch)

    examples = dataset.train, dataset.valid
    try:
        history = fit(model, objective, *examples, config.train, seed=config.seed, on_step=on_step, on_epoch=after)
    except BaseException as error:
        run.close("non-finite" if isinstance(error, NonFinite) else "failed", kept=len(run.epochs))
        raise
    run.close(history.ended, history.kept)
    return run
