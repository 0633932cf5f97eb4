"""The rule by which claims are judged."""

import math
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from scipy import stats

from aevb.reproduction import wording
from aevb.reproduction.quantities import Quantity, Results
from aevb.reproduction.verdicts import Above, Below, Claim, Near, Occurs, Rule, Scale, Verdict, judge


def constant(*values: float) -> Quantity:
    return Quantity(lambda _, seed: values[seed])


def verdict(rule: Rule, *values: float, reference: tuple[float, ...] = (), **options: Any) -> Verdict:
    return Verdict(Claim("it", "so", constant(*values), rule, **options), values, True, reference)


@pytest.mark.parametrize(
    ("rule", "values", "outcome"),
    [
        (Above(1.0), (2.0, 2.1, 2.2), "holds"),
        (Above(1.0), (0.5, 2.0, 2.1), "undecided"),
        (Above(1.0), (0.1, 0.2, 0.3), "fails"),
        (Below(1.0), (0.1, 0.2, 0.3), "holds"),
        (Below(1.0), (-50.0, -40.0, -45.0), "holds"),
        (Near(10, 1.0), (10.1, 10.2, 10.3), "holds"),
        (Near(10, 1.0), (10.9, 11.0, 11.1), "undecided"),
        (Near(10, 1.0), (12.0, 12.1, 12.2), "fails"),
        (Near(10, 1.0, error=5.0), (12.0, 12.1, 12.2), "holds"),
        (Near(10, 1.0), (5.0, 10.0, 15.0), "undecided"),
        (Above(1.0), (2.0,), "undecided"),
        (Above(1.0), (), "not judged"),
        (Above(1.0), (math.nan,), "not judged"),
        (Above(1.0), (2.0, math.nan), "not judged"),
        (Above(1.0), (math.inf, -math.inf), "not judged"),
        (Above(1.0), (1.0, 1.0), "fails"),
        (Below(1.0), (1.0, 1.0), "fails"),
        (Occurs(), (0.0, 1.0, 0.0), "holds"),
        (Occurs(), (0.0, 0.0, 0.0), "undecided"),
    ],
)
def test_outcomes(rule: Rule, values: tuple[float, ...], outcome: str) -> None:
    assert verdict(rule, *values).outcome == outcome


def test_the_interval_is_that_of_scipy() -> None:
    values = (1.0, 2.5, 4.0, 3.0)
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert verdict(Above(0), *values).interval == pytest.approx((low, high))


def test_values_that_are_not_finite_have_no_spread() -> None:
    assert math.isnan(verdict(Near(1, 0.5), 1.0, math.inf).std)
    assert verdict(Near(1, 0.5), 1.0, math.nan).required == "within 0.5 of 1"
    assert verdict(Near(1, 0.5), 1.0, reference=(1.0, math.nan)).outcome == "undecided"


def test_a_true_claim_fails_in_one_run_of_forty() -> None:
    """An interval misses the expected value in 5 % of cases, above in half of them; false-alarm rate 1e-4."""
    rng = np.random.default_rng(0)
    wrong = sum(verdict(Below(0.0), *rng.normal(size=3)).outcome == "fails" for _ in range(4000))
    assert stats.binomtest(wrong, 4000, 0.025).pvalue > 1e-4


def test_no_tolerance_is_finer_than_the_reported_number() -> None:
    """A report has one run, whose number deviates by the standard deviation over the seeds."""
    values = (9.0, 10.0, 11.0)
    assert verdict(Near(10, 0.1), *values).required == "within 1.96 of 10"
    assert verdict(Near(10, 0.1, error=2.0), *values).required == f"within {1.96 * math.sqrt(5):.3g} of 10"
    assert verdict(Near(10, 3.0), *values).required == "within 3 of 10"


def test_one_run_is_judged_by_the_spread_of_others() -> None:
    close = verdict(Near(10, 1.0), 10.5, reference=(3.0, 3.1, 3.2))
    assert close.outcome == "holds"
    assert close.interval == pytest.approx((10.5 - 4.3027 * 0.1, 10.5 + 4.3027 * 0.1), abs=1e-4)
    assert verdict(Above(10.0), 10.5, reference=(3.0, 4.0, 5.0)).outcome == "undecided"


def test_an_exact_quantity_needs_no_spread() -> None:
    assert verdict(Above(1.0), 1.1, exact=True).outcome == "holds"
    assert verdict(Above(1.0), 0.9, 0.9, exact=True).outcome == "fails"


def test_the_evidence_in_words() -> None:
    assert wording.reason(verdict(Occurs(), 0.0, 0.0, 0.0, 0.0, 0.0)) == "in 0 of 5 runs, so in at most 45 % of runs"
    assert wording.reason(verdict(Above(1.0), 2.0)) == "one run, no interval"
    assert wording.reason(verdict(Above(1.0), 2.0, 2.0)) == "[2.0000, 2.0000] from 2 runs"
    assert wording.reason(verdict(Above(1.0), 2.0, exact=True)) == "exact"


def test_a_claim_is_judged_from_its_scale_on(tmp_path: Path) -> None:
    claims = [Claim(scale, None, constant(2.0, 2.0), Above(1.0), scale) for scale in get_args(Scale)]
    outcomes = {
        scale: [made.outcome for made in judge(claims, Results(tmp_path, range(2)), scale)] for scale in get_args(Scale)
    }
    assert outcomes["smoke"] == ["holds", "not judged", "not judged"]
    assert outcomes["default"] == ["holds", "holds", "not judged"]
    assert outcomes["full"] == ["holds", "holds", "holds"]
