"""What each objective promises, beside the contract: order, expectation, gradient, weight."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import ModelConfig
from aevb.errors import BadInput
from aevb.models.objectives import ELBO, IWAE, BetaTC, DReG, MonteCarloELBO, Objective, Weight
from aevb.models.vae import VAE
from tests.conftest import Exact, some


def gradients(model: VAE, objective: Objective, x: Tensor, done: float = 1.0) -> Tensor:
    model.zero_grad()
    objective(model.trace(x, objective.n_samples), done).loss.mean().backward()
    parts = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return torch.cat(parts)


def test_importance_weighted_bounds_grow_with_the_draws_and_stay_below_log_px(exact: Callable[..., Exact]) -> None:
    """In expectation; 4,000 repetitions for each of 3 examples. Two of the numbers agree, within five standard errors
    of their difference (a false alarm in 10⁶); the gaps between the others are many."""
    linear = exact(error=0.7)
    x = linear.sample(3).repeat(4000, 1)
    log_px = linear.log_px(x[:3]).mean().item()
    with torch.no_grad():
        one, *more = (IWAE(k)(linear.model.trace(x, k)).bound for k in (1, 2, 5, 20, 50))
        elbo = ELBO(1)(linear.model.trace(x, 1)).bound
    bounds = [bound.mean().item() for bound in (one, *more)]
    assert bounds == sorted(bounds)
    assert bounds[-1] < log_px + 0.01
    spread = (one - elbo).std().item() / len(x) ** 0.5
    assert bounds[0] == pytest.approx(elbo.mean().item(), abs=5 * spread)
    assert bounds[0] < log_px - 0.3


@pytest.mark.parametrize("weight", [Weight(), Weight(0.4)])
def test_doubly_reparameterised_gradient_is_that_of_iwae_with_less_noise(
    exact: Callable[..., Exact], weight: Weight
) -> None:
    """Means over 300 batches within 5 standard errors, for 19 parameters: false alarm below 2e-5 for any seed."""
    linear = exact(features=3, error=0.2)
    model = linear.model.train()
    x = linear.sample(4).repeat(50, 1)
    runs = {name: torch.stack([gradients(model, objective, x) for _ in range(300)]) for name, objective in
            (("iwae", IWAE(8, weight)), ("dreg", DReG(8, weight)))}  # fmt: skip
    mean = {name: values.mean(0) for name, values in runs.items()}
    error = sum(values.var(0) / len(values) for values in runs.values())
    assert isinstance(error, Tensor)
    assert ((mean["iwae"] - mean["dreg"]).abs() < 5 * error.sqrt() + 1e-7).all()
    # The first parameters are the posterior's; with eight draws and a good posterior its noise falls by far.
    posterior = sum(p.numel() for p in model.posterior.parameters())
    if weight.beta == 1:
        assert runs["dreg"][:, :posterior].var(0).sum() < 0.5 * runs["iwae"][:, :posterior].var(0).sum()


def test_a_weight_changes_the_loss_and_not_the_bound(exact: Callable[..., Exact]) -> None:
    """With weight 0 and one sample the loss is the distortion."""
    trace = exact(error=0.2).model.trace(exact().sample(5), 1)
    terms = IWAE(1, Weight(0.0))(trace)
    torch.testing.assert_close(terms.loss, terms.distortion)
    torch.testing.assert_close(terms.bound, IWAE(1)(trace).bound)


def test_dreg_reports_the_bound_and_not_its_surrogate(exact: Callable[..., Exact]) -> None:
    linear = exact(error=0.2)
    trace = linear.model.trace(linear.sample(5), 4)
    dreg, iwae = DReG(4)(trace), IWAE(4)(trace)
    torch.testing.assert_close(dreg.bound, iwae.bound)
    assert not torch.allclose(dreg.loss, -dreg.bound)
    with torch.no_grad():
        held_out = DReG(4)(linear.model.trace(linear.sample(5), 4))
    torch.testing.assert_close(held_out.loss, -held_out.bound)


@pytest.mark.parametrize("beta", [0.25, 4.0])
def test_beta_is_a_variance(beta: float) -> None:
    """With a Gaussian of fixed variance, D_c + β KL and β (D_{βc} + KL) have one gradient: β is the balance c."""
    torch.manual_seed(0)
    dataset, found = some("real", (4,)), []
    for variance, weight in ((0.3, Weight(beta)), (0.3 * beta, Weight())):
        torch.manual_seed(1)
        config = ModelConfig(hidden=(5,), latent=2, likelihood="gaussian", variance=variance)
        model = build(resolve(config, dataset), (4,))
        for parameter in model.parameters():
            parameter.data.add_(0.1 * torch.randn_like(parameter))
        torch.manual_seed(2)
        found.append(gradients(model, ELBO(1, weight), dataset.train.all().x))
    torch.testing.assert_close(found[0], beta * found[1], rtol=1e-4, atol=1e-5)


def test_bound_does_not_depend_on_the_weight(exact: Callable[..., Exact]) -> None:
    linear = exact(error=0.5)
    trace = linear.model.trace(linear.sample(6), 2)
    weight = Weight(7.0, warmup=0.5)
    for plain, weighted in (
        (ELBO(2), ELBO(2, weight)),
        (ELBO(2), ELBO(2, free_bits=3.0)),
        (MonteCarloELBO(2), MonteCarloELBO(2, weight)),
        (ELBO(2), BetaTC(2, weight)),
    ):
        assert isinstance(weighted, ELBO | MonteCarloELBO | BetaTC)
        first, second = plain(trace), weighted(trace, 0.1)
        torch.testing.assert_close(first.bound, second.bound)
        torch.testing.assert_close(first.bound, -(second.rate + second.distortion))
        assert not torch.allclose(second.loss, -second.bound)


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (Weight(), [1, 1, 1, 1, 1]),
        (Weight(2.0), [2, 2, 2, 2, 2]),
        (Weight(2.0, warmup=0.5), [0, 1, 2, 2, 2]),
        (Weight(1.0, warmup=1.0), [0, 0.25, 0.5, 0.75, 1]),
        (Weight(1.0, warmup=1.0, cycles=2), [0, 0.5, 0, 0.5, 1]),
    ],
)
def test_warm_up(weight: Weight, expected: list[float]) -> None:
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    assert [weight(done) for done in shares] == pytest.approx(expected)
    assert [float(weight(torch.tensor(done))) for done in shares] == pytest.approx(expected)


def test_the_weight_after_training_may_be_asked_for_with_a_whole_number() -> None:
    assert Weight(2.0, warmup=0.5)(1) == 2.0


def test_loss_follows_the_warm_up(exact: Callable[..., Exact]) -> None:
    linear = exact()
    trace = linear.model.trace(linear.sample(6), 2)
    for done, weight in ((0.0, 0.0), (0.25, 0.5), (1.0, 1.0)):
        terms = ELBO(2, Weight(warmup=0.5))(trace, done)
        torch.testing.assert_close(terms.loss, terms.distortion + weight * terms.rate)


def test_free_bits_are_free_below_and_full_above(exact: Callable[..., Exact]) -> None:
    linear = exact()
    trace = linear.model.trace(linear.sample(400), 1)
    layer = trace.layers[0]
    by_dimension = torch.distributions.kl_divergence(
        torch.distributions.Normal(layer.q.mean, layer.q.stddev), torch.distributions.Normal(0.0, 1.0)
    ).mean(0)
    low, high = sorted(by_dimension.tolist())
    terms = ELBO(1, free_bits=(low + high) / 2)(trace)
    assert (terms.loss - terms.distortion).mean().item() == pytest.approx(high + (low + high) / 2, rel=1e-4)
    nothing = ELBO(1, free_bits=2 * high)(trace)
    torch.testing.assert_close(nothing.loss - nothing.distortion, torch.full((400,), 4 * high), rtol=1e-4, atol=1e-4)


def test_total_correlation_of_a_correlated_posterior() -> None:
    """Posteriors are tight around z = W x, so that q(z) is nearly the normal of W x, whose total correlation is
    -½ log(1 - ρ²): with 2,000 examples the estimate is within 0.1 nats, and near zero without correlation."""
    for correlation in (0.0, 0.9):
        torch.manual_seed(0)
        dataset = some("real", (2,), count=2000)
        model = build(resolve(ModelConfig(hidden=(), latent=2), dataset), (2,))
        mix = torch.tensor([[1.0, 0.0], [correlation, math.sqrt(1 - correlation**2)]])
        weight, bias = model.posterior.parameters()
        weight.data[:2], bias.data[2:] = mix, -4.0
        terms = BetaTC(1, Weight(2.0))(model.trace(dataset.train.all().x, 1))
        found = (terms.loss - terms.distortion - terms.rate).mean().item()
        assert found == pytest.approx(-0.5 * math.log(1 - correlation**2), abs=0.1)


def test_total_correlation_needs_densities_of_each_dimension() -> None:
    dataset = some("real", (3,))
    model = build(resolve(ModelConfig(posterior="flow", hidden=(4,)), dataset), (3,))
    with pytest.raises(BadInput, match=r"beta-tc needs .* posterior='diagonal' or full"):
        BetaTC()(model.trace(dataset.train.all().x, 1))
