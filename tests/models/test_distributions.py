"""Compare the distributions with SciPy, PyTorch and finite differences."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor
from torch.distributions import kl_divergence

from aevb.models.distributions import (
    BaseDistribution,
    Bernoulli,
    LogNormal,
    NegativeBinomial,
    Normal,
    Poisson,
    RobustLogNormal,
    StandardNormal,
    closed_form_kl,
)

BATCHES = [(), (3,), (4, 3), (2, 1, 3)]
EVENTS = [(1,), (5,), (2, 3, 3)]


def normal(*shape: int, event_dims: int = 1, seed: int = 0) -> Normal:
    generator = torch.Generator().manual_seed(seed)
    loc, log_scale = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    return Normal(loc, log_scale, event_dims)


def instances(batch: tuple[int, ...], event: tuple[int, ...]) -> list[BaseDistribution]:
    shape, dims = (*batch, *event), len(event)
    logits = torch.linspace(-3, 3, math.prod(shape), dtype=torch.float64).view(shape)
    return [normal(*shape, event_dims=dims), StandardNormal(torch.zeros(shape), dims), Bernoulli(logits, dims)]


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("event", EVENTS)
def test_shapes(batch: tuple[int, ...], event: tuple[int, ...]) -> None:
    for distribution in instances(batch, event):
        x = distribution.sample((7,))
        assert distribution.batch_shape == batch
        assert distribution.event_shape == event
        assert x.shape == (7, *batch, *event)
        assert distribution.log_prob(x).shape == (7, *batch)
        assert distribution.entropy().shape == batch
        assert distribution.mean.shape == distribution.variance.shape == (*batch, *event)
        support = distribution.support
        assert support is not None
        assert support.check(x).all()


def test_log_density_of_normal_has_every_constant() -> None:
    q = normal(4, 3)
    x = torch.linspace(-2, 2, 12, dtype=torch.float64).view(4, 3)
    expected = scipy.stats.norm(q.loc.numpy(), q.stddev.numpy()).logpdf(x.numpy()).sum(1)
    np.testing.assert_allclose(q.log_prob(x).numpy(), expected, rtol=1e-12)


def test_log_density_of_normal_with_one_scale_for_all() -> None:
    log_scale = torch.tensor(0.5 * math.log(0.05), dtype=torch.float64)
    x = torch.rand(2, 1, 28, 28, dtype=torch.float64)
    expected = scipy.stats.norm(0, math.sqrt(0.05)).logpdf(x.numpy()).sum((1, 2, 3))
    np.testing.assert_allclose(Normal(torch.zeros_like(x), log_scale, 3).log_prob(x).numpy(), expected, rtol=1e-12)


def test_log_density_of_standard_normal_has_every_constant() -> None:
    x = torch.linspace(-3, 3, 12, dtype=torch.float64).view(4, 3)
    expected = scipy.stats.norm.logpdf(x.numpy()).sum(1)
    np.testing.assert_allclose(StandardNormal(torch.zeros(3)).log_prob(x).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("logit", [-700.0, -20.0, -1.0, 0.0, 0.3, 20.0, 700.0])
def test_log_probability_of_bernoulli(logit: float) -> None:
    """Exact also where the probability rounds to 0 or 1, but for e^-20, from where on PyTorch's softplus is linear."""
    p = Bernoulli(torch.full((1,), logit, dtype=torch.float64), 1)
    one, zero = p.log_prob(torch.ones(1)).item(), p.log_prob(torch.zeros(1)).item()
    np.testing.assert_allclose(
        [one, zero], [-np.logaddexp(0, -logit), -np.logaddexp(0, logit)], rtol=1e-12, atol=2.1e-9
    )


