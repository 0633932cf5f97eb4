"""Where the numbers of training also go: a run folder always has them, in metrics.jsonl and scores.json.

    tensorboard   event files in RUN/tensorboard, for tensorboard --logdir
    trackio       Trackio's own folder on this machine, for trackio show; nothing is sent anywhere, unless variables of
                  its own in the environment ask for it

The numbers of an epoch are at a step that is its number, and scores at the epoch of the weights that they are of. A
logger is any object with the methods of `Logger`; a new one that the command is to know has a name in `FAMILIES`.
"""

import math
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from typing import Protocol

from aevb.errors import BadInput, Notice
from aevb.evaluation import Score
from aevb.runs.run_folder import RunFolder
from aevb.training.history import Epoch

PROJECT = "aevb"
"""What Trackio keeps runs under."""


class Logger(Protocol):
    """What is told how a run goes."""

    def begin(self, run: RunFolder) -> object:
        """Before its first step: the run, with the epochs that it has where it goes on. Those that it had beyond them
        are made again."""

    def epoch(self, epoch: Epoch) -> object:
        """After each epoch."""

    def scores(self, scores: Sequence[Score]) -> object:
        """When held-out numbers of what was trained are known."""

    def close(self) -> object:
        """When nothing more will come."""


class Together:
    """Loggers as one that does not fail: of one that does, a notice says so, and it is told no more.

    Args:
        loggers: to tell, in order.
    """

    def __init__(self, loggers: Sequence[Logger]) -> None:
        self.loggers, self.begun = list(loggers), False

    def begin(self, run: RunFolder) -> None:
        self.begun = True
        self._tell(lambda logger: logger.begin(run))

    def epoch(self, epoch: Epoch) -> None:
        self._tell(lambda logger: logger.epoch(epoch))

    def scores(self, scores: Sequence[Score]) -> None:
        self._tell(lambda logger: logger.scores(scores))

    def close(self) -> None:
        if self.begun:
            self._tell(lambda logger: logger.close())

    def _tell(self, what: Callable[[Logger], object]) -> None:
        self.loggers = [logger for logger in self.loggers if _done(what, logger)]


class TensorBoard:
    """Event files in the run's folder.

    Raises:
        BadInput: the extra is not installed.
    """

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise BadInput("a TensorBoard log needs tensorboard: pip install 'aevb[tensorboard]'") from error
        self._make = SummaryWriter

    def begin(self, run: RunFolder) -> None:
        self.run = run
        self.writer = self._make(str(run.folder / "tensorboard"), purge_step=len(run.epochs) + 1)

    def epoch(self, epoch: Epoch) -> None:
        self._write(numbers(epoch), epoch.number)

    def scores(self, scores: Sequence[Score]) -> None:
        self._write(named(scores), self.run.weights_epoch)

    def close(self) -> None:
        self.writer.close()

    def _write(self, found: dict[str, float], step: int) -> None:
        for name, value in found.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()


class Trackio:
    """Trackio's own folder, in which a run goes by the name of its folder.

    One that goes on takes the place of what was logged of it before, since Trackio cannot forget some of its steps.

    Raises:
        BadInput: the extra is not installed.
    """

    def __init__(self) -> None:
        try:
            import trackio
        except ImportError as error:
            raise BadInput("a Trackio log needs trackio: pip install 'aevb[trackio]'") from error
        self.trackio = trackio

    def begin(self, run: RunFolder) -> None:
        self.run, place = run, str(run.folder.resolve())
        with redirect_stdout(sys.stderr):  # its words are no result of a command
            if run.epochs:
                self._forget(place)
            config = run.config.model_dump(mode="json") | {"folder": place}
            self.trackio.init(project=PROJECT, name=run.folder.name, config=config)
        for epoch in run.epochs:
            self.epoch(epoch)

    def epoch(self, epoch: Epoch) -> None:
        self.trackio.log(numbers(epoch), step=epoch.number)

    def scores(self, scores: Sequence[Score]) -> None:
        self.trackio.log(named(scores), step=self.run.weights_epoch)

    def close(self) -> None:
        with redirect_stdout(sys.stderr):
            self.trackio.finish()

    def _forget(self, place: str) -> None:
        """Remove what was logged of the run in a folder."""
        try:
            logged = list(self.trackio.Api().runs(PROJECT))
        except ValueError:  # nothing was
            return
        for one in logged:
            if (one.config or {}).get("folder") == place:
                one.delete()


FAMILIES: dict[str, Callable[[], Logger]] = {"tensorboard": TensorBoard, "trackio": Trackio}


def _done(what: Callable[[Logger], object], logger: Logger) -> bool:
    """Whether a logger could be told something."""
    try:
        what(logger)
    except Exception as error:  # whatever it is, hours of training are worth more
        reason = next(iter(str(error).splitlines()), repr(error))
        warnings.warn(f"{type(logger).__name__} logs no more: {reason}", Notice, stacklevel=2)
        return False
    return True


@contextmanager
def chosen(names: Sequence[str]) -> Iterator[Together]:
    """Loggers by their names, as one, which is closed in the end.

    Raises:
        BadInput: an extra is not installed.
    """
    together = Together([FAMILIES[name]() for name in dict.fromkeys(names)])
    try:
        yield together
    finally:
        together.close()


def numbers(epoch: Epoch) -> dict[str, float]:
    """What is logged of an epoch, by name: nats and seconds. What is infinite, as of an autoencoder, is left out."""
    parts = {"train": epoch.train} | ({"valid": epoch.valid} if epoch.valid else {})
    nats = {f"{part}/{name}": value for part, means in parts.items() for name, value in asdict(means).items()}
    return {name: value for name, value in nats.items() if math.isfinite(value)} | {"seconds": epoch.seconds}


def named(scores: Sequence[Score]) -> dict[str, float]:
    """What is logged of scores, by name."""
    return {f"scores/{score.split}/{score.name}": score.value for score in scores if math.isfinite(score.value)}
