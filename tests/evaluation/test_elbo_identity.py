"""log p(x) = ELBO + KL(q(z|x) || p(z|x)): the terms are right one by one, and the identity can fail."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import ModelConfig
from aevb.data import Examples
from aevb.errors import BadInput
from aevb.evaluation.elbo_identity import linear_identity, plane_identity
from aevb.models.likelihoods import Gaussian
from aevb.models.linear import LinearGaussian, linear_vae
from aevb.models.networks import mlp_decoder, mlp_encoder
from aevb.models.posteriors import Diagonal
from aevb.models.priors import Standard
from aevb.models.vae import VAE
from tests.conftest import Exact, some


@pytest.fixture
def curved() -> VAE:
    torch.manual_seed(0)
    config = ModelConfig(hidden=(20,), activation="tanh", latent=(2,), init="lecun")
    return build(resolve(config, some("binary", (6,))), (6,)).eval()


def test_a_linear_decoder_is_read_off(exact: Callable[..., Exact]) -> None:
    known = exact()
    found, x = LinearGaussian.of(known.model), known.sample(20)
    torch.testing.assert_close(found.weight, known.weight, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.bias, known.bias, atol=1e-6, rtol=0)
    assert found.variance == pytest.approx(known.variance)
    torch.testing.assert_close(found.log_px(x), known.log_px(x), atol=1e-5, rtol=0)
    q, posterior = known.model.encode(x), found.posterior(x)
    torch.testing.assert_close(posterior.mean, q.mean.double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(posterior.variance, q.variance.double(), atol=1e-5, rtol=0)


def test_expected_log_likelihood(exact: Callable[..., Exact]) -> None:
    known = exact(error=0.5)
    x, q = known.sample(3), known.model.encode(known.sample(3))
    torch.manual_seed(0)
    drawn = known.model.decode(q.sample((100_000,))).log_prob(x).mean(0).double()
    found = LinearGaussian.of(known.model).log_likelihood(x, q)
    torch.testing.assert_close(found, drawn, atol=0.03, rtol=0)


def test_what_is_not_linear_is_refused(curved: VAE) -> None:
    with pytest.raises(BadInput, match="closed forms are for a linear decoder"):
        LinearGaussian.of(curved)
    config = ModelConfig(hidden=(20,), latent=(2,), init="lecun")
    bent = build(resolve(config, some("real", (6,))), (6,))
    with pytest.raises(BadInput, match="closed forms are for a linear decoder"):
        LinearGaussian.of(bent)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_whether_a_decoder_is_linear_does_not_depend_on_the_units_of_the_data(unit: float, activation: Any) -> None:
    """Nor on whether it is linear between the points where it is read off."""
    x = unit * (5 + torch.randn(200, 4, generator=torch.Generator().manual_seed(0)))
    linear = linear_vae(4, 2)
    linear.initialize(x)
    assert LinearGaussian.of(linear).weight.shape == (4, 2)
    torch.manual_seed(0)
    (encoder, width), decoder = mlp_encoder((4,), (16,), activation), mlp_decoder(2, (16,), (4,), activation)
    nn.init.zeros_(decoder.get_parameter("0.bias"))
    nn.init.uniform_(decoder.get_parameter("0.weight"))  # a rectifier is linear where z ≥ 0
    bent = VAE(encoder, Diagonal(width, 2), Standard(2, (4,)), decoder, Gaussian((4,)))
    bent.initialize(x)
    with pytest.raises(BadInput, match="closed forms are for a linear decoder"):
        LinearGaussian.of(bent)


@pytest.mark.parametrize("error", [0.0, 0.5])
def test_closed_forms(exact: Callable[..., Exact], error: float) -> None:
    """A mean that is wrong by e costs ½ eᵀ S⁻¹ e, S⁻¹ = I + WᵀW/c."""
    known = exact(error=error)
    found = linear_identity(known.model, known.sample(50))
    precision = torch.eye(2) + known.weight.T @ known.weight / known.variance
    cost = 0.5 * error**2 * precision.diagonal().sum().item()
    torch.testing.assert_close(found.gap, torch.full_like(found.gap, cost), atol=1e-4, rtol=0)
    assert found.error < 1e-9


def test_integrals_agree_with_closed_forms(exact: Callable[..., Exact]) -> None:
    known = exact(error=0.5)
    x = known.sample(5)
    integrals, closed = plane_identity(known.model, Examples(x), side=300), linear_identity(known.model, x)
    for name, value in closed._asdict().items():
        torch.testing.assert_close(getattr(integrals, name), value, atol=1e-4, rtol=0, msg=name)


def test_integrals_of_a_curved_decoder(curved: VAE) -> None:
    found = plane_identity(curved, some("binary", (6,), count=5).test, side=300)
    assert found.error < 1e-4
    assert (found.gap > 0.01).all()


def test_a_wrong_term_breaks_the_identity(exact: Callable[..., Exact]) -> None:
    """The sign of KL(q(z|x) || p(z)) as Yong prints it."""
    known = exact(error=0.5)
    found = linear_identity(known.model, known.sample(50))
    assert found._replace(elbo=found.elbo + 2 * found.rate).error > 1
