"""The workflow: train, evaluate, diagnose, report. `aevb.train` and the command `aevb train` are this code."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from shlex import quote

import torch

from aevb import display
from aevb.config.schema import Config
from aevb.data import IN_MEMORY, Dataset, load_data
from aevb.errors import BadInput, Lost, require_at_least
from aevb.files import os_errors_as_bad_input
from aevb.runs.run_folder import RunFolder
from aevb.training import environment
from aevb.workflow.budget import with_budget
from aevb.workflow.devices import choose_device
from aevb.workflow.fitting import fit_run
from aevb.workflow.loggers import LoggerGroup, open_loggers
from aevb.workflow.notebook import NotebookProgress
from aevb.workflow.options import with_absolute_paths, with_keywords
from aevb.workflow.progress import NoProgress, Progress
from aevb.workflow.run import Run


@torch.inference_mode(False)  # also within torch.no_grad()
def train(
    data: object = None,
    *,
    config: Config | None = None,
    out: str | Path | None = None,
    device: torch.device | str = "auto",
    n_importance_samples: int | None = None,
    report: bool = True,
    loggers: Sequence[str] = (),
    progress: bool = True,
    **options: object,
) -> Run:
    """Train a model, evaluate it on held-out data, diagnose it and write its report.

    Equals the command: ``aevb.train("digits", latent=2)`` is ``aevb train digits --model.latent 2``, with identical
    weights.

    Args:
        data: name of a data set; path of an array, a table or a folder of images; an array, alone or as (array,
            labels); a pandas or polars data frame; a torch `Dataset` or `DataLoader`; a `Dataset` of Hugging Face; or a
            `Dataset` of this package.
            Default: the source in `config`, else digits.
        config: options to start from.
        out: run folder to create. Default: runs/NAME-N with the first free N.
        device: auto (a GPU if there is one), cpu, cuda or mps.
        n_importance_samples: K, importance samples per test example for log p(x). Default: quadrature for one or two
            latent dimensions, otherwise as many samples as an example needs.
        report: diagnose the model, draw figures and write report.html. `Run.report` does so later.
        loggers: tensorboard, trackio, wandb, mlflow.
        progress: show a bar and the validation curve in a notebook. Outside of notebooks, nothing is shown.
        options: options of any section by name, such as ``latent=10``, ``epochs=50``, ``beta=4.0`` or
            ``binarize="threshold"``; a whole section, such as ``model=ModelConfig(latent=10)``; the objective by name,
            ``objective="iwae"``; and ``seed``. They override `config`.

    Returns:
        The run. After Ctrl-C during training, it has the weights of the last epoch and no scores.

    Raises:
        BadInput: the data cannot be read, an option is unknown or does not apply to them, such as one of the data for a
            `Dataset` that is loaded without it, or the folder already exists.
        NonFinite: a loss became infinite or NaN.
    """
    require_at_least(1, n_importance_samples=n_importance_samples)
    if isinstance(data, Dataset):
        _require_loaded_with(data, with_keywords(None, options))
    chosen = with_source(with_keywords(config, options), data)
    dataset = load_source(chosen, data)
    with open_loggers(loggers) as group:
        return train_and_report(
            chosen,
            dataset,
            out=Path(out) if out is not None else None,
            device=device,
            n_importance_samples=n_importance_samples,
            report=report,
            logger=group,
            progress=NotebookProgress() if progress and display.in_notebook() else None,
        )


def with_source(config: Config, data: object) -> Config:
    """Return a configuration with the source of the data."""
    if data is None:
        return config
    changes = {"source": str(data) if isinstance(data, str | Path) else IN_MEMORY}
    if isinstance(data, Dataset):
        changes["binarize"] = data.binarize  # as are new examples
    return config.model_copy(update={"data": config.data.model_copy(update=changes)})


def _require_loaded_with(dataset: Dataset, options: Config) -> None:
    """Refuse options of the data, which have no effect after they are loaded, unless the data set has them.

    Raises:
        BadInput: one is given.
    """
    own = {"binarize": dataset.binarize, "condition": tuple(column.name for column in dataset.condition_columns)}
    asked = options.load_options()
    asked = {name: value for name, value in asked.items() if name not in ("source", "data_dir")}
    load_data(dataset, **{name: value for name, value in asked.items() if value != own.get(name)})


def load_source(config: Config, data: object = None) -> Dataset:
    """Load the data of a configuration; those in memory are passed as `data`."""
    if isinstance(data, Dataset):
        return data
    options = config.load_options()
    return load_data(**options | ({"source": data} if config.data.source == IN_MEMORY else {}))


def train_and_report(
    config: Config,
    dataset: Dataset,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    device: torch.device | str = "auto",
    n_importance_samples: int | None = None,
    report: bool = True,
    logger: LoggerGroup | None = None,
    progress: Progress | None = None,
) -> Run:
    """Train, evaluate, diagnose and report, as one of the processes that torchrun started, or alone.

    Args:
        config: recorded with absolute paths.
        dataset: the data.
        out: run folder to create.
        resume: run folder of an interrupted run to resume instead.
        device, n_importance_samples, report: as in `train`.
        logger: receives metrics and scores.
        progress: displays progress.

    Returns:
        The run. Only the first process evaluates it.

    Raises:
        BadInput, NonFinite: as in `train`.
        Interrupted: evaluation was interrupted by Ctrl-C.
        Lost: another process of the job ended.
    """
    logger, progress = logger or LoggerGroup([]), progress or NoProgress()
    config = with_absolute_paths(config)
    progress.loaded(dataset)
    with environment.process_group(choose_device(device)) as own_device:
        folder = environment.run_on_first(lambda: resume or out or free_folder(dataset.name))
        with removed_if_empty(folder, chosen=bool(resume or out)):
            if config.train.budget:
                with progress.status("measuring the speed of training"):
                    config = with_budget(config, dataset, own_device)
                progress.planned(config)
            with progress.training(config, dataset) as hooks:
                try:
                    record = fit_run(
                        config,
                        folder,
                        dataset,
                        device=own_device,
                        resume=resume is not None,
                        on_step=hooks.on_step,
                        on_epoch=hooks.on_epoch,
                        loggers=[logger],
                    )
                except Lost as error:
                    raise Lost(
                        f"{error}: resume with any number of processes by aevb train --resume {quote(str(folder))}"
                    ) from error
        first = environment.is_first()
    run = Run(record, dataset)
    if first and not run.interrupted:
        with _interruptible(run.folder):
            _evaluate(run, n_importance_samples, logger, progress)
            if report:
                with progress.status("drawing figures and diagnosing"):
                    run.report()
    return run


class Interrupted(KeyboardInterrupt):
    """Ctrl-C after training: the run folder has the model, but not all scores and figures."""

    def __init__(self, folder: Path) -> None:
        name = quote(str(folder))
        super().__init__(
            f"interrupted: {folder} has the trained model, but not all of its scores and figures: complete it with"
            f" aevb evaluate {name} and aevb report {name}"
        )


@contextmanager
def _interruptible(folder: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(folder) from error


def _evaluate(run: Run, n_importance_samples: int | None, logger: LoggerGroup, progress: Progress) -> None:
    with progress.status(f"evaluating {len(run.dataset.test)} test examples"):
        run.record.evaluate(run.dataset, "valid", n_importance_samples=run.config.objective.last_n_samples or 1)
        run.record.evaluate(run.dataset, "test", n_importance_samples=n_importance_samples)
    logger.scores(run.scores)


def free_folder(name: str) -> Path:
    """Create runs/NAME-N with the first N for which it does not exist, so that no other process chooses it."""
    folders = (Path("runs") / f"{name}-{number}" for number in count(1))
    return next(folder for folder in folders if _created(folder))


def _created(folder: Path) -> bool:
    """Create a folder and return whether it did not exist."""
    with os_errors_as_bad_input(folder):
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not folder.parent.is_dir():
                raise
            return False
    return True


@contextmanager
def removed_if_empty(folder: Path, *, chosen: bool) -> Iterator[None]:
    """Remove a folder of `free_folder` if nothing has been written into it; one that the user has chosen is kept."""
    try:
        yield
    finally:
        if not chosen:
            with suppress(OSError):  # one is not empty
                folder.rmdir()
                folder.parent.rmdir()


def config_to_resume(folder: Path, data_dir: str | None = None) -> Config:
    """Return the configuration of an interrupted run.

    Args:
        folder: of the run.
        data_dir: folder of the published data sets, if it has moved.

    Raises:
        BadInput: there is no run, or it is finished.
    """
    run = RunFolder.load(folder)
    if run.finished:
        raise BadInput(f"{folder} is finished: there is nothing to resume")
    if not data_dir:
        return run.config
    return run.config.model_copy(update={"data": run.config.data.model_copy(update={"data_dir": data_dir})})
