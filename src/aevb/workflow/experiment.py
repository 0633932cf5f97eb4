"""A whole experiment: a configuration and data to a model, trained and recorded in a run folder."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from aevb.config.build import build, build_objective
from aevb.config.initialize import initialize
from aevb.config.resolve import resolve
from aevb.config.schema import Config, ModelConfig
from aevb.data import Dataset
from aevb.errors import Lost, NonFinite
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded
from aevb.runs.records import Ending
from aevb.runs.run_folder import RunFolder
from aevb.training import environment
from aevb.training.capture import CaptureError
from aevb.training.fit import TrainingJob, fit_stacked
from aevb.training.history import Epoch, History
from aevb.training.policy import worth_stacking
from aevb.training.state import TrainingState
from aevb.workflow.loggers import Logger, Together

START_EXAMPLES = 10_000
"""Training examples, at most, that a model starts from."""


def train(
    config: Config,
    folder: Path,
    dataset: Dataset,
    *,
    device: torch.device | str = "cpu",
    resume: bool = False,
    on_step: Callable[[], object] | None = None,
    on_epoch: Callable[[Epoch], object] | None = None,
    loggers: Sequence[Logger] = (),
) -> RunFolder:
    """Build and train a model and record it as it goes: after every epoch its metrics, and now and then its weights.

    Whatever ends training early, the folder has good weights; where there are none, no folder is left. What was cut off
    can go on from its last checkpoint, within an epoch as well, and on the same CPU ends as it would have without, bit
    for bit; only the seconds of its epochs differ.

    Args:
        config: what to do; what it leaves open is resolved by the data.
        folder: to make; it must not exist yet, or be empty, or have a run that is to go on.
        dataset: its test part is not looked at.
        device: where to train.
        resume: go on with the run in the folder, if there is one that was cut off, from its last checkpoint.
        on_step, on_epoch: called after each.
        loggers: told of the run as it begins and of its epochs; one that fails ends nothing. What is measured later is
            for the caller to tell them, and to close them.

    Raises:
        BadInput: the configuration does not fit the data, the folder cannot be written, or the run in it is damaged,
            finished, or was made with another configuration or other data.
        NonFinite: a loss became infinite or NaN.
    """
    places = [(config, folder)]
    return train_stacked(
        places, dataset, device=device, resume=resume, on_step=on_step, on_epoch=on_epoch, loggers=[loggers]
    )[0]


def train_stacked(
    places: Sequence[tuple[Config, Path]],
    dataset: Dataset,
    *,
    device: torch.device | str = "cpu",
    resume: bool = False,
    on_step: Callable[[], object] | None = None,
    on_epoch: Callable[[Epoch], object] | None = None,
    loggers: Sequence[Sequence[Logger]] | None = None,
) -> list[RunFolder]:
    """The same for configurations that differ in their seeds alone, as one stacked model.

    Args:
        places: configurations and folders.
        dataset, device, resume, on_step, on_epoch: as in `train`.
        loggers: those of each place.

    Raises:
        BadInput, NonFinite: as in `train`, and the runs are left as cut off.
        CaptureError: their steps cannot be stacked, or the runs have gone unequally far.
    """
    config = places[0][0]
    resolved = resolve(config.model, dataset)
    objective = build_objective(config.objective, resolved.posterior)
    runs = [_opened(chosen, resolved, folder, dataset, device, resume=resume) for chosen, folder in places]
    first = environment.is_first()
    clock = Clock(config.train.checkpoint_every)
    told = [Together(own) for own in loggers or [()] * len(runs)]
    members = [_member(run, clock, logger, on_epoch) for run, logger in zip(runs, told, strict=True)]
    try:
        if len({_place(run.state) for run in runs}) > 1:
            raise CaptureError("they have gone unequally far")
        for run, logger in zip(runs, told, strict=True) if first else ():
            logger.begin(run)
        parts = (dataset.train_source, dataset.valid)
        checkpoint_due = clock.after_step if first else None
        histories = fit_stacked(
            members, objective, *parts, config.train, checkpoint_due=checkpoint_due, on_step=on_step
        )
    except BaseException as error:
        for run in runs if first else []:
            run.close(_ending(error), kept=len(run.epochs))
        raise
    environment.run_on_first(lambda: _close(runs, histories))
    return runs if first else [RunFolder.load(run.folder, device) for run in runs]


def _close(runs: Sequence[RunFolder], histories: Sequence[History]) -> None:
    for run, history in zip(runs, histories, strict=True):
        run.close(history.ended, history.kept)


def _ending(error: BaseException) -> Ending:
    if isinstance(error, Lost):
        return "interrupted"
    return "non-finite" if isinstance(error, NonFinite) else "failed"


def _place(state: TrainingState | None) -> tuple[int, int]:
    """The whole epochs that were made, and the steps of the next one."""
    return (state.number, state.position.step if state.position else 0) if state else (0, 0)


class Clock:
    """When a checkpoint is due.

    Args:
        every: as in 10s, 5min, 500steps or 2epochs.
    """

    def __init__(self, every: str) -> None:
        count = every.rstrip("abcdefghijklmnopqrstuvwxyz")
        self.count, self.unit = int(count), every.removeprefix(count).rstrip("s") or "s"
        self.steps, self.since = 0, time.monotonic()
        self.number, self.now = 0, False

    def after_step(self) -> bool:
        """Whether one is due after a step that does not end an epoch."""
        self.steps += 1
        return self.unit != "epoch" and self._due()

    def after_epoch(self, number: int) -> bool:
        """Whether one is due after so many epochs: the same for all that are trained together."""
        if number != self.number:
            self.number, self.steps = number, self.steps + 1
            self.now = number % self.count == 0 if self.unit == "epoch" else self._due()
        return self.now

    def _due(self) -> bool:
        seconds = time.monotonic() - self.since
        passed = {"step": float(self.steps), "min": seconds / 60, "s": seconds}[self.unit]
        if passed < self.count:
            return False
        self.steps, self.since = 0, time.monotonic()
        return True


def stackable(config: Config, dataset: Dataset) -> bool:
    """Whether several models of a configuration are faster as one, as far as can be said beforehand."""
    resolved = resolve(config.model, dataset)
    objective = build_objective(config.objective, resolved.posterior)
    model = _built(config, resolved, dataset)
    return dataset.out_of_core is None and worth_stacking(model, objective, dataset.train, config.train)


def _built(config: Config, resolved: ModelConfig, dataset: Dataset) -> VAE:
    """The model before its first step."""
    with seeded(config.seed, RNGStream.WEIGHTS):
        model = build(resolved, dataset.shape, dataset.columns, dataset.condition_columns)
        initialize(model, dataset.train.subsample(START_EXAMPLES), output=resolved.init == "data")
    return model


def _opened(
    config: Config, resolved: ModelConfig, folder: Path, dataset: Dataset, device: torch.device | str, *, resume: bool
) -> RunFolder:
    """The run, which the first process makes or goes back to, and the others then find."""
    model, made = _built(config, resolved, dataset).to(device), list[RunFolder]()

    def make() -> None:
        run = RunFolder.reopen(folder, config, dataset, model) if resume else None
        made.append(run or RunFolder.create(folder, config, resolved, dataset, model))

    environment.run_on_first(make)
    return made[0] if made else RunFolder.join(folder, config, model)


def _member(run: RunFolder, clock: Clock, logger: Logger, on_epoch: Callable[[Epoch], object] | None) -> TrainingJob:
    """The run's model, which the first process records as it is trained."""
    member = TrainingJob(run.model, run.config.seed, run.state)
    if not environment.is_first():
        return member

    def after(epoch: Epoch) -> None:
        run.append_epoch(epoch)
        logger.epoch(epoch)
        if on_epoch:
            on_epoch(epoch)

    def keep(state: TrainingState) -> None:
        run.state = state
        if state.position or clock.after_epoch(state.number):
            run.save_weights(state.number)
            run.save_checkpoint()

    return replace(member, on_epoch=after, on_state=keep)
