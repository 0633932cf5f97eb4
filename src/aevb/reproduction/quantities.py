"""Numbers of finished trials and studies: one for each seed, found in the files of a reproduction."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from aevb.data import Dataset, load_data
from aevb.runs.aggregate import SEED
from aevb.runs.run_folder import RunFolder
from aevb.training.history import EpochMetrics


class Missing(LookupError):
    """A run or number does not exist."""


@dataclass
class Results:
    """The results of the trials and studies of a recipe.

    Attributes:
        folder: the folder of the runs: trials are in folder/NAME/seed=S, numbers of studies in folder/NAME/seed=S.json.
        seeds: the seeds in order.
        data_dir: the folder of the named data sets.
        failed: run folders to ignore, because training failed or used other settings.
    """

    folder: Path
    seeds: Sequence[int]
    data_dir: str | None = None
    failed: set[Path] = field(default_factory=set)
    _runs: dict[Path, RunFolder] = field(default_factory=dict, repr=False)
    _data: dict[str, Dataset] = field(default_factory=dict, repr=False)

    def path(self, name: str, seed: int) -> Path:
        """Return the run folder of a trial."""
        return self.folder / name / f"{SEED}={seed}"

    def run(self, trial: str, seed: int | None = None) -> RunFolder:
        """Return the run of a trial, by default that of the first seed."""
        seed = self.seeds[0] if seed is None else seed
        path = self.path(trial, seed)
        if not self._has(path):
            raise Missing(f"{trial} was not trained with seed {seed}")
        if path not in self._runs:
            self._runs[path] = RunFolder.load(path)
        return self._runs[path]

    def runs(self, trial: str) -> list[RunFolder]:
        """Return all runs of a trial; empty if it has none."""
        return [self.run(trial, seed) for seed in self.seeds if self._has(self.path(trial, seed))]

    def trained(self, trial: str) -> list[RunFolder]:
        """Return all runs of a trial.

        Raises:
            Missing: it has none.
        """
        if not (runs := self.runs(trial)):
            raise Missing(f"{trial} was not trained")
        return runs

    def _has(self, path: Path) -> bool:
        return path.is_dir() and path not in self.failed

    def study(self, name: str, seed: int | None = None) -> dict[str, Any]:
        """Return the numbers of a study, by default for the first seed."""
        seed = self.seeds[0] if seed is None else seed
        file = self.path(name, seed).with_suffix(".json")
        if not file.is_file():
            raise Missing(f"{name} was not computed with seed {seed}")
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return content

    def dataset(self, trial: str) -> Dataset:
        """Return the data set of a trial."""
        settings = self.run(trial).config.load_options() | {"data_dir": self.data_dir}
        key = json.dumps(settings)
        if key not in self._data:
            self._data[key] = load_data(**settings)
        return self._data[key]


@dataclass(frozen=True)
class Quantity:
    """A number for each seed. Quantities support arithmetic: `score("a", "bound") - score("b", "bound")`."""

    of: Callable[[Results, int], float]

    def values(self, results: Results) -> list[float]:
        """Return the value of each seed with the required results."""
        values = (self.value(results, seed) for seed in results.seeds)
        return [value for value in values if value is not None]

    def value(self, results: Results, seed: int) -> float | None:
        """Return the value of a seed; None if a required result is missing."""
        try:
            return self.of(results, seed)
        except Missing:
            return None

    def mean(self, results: Results) -> float:
        """Return the mean over the seeds with the required results.

        Raises:
            Missing: there are none.
        """
        if not (values := self.values(results)):
            raise Missing("no seed has the required results")
        return fmean(values)

    def __add__(self, other: "Quantity | float") -> "Quantity":
        return Quantity(lambda results, seed: self.of(results, seed) + _number(other, results, seed))

    def __mul__(self, other: float) -> "Quantity":
        return Quantity(lambda results, seed: other * self.of(results, seed))

    __rmul__ = __mul__

    def __neg__(self) -> "Quantity":
        return -1.0 * self

    def __sub__(self, other: "Quantity | float") -> "Quantity":
        return self + -1.0 * other


def score(trial: str, name: str, split: str = "test") -> Quantity:
    """Return a score of a trial on a split; the last one if there are several."""

    def of(results: Results, seed: int) -> float:
        values = [s.value for s in results.run(trial, seed).scores if (s.name, s.split) == (name, split)]
        if not values:
            raise Missing(f"{trial} has no {name} on {split}")
        return values[-1]

    return Quantity(of)


def epoch(trial: str, name: str, split: Literal["train", "valid"] = "valid", number: int = -1) -> Quantity:
    """Return `bound`, `rate`, `distortion` or `loss` of an epoch of a trial, by default the last one."""

    def of(results: Results, seed: int) -> float:
        epochs = results.run(trial, seed).epochs
        if number > len(epochs):
            raise Missing(f"{trial} has no epoch {number}")
        means: EpochMetrics | None = getattr(epochs[number - (number > 0)], split)
        if means is None:
            raise Missing(f"{trial} has no {split} split")
        return float(getattr(means, name))

    return Quantity(of)


def number(study: str, name: str) -> Quantity:
    """Return a number of a study."""

    return Quantity(lambda results, seed: float(results.study(study, seed)[name]))


def least(*quantities: Quantity) -> Quantity:
    """Return the minimum of several quantities."""
    return Quantity(lambda results, seed: min(quantity.of(results, seed) for quantity in quantities))


def _number(value: "Quantity | float", results: Results, seed: int) -> float:
    return value.of(results, seed) if isinstance(value, Quantity) else value
