"""Loggers: metrics of training in other tools, beside metrics.jsonl and scores.json in the run folder.

    tensorboard   event files in RUN/tensorboard, for tensorboard --logdir
    trackio       Trackio's local folder, for trackio show; sends nothing, unless its own environment variables say so
    wandb         Weights & Biases, with its local files in RUN/wandb; WANDB_MODE=offline sends nothing
    mlflow        the MLflow server of MLFLOW_TRACKING_URI; by default the file mlflow.db, for mlflow ui

The step of the metrics of an epoch is its number. The step of scores is the epoch of the evaluated weights. A logger is
any object with the methods of `Logger`; an entry in `LOGGERS` makes it available to the command line.
"""

import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from typing import Protocol

from aevb.config.schema import Config
from aevb.data.optional import optional_library
from aevb.errors import BadInput, Notice
from aevb.evaluation import Score
from aevb.files import write_text
from aevb.runs.run_folder import RunFolder
from aevb.training.history import Epoch

PROJECT = "aevb"
"""Project of the runs in Trackio and Weights & Biases, and their experiment in MLflow."""


class Logger(Protocol):
    """Receives the metrics of a run."""

    def begin(self, run: RunFolder) -> object:
        """Called before the first step, with the run and, if it is resumed, the epochs that are kept."""

    def epoch(self, epoch: Epoch) -> object:
        """Called after each epoch."""

    def scores(self, scores: Sequence[Score]) -> object:
        """Called with the scores of the trained model."""

    def close(self) -> object:
        """Called at the end."""


class LoggerGroup:
    """Several loggers as one that never fails: a failing logger is dropped with a notice.

    Args:
        loggers: called in this order.
    """

    def __init__(self, loggers: Sequence[Logger]) -> None:
        self.loggers, self.begun = list(loggers), False

    def begin(self, run: RunFolder) -> None:
        """Pass the run to all loggers."""
        self.begun = True
        self._call(lambda logger: logger.begin(run))

    def epoch(self, epoch: Epoch) -> None:
        """Pass an epoch to all loggers."""
        self._call(lambda logger: logger.epoch(epoch))

    def scores(self, scores: Sequence[Score]) -> None:
        """Pass scores to all loggers."""
        self._call(lambda logger: logger.scores(scores))

    def close(self) -> None:
        """Close all loggers."""
        if self.begun:
            self._call(lambda logger: logger.close())

    def _call(self, method: Callable[[Logger], object]) -> None:
        self.loggers = [logger for logger in self.loggers if _succeeds(method, logger)]


class TensorBoard:
    """Event files in the run folder.

    Raises:
        BadInput: the extra is not installed.
    """

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise BadInput("the TensorBoard logger needs tensorboard: pip install 'aevb[tensorboard]'") from error
        self._open = SummaryWriter

    def begin(self, run: RunFolder) -> None:
        """Open the event files; steps after the last kept epoch are dropped."""
        self.run = run
        self.writer = self._open(str(run.folder / "tensorboard"), purge_step=len(run.epochs) + 1)

    def epoch(self, epoch: Epoch) -> None:
        """Log the metrics of an epoch."""
        self._log(epoch_metrics(epoch), epoch.number)

    def scores(self, scores: Sequence[Score]) -> None:
        """Log scores."""
        self._log(score_metrics(scores), self.run.weights_epoch)

    def close(self) -> None:
        """Close the event files."""
        self.writer.close()

    def _log(self, metrics: Mapping[str, float], step: int) -> None:
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()


