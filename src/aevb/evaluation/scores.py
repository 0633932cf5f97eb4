"""A score: a number with everything that is needed to compare it with another."""

from dataclasses import dataclass
from math import floor, log10
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aevb import display
from aevb.data.dataset import Dataset
from aevb.errors import BadInput
from aevb.models.registry import register

Split = Literal["train", "valid", "test"]
DEFAULT = "likelihood"
"""The measure whose scores are listed first."""
SMALL, TINY = 0.1, 1e-3
"""Numbers without and with a standard error below which two significant digits are written."""


class Estimate(NamedTuple):
    """A number and its standard error, which is None where it cannot be estimated."""

    value: float
    stderr: float | None

    @classmethod
    def of_mean(cls, values: Tensor) -> "Estimate":
        """Return the mean of independent values ``(N,)``."""
        return cls(float(values.mean()), float(values.std()) / len(values) ** 0.5 if len(values) > 1 else None)


@dataclass(frozen=True)
class Score:
    """One number and what it is.

    Attributes:
        name: what was measured, such as ``bound``, ``rate`` or ``log_px``; docs/measures.md lists all names.
        value: nats per example, unless the name says otherwise; for bounds and ``log_px``, higher is better.
        stderr: standard error of the mean over the examples; None for counts, and where it is not known.
        split: the split that was measured.
        estimator: how the number was computed.
        n_importance_samples: K, samples of z per example; None where nothing is sampled.
        binarization: how gray values were binarized before.
        note: a reason to doubt this number, if there is one.
        examples: how many examples of the split were measured.
    """

    name: str
    value: float
    stderr: float | None
    split: str
    estimator: str
    n_importance_samples: int | None
    binarization: str
    note: str | None = None
    examples: int | None = None


class Scores(list[Score]):
    """Scores; a notebook displays them as a table."""

    def __repr__(self) -> str:
        return "\n".join([display.text_table(_HEADER, self._rows()), *self._notes()])

    def _repr_html_(self) -> str:
        legend = map(display.note, (_LEGEND, *self._notes()))
        return display.block("Scores", display.table(_HEADER, self._rows()), *legend)

    def _notes(self) -> list[str]:
        return [f"† {note}" for note in dict.fromkeys(score.note for score in self) if note]

    def _rows(self) -> list[tuple[str, ...]]:
        """Return the cells of each score that has a title, which those of single latent dimensions have not."""
        title = titles()
        splits = dict.fromkeys(score.split for score in self)
        return [
            (title[name], *_cells(score))
            for split in splits
            for name in title
            for score in self
            if (score.name, score.split) == (name, split)
        ]


_HEADER = ("score", "value", "split", "examples", "estimator")
_LEGEND = (
    "Nats per example, unless the name says otherwise; ± is the standard error of the mean over the examples. Scores of"
    " single latent dimensions are not listed."
)


def _cells(score: Score) -> tuple[str, ...]:
    k = f", K = {score.n_importance_samples:,}" if score.n_importance_samples else ""
    value = f"{score.value:.4g}" if score.stderr is None else with_error(score)
    return value + " †" * bool(score.note), score.split, str(score.examples or ""), score.estimator + k


def with_error(score: Score) -> str:
    """Return value ± standard error with two to four decimals, or with two significant digits if it is small."""
    if score.stderr is None:
        return f"{score.value:.2g}" if 0 < abs(score.value) < SMALL else f"{score.value:.2f}"
    if 0 < max(abs(score.value), score.stderr) < TINY:
        return f"{score.value:.2g} ± {score.stderr:.2g}"
    decimals = min(4, max(2, 1 - floor(log10(score.stderr)))) if score.stderr > 0 else 2
    return f"{score.value:.{decimals}f} ± {score.stderr:.{decimals}f}"


def titles() -> dict[str, str]:
    """Return the title of each score by its name, in the order in which scores are listed."""
    measures = sorted(register.measure.names(), key=lambda name: name != DEFAULT)
    return {
        score: title for name in measures for score, title in register.measure.facts(name).get("titles", {}).items()
    }


def mean_score(
    name: str,
    values: NDArray[np.float64],
    split: str,
    estimator: str,
    n_importance_samples: int | None,
    dataset: Dataset,
    note: str | None = None,
) -> Score:
    """Return the mean over the examples of values ``(N,)``, with its standard error.

    Raises:
        BadInput: a value is not finite.
    """
    finite = np.isfinite(values)
    if not finite.all():
        raise BadInput(
            f"the {name} of example {finite.argmin()} of the {split} part of {dataset.name} is not finite: look for"
            " extreme values in the data"
        )
    stderr = float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else None
    mean = float(values.mean())
    return Score(name, mean, stderr, split, estimator, n_importance_samples, dataset.binarize, note, len(values))
