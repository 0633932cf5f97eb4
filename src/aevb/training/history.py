"""Records of training: the metrics of its epochs, and how it ended."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import Literal

from aevb import display

Ended = Literal["finished", "early", "interrupted"]


@dataclass(frozen=True)
class EpochMetrics:
    """Means of an objective's terms over examples, in nats.

    Attributes:
        loss: minimized.
        bound: lower bound of log p(x); -∞ where the objective has none.
        rate: KL(q(z|x) || p(z)).
        distortion: -E_q log p(x|z).
        robust: minus the loss, with the terms of rare outliers clipped; None where it was not measured.
    """

    loss: float
    bound: float
    rate: float
    distortion: float
    robust: float | None = None

    @property
    def merit(self) -> float:
        """The number by which weights are chosen, higher is better: minus the loss, if possible without outliers."""
        return -self.loss if self.robust is None else self.robust


@dataclass(frozen=True)
class Epoch:
    """The metrics of one epoch.

    Attributes:
        number: from 1.
        seconds: of training, without validation.
        train: means over the epoch, while the weights changed.
        valid: means over the validation examples after the epoch; None without validation examples.
    """

    number: int
    seconds: float
    train: EpochMetrics
    valid: EpochMetrics | None


@dataclass
class History:
    """The epochs of one call of `fit`, and how it ended.

    Attributes:
        epochs: in order, without those before the state from which training resumed.
        kept: number of the epoch whose weights the model has.
        ended: "finished", "early" (the validation loss stopped improving) or "interrupted" (Ctrl-C). After an
            interruption, the last weights include the steps since the last whole epoch, if they are the ones to keep or
            no epoch is whole.
    """

    epochs: list[Epoch] = field(default_factory=list)
    kept: int = 0
    ended: Ended = "finished"

    def __repr__(self) -> str:
        return f"History({self._summary()})"

    def _repr_html_(self) -> str:
        return display.block("History", display.note(self._summary()), curves(self.epochs))

    def _summary(self) -> str:
        how = {"early": ", stopped early", "interrupted": ", interrupted"}.get(self.ended, "")
        kept = [epoch for epoch in self.epochs if epoch.number == self.kept]
        bound = f", {bound_text(kept[0])} nats per example" if kept else ""
        return f"{len(self.epochs)} epochs{how}; weights of epoch {self.kept}{bound}"


def bound_text(epoch: Epoch) -> str:
    """Return the bound of validation, else of training, in words; of an autoencoder, the distortion."""
    name = _curve_name([epoch])
    split, metrics = ("validation", epoch.valid) if epoch.valid else ("training", epoch.train)
    return f"{split} {name} {getattr(metrics, name):.2f}"


def curves(epochs: Sequence[Epoch]) -> str:
    """Return the bound over the epochs as HTML; of an autoencoder, which has none, the distortion."""
    if not epochs:
        return ""
    name = _curve_name(epochs)
    lines = {"train": [getattr(epoch.train, name) for epoch in epochs]}
    if any(epoch.valid for epoch in epochs):
        lines["validation"] = [getattr(epoch.valid, name) if epoch.valid else nan for epoch in epochs]
    return display.curves(f"{name}, nats per example", [epoch.number for epoch in epochs], lines)


def _curve_name(epochs: Sequence[Epoch]) -> Literal["bound", "distortion"]:
    return "bound" if any(isfinite(epoch.train.bound) for epoch in epochs) else "distortion"