class Trackio:
    """Trackio's local folder, in which a run has the name of its run folder.

    A resumed run replaces its earlier log, since Trackio cannot delete single steps.

    Raises:
        BadInput: the extra is not installed.
    """

    def __init__(self) -> None:
        self.trackio = optional_library("trackio", "the Trackio logger", "'aevb[trackio]'")

    def begin(self, run: RunFolder) -> None:
        """Start the run in Trackio and log the epochs that are kept."""
        self.run, folder = run, str(run.folder.resolve())
        with redirect_stdout(sys.stderr):  # its messages are not output of a command
            if run.epochs:
                self._delete(folder)
            config = run.config.model_dump(mode="json") | {"folder": folder}
            self.trackio.init(project=PROJECT, name=run.folder.name, config=config)
        for epoch in run.epochs:
            self.epoch(epoch)

    def epoch(self, epoch: Epoch) -> None:
        """Log the metrics of an epoch."""
        self.trackio.log(epoch_metrics(epoch), step=epoch.number)

    def scores(self, scores: Sequence[Score]) -> None:
        """Log scores."""
        self.trackio.log(score_metrics(scores), step=self.run.weights_epoch)

    def close(self) -> None:
        """Finish the run in Trackio."""
        with redirect_stdout(sys.stderr):
            self.trackio.finish()

    def _delete(self, folder: str) -> None:
        """Delete the log of the run in a folder."""
        try:
            logged = list(self.trackio.Api().runs(PROJECT))
        except ValueError:  # the project does not exist
            return
        for run in logged:
            if (run.config or {}).get("folder") == folder:
                run.delete()


class WandB:
    """A run in Weights & Biases that has the name of its run folder.

    A resumed run continues there. The epochs that Weights & Biases already has are not logged again, since it cannot
    replace them; an offline part contains all epochs, for wandb sync.

    Raises:
        BadInput: the extra is not installed.
    """

    def __init__(self) -> None:
        self.wandb = optional_library("wandb", "the Weights & Biases logger", "'aevb[wandb]'")

    def begin(self, run: RunFolder) -> None:
        """Start or continue the run in Weights & Biases and log the epochs that it lacks."""
        identifier = _Identifier(run, "wandb")
        self.logged = self.wandb.init(
            project=PROJECT,
            name=run.folder.name,
            id=identifier.read(),
            resume="allow",
            reinit="create_new",
            dir=str(run.folder.resolve()),
            config=run.config.model_dump(mode="json"),
            settings=self.wandb.Settings(console="off"),  # the terminal belongs to the command
        )
        identifier.write(self.logged.id)
        for epoch in run.epochs:
            self.epoch(epoch)

    def epoch(self, epoch: Epoch) -> None:
        """Log the metrics of an epoch."""
        if epoch.number >= self.logged.step:
            self.logged.log(epoch_metrics(epoch), step=epoch.number, commit=True)

    def scores(self, scores: Sequence[Score]) -> None:
        """Write scores into the summary of the run: the evaluated weights may be those of an earlier step."""
        self.logged.summary.update(score_metrics(scores))

    def close(self) -> None:
        """Finish the run in Weights & Biases."""
        self.logged.finish()


class MLflow:
    """A run in MLflow that has the name of its run folder.

    A resumed run continues there. The epochs that MLflow already has are not logged again, since it cannot replace
    them.

    Raises:
        BadInput: the extra is not installed.
    """

    def __init__(self) -> None:
        self.mlflow = optional_library("mlflow", "the MLflow logger", "'aevb[mlflow]'")

    def begin(self, run: RunFolder) -> None:
        """Start or continue the run in MLflow and log the epochs that it lacks."""
        self.run, self.client = run, self.mlflow.MlflowClient()
        identifier = _Identifier(run, "mlflow")
        self.id = identifier.read() or self._create(run)
        identifier.write(self.id)
        self.client.update_run(self.id, status="RUNNING")
        self.last = max((metric.step for metric in self.client.get_metric_history(self.id, "seconds")), default=0)
        for epoch in run.epochs:
            self.epoch(epoch)

    def epoch(self, epoch: Epoch) -> None:
        """Log the metrics of an epoch."""
        if epoch.number > self.last:
            self._log(epoch_metrics(epoch), epoch.number)

    def scores(self, scores: Sequence[Score]) -> None:
        """Log scores."""
        self._log(score_metrics(scores), self.run.weights_epoch)

    def close(self) -> None:
        """Finish the run in MLflow."""
        self.client.set_terminated(self.id, "FINISHED" if self.run.finished else "KILLED")

    def _create(self, run: RunFolder) -> str:
        """Create a run with its options as parameters and return its identifier."""
        experiment = self.client.get_experiment_by_name(PROJECT)
        of_experiment = experiment.experiment_id if experiment else self.client.create_experiment(PROJECT)
        identifier: str = self.client.create_run(of_experiment, run_name=run.folder.name).info.run_id
        parameter = self.mlflow.entities.Param
        self.client.log_batch(identifier, params=[parameter(*option) for option in _flat(run.config).items()])
        return identifier

    def _log(self, metrics: Mapping[str, float], step: int) -> None:
        milliseconds = int(1000 * time.time())
        metric = self.mlflow.entities.Metric
        self.client.log_batch(self.id, [metric(name, value, milliseconds, step) for name, value in metrics.items()])


