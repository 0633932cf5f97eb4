"""What is learned does not depend on the units of the data: x or a x + b, for a from 1e-12 to 1e12 and b likewise.

Moments of samples are compared within six standard errors: false alarm below 1e-7 for each.
"""

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas
import pytest
import torch
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from aevb import VariationalAutoencoder, load_data
from aevb.config.schema import Config
from aevb.data import Examples
from aevb.errors import BadInput
from aevb.evaluation.quadrature import quadrature
from aevb.models.vae import VAE
from aevb.runs.run_folder import RunFolder
from aevb.workflow.fitting import fit_run
from tests.conftest import mostly_slow

Array = NDArray[np.float64]
CONFIG = {"model": {"hidden": [8], "latent": 1}, "train": {"epochs": 5, "batch_size": 20}}
RESOLUTION = 1e-10
"""Numbers with a smaller ratio of standard deviation to mean are themselves too coarse in float64."""
SIZES = st.floats(-12, 12)
COUNT = 4000


class Fitted(NamedTuple):
    """What a model says.

    Attributes:
        log_px: exact log p(x) of some rows, in nats.
        distinct: the number of distinct rows that the model sees.
        samples: rows sampled from p(x).
    """

    log_px: Array
    distinct: int
    samples: Array


def rows() -> Array:
    rng = np.random.default_rng(0)
    return np.asarray(rng.normal(size=(100, 2)) @ [[1, 0.8], [0, 0.6]])


def said(model: VAE, examples: Examples, samples: Array) -> Fitted:
    return Fitted(quadrature(model, examples).numpy(), len(examples.values.unique(dim=0)), samples)


def by_estimator(x: Array, folder: Path) -> Fitted:
    model = VariationalAutoencoder(1, hidden=(8,), epochs=5, batch_size=20, random_state=0).fit(x)
    model.save_pretrained(folder)
    opened = VariationalAutoencoder.from_pretrained(folder)
    return said(opened.model_, opened._examples(x), np.asarray(opened.sample(COUNT)))