@pytest.mark.parametrize(("mean", "total"), [(0.3, 2.0), (1e2, 1e6), (1e5, 0.5), (1e6, 5.0), (5e6, 1e3)])
def test_log_probabilities_of_large_counts_are_precise(mean: float, total: float) -> None:
    x = torch.tensor([0.9 * mean, mean, 1.2 * mean]).round()
    log_mean, log_total = torch.full((3,), mean).log(), torch.tensor(total).log()
    m, r = log_mean.double().exp().numpy(), log_total.double().exp().item()
    found = NegativeBinomial(log_mean, log_total, 0).log_prob(x)
    np.testing.assert_allclose(found, scipy.stats.nbinom(r, r / (r + m)).logpmf(x.double()), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(Poisson(log_mean, 0).log_prob(x), scipy.stats.poisson(m).logpmf(x.double()), rtol=1e-5)


@pytest.mark.parametrize("family", [LogNormal, RobustLogNormal])
@pytest.mark.parametrize("event_dims", [0, 1, 2])
def test_positive_variables_are_never_zero_or_negative(family: type[LogNormal], event_dims: int) -> None:
    loc = torch.zeros(4, 2, 2, dtype=torch.float64, requires_grad=True)
    x = torch.tensor([1.0, 0.0, -0.0, -2.0], dtype=torch.float64).view(4, 1, 1).expand(4, 2, 2).clone()
    x[1:, 0] = 1.0  # one of two elements of an event
    log_px = family(loc, torch.zeros_like(loc), event_dims).log_prob(x)
    impossible = (x <= 0).flatten(3 - event_dims).any(-1) if event_dims else x <= 0
    assert torch.equal(log_px == -math.inf, impossible)
    log_px[~impossible].sum().backward()
    assert loc.grad is not None
    assert loc.grad.isfinite().all()


def test_probabilities_of_bernoulli_sum_to_one() -> None:
    p = Bernoulli(torch.tensor([0.3, -1.0, 4.0], dtype=torch.float64), 1)
    outcomes = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    assert p.log_prob(outcomes).exp().sum().item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", ["Normal", "StandardNormal", "Bernoulli"])
def test_entropy_matches_torch(name: str) -> None:
    ours, theirs = {
        "Normal": (q := normal(4, 3), torch.distributions.Normal(q.loc, q.stddev)),
        "StandardNormal": (
            StandardNormal(torch.zeros(4, 3)),
            torch.distributions.Normal(torch.zeros(4, 3), 1.0),
        ),
        "Bernoulli": (p := Bernoulli(q.loc, 1), torch.distributions.Bernoulli(logits=p.logits)),
    }[name]
    torch.testing.assert_close(ours.entropy(), theirs.entropy().sum(-1))


def test_samples_have_the_moments() -> None:
    """Means and variances of 100,000 samples within 5 standard errors: false alarm below 1e-5 for any seed."""
    torch.manual_seed(torch.seed() % 2**32)
    n = 100_000
    for distribution in instances((), (3,)):
        x = distribution.sample((n,)).double()
        error = (distribution.variance / n).sqrt()
        assert ((x.mean(0) - distribution.mean).abs() < 5 * error).all()
        centered = (x - distribution.mean).square()
        assert ((centered.mean(0) - distribution.variance).abs() < 5 * centered.std(0) / math.sqrt(n) + 1e-12).all()


def pairs() -> list[tuple[Normal, BaseDistribution]]:
    q = normal(4, 3)
    return [(q, StandardNormal(torch.zeros(3, dtype=torch.float64))), (q, normal(3, seed=1)), (q, normal(4, 3, seed=2))]


@pytest.mark.parametrize("pair", range(3))
def test_divergence_against_monte_carlo(pair: int) -> None:
    """Within 5 standard errors of 100,000 samples, for each of 4 posteriors: false alarm below 1e-5 for any seed."""
    q, p = pairs()[pair]
    z = q.sample((100_000,))
    ratio = q.log_prob(z) - p.log_prob(z)
    error = ratio.std(0) / math.sqrt(len(z))
    assert ((kl_divergence(q, p) - ratio.mean(0)).abs() < 5 * error).all()


@pytest.mark.parametrize("pair", range(3))
def test_divergence_against_torch(pair: int) -> None:
    q, p = pairs()[pair]
    expected = kl_divergence(
        torch.distributions.Normal(q.mean, q.stddev), torch.distributions.Normal(p.mean.double(), p.stddev.double())
    ).sum(-1)
    torch.testing.assert_close(kl_divergence(q, p), expected)


def test_divergence_is_zero_from_itself_and_has_no_closed_form_for_other_pairs() -> None:
    q = normal(4, 3)
    torch.testing.assert_close(kl_divergence(q, q), torch.zeros(4, dtype=torch.float64))
    assert closed_form_kl(q, Bernoulli(q.loc, 1)) is None


def test_gradients_against_finite_differences() -> None:
    torch.manual_seed(0)
    loc, log_scale, logits = (torch.randn(3, 2, dtype=torch.float64, requires_grad=True) for _ in range(3))
    x, noise = torch.rand(3, 2, dtype=torch.float64), torch.randn(3, 2, dtype=torch.float64)
    standard = StandardNormal(torch.zeros(2, dtype=torch.float64))

    def sampled(loc: Tensor, log_scale: Tensor) -> Tensor:
        torch.manual_seed(1)
        return Normal(loc, log_scale).rsample((5,))

    cases: list[tuple[Callable[..., Any], tuple[Tensor, ...]]] = [
        (lambda m, s: Normal(m, s).log_prob(x), (loc, log_scale)),
        (lambda m, s: Normal(m, s).entropy(), (loc, log_scale)),
        (lambda m, s: closed_form_kl(Normal(m, s), standard), (loc, log_scale)),
        (lambda m, s: closed_form_kl(Normal(m, s), Normal(noise, 0.1 * noise)), (loc, log_scale)),
        (lambda m, s: closed_form_kl(Normal(noise, 0.1 * noise), Normal(m, s)), (loc, log_scale)),
        (lambda z: standard.log_prob(z), (loc,)),
        (lambda a: Bernoulli(a, 1).log_prob(x), (logits,)),
        (sampled, (loc, log_scale)),
    ]
    for function, inputs in cases:
        assert torch.autograd.gradcheck(function, inputs)
