"""Laplace's approximation of the posterior."""

from unittest.mock import Mock

import pytest
import torch

from aevb.config.build import build
from aevb.config.schema import ModelConfig
from aevb.evaluation import laplace as laplace_module
from aevb.evaluation.laplace import Laplace, laplace
from aevb.models.batch import Batch
from aevb.models.linear import LinearGaussian, linear_vae


@torch.no_grad()
def test_of_a_linear_model_it_is_the_posterior() -> None:
    torch.manual_seed(0)
    model, x = linear_vae(6, 3).double(), 3 * torch.randn(20, 6, dtype=torch.float64)
    found, exact = (
        laplace(model, Batch(x), torch.zeros(20, 3, dtype=torch.float64)),
        LinearGaussian.of(model).posterior(x),
    )
    z = torch.randn(7, 20, 3, dtype=torch.float64)
    assert found.log_prob(z).numpy() == pytest.approx(exact.log_prob(z).numpy())
    drawn = found.from_noise(torch.randn(20_000, 20, 3, dtype=torch.float64))
    assert drawn.mean(0).numpy() == pytest.approx(exact.mean.numpy(), abs=0.05)
    assert torch.cov(drawn[:, 0].T).numpy() == pytest.approx(exact.covariance_matrix[0].numpy(), abs=0.05)


@torch.no_grad()
@pytest.mark.parametrize("prior", ["normal", "mixture"])
def test_its_mode_is_higher_than_all_around(prior: str) -> None:
    torch.manual_seed(0)
    pieces = {"latent": (3,), "hidden": (20,), "activation": "elu", "prior": prior, "components": 20}
    noise = {"likelihood": "gaussian", "variance": 0.1, "mean_link": "identity"}
    config = ModelConfig.model_validate(pieces | noise)
    model, x = build(config, (6,)).double(), torch.randn(20, 6, dtype=torch.float64)
    mode = laplace(model, Batch(x), torch.randn(20, 3, dtype=torch.float64)).mode
    around = mode + 0.03 * torch.randn(200, 20, 3, dtype=torch.float64)
    assert (model.log_joint(x, mode) >= model.log_joint(x, around).max(0).values - 1e-6).all()


@torch.no_grad()
def test_the_search_ends_where_no_step_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, batch = linear_vae(6, 3).double(), Batch(torch.randn(20, 6, dtype=torch.float64))
    mode = laplace(model, batch, torch.zeros(20, 3, dtype=torch.float64)).mode
    derivatives = Mock(wraps=laplace_module._derivatives)
    monkeypatch.setattr(laplace_module, "_derivatives", derivatives)
    assert laplace(model, batch, mode).mode.equal(mode)
    derivatives.assert_called_once()


def test_samples_do_not_depend_on_axes_of_equal_precision() -> None:
    """Rounding decides which axes of a latent dimension that is not used are found."""
    torch.manual_seed(0)
    rotation, _ = torch.linalg.qr(torch.randn(2, 2))
    axes = torch.eye(3)
    axes[:2, :2] = rotation
    mode, precision, noise = torch.randn(1, 3), torch.tensor([[1.0, 1.0, 9.0]]), torch.randn(5, 1, 3)
    found = [Laplace(mode, each.unsqueeze(0), precision) for each in (torch.eye(3), axes)]
    torch.testing.assert_close(found[0].from_noise(noise), found[1].from_noise(noise))
    torch.testing.assert_close(found[0].log_prob(noise), found[1].log_prob(noise))
