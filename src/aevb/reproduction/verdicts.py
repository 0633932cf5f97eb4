"""Claims and the rule by which they are judged.

A claim states that the expected value of a quantity lies in an accepted range A. With one value for each of n seeds,

    I  =  v̄ ± t s/√n           the 95 % t-interval, with t the 97.5 % quantile for n - 1 degrees of freedom
    holds                       I lies in A
    fails                       I and A have no point in common
    undecided                   otherwise

A of a reported number r is r ± max(τ, 1.96 √(s² + e²)). The report's number comes from one run, so that it deviates
from its expected value by s, and e is the standard error that is due to its test examples. No tolerance τ is finer than
that. A claim such as "above 0" has a range that is open to one side: a result better than asked never fails.

Special cases:

    one seed       s is the standard deviation of `spread`, a comparable quantity with several seeds, and n = 1.
                   Without `spread` the claim is undecided.
    occurs         the report has seen a case: one case in any run is enough. Without a case the claim is undecided, as
                   its absence from n runs only bounds its frequency, by 1 - 0.05^(1/n).
    exact          the quantity does not depend on the seed: I is a point
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import hypot, inf, isfinite, nan, nextafter, sqrt
from statistics import fmean, stdev
from typing import Literal, NamedTuple, Protocol, get_args

from scipy.stats import t

from aevb.reproduction.quantities import Quantity, Results

Scale = Literal["smoke", "default", "full"]
Outcome = Literal["holds", "fails", "undecided", "not judged"]
CONFIDENCE = 0.95
"""Confidence level of the intervals."""
NORMAL_QUANTILE = 1.96


class Interval(NamedTuple):
    """A range of numbers, with its limits."""

    low: float
    high: float

    def within(self, other: "Interval") -> bool:
        """Return whether the other interval contains this one."""
        return other.low <= self.low and self.high <= other.high

    def meets(self, other: "Interval") -> bool:
        """Return whether the two have a point in common."""
        return self.low <= other.high and other.low <= self.high


class Range(Protocol):
    """A range of accepted values."""

    def accepted(self, std: float) -> Interval:
        """Return the accepted range; `std` is the standard deviation over the seeds."""

    def text(self, std: float) -> str:
        """Return the condition in words."""


@dataclass(frozen=True)
class Near:
    """The number of the report.

    Attributes:
        target: the reported number.
        tolerance: the difference that counts as agreement, if the number is at least as exact.
        error: standard error of the reported number that is due to its test examples.
    """

    target: float
    tolerance: float
    error: float = 0.0

    def accepted(self, std: float) -> Interval:
        tolerance = self._tolerance(std)
        return Interval(self.target - tolerance, self.target + tolerance)

    def text(self, std: float) -> str:
        return f"within {self._tolerance(std):.3g} of {self.target:g}"

    def _tolerance(self, std: float) -> float:
        return max(self.tolerance, NORMAL_QUANTILE * hypot(std, self.error))


@dataclass(frozen=True)
class Above:
    """Above `limit`."""

    limit: float

    def accepted(self, std: float) -> Interval:
        return Interval(nextafter(self.limit, inf), inf)

    def text(self, std: float) -> str:
        return f"above {self.limit:g}"


@dataclass(frozen=True)
class Below:
    """Below `limit`."""

    limit: float

    def accepted(self, std: float) -> Interval:
        return Interval(-inf, nextafter(self.limit, -inf))

    def text(self, std: float) -> str:
        return f"below {self.limit:g}"


@dataclass(frozen=True)
class Occurs:
    """At least one run has the property; the quantity is 1 for a run with it and 0 for one without."""

    def text(self, std: float) -> str:
        return "in one run at least"


Rule = Range | Occurs
"""The condition that a claim places on a quantity."""


@dataclass(frozen=True)
class Claim:
    """A statement of a report, or a question of ours.

    Attributes:
        label: the statement and its quantity.
        reported: the number or words of the report; None for questions of ours.
        ours: the quantity.
        rule: the condition on the quantity.
        scale: the smallest scale at which the claim is judged.
        note: an explanation, or the reason for a failure.
        unit: the unit of the quantity; "" for pure numbers.
        exact: whether the quantity does not depend on the seed.
        spread: a comparable quantity with several seeds, for claims on one run.
    """

    label: str
    reported: str | float | None
    ours: Quantity
    rule: Rule
    scale: Scale = "default"
    note: str = ""
    unit: str = "nats"
    exact: bool = False
    spread: Quantity | None = None

    @property
    def of_report(self) -> bool:
        """Whether the report makes this statement."""
        return self.reported is not None


@dataclass(frozen=True)
class Verdict:
    """The outcome of a claim.

    Attributes:
        claim: the claim.
        values: the values of the seeds.
        judged: whether the scale is large enough.
        reference: the values of `claim.spread`.
    """

    claim: Claim
    values: Sequence[float]
    judged: bool
    reference: Sequence[float] = ()

    @cached_property
    def mean(self) -> float:
        """The mean over the seeds; NaN without seeds, or if a value is not finite."""
        return fmean(self.values) if self.values and all(map(isfinite, self.values)) else nan

    @cached_property
    def std(self) -> float:
        """The standard deviation over the seeds; NaN for a single seed, or if a value is not finite."""
        return _std(self.values)

    @cached_property
    def interval(self) -> Interval | None:
        """The interval of the expected value; None if there is no number or no spread."""
        if not (self.values and isfinite(self.mean)):
            return None
        if self.claim.exact:
            return Interval(min(self.values), max(self.values))
        if len(self.values) > 1:
            return _t_interval(self.mean, self.std / sqrt(len(self.values)), len(self.values))
        if isfinite(std := _std(self.reference)):
            return _t_interval(self.mean, std, len(self.reference))
        return None

    @property
    def required(self) -> str:
        """The condition in words."""
        return self.claim.rule.text(self._known_std)

    @property
    def outcome(self) -> Outcome:
        """The outcome in words."""
        if not (self.judged and self.values and isfinite(self.mean)):
            return "not judged"
        if isinstance(self.claim.rule, Occurs):
            return "holds" if any(self.values) else "undecided"
        if self.interval is None:
            return "undecided"
        accepted = self.claim.rule.accepted(self._known_std)
        if self.interval.within(accepted):
            return "holds"
        return "undecided" if self.interval.meets(accepted) else "fails"

    @property
    def _known_std(self) -> float:
        """The standard deviation of one run; 0 if it is unknown or does not apply."""
        if self.claim.exact:
            return 0.0
        std = _std(self.values if len(self.values) > 1 else self.reference)
        return std if isfinite(std) else 0.0


def judge(claims: Sequence[Claim], results: Results, scale: Scale) -> list[Verdict]:
    """Return the verdicts on claims, in order."""
    order = get_args(Scale)
    return [
        Verdict(
            claim,
            claim.ours.values(results),
            order.index(scale) >= order.index(claim.scale),
            claim.spread.values(results) if claim.spread else (),
        )
        for claim in claims
    ]


def _std(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 and all(map(isfinite, values)) else nan


def _t_interval(mean: float, error: float, count: int) -> Interval:
    half = float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * error
    return Interval(mean - half, mean + half)
