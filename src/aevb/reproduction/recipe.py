"""The parts of a recipe, which describes the experiments of a report as data.

A recipe contains the models of the report as trials: configurations that are trained with several seeds. Studies are
functions of a seed that compute numbers without a training run. Each statement of the report is a claim: a quantity,
which is a number for each seed, and a rule for its mean over the seeds. Figures are plotted from finished trials.

    holds       the mean over the seeds satisfies the rule
    fails       it does not
    not judged  the claim requires a larger scale
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal, Protocol, get_args

from matplotlib.figure import Figure

from aevb.config.schema import Config
from aevb.data import Dataset, load_data
from aevb.runs.aggregate import SEED
from aevb.runs.run_folder import RunFolder
from aevb.training.history import EpochMetrics
from aevb.workflow.sweep import Measure

Scale = Literal["smoke", "default", "full"]
Study = Callable[[int, str | None], Mapping[str, Any]]
"""A function of a seed and the folder of the named data sets that returns numbers or lists of numbers by name."""


@dataclass(frozen=True)
class Trial:
    """A configuration that is trained with every seed.

    Attributes:
        config: the configuration without the seed.
        measures: measures in addition to the bound and log p(x).
        n_importance_samples: K, the number of importance samples for the test log p(x).
        seeds: the number of seeds, starting with the first; None for all.
    """

    config: Config
    measures: tuple[Measure, ...] = ()
    n_importance_samples: int = 100
    seeds: int | None = None


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
        """Return all runs of a trial."""
        return [self.run(trial, seed) for seed in self.seeds if self._has(self.path(trial, seed))]

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


class Rule(Protocol):
    """The condition that a claim places on a number."""

    @property
    def text(self) -> str:
        """The rule in words."""

    def holds(self, value: float) -> bool:
        """Return whether a number satisfies the rule."""


@dataclass(frozen=True)
class Near:
    """Within `tolerance` of `target`."""

    target: float
    tolerance: float

    @property
    def text(self) -> str:
        return f"within {self.tolerance:g} of {self.target:g}"

    def holds(self, value: float) -> bool:
        return abs(value - self.target) <= self.tolerance


@dataclass(frozen=True)
class Above:
    """Above `limit`."""

    limit: float

    @property
    def text(self) -> str:
        return f"above {self.limit:g}"

    def holds(self, value: float) -> bool:
        return value > self.limit


@dataclass(frozen=True)
class Below:
    """Below `limit`."""

    limit: float

    @property
    def text(self) -> str:
        return f"below {self.limit:g}"

    def holds(self, value: float) -> bool:
        return value < self.limit


@dataclass(frozen=True)
class Claim:
    """A statement of a report, or one of ours about it.

    Attributes:
        label: the statement and its quantity.
        reported: the number or words of the report; None for our own claims.
        ours: the quantity.
        rule: the condition on the quantity.
        scale: the smallest scale at which the claim is judged.
        note: an explanation, or the reason for a failure.
    """

    label: str
    reported: str | float | None
    ours: Quantity
    rule: Rule
    scale: Scale = "default"
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """The outcome of a claim.

    Attributes:
        claim: the claim.
        values: the values of the seeds.
        judged: whether the scale is large enough.
    """

    claim: Claim
    values: Sequence[float]
    judged: bool

    @cached_property
    def mean(self) -> float:
        """The mean over the seeds; NaN without seeds."""
        return fmean(self.values) if self.values else float("nan")

    @cached_property
    def std(self) -> float:
        """The standard deviation over the seeds; NaN for a single seed."""
        return stdev(self.values) if len(self.values) > 1 else float("nan")

    @property
    def agree(self) -> int:
        """The number of seeds that satisfy the rule individually."""
        return sum(map(self.claim.rule.holds, self.values))

    @property
    def outcome(self) -> Literal["holds", "fails", "not judged"]:
        """The outcome in words."""
        if not (self.judged and self.values and isfinite(self.mean)):
            return "not judged"
        return "holds" if self.claim.rule.holds(self.mean) else "fails"


@dataclass(frozen=True)
class Picture:
    """A figure of the report, reproduced.

    Attributes:
        name: the name of its file.
        title: its number in the report, such as "Figure 3a".
        caption: a description of the reproduced figure.
        original: a description of the original.
        draw: a function that plots the figure from finished trials.
    """

    name: str
    title: str
    caption: str
    original: str
    draw: Callable[[Results], Figure]


@dataclass(frozen=True)
class Recipe:
    """The experiments of one report at one scale.

    Attributes:
        name: the name of the recipe.
        title, author: title and author of the report.
        about: a summary of the report and of its reproduction.
        trials: the trials by name.
        claims: the claims in the order of the report.
        pictures: the figures in the order of the report.
        studies: the studies by name.
        errata: errors in the report.
        differences: differences between our experiments and those of the report.
        seeds: the default number of seeds.
    """

    name: str
    title: str
    author: str
    about: str
    trials: Mapping[str, Trial]
    claims: Sequence[Claim]
    pictures: Sequence[Picture]
    studies: Mapping[str, Study] = field(default_factory=dict)
    errata: Sequence[str] = ()
    differences: Sequence[str] = ()
    seeds: int = 3


def judge(recipe: Recipe, results: Results, scale: Scale) -> list[Verdict]:
    """Return the verdicts on all claims, in order."""
    order = get_args(Scale)
    return [
        Verdict(claim, claim.ours.values(results), order.index(scale) >= order.index(claim.scale))
        for claim in recipe.claims
    ]
