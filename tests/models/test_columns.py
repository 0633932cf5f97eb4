"""The likelihood of the rows of a table (`aevb.models.likelihoods.table`)."""

import math
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

from aevb.columns import Column
from aevb.config.resolve import resolve
from aevb.config.schema import Config, ModelConfig
from aevb.data import Dataset, load_data
from aevb.evaluation.likelihood import best_log_px
from aevb.models.likelihoods import MIN_STDDEV
from aevb.models.likelihoods.gaussian import Gaussian
from aevb.models.likelihoods.table import ENOUGH, Columns
from aevb.workflow.fitting import fit_run

COLUMNS = [Column(name="real", kind="real", position=0), Column(name="positive", kind="positive", position=1)]


def test_the_scale_of_a_number_is_a_function_of_the_output() -> None:
    likelihood = Columns((2,), COLUMNS, scale="network")
    x = torch.randn(500, 2).exp()
    start = likelihood.initialize(x)
    assert start.tolist() == [0.0] * 4
    outputs = torch.tensor([[0.0, 0.0], [1.0, -2.0], [50.0, -50.0]])
    families = likelihood(torch.cat([torch.zeros(3, 2), outputs], 1)).families
    stddevs = torch.cat([families[0].stddev, families[1].log.stddev], 1)
    scales = (3 * (outputs / 3).tanh()).exp().double()
    expected = (scales.square() + MIN_STDDEV**2).sqrt()
    torch.testing.assert_close((stddevs / likelihood.units.spread).double(), expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize("scale", ["constant", "network"])
def test_the_variance_of_a_number_is_at_least_the_chosen_one(scale: str) -> None:
    """σ² + ε² in units of the column, of numbers and logarithms, and the same of vectors."""
    likelihood = Columns((2,), COLUMNS, scale=scale, min_stddev=0.5)
    x = torch.tensor([3.0, 5.0]) * torch.randn(1000, 2).exp()
    vectors = Gaussian((2,), "per-element", min_stddev=0.5)
    output, of_vectors = likelihood.initialize(x), vectors.initialize(x)
    assert vectors.units
    for log_scale in (-50.0, math.log(0.2), 2.0):
        likelihood.log_scale.data.fill_(log_scale)
        vectors.log_scale.data.copy_(log_scale + vectors.units.spread.log())
        expected = math.hypot(math.exp(log_scale), 0.5)
        families = likelihood(output.unsqueeze(0)).families
        found = torch.cat([families[0].stddev, families[1].log.stddev], 1).squeeze(0) / likelihood.units.spread
        torch.testing.assert_close(found, torch.full((2,), expected).to(found), rtol=1e-5, atol=0)
        found = vectors(of_vectors).stddev / vectors.units.spread
        torch.testing.assert_close(found, torch.full((2,), expected).to(found), rtol=1e-5, atol=0)


def test_a_repeated_number_is_no_more_probable_than_those_beside_it() -> None:
    """A spike has the density of a normal with the minimum standard deviation at its mean, ε = 0.5."""
    column = Column(name="x", kind="real", position=0, spikes=(0.0,))
    x = torch.cat([torch.zeros(500, 1), 4 * torch.randn(500, 1)])
    log_px = {}
    for least in (1e-3, 0.5):
        likelihood = Columns((1,), [column], min_stddev=least)
        output = likelihood.initialize(x).unsqueeze(0)
        likelihood.log_scale.data.fill_(-50.0)
        log_px[least] = likelihood(output).log_prob(torch.zeros(1, 1)).item()
        spread = likelihood.units.spread.item()
    own = 0.5 * math.exp(-0.5 * (likelihood.units.shift.item() / spread / 0.5) ** 2)
    highest = -math.log(math.sqrt(2 * math.pi) * 0.5 * spread)
    assert log_px[0.5] == pytest.approx(highest + math.log(0.5 + own), abs=0.02)
    assert log_px[1e-3] > highest + 3


def table(n: int, tmp_path: Path) -> Dataset:
    """y has the standard deviation e^x, so that log p(x, y) = log N(x; 0, 1) + log N(y; 0, e^{2x})."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    pandas.DataFrame({"x": x, "y": np.exp(x) * rng.normal(size=n)}).to_csv(tmp_path / "rows.csv", index=False)
    return load_data(tmp_path / "rows.csv", validation=0.2, test=0.2)


@pytest.mark.parametrize(("n_train", "expected"), [(ENOUGH - 1, "constant"), (ENOUGH, "network")])
def test_few_rows_have_constant_scales(n_train: int, expected: str, tmp_path: Path) -> None:
    dataset = table(math.ceil(n_train / 0.6), tmp_path)
    assert dataset.n_train == n_train
    assert resolve(ModelConfig(), dataset).options["scale"] == expected


@pytest.mark.slow
def test_noise_that_depends_on_another_column_is_learned(tmp_path: Path) -> None:
    """The entropy of the two columns is known: log 2πe, as E x = 0."""
    dataset, log_px = table(5000, tmp_path), []
    for scale in ("constant", "network"):
        config = Config.model_validate({"model": {"latent": [2], "scale": scale}})
        model = fit_run(config, tmp_path / scale, dataset).model
        log_px.append(best_log_px(model, dataset.test.subsample(500), seed=0)[1].values.mean().item())
    assert log_px[1] > log_px[0] + 0.03
    assert log_px[1] > -math.log(2 * math.pi * math.e) - 0.15
