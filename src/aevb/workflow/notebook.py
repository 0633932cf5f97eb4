"""Progress in a notebook: one output with a bar, a line and the validation curve, updated in place."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from aevb import display
from aevb.config.schema import Config
from aevb.data.dataset import Dataset
from aevb.report import wording
from aevb.training.history import Epoch, curves
from aevb.workflow.progress import Hooks

PERIOD = 0.5
"""Seconds between two updates, at least."""


class _Handle(Protocol):
    """An output of a notebook, which can be replaced."""

    def update(self, obj: object) -> None: ...


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
        began, done = time.monotonic(), 0
        self._share = 0.0
        self._show(f"epoch 1 of {epochs}")

        def on_step() -> None:
            nonlocal done
            done += 1
            now = time.monotonic()
            if now - self._updated >= PERIOD:
                self._share = done / (epochs * steps)
                left = wording.duration((now - began) * (1 / self._share - 1))
                self._show(f"epoch {min(done // steps + 1, epochs)} of {epochs}{self._bound()}, at most {left} left")

        yield Hooks(on_step, self._epochs.append)
        self._share = None
        taken = wording.duration(time.monotonic() - began)
        best = max((epoch.valid.bound for epoch in self._epochs if epoch.valid), default=None)
        self._show(f"{len(self._epochs)} epochs in {taken}" + (f", best validation bound {best:.2f}" if best else ""))

    @contextmanager
    def status(self, text: str) -> Iterator[None]:
        """Show a line during a computation."""
        before = self._text
        self._show(text)
        yield
        self._show(before)

    def _bound(self) -> str:
        valid = self._epochs[-1].valid if self._epochs else None
        return f", validation bound {valid.bound:.2f}" if valid else ""

    def _show(self, text: str) -> None:
        from IPython.display import display as show  # only a notebook has it

        self._text, self._updated = text, time.monotonic()
        if self._handle is None:
            self._handle = show(self, display_id=True)
        else:
            self._handle.update(self)
