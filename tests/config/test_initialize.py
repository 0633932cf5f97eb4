"""A model of a table, or of vectors, begins as factor analysis of the numbers."""

from typing import Any

import pytest
import torch
from sklearn.decomposition import FactorAnalysis
from torch import Tensor
from torch.distributions import MultivariateNormal
from torch.utils.flop_counter import FlopCounterMode

from aevb.columns import Column
from aevb.config import initialize as initialization
from aevb.config.build import build
from aevb.config.initialize import factors, initialize
from aevb.config.schema import ModelConfig
from aevb.data import Examples
from aevb.models.objectives import ELBO
from aevb.models.vae import VAE
from tests.conftest import mostly_slow


def rows(count: int = 400, *, gaps: float = 0.0) -> Tensor:
    """Of six columns with three common causes, in units of their own."""
    rng = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 6, generator=rng)
    x = torch.randn(count, 3, generator=rng) @ weight + 0.3 * torch.randn(count, 6, generator=rng)
    x = torch.where(torch.rand(x.shape, generator=rng) < gaps, torch.nan, x)
    return 5 + 100 * x


def standardized(x: Tensor) -> Tensor:
    shift = x.nanmean(0)
    return (x - shift) / (x - shift).square().nanmean(0).sqrt()


def begun(x: Tensor, likelihood: str = "columns", **options: Any) -> VAE:
    table = tuple(Column(name=f"x{j}", kind="real", position=j) for j in range(x.shape[1]))
    columns = table if likelihood == "columns" else ()
    elements = {} if columns else {"variance": "per-element", "mean_link": "identity"}
    config = {"latent": (3,), "hidden": (16,), "activation": "relu", "likelihood": likelihood} | elements | options
    torch.manual_seed(0)
    model = build(ModelConfig.model_validate(config), (x.shape[1],), columns)
    initialize(model, Examples(x))
    return model


def log_px(x: Tensor, latent: int) -> Tensor:
    """Under factor analysis, in the units of x."""
    found = factors(standardized(x), latent)
    density = MultivariateNormal(torch.zeros(x.shape[1], dtype=torch.float64), _covariance(found))
    return (
        torch.as_tensor(density.log_prob(standardized(x).double())) - (x - x.mean(0)).square().mean(0).log().sum() / 2
    )


def _covariance(found: Any) -> Tensor:
    return torch.as_tensor(found.weight @ found.weight.T + found.variance.diag())


def test_factors_are_those_of_maximum_likelihood() -> None:
    x = standardized(rows())
    best = FactorAnalysis(3, tol=1e-2, max_iter=10_000).fit(x.double().numpy()).score(x.double().numpy())
    density = MultivariateNormal(torch.zeros(6, dtype=torch.float64), _covariance(factors(x, 3)))
    assert density.log_prob(x.double()).mean().item() == pytest.approx(best, abs=0.01)


def test_factors_are_found_beside_gaps() -> None:
    """The covariance is close to that of the whole rows; from what is there, zeros in the gaps, it would be half."""
    whole, found = (_covariance(factors(standardized(rows(2000, gaps=share)), 3)) for share in (0.0, 0.3))
    assert (whole - found).abs().max() < 0.1


@pytest.mark.parametrize("hidden", [(), (6,), (16, 12)])
@pytest.mark.parametrize("posterior", mostly_slow(["full", "diagonal"]))
@pytest.mark.parametrize("scale", ["log-variance", "softplus"])
@pytest.mark.parametrize("likelihood", ["columns", "gaussian"])
def test_its_bound_is_that_of_factor_analysis(
    likelihood: str, hidden: tuple[int, ...], posterior: str, scale: str
) -> None:
    x = rows()
    model = begun(x, likelihood, hidden=hidden, posterior=posterior, posterior_scale=scale)
    bound = ELBO()(model.trace(x, 200)).bound.mean().item()
    assert bound == pytest.approx(log_px(x, 3).mean().item(), abs=0.05)


@pytest.mark.parametrize("options", [{"hidden": (5,)}, {"activation": "tanh"}, {"posterior": "point"}])
def test_elsewhere_it_begins_at_the_mean(options: dict[str, Any]) -> None:
    x = rows()
    decoded = begun(x, **options).decode(torch.randn(50, 3)).mean
    assert ((decoded - x.mean(0)).abs() < 0.5 * x.std(0)).all()


def test_points_with_as_many_latent_dimensions_begin_at_the_mean() -> None:
    """Curves and clusters are not near a line."""
    x = rows()[:, :3]
    decoded = begun(x, "gaussian").decode(torch.randn(50, 3)).mean
    assert ((decoded - x.mean(0)).abs() < 0.5 * x.std(0)).all()


def test_more_latent_dimensions_than_columns() -> None:
    x = rows()[:, :3]
    bound = ELBO()(begun(x, latent=(5,)).trace(x, 200)).bound.mean().item()
    assert bound > log_px(x, 2).mean().item() - 0.5


def test_training_goes_on_from_there() -> None:
    """Gradients reach the units that are not heard at first."""
    x = rows()
    model = begun(x)
    ELBO()(model.trace(x)).loss.mean().backward()
    last = [layer for layer in model.decoder.modules() if isinstance(layer, torch.nn.Linear)][-1]
    assert last.weight.grad is not None
    assert last.weight.grad.isfinite().all()
    assert (last.weight.grad[:, 6:] != 0).any()


def test_many_rows_and_factors_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(500, 40, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(initialization, "OPERATIONS", 1e9)
    for gaps in (False, True):
        x[0, 0] = torch.nan if gaps else 0.0
        with FlopCounterMode(display=False) as counter:
            factors(x, 20)
        assert counter.get_total_flops() < 1.5e9


def test_rows_with_missing_values_need_not_be_in_memory_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x = standardized(rows(gaps=0.2))
    at_once = factors(x, 3)
    monkeypatch.setattr(initialization, "NUMBERS", 900)
    for found, expected in zip(factors(x, 3), at_once, strict=True):
        torch.testing.assert_close(found, expected)
