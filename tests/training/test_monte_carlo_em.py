"""Monte Carlo EM and its chains, against a model whose posterior and likelihood are known."""

import math
from collections.abc import Callable
from itertools import islice

import pytest
import torch
from torch import Tensor

from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import ModelConfig
from aevb.data import Examples
from aevb.errors import BadInput, NonFinite
from aevb.models.hamiltonian import move, state_at
from aevb.models.linear import linear_optimum, linear_vae
from aevb.models.vae import VAE
from aevb.training.monte_carlo_em import ACCEPTED, monte_carlo_em
from tests.conftest import Exact, some


@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_moves_leave_the_target_invariant(exact: Callable[..., Exact], beta: float) -> None:
    """Chains from far away reach the posterior N(S Wᵀ(x - b) β/c, S), S⁻¹ = I + β WᵀW/c."""
    known = exact()
    x = known.sample(1)

    def log_weight(z: Tensor) -> Tensor:
        return known.model.decode(z).log_prob(x)

    torch.manual_seed(0)
    here = state_at(log_weight, torch.full((10_000, 1, 2), 3.0))
    shares = []
    for _ in range(100):
        noise = {"speed": torch.randn(10_000, 1, 2), "chance": torch.rand(10_000, 1)}
        here, share = move(log_weight, here, beta=beta, size=torch.tensor([0.4]), leapfrogs=3, **noise)
        shares.append(share.item())
    spread = torch.linalg.inv(torch.eye(2) + beta * known.weight.T @ known.weight / known.variance)
    mean = spread @ known.weight.T @ (x[0].double() - known.bias) * beta / known.variance
    z = here.noise[:, 0].double()
    torch.testing.assert_close(z.mean(0), mean, atol=0.03, rtol=0)
    torch.testing.assert_close(torch.cov(z.T), spread, atol=0.02, rtol=0)
    # Were all moves accepted, a direction of precision λ would have the variance 1 / (λ - h²λ²/4), which is seen here.
    assert 0.8 < min(shares) < 0.99


def log_px(model: VAE, x: Tensor) -> float:
    """log N(x; b, W Wᵀ + c I) of a linear Gaussian decoder, the mean over examples ``(N, D)``."""
    with torch.no_grad():
        corners = model.decode(torch.cat([torch.zeros(1, 2), torch.eye(2)])).mean.double()
    weight, variance = (corners[1:] - corners[0]).T, model.decode(torch.zeros(1, 2)).variance[0].double()
    density = torch.distributions.MultivariateNormal(corners[0], weight @ weight.T + variance.detach().diag())
    return float(density.log_prob(x.double()).mean())


@pytest.mark.slow
def test_monte_carlo_em_reaches_probabilistic_pca(exact: Callable[..., Exact]) -> None:
    """On a linear decoder its maximum is known: 30 standard errors below it at first, then within a few hundredths."""
    x = exact(variance=0.25).sample(1000)
    torch.manual_seed(0)
    model = linear_vae(5, 2)
    model.initialize(x)
    optimum = linear_optimum(x, 2)
    assert log_px(model, x) < optimum - 1
    before = [parameter.clone() for parameter in model.encoder.parameters()]
    iterations = list(islice(monte_carlo_em(model, Examples(x), lr=0.1), 300))
    assert log_px(model, x) == pytest.approx(optimum, abs=0.02)
    late = iterations[100:]
    assert sum(i.accepted for i in late) / len(late) == pytest.approx(ACCEPTED, abs=0.01)
    assert [i.number for i in iterations] == list(range(1, 301))
    assert all(i.seconds > 0 for i in iterations)
    assert all(map(torch.equal, before, model.encoder.parameters()))


def test_monte_carlo_em_is_a_function_of_the_seed(exact: Callable[..., Exact]) -> None:
    examples = Examples(exact().sample(50))

    def joints(seed: int) -> list[float]:
        made = monte_carlo_em(exact(error=1.0).model, examples, seed=seed)
        found = []
        for iteration in islice(made, 3):
            torch.randn(1)  # what else is drawn in between changes nothing
            found.append(iteration.log_joint)
        return found

    assert joints(0) == joints(0)
    assert joints(0) != joints(1)


def test_several_layers_are_refused() -> None:
    config = ModelConfig(hidden=(), latent=(2, 1), latent_hidden=(4,))
    model = build(resolve(config, some("real", (3,))), (3,))
    with pytest.raises(BadInput, match="Monte Carlo EM needs one stochastic layer"):
        next(monte_carlo_em(model, some("real", (3,)).train))


def test_monte_carlo_em_stops_at_a_number_that_is_not_finite(exact: Callable[..., Exact]) -> None:
    with pytest.raises(NonFinite, match="log p"):
        next(monte_carlo_em(exact().model, Examples(torch.full((10, 5), math.inf))))