class _Identifier:
    """Identifier of a run in the tool of a logger, in a file of the run folder."""

    def __init__(self, run: RunFolder, logger: str) -> None:
        self.file = run.folder / logger / "run-id.txt"

    def read(self) -> str | None:
        """Return the identifier; None before the run is logged."""
        return self.file.read_text(encoding="utf-8").strip() if self.file.is_file() else None

    def write(self, identifier: str) -> None:
        """Write the identifier."""
        write_text(self.file, identifier + "\n")


def _flat(config: Config) -> dict[str, str]:
    """Return the options of a configuration by dotted name, such as train.lr."""
    sections = config.model_dump(mode="json")
    nested = {name: section for name, section in sections.items() if isinstance(section, dict)}
    options = {f"{name}.{option}": str(value) for name, section in nested.items() for option, value in section.items()}
    return options | {name: str(value) for name, value in sections.items() if name not in nested}


LOGGERS: dict[str, Callable[[], Logger]] = {
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "wandb": WandB,
    "mlflow": MLflow,
}


def _succeeds(method: Callable[[Logger], object], logger: Logger) -> bool:
    """Call a method of a logger and return whether it succeeded."""
    try:
        method(logger)
    except Exception as error:  # no logger may end hours of training
        reason = next(iter(str(error).splitlines()), repr(error))
        warnings.warn(f"{type(logger).__name__} stopped logging: {reason}", Notice, stacklevel=2)
        return False
    return True


@contextmanager
def open_loggers(names: Sequence[str]) -> Iterator[LoggerGroup]:
    """Open loggers by their names, as one group that is closed at the end.

    Raises:
        BadInput: a name is unknown, or an extra is not installed.
    """
    for name in names:
        if name not in LOGGERS:
            raise BadInput(f"logger {name!r} is unknown: expected {' or '.join(LOGGERS)}")
    group = LoggerGroup([LOGGERS[name]() for name in dict.fromkeys(names)])
    try:
        yield group
    finally:
        group.close()


def epoch_metrics(epoch: Epoch) -> dict[str, float]:
    """Return the metrics of an epoch by name, in nats and seconds, without infinite ones, as of an autoencoder.

    The robust mean is not logged: it equals the bound, or minus the loss, unless there are outliers.
    """
    splits = {"train": epoch.train} | ({"valid": epoch.valid} if epoch.valid else {})
    nats = {
        f"{split}/{name}": value
        for split, means in splits.items()
        for name, value in asdict(means).items()
        if name != "robust" and math.isfinite(value)
    }
    return nats | {"seconds": epoch.seconds}


def score_metrics(scores: Sequence[Score]) -> dict[str, float]:
    """Return the values of scores by name."""
    return {f"scores/{score.split}/{score.name}": score.value for score in scores if math.isfinite(score.value)}
