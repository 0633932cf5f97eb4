"""A few wrong values decide nothing: not what is learned, nor which weights are kept. The diagnosis names them."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy import integrate

from aevb import VariationalAutoencoder, load_data
from aevb.config.initialize import factors, robust_factors
from aevb.config.schema import Config
from aevb.data.dataset import Dataset
from aevb.evaluation.diagnosis.outliers import outliers
from aevb.evaluation.importance_sampling import per_example
from aevb.models.distributions import LogNormal, Normal, RobustLogNormal, RobustNormal
from aevb.models.networks import Standardize
from aevb.training.validation import robust_mean
from aevb.workflow.fitting import fit_run
from tests.conftest import mostly_slow

ROWS = 3000
WRONG = {11: (0, 58.9), 222: (2, -31.8), 1333: (0, 1e6)}
"""Values that are wrong, by row: column and value."""


def rows(*, wrong: bool) -> NDArray[np.float64]:
    """Three columns, two of which nearly follow from each other."""
    rng = np.random.default_rng(0)
    y = 5.7 + 1.1 * rng.normal(size=ROWS)
    x = np.stack([y, 0.6 * y + 0.05 * rng.normal(size=ROWS), rng.normal(size=ROWS)], 1)
    if wrong:
        for row, (column, value) in WRONG.items():
            x[row, column] = value
    return x


def test_a_robust_normal_is_normal_up_to_five_standard_deviations_and_integrates_to_one() -> None:
    loc, log_scale = torch.tensor([0.7], dtype=torch.float64), torch.tensor([-0.4], dtype=torch.float64)
    robust, normal = RobustNormal(loc, log_scale), Normal(loc, log_scale)
    x = (loc + log_scale.exp() * torch.linspace(-5, 5, 201, dtype=torch.float64)).unsqueeze(1)
    torch.testing.assert_close(robust.log_prob(x), normal.log_prob(x), atol=5e-8, rtol=0)
    assert not torch.equal(robust.log_prob(x), normal.log_prob(x))

    def density(value: float) -> float:
        return robust.log_prob(torch.tensor([value], dtype=torch.float64)).exp().item()

    edges = [float(loc + log_scale.exp() * r) for r in (-400, -30, -5, 0, 5, 30, 400)]
    total = sum(integrate.quad(density, *pair, epsabs=1e-14)[0] for pair in pairwise(edges))
    assert total == pytest.approx(1, abs=1e-10)


def test_the_influence_of_an_outlier_is_bounded() -> None:
    log_scale = torch.zeros(1, requires_grad=True)
    for r in (5.0, 50.0, 1e6):
        loc = torch.zeros(1, requires_grad=True)
        on_loc, on_scale = torch.autograd.grad(
            RobustNormal(loc, log_scale).log_prob(torch.tensor([r])), [loc, log_scale]
        )
        assert on_loc.item() == pytest.approx(25 / r, rel=1e-4)
        assert on_scale.item() == pytest.approx(24, rel=1e-4)


def test_a_robust_log_normal_is_that_of_the_logarithm() -> None:
    loc, log_scale, x = torch.randn(3), torch.randn(3), torch.rand(10, 3) + 0.1
    inner = LogNormal(loc, log_scale).log_prob(x) - Normal(loc, log_scale).log_prob(x.log())
    torch.testing.assert_close(
        RobustLogNormal(loc, log_scale).log_prob(x), inner + RobustNormal(loc, log_scale).log_prob(x.log())
    )


def test_units_are_those_of_the_usual_values() -> None:
    x, spoiled = (torch.from_numpy(rows(wrong=wrong)) for wrong in (False, True))
    layers = [Standardize((3,)), Standardize((3,))]
    for layer, values in zip(layers, (x, spoiled), strict=True):
        layer.initialize(values)
    torch.testing.assert_close(layers[1].spread, layers[0].spread, rtol=0.1, atol=0)
    torch.testing.assert_close(layers[1].shift, layers[0].shift, rtol=0, atol=0.02)
    torch.testing.assert_close(layers[0].spread, x.std(0, correction=0).float())


def test_rare_levels_far_from_the_usual_one_are_no_outliers() -> None:
    """A fiftieth of the values at 1,000, the others near 0: their standard deviation is that of all."""
    x = torch.randn(1000, 1)
    x[::50] = 1000
    layer = Standardize((1,))
    layer.initialize(x)
    assert layer.spread.item() == pytest.approx(x.std(correction=0).item(), rel=1e-5)


def test_sparse_columns_keep_their_units() -> None:
    """Eight of 1,000 values differ from all others: the median distance is 0, and they are no outliers."""
    x = torch.zeros(1000, 2)
    x[:, 0], x[:8, 1] = torch.randn(1000), 1e6 * torch.randn(8)
    layer = Standardize((2,))
    layer.initialize(x)
    torch.testing.assert_close(layer.spread, x.std(0, correction=0))
    mostly_missing = torch.full((1000, 1), torch.nan)
    mostly_missing[:100, 0] = torch.randn(100)
    mostly_missing[:10, 0] = 1e3  # a tenth of the values
    layer = Standardize((1,))
    layer.initialize(mostly_missing)
    assert layer.spread.item() > 100


def test_a_table_without_numbers_has_no_outliers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{'uvw'[row % 3]},{'xy'[row % 2]}\n" for row in range(60)))
    run, dataset = run_of(str(tmp_path / "t.csv"), tmp_path / "run", {})
    assert outliers(run.model, dataset) == []


def test_factor_analysis_leaves_outliers_out() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(800, 1))
    x = torch.from_numpy(z @ np.array([[0.9, 0.8, 0.7]]) + np.array([0.3, 0.5, 0.6]) * rng.normal(size=(800, 3)))
    spoiled = x.clone()
    spoiled[:5, 0] = 9.0
    expected, found = factors(x[5:], 1), robust_factors(spoiled, 1)
    torch.testing.assert_close(found.variance, expected.variance)
    assert factors(spoiled, 1).variance[0] > 2 * expected.variance[0]
    torch.testing.assert_close(robust_factors(x, 1).variance, factors(x, 1).variance)


def test_the_robust_mean_is_the_mean_unless_few_examples_are_far_below() -> None:
    values = -torch.from_numpy(np.random.default_rng(0).gamma(2.0, 3.0, 1000))
    assert robust_mean(values) == pytest.approx(values.mean().item(), rel=1e-12)
    spoiled = values.clone()
    spoiled[:3] = -1e9
    assert robust_mean(spoiled) == pytest.approx(values.mean().item(), abs=0.5)
    spoiled[:50] = -1e9
    assert robust_mean(spoiled) == pytest.approx(spoiled.mean().item(), rel=1e-12)


def run_of(source: Any, folder: Path, options: dict[str, Any]) -> tuple[Any, Dataset]:
    dataset = load_data(source, **options)
    config = Config.model_validate(
        {"model": {"latent": [2], "hidden": [50]}, "train": {"epochs": 10, "batch_size": 50, "lr": 0.005}}
    )
    return fit_run(config, folder, dataset), dataset


@pytest.mark.parametrize("kind", mostly_slow(["table", "array"]))
def test_a_few_wrong_values_change_nothing_else(kind: str, tmp_path: Path) -> None:
    """Their effect is below 0.05 nats on the usual rows, and the diagnosis names each of them."""
    usual, means, correlations = np.delete(rows(wrong=False), list(WRONG), 0), [], []
    for wrong in (False, True):
        x = rows(wrong=wrong)
        source, options = tmp_path / f"{wrong}.{'csv' if kind == 'table' else 'npy'}", dict[str, Any]()
        if kind == "table":
            np.savetxt(source, x, delimiter=",", header="a,b,c", comments="", fmt="%.17g")
            options = {"column_types": dict.fromkeys("abc", "real")}
        else:
            np.save(source, x)
        run, dataset = run_of(str(source), tmp_path / f"run-{wrong}", options)
        examples = run.read_examples(pd.DataFrame(usual, columns=list("abc")) if kind == "table" else usual)
        means.append(per_example(run.model, examples, 100).log_px.mean().item())
        with torch.random.fork_rng():
            torch.manual_seed(0)
            samples = run.model.sample(5000, draw=True).double().numpy()
        correlations.append(np.corrcoef(samples.T)[0, 1])
        known = {*np.concatenate([dataset.rows[0], dataset.rows[1]]).tolist()} if dataset.rows else set()
        expected = {(row, WRONG[row][1]) for row in WRONG if row in known} if wrong else set()
        assert {(found.row, round(found.value, 3)) for found in outliers(run.model, dataset)} == expected
    assert abs(means[0] - means[1]) < 0.05
    assert abs(correlations[0] - correlations[1]) < 0.01


@pytest.mark.slow
def test_an_estimator_learns_the_same_with_a_few_wrong_values() -> None:
    usual = np.delete(rows(wrong=False), list(WRONG), 0)
    models = [VariationalAutoencoder(2, epochs=4, random_state=0).fit(rows(wrong=wrong)) for wrong in (False, True)]
    first, second = (float(np.median(model.score_samples(usual))) for model in models)
    assert math.isclose(first, second, abs_tol=0.05)
