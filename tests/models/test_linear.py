"""Training against optima that are known in closed form."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from aevb.cli import app as cli
from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import ModelConfig, TrainConfig
from aevb.data import Examples
from aevb.errors import BadInput
from aevb.models.linear import linear_optimum, linear_vae
from aevb.models.objectives import ELBO
from aevb.training.fit import fit
from tests.conftest import some


def rows(count: int = 2000, seed: int = 0) -> torch.Tensor:
    """Two directions of much variance among five columns."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 2)) @ rng.normal(size=(2, 5)) + 0.5 * rng.normal(size=(count, 5)) + 3
    return torch.from_numpy(x).float()


@pytest.mark.parametrize("latent", [1, 2, 4])
def test_optimum_is_that_of_probabilistic_pca(latent: int) -> None:
    """scikit-learn's PCA scores by the same model, with an unbiased covariance: the optimum is better by a hair."""
    x = rows(50_000)
    expected = PCA(latent).fit(x.numpy()).score(x.numpy())
    assert linear_optimum(x, latent) == pytest.approx(expected, abs=1e-4)


def test_optimum_needs_fewer_dimensions_than_columns() -> None:
    with pytest.raises(BadInput, match="5 columns leave no variance beside 5 latent dimensions"):
        linear_optimum(rows(), 5)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_optimum_needs_variance_beside_the_latent_dimensions_beyond_rounding(unit: float) -> None:
    """Columns of rank two have no density beside two dimensions, in any units."""
    x = rows()
    flat = x[:, :2] @ torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    for latent in (2, 3, 4):
        with pytest.raises(BadInput, match=f"5 columns leave no variance beside {latent} latent dimensions"):
            linear_optimum(unit * flat, latent)
    assert linear_optimum(unit * x, 2) == pytest.approx(linear_optimum(x, 2) - 5 * math.log(unit), abs=1e-3)


@pytest.mark.slow
def test_the_command_reaches_the_optimum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Within 1e-3 nats of probabilistic PCA on the examples it was trained on, by the ordinary command."""
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", rows(2860).numpy())
    model = "--model.hidden none --model.latent 2 --model.variance learned"
    train = f"train rows.npy {model} --train.lr 1e-2 --train.lr-decay 0.7 --train.epochs 600 --train.keep last"
    evaluate = "evaluate run --split train --n-importance-samples 50 --json"
    for command in (f"{train} --train.batch-size 200 --n-importance-samples 2 --out run", evaluate):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main(command.split())
        assert not stop.value.code
    scores = {score["name"]: score["value"] for score in json.loads(capsys.readouterr().out)["scores"]}
    from aevb.data import load_data

    optimum = linear_optimum(load_data("rows.npy").train.values, 2)
    assert scores["log_px"] == pytest.approx(optimum, abs=1e-3)


@pytest.mark.slow
def test_linear_vae_reaches_the_optimum_in_python() -> None:
    x = rows()
    torch.manual_seed(0)
    model = linear_vae(5, 2)
    model.initialize(x)
    fit(model, ELBO(), Examples(x), config=TrainConfig(epochs=600, batch_size=200, lr=1e-2, lr_decay=0.7))
    with torch.no_grad():
        trace = model.trace(x, 50)
    log_px = (trace.log_weight.logsumexp(0) - math.log(50)).mean().item()
    assert log_px == pytest.approx(linear_optimum(x, 2), abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("posterior", ["diagonal", "full"])
def test_a_full_posterior_closes_the_gap_that_a_diagonal_one_leaves(posterior: str) -> None:
    """The true posterior of x = W z + √c ε has precision Λ = I + WᵀW/c, here with correlation. The best diagonal one
    has the precisions Λ_jj, and its gap is ½ [Σ log Λ_jj - log det Λ]; the full one has none."""
    variance, weight = 0.25, torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 0.5]])
    precision = torch.eye(2) + weight.T @ weight / variance
    options = ModelConfig.model_validate({"hidden": [], "latent": 2, "posterior": posterior, "variance": variance})
    torch.manual_seed(0)
    model = build(resolve(options, some("real", (3,))), (3,))
    for parameter, value in zip(model.decoder.parameters(), (weight, torch.zeros(3)), strict=True):
        parameter.data.copy_(value)
        parameter.requires_grad_(False)
    rng = np.random.default_rng(0)
    z, noise = rng.normal(size=(2000, 2)), rng.normal(size=(2000, 3))
    x = torch.from_numpy(z @ weight.numpy().T + math.sqrt(variance) * noise).float()
    fit(model, ELBO(), Examples(x), config=TrainConfig(epochs=300, batch_size=200, lr=1e-2, lr_decay=0.7))
    with torch.no_grad():
        q = model.encode(x)
        covariance = torch.linalg.inv(precision)
        true = torch.distributions.MultivariateNormal(x @ weight @ covariance / variance, covariance)
        scale_tril = getattr(q, "scale_tril", q.stddev.diag_embed())
        learned = torch.distributions.MultivariateNormal(q.mean, scale_tril=scale_tril)
        gap = torch.distributions.kl_divergence(learned, true).mean().item()
    left = 0.5 * (precision.diagonal().log().sum() - precision.logdet()).item()
    assert left > 0.05
    assert gap == pytest.approx(left if posterior == "diagonal" else 0.0, abs=1e-3)
