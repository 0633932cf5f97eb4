"""Logistic distributions on an interval, and numbers that are often the same, against quadrature and sums.

Moments of samples are compared within six standard errors: false alarm below 1e-7 for each.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import Tensor

from aevb.models.distributions import (
    BaseDistribution,
    DiscretizedLogistic,
    Hurdle,
    LogNormal,
    Normal,
    Spiked,
    TruncatedLogistic,
)

CASES = [
    (0.0, 1.0, -1.0, 2.0),
    (5.0, 0.3, 0.0, 1.0),  # the location is outside
    (-30.0, 1.0, 0.0, 1.0),
    (-900.0, 1.0, 0.0, 50.0),  # e⁻⁹⁰⁰ is no number in float64
    (40.0, 0.5, 0.0, 10.0),
    (3.0, 2.0, 0.0, 1e4),  # one bound
    (0.2, 1e-3, 0.0, 1.0),
    (0.2, 1e3, 0.0, 1.0),  # nearly uniform
]


def number(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)


def truncated(loc: float, scale: float, low: float, high: float) -> TruncatedLogistic:
    return TruncatedLogistic(number(loc), number(scale).log(), number(low), number(high))


@pytest.mark.parametrize("case", CASES)
def test_a_truncated_logistic_integrates_to_one_and_has_its_mean(case: tuple[float, float, float, float]) -> None:
    p, (loc, scale, low, high) = truncated(*case), case
    edges = [low, high, loc, *(end + sign * reach * scale for end in (low, loc, high) for sign, reach in _REACHES)]
    edges = sorted({min(max(edge, low), high) for edge in edges})

    def moment(power: int) -> float:
        """Return the integral of x^power p(x)."""

        def weighted(x: float) -> float:
            return float(x**power * p.log_prob(number(x)).exp().item())

        parts = [integrate.quad(weighted, *pair, epsabs=1e-12)[0] for pair in pairwise(edges)]
        return float(np.sum(parts))

    assert moment(0) == pytest.approx(1, abs=1e-7)
    assert p.mean.item() == pytest.approx(moment(1), rel=1e-6, abs=1e-6 * scale)


_REACHES = [(sign, reach) for sign in (-1, 1) for reach in (5, 40)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", CASES)
def test_samples_of_a_truncated_logistic(case: tuple[float, float, float, float], dtype: torch.dtype) -> None:
    p = truncated(*case)
    stored = TruncatedLogistic(p.loc.to(dtype), p.log_scale.to(dtype), p.low.to(dtype), p.high.to(dtype))
    with torch.no_grad():
        x = stored.sample((100_000,)).double()
    assert case[2] <= x.min() <= x.max() <= case[3]
    assert abs(x.mean() - p.mean).item() < 6 * x.std().item() / math.sqrt(len(x)) + 1e-5 * (case[3] - case[2])


def test_without_near_bounds_it_is_the_logistic() -> None:
    x = torch.linspace(-8, 9, 50, dtype=torch.float64).unsqueeze(1)
    p = truncated(0.7, 1.3, -1e4, 1e4)
    np.testing.assert_allclose(p.log_prob(x), stats.logistic(0.7, 1.3).logpdf(x).squeeze(1), rtol=1e-12)
    assert p.mean.item() == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("loc", "scale", "low", "high"),
    [(3.2, 1.0, 0, 10), (100.0, 30.0, 0, 365), (-20.0, 2.0, 1, 12), (1e9, 5.0, 1e9 - 20, 1e9 + 30), (0.4, 1e-3, 0, 3)],
)
def test_probabilities_of_whole_numbers_sum_to_one(loc: float, scale: float, low: float, high: float) -> None:
    p = DiscretizedLogistic(number(loc), number(scale).log(), number(low), number(high))
    values = low + torch.arange(high - low + 1, dtype=torch.float64).unsqueeze(1)
    probabilities = p.log_prob(values).exp()
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-9)
    with torch.no_grad():
        x = p.sample((100_000,))
    assert (x == x.round()).all()
    assert low <= x.min() <= x.max() <= high
    shares = (x.squeeze(1)[:, None] == values.squeeze(1)).double().mean(0)
    error = (probabilities * (1 - probabilities) / len(x)).sqrt()
    assert ((shares - probabilities).abs() < 6 * error + 1e-4).all()


def test_wide_whole_numbers_have_the_density_of_the_logistic_in_float32() -> None:
    """Half a step from 100,000, at a location that float32 rounds, would otherwise change log p by a percent."""
    loc, scale = torch.tensor([0.3]), torch.tensor([3e4])
    p = DiscretizedLogistic(loc, scale.log(), torch.tensor([-1e9]), torch.tensor([1e9]))
    x = torch.arange(1e5, 1e5 + 100).unsqueeze(1)
    np.testing.assert_allclose(p.log_prob(x), stats.logistic(0.3, 3e4).logpdf(x).squeeze(1), atol=1e-5)


@pytest.mark.parametrize("family", [TruncatedLogistic, DiscretizedLogistic])
def test_gradients_are_finite_far_outside_of_the_bounds(family: type[TruncatedLogistic]) -> None:
    loc = torch.tensor([-1e6, -50.0, 0.5, 50.0, 1e6], requires_grad=True)
    log_scale = torch.full((5,), -7.0, requires_grad=True)
    p = family(loc, log_scale, torch.zeros(5), torch.ones(5))
    p.log_prob(torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0])).sum().backward()
    for weight in (loc, log_scale):
        assert weight.grad is not None
        assert weight.grad.isfinite().all()
    assert p.sample().isfinite().all()


def test_a_hurdle_is_zero_with_its_probability() -> None:
    p = Hurdle(number(0.4), LogNormal(number(1.2), number(0.5), 0), number(0.1).log())
    chance = torch.tensor(0.4).sigmoid().item()
    assert 0.1 * p.log_prob(number(0.0)).exp().item() == pytest.approx(chance)
    density = integrate.quad(lambda x: p.log_prob(number(x)).exp().item(), 0, np.inf)[0]
    assert density == pytest.approx(1 - chance, abs=1e-6)
    x = p.sample((100_000,)).squeeze(1)
    assert abs((x == 0).double().mean() - chance) < 6 * math.sqrt(chance * (1 - chance) / len(x))
    assert abs(x.mean() - p.mean).item() < 6 * x.std().item() / math.sqrt(len(x))
    assert x.min() == 0


def spiked() -> Spiked:
    """A normal with two spikes, one far from it, and whole numbers from 0 to 9 with one."""
    families: list[BaseDistribution] = [
        Normal(number(1.0), number(0.5), 0),
        DiscretizedLogistic(number(4.0), number(0.3), number(0.0), number(9.0), 0),
    ]
    logits = torch.tensor([[0.4, -0.3], [1.0, -1e9]], dtype=torch.float64)
    spikes = torch.tensor([[1.5, 40.0], [9.0, math.nan]], dtype=torch.float64)
    return Spiked(families, logits, spikes, torch.tensor([[0.1, 0.1], [1.0, 1.0]], dtype=torch.float64).log())


def test_spikes_have_their_probabilities_beside_the_distribution() -> None:
    p = spiked()
    total = 1 + math.exp(0.4) + math.exp(-0.3)
    chances = [math.exp(0.4) / total, math.exp(-0.3) / total]
    whole = math.e / (1 + math.e)
    np.testing.assert_allclose(p.weights[:, 0], [chances[0], whole])
    assert p.weights[0, 1].item() == pytest.approx(chances[1])
    assert p.weights[1, 1] == 0

    def density(x: float, k: float = 0.0) -> list[float]:
        return p.log_prob(torch.tensor([x, k], dtype=torch.float64)).exp().tolist()

    own = integrate.quad(lambda x: density(x)[0], -10, 12)[0]  # the spikes are single points
    assert own == pytest.approx(1 - sum(chances), abs=1e-6)
    assert density(40.0)[0] == pytest.approx(chances[1] / 0.1)
    below = stats.norm.pdf(1.5, 1.0, math.exp(0.5))
    assert density(1.5)[0] == pytest.approx(chances[0] / 0.1 + below / total)
    assert sum(density(0.0, float(k))[1] for k in range(10)) == pytest.approx(1)
    assert density(0.0, 9.0)[1] > whole


def test_samples_of_spikes() -> None:
    p = spiked()
    x = p.sample((100_000,))
    shares = torch.stack([(x[:, 0] == 1.5), (x[:, 0] == 40.0)], 1).double().mean(0)
    for share, chance in zip(shares.tolist(), p.weights[0].tolist(), strict=True):
        assert abs(share - chance) < 6 * math.sqrt(chance * (1 - chance) / len(x))
    error = 6 * x.std(0) / math.sqrt(len(x))
    assert ((x.mean(0) - p.mean).abs() < error).all()
    assert set(x[:, 1].tolist()) <= set(range(10))
