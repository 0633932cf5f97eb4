"""How surprising the values of a row are, given its other values."""

import math
import re
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

import aevb
from aevb import VAEOutlierDetector, VariationalAutoencoder
from aevb.columns import Column
from aevb.config.build import build
from aevb.config.schema import ModelConfig
from aevb.data import Examples
from aevb.errors import BadInput
from aevb.evaluation.explanation import surprise, texts
from aevb.models.distributions import IndependentColumns
from aevb.models.vae import VAE

COLUMNS = [Column(name=name, kind="real", position=place) for place, name in enumerate("abc")]


@pytest.fixture
def model() -> VAE:
    """A linear model, whose rows are normal."""
    torch.manual_seed(0)
    return build(
        ModelConfig.model_validate({"latent": (1,), "hidden": (), "activation": "relu", "likelihood": "columns"}),
        (3,),
        COLUMNS,
    ).double()


@torch.no_grad()
def test_of_a_linear_model_it_is_that_of_the_normal(model: VAE) -> None:
    """The conditionals of a normal are normal; the median of log p of one is that of a χ² with one degree."""
    zero, one = (model.decode(torch.full((1, 1), value, dtype=torch.float64)) for value in (0.0, 1.0))
    assert isinstance(zero, IndependentColumns)
    weight, mean = (one.mean - zero.mean)[0], zero.mean[0]
    precision = torch.linalg.inv(torch.outer(weight, weight) + zero.families[0].variance[0].diag())
    x = mean + torch.tensor([[0.0, 0.0, 0.0], [5.0, 0.0, 0.0], [0.0, -3.0, 1.0]], dtype=torch.float64)
    squares = ((x - mean) @ precision).square() / precision.diagonal()  # of x_j given the others, standardized
    expected = 0.5 * (squares - 0.4549)
    assert surprise(model, Examples(x)).numpy() == pytest.approx(expected.numpy(), abs=0.25)


def test_a_missing_value_is_not_explained(model: VAE) -> None:
    x = torch.tensor([[9.0, math.nan, 0.0]], dtype=torch.float64)
    found = surprise(model, Examples(x))
    assert found.isnan().tolist() == [[False, True, False]]
    assert texts(found, COLUMNS)[0].startswith("a (+")
    assert texts(torch.tensor([[1.0, 20.0, 3.0]]), COLUMNS) == ["b (+20.0), c (+3.0)"]
    assert texts(torch.tensor([[1.0, math.nan, 2.9]]), COLUMNS) == [""]


def test_an_infinite_surprise_is_written_as_such() -> None:
    assert texts(torch.tensor([[4.0, math.inf, math.nan]]), COLUMNS) == ["b (+inf), a (+4.0)"]


@pytest.fixture(scope="module")
def rows() -> pandas.DataFrame:
    """Two columns with nearly the same value, an independent one and a constant one."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=400)
    columns = {"first": shared, "other": rng.normal(size=400), "constant": 1.0}
    return pandas.DataFrame(columns | {"second": shared + 0.05 * rng.normal(size=400)})


@pytest.fixture(scope="module")
def unusual(rows: pandas.DataFrame) -> pandas.DataFrame:
    """Three rows, the second of which contradicts itself."""
    changed = rows.head(3).copy()
    changed.loc[1, ["first", "second"]] = [1.5, -1.5]
    return changed


def test_a_row_is_explained_by_columns_that_contradict_each_other(
    rows: pandas.DataFrame, unusual: pandas.DataFrame, tmp_path: Path
) -> None:
    run = aevb.train(
        rows, test=80, latent=2, hidden=(16,), epochs=30, report=False, n_importance_samples=2, out=tmp_path / "run"
    )
    found = pandas.DataFrame(run.explain(unusual))
    assert set(found) == {"first", "other", "second"}
    assert found.loc[1, ["first", "second"]].min() > 20
    assert found.drop(index=1).max().max() < 6 > found.loc[1, "other"]
    scored = run.score(unusual, explain=True, false_alarm_rate=0.02).table()
    assert scored["anomaly"] == [False, True, False]
    (explained,) = [text for text in scored["explanation"] if text]
    assert sorted(re.findall(r"\w+ ", str(explained))) == ["first ", "second "]


def test_a_detector_explains(rows: pandas.DataFrame, unusual: pandas.DataFrame) -> None:
    """In the columns of X."""
    model = VariationalAutoencoder(n_components=2, hidden=(16,), epochs=30, random_state=0)
    found = VAEOutlierDetector(model).fit(rows.to_numpy()).explain(unusual.to_numpy())
    assert found.shape == (3, 4)
    assert set(found[1].argsort()[-2:]) == {0, 3}
    assert (found[:, 2] == 0).all()


def test_images_have_no_columns(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((60, 4, 4))
    run = aevb.train(images, test=20, hidden=(4,), epochs=1, report=False, n_importance_samples=2, out=tmp_path / "run")
    with pytest.raises(BadInput, match="table"):
        run.score(images, explain=True)
