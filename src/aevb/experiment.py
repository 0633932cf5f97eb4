"""A whole experiment: a configuration and data to a model, trained and recorded in a run folder."""

import time
from collections.abc import Callable
from pathlib import Path

import torch

from aevb.config import Config, build, build_objective, resolve
from aevb.data import Dataset
from aevb.errors import NonFinite
from aevb.randomness import Purpose, seeded
from aevb.runs import Run, create, reopen
from aevb.training import Epoch, State, fit

START_EXAMPLES = 10_000
"""Training examples, at most, that a model starts from."""
SAVE_EVERY = 10.0
"""Seconds between two writings of the weights and the checkpoint during training."""


def train(
    config: Config,
    folder: Path,
    dataset: Dataset,
    *,
    device: torch.device | str = "cpu",
    resume: bool = False,
    on_step: Callable[[], object] | None = None,
    on_epoch: Callable[[Epoch], object] | None = None,
) -> Run:
    """Build and train a model and record it as it goes: after every epoch its metrics, and now and then its weights.

    Whatever ends training early, the folder has good weights; where there are none, no folder is left. What was cut off
    can go on, and on the same CPU ends as it would have without, bit for bit; only the seconds of its epochs differ.

    Args:
        config: what to do; what it leaves open is resolved by the data.
        folder: to make; it must not exist yet, or be empty, or have a run that is to go on.
        dataset: its test part is not looked at.
        device: where to train.
        resume: go on with the run in the folder, if there is one that was cut off, from its last checkpoint.
        on_step, on_epoch: called after each.

    Raises:
        BadInput: the configuration does not fit the data, the folder cannot be written, or the run in it is damaged,
            finished, or was made with another configuration or other data.
        NonFinite: a loss became infinite or NaN.
    """
    resolved = resolve(config.model, dataset)
    objective = build_objective(config.objective, resolved.posterior)
    with seeded(config.seed, Purpose.WEIGHTS):
        model = build(resolved, dataset.shape)
        model.start(dataset.train.some(START_EXAMPLES).batch(slice(None)), output=resolved.initial == "data")
    model = model.to(device)
    run = reopen(folder, config, dataset, model) if resume else None
    run = run or create(folder, config, resolved, dataset, model)
    saved = time.monotonic()

    def after(epoch: Epoch) -> None:
        run.append(epoch)
        if on_epoch:
            on_epoch(epoch)

    def keep(state: State) -> None:
        nonlocal saved
        run.state = state
        if time.monotonic() - saved > SAVE_EVERY:
            run.save_model(state.number)
            run.save_state()
            saved = time.monotonic()

    try:
        history = fit(
            model, objective, dataset.train, dataset.valid, config.train, seed=config.seed,
            start=run.state, on_step=on_step, on_epoch=after, on_state=keep,
        )  # fmt: skip
    except BaseException as error:
        run.close("non-finite" if isinstance(error, NonFinite) else "failed", kept=len(run.epochs))
        raise
    run.close(history.ended, history.kept)
    return run