def by_run(source: object, folder: Path, options: dict[str, Any]) -> Fitted:
    data = {"source": source if isinstance(source, str) else "(in memory)"} | options
    run = fit_run(Config.model_validate(CONFIG | {"data": data}), folder, load_data(source, **options))
    opened = RunFolder.load(run.folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        samples = opened.model.sample(COUNT, draw=True).double().numpy()
    return said(opened.model, opened.read_examples(source), samples)


def by_array(x: Array, folder: Path) -> Fitted:
    np.save(folder.with_suffix(".npy"), x)
    return by_run(str(folder.with_suffix(".npy")), folder, {})


def by_array_on_disk(x: Array, folder: Path) -> Fitted:
    np.save(folder.with_suffix(".npy"), x)
    return by_run(str(folder.with_suffix(".npy")), folder, {"in_memory": "off"})


def by_table(x: Array, folder: Path) -> Fitted:
    lines = ["a,b", *(f"{a!r},{b!r}" for a, b in x.tolist())]
    folder.with_suffix(".csv").write_text("\n".join(lines) + "\n")
    return by_run(str(folder.with_suffix(".csv")), folder, {"column_types": {"a": "real", "b": "real"}})


WAYS: dict[str, Callable[[Array, Path], Fitted]] = {
    "estimator": by_estimator,
    "array": by_array,
    "array on disk": by_array_on_disk,
    "table": by_table,
}


@pytest.mark.parametrize("factor", [1 / 25.4, 1000.0])
def test_the_units_of_numbers_with_bounds_or_zeros_do_not_matter(factor: float, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rain = np.where(rng.random(200) < 0.5, 0.0, rng.gamma(0.6, 8.0, 200))
    x = np.stack([rain, rng.beta(2, 1, 200) + 0.01 * rain], 1)
    options = {"column_types": {"x0": "nonnegative", "x1": "bounded"}}
    found = []
    for scale in (1.0, factor):
        frame = pandas.DataFrame(scale * x, columns=["x0", "x1"])
        frame.to_parquet(tmp_path / f"{scale}.parquet")
        found.append(by_run(str(tmp_path / f"{scale}.parquet"), tmp_path / str(scale), options))
    np.testing.assert_allclose(found[1].log_px + 2 * math.log(factor), found[0].log_px, atol=1e-3)
    assert (found[1].samples >= 0).all()
    assert (found[1].samples[:, 1] == 0).mean() > 0.2


def test_values_that_vary_too_little_for_float32_are_refused() -> None:
    with pytest.raises(BadInput, match="multiply them by a constant"):
        load_data(1e-50 * rows())


def test_the_condition_alone_may_need_float64(tmp_path: Path) -> None:
    """Batches from disk have the types of the examples in memory."""
    frame = pandas.DataFrame({"time": 1.7e9 + np.arange(200.0) * 1.01, "x": rows().repeat(2, 0)[:, 0]})
    frame.to_parquet(tmp_path / "t.parquet")
    types: Any = {"time": "real", "x": "real"}
    dataset = load_data(tmp_path / "t.parquet", column_types=types, condition=["time"], in_memory="off")
    batch = dataset.train_source.shuffled(torch.Generator().manual_seed(0)).batch(slice(0, 5))
    assert batch.condition is not None
    assert dataset.train.condition is not None
    assert (batch.x.dtype, batch.condition.dtype) == (torch.float32, torch.float64)
    assert (dataset.train.values.dtype, dataset.train.condition.dtype) == (torch.float32, torch.float64)


def test_ordinary_numbers_stay_float32_in_an_estimator() -> None:
    model = VariationalAutoencoder(1, hidden=(4,)).partial_fit(rows())
    for _ in range(2):
        assert model._examples(rows()).values.dtype == torch.float32
        model.partial_fit(rows())
    model = VariationalAutoencoder(1, hidden=(4,)).partial_fit(rows() + 1e9)
    assert model.partial_fit(rows() + 1e9)._examples(rows() + 1e9).values.dtype == torch.float64


@cache
def usual(way: str, folder: Path) -> Fitted:
    """What a model says of the rows in their own units, of a trial that is close to them."""
    return WAYS[way](rows(), folder)


@pytest.mark.parametrize("way", mostly_slow(WAYS, 2))
def test_each_column_has_a_unit_of_its_own(way: str, tmp_path: Path) -> None:
    """A column in other units: the same model, and log-densities that differ by the logarithm of the factor."""
    expected = usual(way, tmp_path / "usual")
    found = WAYS[way](rows() * [1, 1e4] + [-3, 2e5], tmp_path / "run")
    np.testing.assert_allclose(found.log_px + math.log(1e4), expected.log_px, atol=1e-3)


@pytest.mark.parametrize("way", mostly_slow(WAYS, 2))
@pytest.mark.parametrize("count", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_units_do_not_matter(way: str, count: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    expected = usual(way, tmp_path_factory.mktemp("usual") / "run")

    @settings(max_examples=count, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(scale=SIZES, size=SIZES, sign=st.sampled_from([-1, 0, 1]))
    @example(scale=0.0, size=12.0, sign=1)
    @example(scale=-12.0, size=-2.0, sign=-1)
    @example(scale=12.0, size=0.0, sign=0)
    def check(scale: float, size: float, sign: int) -> None:
        a, b = 10.0**scale, sign * 10.0**size
        assume(a >= RESOLUTION * abs(b))
        x = a * rows() + b
        found = WAYS[way](x, tmp_path_factory.mktemp("units") / "run")
        np.testing.assert_allclose(found.log_px + 2 * math.log(a), expected.log_px, atol=1e-3)
        assert found.distinct == len(np.unique(x, axis=0))
        samples = (found.samples - b) / a
        for moment, error in ((np.mean, 1 / math.sqrt(COUNT)), (np.std, 1 / math.sqrt(2 * COUNT))):
            between = np.abs(moment(samples, axis=0) - moment(expected.samples, axis=0)) / rows().std(0)
            assert (between < 6 * math.sqrt(2) * error).all(), moment

    check()
