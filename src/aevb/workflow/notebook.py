"""Progress in a notebook: one output with a bar, a line and the validation curve, updated in place."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from aevb import display
from aevb.config.schema import Config
from aevb.data.dataset import Dataset
from aevb.errors import counted
from aevb.report import wording
from aevb.training.history import Epoch, bound_text, curves
from aevb.workflow.progress import Hooks

PERIOD = 0.5
"""Seconds between two updates, at least."""


class _Handle(Protocol):
    """An output of a notebook, which can be replaced."""

    def update(self, obj: object) -> None: ...


class _StepClock:
    """The remaining time of training, by the mean duration of the steps after the first."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self._first = total, 0, 0.0

    def tick(self) -> None:
        """Count a step."""
        self.done += 1
        if self.done == 1:  # what comes before it is not training
            self._first = time.monotonic()

    @property
    def left(self) -> float:
        """The remaining time in seconds; at least two steps are done."""
        return (time.monotonic() - self._first) * (self.total - self.done) / (self.done - 1)


@dataclass
class NotebookProgress:
    """Displays the progress of a workflow in the output of a notebook's cell."""

    _text: str = ""
    _share: float | None = None
    _epochs: list[Epoch] = field(default_factory=list)
    _handle: _Handle | None = None
    _updated: float = 0.0

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        bar = "" if self._share is None else f'<progress value="{self._share:.3f}" style="width: 100%"></progress>'
        return f'<div style="max-width: 480px">{display.note(self._text)}{bar}{curves(self._epochs)}</div>'

    def loaded(self, dataset: Dataset) -> None:
        """Do nothing: `dataset` displays itself."""

    def planned(self, config: Config) -> None:
        """Show the number of epochs that fit into a budget of time."""
        self._show(f"{config.train.epochs} epochs fit into the budget")

    @contextmanager
    def training(self, config: Config, dataset: Dataset) -> Iterator[Hooks]:
        """Show the share of the steps, the remaining time and the validation curve."""
        epochs, steps = config.train.plan(dataset.n_train)
        clock, began = _StepClock(epochs * steps), time.monotonic()
        self._share = 0.0
        self._show(f"epoch 1 of {epochs}")

        def on_step() -> None:
            clock.tick()
            if time.monotonic() - self._updated >= PERIOD and clock.done > 1:
                self._share = clock.done / clock.total
                bound = f", {bound_text(self._epochs[-1])}" if self._epochs else ""
                epoch = min(clock.done // steps + 1, epochs)
                self._show(f"epoch {epoch} of {epochs}{bound}, at most {wording.duration(clock.left)} left")

        yield Hooks(on_step, self._epochs.append)
        self._share = None
        self._show(
            f"{counted(len(self._epochs), 'epoch')} in {wording.duration(time.monotonic() - began)}{self._best()}"
        )

    @contextmanager
    def status(self, text: str) -> Iterator[None]:
        """Show a line during a computation."""
        before = self._text
        self._show(text)
        yield
        self._show(before)

    def _best(self) -> str:
        """Return the number and the bound of the epoch with the best validation loss."""
        best = max(self._epochs, key=lambda epoch: epoch.valid.merit if epoch.valid else epoch.number, default=None)
        return f"; best epoch {best.number}, {bound_text(best)}" if best else ""

    def _show(self, text: str) -> None:
        from IPython.display import display as show  # only a notebook has it

        self._text, self._updated = text, time.monotonic()
        if self._handle is None:
            self._handle = show(self, display_id=True)
        else:
            self._handle.update(self)
