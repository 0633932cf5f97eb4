"""Loggers: metrics of training in other tools, beside metrics.jsonl and scores.json in the run folder.

    tensorboard   event files in RUN/tensorboard, for tensorboard --logdir
    trackio       Trackio's local folder, for trackio show; sends nothing, unless its own environment variables say so

The step of the metrics of an epoch is its number. The step of scores is the epoch of the evaluated weights. A logger is
any object with the methods of `Logger`; an entry in `LOGGERS` makes it available to the command line.
"""

import math
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from typing import Protocol

from aevb.errors import BadInput, Notice
from aevb.evaluation import Score
from aevb.runs.run_folder import RunFolder
from aevb.training.history import Epoch

PROJECT = "aevb"
"""Project of the runs in Trackio."""


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
        try:
            import trackio
        except ImportError as error:
            raise BadInput("the Trackio logger needs trackio: pip install 'aevb[trackio]'") from error
        self.trackio = trackio

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


LOGGERS: dict[str, Callable[[], Logger]] = {"tensorboard": TensorBoard, "trackio": Trackio}


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
