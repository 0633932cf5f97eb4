"""Fit models and record them in run folders."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import torch

from aevb.columns import Column, modelled
from aevb.config.build import build, build_objective
from aevb.config.initialize import initialize
from aevb.config.resolve import resolve
from aevb.config.schema import Config, ModelConfig
from aevb.data import Dataset
from aevb.errors import BadInput, Lost, NonFinite, option
from aevb.files import locked
from aevb.models.objectives import Objective
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded
from aevb.runs.records import Ending
from aevb.runs.run_folder import CHECKPOINT, CONFIG, RunFolder
from aevb.training import environment
from aevb.training.capture import CaptureError
from aevb.training.fit import TrainingJob, fit_stacked
from aevb.training.history import Epoch, History
from aevb.training.policy import worth_stacking
from aevb.training.state import TrainingState
from aevb.workflow.checkpoint_clock import CheckpointClock
from aevb.workflow.loggers import Logger, LoggerGroup

INITIAL_EXAMPLES = 10_000
"""Maximum number of training examples for data-dependent initialization."""


def fit_run(
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
    """Build and train a model, and record metrics after each epoch and weights at each checkpoint.

    However training ends, the folder has valid weights; without a complete epoch or a checkpoint, a failure leaves no
    folder. An interrupted run can be resumed from its last checkpoint, also within an epoch. On the same CPU the result
    is bit-for-bit identical to an uninterrupted run, except for the seconds of its epochs.

    Args:
        config: of the run; the data decide what it leaves open.
        folder: to create; must not exist, be empty, or contain the run to resume.
        dataset: training data; its test split is not used.
        device: on which to train.
        resume: resume an interrupted run in the folder from its last checkpoint, if there is one.
        on_step, on_epoch: called after each step and epoch.
        loggers: receive the run and its epochs; a failing logger does not stop training. The caller passes scores to
            them and closes them.

    Returns:
        The run, with the weights that were kept.

    Raises:
        BadInput: the configuration does not suit the data, the folder cannot be written, or the run in it is damaged,
            finished, or has another configuration or other data.
        NonFinite: a loss became infinite or NaN.
    """
    jobs = [(config, folder)]
    return fit_runs(jobs, dataset, device=device, resume=resume, on_step=on_step, on_epoch=on_epoch, loggers=[loggers])[
        0
    ]


def fit_runs(
    jobs: Sequence[tuple[Config, Path]],
    dataset: Dataset,
    *,
    device: torch.device | str = "cpu",
    resume: bool = False,
    on_step: Callable[[], object] | None = None,
    on_epoch: Callable[[Epoch], object] | None = None,
    loggers: Sequence[Sequence[Logger]] | None = None,
) -> list[RunFolder]:
    """Train models whose configurations differ only in the seed as one stacked model; otherwise like `fit_run`.

    Args:
        jobs: configurations and folders.
        dataset, device, resume, on_step, on_epoch: as in `fit_run`.
        loggers: of each job.

    Raises:
        BadInput, NonFinite: as in `fit_run`; the runs are recorded as interrupted.
        CaptureError: the steps cannot be stacked, or the runs have made different numbers of steps.
    """
    config = jobs[0][0]
    resolved = resolve(config.model, dataset)
    objective = build_objective(config.objective, resolved.posterior, dataset)
    loggers = loggers or [()] * len(jobs)
    with ExitStack() as locks:
        runs = [_open(config, resolved, folder, dataset, device, locks, resume=resume) for config, folder in jobs]
        _fit(runs, objective, dataset, [LoggerGroup(of_run) for of_run in loggers], on_step, on_epoch)
        return runs if environment.is_first() else [RunFolder.load(run.folder, device) for run in runs]


def _fit(
    runs: Sequence[RunFolder],
    objective: Objective,
    dataset: Dataset,
    loggers: Sequence[LoggerGroup],
    on_step: Callable[[], object] | None,
    on_epoch: Callable[[Epoch], object] | None,
) -> None:
    """Train opened runs, and record their end."""
    settings, first = runs[0].config.train, environment.is_first()
    clock = CheckpointClock(settings.checkpoint_every)
    jobs = [_training_job(run, clock, logger, on_epoch) for run, logger in zip(runs, loggers, strict=True)]
    try:
        if len({_position(run.state) for run in runs}) > 1:
            raise CaptureError("the runs have made different numbers of steps")
        for run, logger in zip(runs, loggers, strict=True) if first else ():
            logger.begin(run)
        histories = fit_stacked(
            jobs,
            objective,
            dataset.train_source,
            dataset.valid,
            settings,
            checkpoint_due=clock.after_step if first else None,
            on_step=on_step,
        )
    except BaseException as error:
        for run in runs if first else []:
            run.close_failed(_ending(error))
        raise
    environment.run_on_first(lambda: _close(runs, histories))


def _close(runs: Sequence[RunFolder], histories: Sequence[History]) -> None:
    for run, history in zip(runs, histories, strict=True):
        run.close(history.ended, history.kept)


def _ending(error: BaseException) -> Ending:
    if isinstance(error, Lost):
        return "interrupted"
    return "non-finite" if isinstance(error, NonFinite) else "failed"


def _position(state: TrainingState | None) -> tuple[int, int]:
    """Return the number of complete epochs and the number of steps of the next one."""
    return (state.number, state.position.step if state.position else 0) if state else (0, 0)


def can_stack(config: Config, dataset: Dataset) -> bool:
    """Return whether several models of a configuration are expected to train faster as one stacked model."""
    resolved = resolve(config.model, dataset)
    objective = build_objective(config.objective, resolved.posterior, dataset)
    model = initial_model(config, resolved, dataset)
    return dataset.out_of_core is None and worth_stacking(model, objective, dataset.train, config.train)


def initial_model(config: Config, resolved: ModelConfig, dataset: Dataset) -> VAE:
    """Return the model before its first step."""
    with seeded(config.seed, RNGStream.WEIGHTS):
        model = build(resolved, dataset.shape, dataset.columns, dataset.condition_columns)
        initialize(model, dataset.train.subsample(INITIAL_EXAMPLES), output=resolved.init == "data")
    return model


def start_from(folder: str, model: VAE, resolved: ModelConfig, dataset: Dataset) -> None:
    """Load the weights of a run into a model before its first step.

    Args:
        folder: of the run, or its address.
        model: of the same configuration, for data of the same kind.
        resolved: the configuration of the model.
        dataset: its training data.

    Raises:
        BadInput: the run cannot be loaded, or has another model.
    """
    run, fields = RunFolder.load(folder), [name for name in ModelConfig.model_fields if name != "init"]
    facts = {
        **{name: (getattr(resolved, name), getattr(run.resolved, name)) for name in fields},
        **{name: (value, run.resolved.options.get(name)) for name, value in resolved.options.items()},
        **{name: (getattr(dataset, name), getattr(run.data, name)) for name in ("kind", "shape")},
    }
    for name, kind in (("columns", "column"), ("condition_columns", "condition")):
        pairs = zip_longest(_facts(getattr(dataset, name)), _facts(getattr(run.data, name)))
        facts |= {f"{kind} {number}": pair for number, pair in enumerate(pairs, 1)}
    for name, (here, there) in facts.items():
        if here != there:
            raise BadInput(
                f"{option('train.init-from', folder)} has another model: its {name} is {there}, here it is {here}; use"
                " the options of its model, and data of the same kind"
            )
    model.load_state_dict(run.model.state_dict())


def _facts(columns: Sequence[Column]) -> list[dict[str, object]]:
    """Return what a model knows of columns, in the order of a row; other facts are of the files alone."""
    of_files = {"position", "decimals", "dtype", "typical", "truth"}
    return [column.model_dump(exclude=of_files, exclude_defaults=True) for column in modelled(columns)]


def _open(
    config: Config,
    resolved: ModelConfig,
    folder: Path,
    dataset: Dataset,
    device: torch.device | str,
    locks: ExitStack,
    *,
    resume: bool,
) -> RunFolder:
    """Return the run, which the first process of the job creates or reopens, and locks, and the others join."""
    model, opened = initial_model(config, resolved, dataset).to(device), list[RunFolder]()
    if config.train.init_from and not (resume and (folder / CHECKPOINT).is_file()):
        start_from(config.train.init_from, model, resolved, dataset)

    def create() -> None:
        exists = resume and (folder / CONFIG).is_file()
        if exists:  # locked before its state is read
            locks.enter_context(locked(folder / CONFIG))
        run = RunFolder.reopen(folder, config, dataset, model) if exists else None
        opened.append(run or RunFolder.create(folder, config, resolved, dataset, model))
        if not exists:
            locks.enter_context(locked(folder / CONFIG))

    environment.run_on_first(create)
    return opened[0] if opened else RunFolder.join(folder, config, model)


def _training_job(
    run: RunFolder, clock: CheckpointClock, logger: LoggerGroup, on_epoch: Callable[[Epoch], object] | None
) -> TrainingJob:
    """Return the training job of a run, which the first process records."""
    job = TrainingJob(run.model, run.config.seed, run.state)
    if not environment.is_first():
        return job

    def record(epoch: Epoch) -> None:
        run.append_epoch(epoch)
        logger.epoch(epoch)
        if on_epoch:
            on_epoch(epoch)

    def checkpoint(state: TrainingState) -> None:
        run.state = state
        if state.position or clock.after_epoch(state.number):
            run.save_weights(state.number)
            run.save_checkpoint()

    return replace(job, on_epoch=record, on_state=checkpoint)
