"""Records of training: the metrics of its epochs, and how it ended."""

from dataclasses import dataclass, field
from typing import Literal

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
