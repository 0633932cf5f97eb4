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
    expected = (3 * (outputs / 3).tanh()).exp().double()
    torch.testing.assert_close((stddevs / stddevs[0]).double(), expected, rtol=1e-4, atol=0)


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
