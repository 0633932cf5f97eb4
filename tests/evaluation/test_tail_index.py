"""The tail index of importance weights against distributions with a known tail."""

import math

import pytest
import torch

from aevb.evaluation.tail_index import FEWEST, reliable_tail_index, tail_index

SETS = 200
"""Sets of weights: the standard error of a mean is below 0.02."""


def shrunk(k: float, length: int) -> float:
    """Return k with the ten observations of the prior."""
    return (length * k + 5) / (length + 10)


@pytest.mark.parametrize("k", [0.3, 0.7, 1.2])
@pytest.mark.parametrize(("count", "length"), [(1000, 95), (100, 20)])
def test_a_pareto_tail_has_its_index(k: float, count: int, length: int) -> None:
    """w = u^-k has the tail index k. Over 200 sets the mean has a standard error of at most 0.025, and the estimator a
    bias of at most 0.05 (Zhang & Stephens 2009, table 2): 0.15 off is a false alarm in fewer than one of 10^4 runs."""
    log_weight = -k * torch.rand(count, SETS, dtype=torch.float64).log()
    assert tail_index(log_weight).mean().item() == pytest.approx(shrunk(k, length), abs=0.15)


def test_bounded_weights_have_a_light_tail() -> None:
    """Uniform weights have k = -1. With the prior it is (95 (-1) + 5) / 105 = -0.86 at 1,000 samples."""
    log_weight = torch.rand(1000, SETS, dtype=torch.float64).log()
    assert tail_index(log_weight).mean().item() == pytest.approx(-0.86, abs=0.15)
    assert bool((tail_index(log_weight) < 0.3).all())


def test_it_depends_on_ratios_alone() -> None:
    log_weight = torch.randn(500, 20, dtype=torch.float64)
    torch.testing.assert_close(tail_index(log_weight + 800), tail_index(log_weight))
    torch.testing.assert_close(tail_index(log_weight - 800), tail_index(log_weight))


def test_equal_weights_have_no_tail_and_few_have_no_index() -> None:
    assert tail_index(torch.full((200, 2), -3.0)).tolist() == [-math.inf] * 2
    assert bool(tail_index(torch.randn(FEWEST - 1, 2)).isnan().all())


def test_more_samples_bear_a_heavier_tail() -> None:
    limits = reliable_tail_index(torch.tensor([100.0, 1000.0, 10**6]))
    torch.testing.assert_close(limits, torch.tensor([0.5, 2 / 3, 0.7]))
