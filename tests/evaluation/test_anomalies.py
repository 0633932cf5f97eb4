"""The threshold of anomalies against the p-values that define it."""

import pytest
import torch

from aevb.errors import BadInput
from aevb.evaluation.anomalies import p_values, smallest_rate, threshold


@pytest.mark.parametrize("count", [1, 19, 48, 97, 99, 160, 999])
def test_the_smallest_rate_is_supported(count: int) -> None:
    """In floating-point numbers, 1/49 times 49 is less than 1."""
    held_out = torch.arange(count, dtype=torch.float64)
    assert threshold(held_out, smallest_rate(count)) == pytest.approx(0.0, abs=1e-5)
    with pytest.raises(BadInput, match=f"{count} held-out examples are too few .* at least {count + 1} are needed"):
        threshold(held_out, smallest_rate(count + 1))


@pytest.mark.parametrize(("rate", "count"), [(0.29, 99), (0.05, 19), (0.1, 57), (0.57, 99)])
def test_an_example_below_the_threshold_has_a_p_value_of_at_most_the_rate(rate: float, count: int) -> None:
    held_out = torch.randn(count, dtype=torch.float64)
    scores = torch.cat([held_out - 1e-3, held_out + 1e-3])
    called = scores < threshold(held_out, rate)
    torch.testing.assert_close(called, p_values(scores, held_out) <= rate + 1e-12)
