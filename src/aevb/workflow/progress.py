"""Progress of a workflow, for whoever displays it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, Protocol

from aevb.config.schema import Config
from aevb.data.dataset import Dataset
from aevb.training.history import Epoch


class Hooks(NamedTuple):
    """Functions that training calls.

    Attributes:
        on_step: after each step.
        on_epoch: after each epoch.
    """

    on_step: Callable[[], object]
    on_epoch: Callable[[Epoch], object]


class Progress(Protocol):
    """Displays the progress of training, evaluation and figures."""

    def loaded(self, dataset: Dataset) -> None:
        """Called once the data are loaded."""

    def planned(self, config: Config) -> None:
        """Called once the number of epochs is known that fit into a budget of time."""

    def training(self, config: Config, dataset: Dataset) -> AbstractContextManager[Hooks]:
        """Return a context for training, with the hooks to call."""

    def status(self, text: str) -> AbstractContextManager[None]:
        """Return a context for a computation that `text` describes."""


class NoProgress:
    """Displays nothing."""

    def loaded(self, dataset: Dataset) -> None:
        """Do nothing."""

    def planned(self, config: Config) -> None:
        """Do nothing."""

    def training(self, config: Config, dataset: Dataset) -> AbstractContextManager[Hooks]:
        """Return a context whose hooks do nothing."""
        return nullcontext(Hooks(lambda: None, lambda _: None))

    def status(self, text: str) -> AbstractContextManager[None]:
        """Return a context that does nothing."""
        return nullcontext()
