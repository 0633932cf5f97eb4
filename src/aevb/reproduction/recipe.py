"""What a recipe is made of: the experiments of a report as data.

A report says something about models that it trained. Its recipe has the same models as trials, configurations that are
trained with several seeds, and what no training run gives as studies, functions of a seed. Each thing that the report
says is a claim: a quantity of ours, which is a number for each seed, and a rule that it must obey. Its figures are
pictures, drawn from the finished trials.

    holds       the rule is true of the mean over the seeds
    fails       it is not
    not judged  the scale is smaller than the claim needs
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
"""A seed, and the folder of the named data sets, to numbers, or lists of numbers, by name."""


@dataclass(frozen=True)
class Trial:
    """A configuration that is trained with every seed.

    Attributes:
        config: without the seed.
        measures: what is measured beside the bound and log p(x).
        samples: K of the test part's log p(x).
        seeds: so many of the recipe's seeds, from the first on; all of them where None.
    """

    config: Config
    measures: tuple[Measure, ...] = ()
    samples: int = 100
    seeds: int | None = None


class Missing(LookupError):
    """There is no such run or number."""


@dataclass
class Results:
    """What the trials and studies of a recipe gave.

    Attributes:
        folder: of the recipe's runs; a trial's are in folder/NAME/seed=S, a study's numbers in folder/NAME/seed=S.json.
        seeds: in order.
        data_dir: of the named data sets.
        failed: places of runs that do not count, whatever is there: training broke down, or made them otherwise.
    """

    folder: Path
    seeds: Sequence[int]
    data_dir: str | None = None
    failed: set[Path] = field(default_factory=set)
    _runs: dict[Path, RunFolder] = field(default_factory=dict, repr=False)
    _data: dict[str, Dataset] = field(default_factory=dict, repr=False)

    def place(self, name: str, seed: int) -> Path:
        """The run folder of a trial."""
        return self.folder / name / f"{SEED}={seed}"

    def run(self, trial: str, seed: int | None = None) -> RunFolder:
        """The run of a trial, by default that of the first seed."""
        seed = self.seeds[0] if seed is None else seed
        place = self.place(trial, seed)
        if not self._has(place):
            raise Missing(f"{trial} was not trained with seed {seed}")
        if place not in self._runs:
            self._runs[place] = RunFolder.load(place)
        return self._runs[place]

    def runs(self, trial: str) -> list[RunFolder]:
        """All runs of a trial."""
        return [self.run(trial, seed) for seed in self.seeds if self._has(self.place(trial, seed))]

    def _has(self, place: Path) -> bool:
        return place.is_dir() and place not in self.failed

    def study(self, name: str, seed: int | None = None) -> dict[str, Any]:
        """The numbers of a study, by default for the first seed."""
        seed = self.seeds[0] if seed is None else seed
        file = self.place(name, seed).with_suffix(".json")
        if not file.is_file():
            raise Missing(f"{name} was not made with seed {seed}")
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return content

    def dataset(self, trial: str) -> Dataset:
        """The data of a trial."""
        settings = self.run(trial).config.load_options() | {"data_dir": self.data_dir}
        key = json.dumps(settings)
        if key not in self._data:
            self._data[key] = load_data(**settings)
        return self._data[key]


@dataclass(frozen=True)
class Quantity:
    """A number for each seed, with the arithmetic of numbers: `score("a", "bound") - score("b", "bound")`."""

    of: Callable[[Results, int], float]

    def values(self, results: Results) -> list[float]:
        """One for each seed that has all it needs."""
        found = (self.value(results, seed) for seed in results.seeds)
        return [value for value in found if value is not None]

    def value(self, results: Results, seed: int) -> float | None:
        """That of a seed; None where it lacks something."""
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
    """The last score of a name that a trial has on a split."""

    def of(results: Results, seed: int) -> float:
        found = [s.value for s in results.run(trial, seed).scores if (s.name, s.split) == (name, split)]
        if not found:
            raise Missing(f"{trial} has no {name} on {split}")
        return found[-1]

    return Quantity(of)


def epoch(trial: str, name: str, split: Literal["train", "valid"] = "valid", number: int = -1) -> Quantity:
    """The mean of an epoch of a trial: `bound`, `rate`, `distortion` or `loss`; by default of the last one."""

    def of(results: Results, seed: int) -> float:
        epochs = results.run(trial, seed).epochs
        if number > len(epochs):
            raise Missing(f"{trial} has no epoch {number}")
        means: EpochMetrics | None = getattr(epochs[number - (number > 0)], split)
        if means is None:
            raise Missing(f"{trial} has no {split} part")
        return float(getattr(means, name))

    return Quantity(of)


def number(study: str, name: str) -> Quantity:
    """A number of a study."""

    return Quantity(lambda results, seed: float(results.study(study, seed)[name]))


def least(*quantities: Quantity) -> Quantity:
    """The least of several."""
    return Quantity(lambda results, seed: min(quantity.of(results, seed) for quantity in quantities))


def _number(value: "Quantity | float", results: Results, seed: int) -> float:
    return value.of(results, seed) if isinstance(value, Quantity) else value


class Rule(Protocol):
    """What a claim asks of a number."""

    @property
    def text(self) -> str:
        """In words, after the name of the number."""

    def holds(self, value: float) -> bool:
        """Whether a number obeys."""


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
    """Something that a report says, or that we say of it.

    Attributes:
        label: what is claimed, and of which quantity.
        reported: what the report has: a number or words; None of a claim of our own.
        ours: the quantity.
        rule: what it must obey.
        scale: the smallest at which it is judged.
        note: how to read it, or what was tried where it fails.
    """

    label: str
    reported: str | float | None
    ours: Quantity
    rule: Rule
    scale: Scale = "default"
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes:
        claim: the claim.
        values: of the seeds.
        judged: whether the scale is large enough.
    """

    claim: Claim
    values: Sequence[float]
    judged: bool

    @cached_property
    def mean(self) -> float:
        """Over the seeds; NaN without any."""
        return fmean(self.values) if self.values else float("nan")

    @cached_property
    def deviation(self) -> float:
        """Over the seeds; NaN of a single one."""
        return stdev(self.values) if len(self.values) > 1 else float("nan")

    @property
    def agree(self) -> int:
        """How many seeds obey by themselves."""
        return sum(map(self.claim.rule.holds, self.values))

    @property
    def outcome(self) -> Literal["holds", "fails", "not judged"]:
        """In a word."""
        if not (self.judged and self.values and isfinite(self.mean)):
            return "not judged"
        return "holds" if self.claim.rule.holds(self.mean) else "fails"


@dataclass(frozen=True)
class Picture:
    """A figure of the report, drawn again.

    Attributes:
        name: of its file.
        title: its number in the report, such as "Figure 3a".
        caption: what is seen here.
        original: what the original showed.
        draw: finished trials to the figure.
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
        name: of the report.
        title, author: of the report.
        about: what it did, and what is done here.
        trials: by name.
        claims: in the order of the report.
        pictures: likewise.
        studies: by name.
        errata: mistakes found in the report.
        differences: where our experiments are not those of the report.
        seeds: how many, where nothing else is asked.
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
    """The verdicts on all claims, in order."""
    order = get_args(Scale)
    return [
        Verdict(claim, claim.ours.values(results), order.index(scale) >= order.index(claim.scale))
        for claim in recipe.claims
    ]
