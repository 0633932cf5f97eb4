"""Yong's recipe: what its numbers are made of."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import ModelConfig
from aevb.data import load_data
from aevb.evaluation import baselines
from aevb.reproduction import race, recipe
from aevb.reproduction.quantities import Missing, Results
from aevb.reproduction.race import Race
from aevb.reproduction.verdicts import Scale, judge
from aevb.reproduction.yong import measures
from aevb.runs.run_folder import RunFolder
from tests.conftest import some

SCALES: tuple[Scale, ...] = get_args(Scale)


@dataclass
class Asked(Results):
    """Results that have nothing, and note what they are asked for."""

    trials: set[str] = field(default_factory=set)
    studies: set[str] = field(default_factory=set)

    def run(self, trial: str, seed: int | None = None) -> RunFolder:
        self.trials.add(trial)
        raise Missing

    def study(self, name: str, seed: int | None = None) -> dict[str, Any]:
        self.studies.add(name)
        raise Missing


@pytest.mark.parametrize("scale", SCALES)
def test_claims_ask_for_what_is_made(scale: Scale, tmp_path: Path) -> None:
    made, asked = recipe("yong", scale), Asked(tmp_path, range(1))
    assert all(verdict.outcome == "not judged" for verdict in judge(made.claims, asked, scale))
    assert asked.trials <= set(made.trials)
    assert asked.studies <= set(made.studies)
    assert all(pickle.loads(pickle.dumps(study)) for study in made.studies.values())
    assert all(trial.config.train.epochs for trial in made.trials.values())


def test_pca_as_an_autoencoder() -> None:
    dataset = load_data("digits")
    pca = baselines.pca(dataset, 3)
    model, x = measures.as_autoencoder(pca, dataset.shape), dataset.test.all().x
    rows = x.flatten(1).double().numpy()
    expected = pca.inverse_transform(pca.transform(rows))
    np.testing.assert_allclose(model.reconstruct(x).flatten(1), expected, atol=1e-5)
    np.testing.assert_allclose(model.latent_means(x)[-1].detach(), pca.transform(rows), atol=1e-5)


def test_samples_from_where_the_codes_are() -> None:
    """Samples of PCA have the mean and, within the subspace, the covariance of the data."""
    dataset = load_data("digits")
    pca = baselines.pca(dataset, 3)
    drawn = measures.decoded_samples(
        measures.as_autoencoder(pca, dataset.shape), dataset.train, 20_000, fitted=True
    ).flatten(1)
    codes = pca.transform(drawn.double().numpy())
    np.testing.assert_allclose(codes.mean(0), 0, atol=0.05)
    np.testing.assert_allclose(np.cov(codes.T), np.diag(pca.explained_variance_), atol=0.1)


def test_samples_from_the_prior_know_no_codes() -> None:
    dataset = some("unit", (1, 4, 4))
    model = build(resolve(ModelConfig(hidden=(5,)), dataset), dataset.shape).eval()
    before = measures.decoded_samples(model, dataset.train, 7, fitted=False)
    for parameter in model.posterior.parameters():
        parameter.data.fill_(3.0)
    assert torch.equal(measures.decoded_samples(model, dataset.train, 7, fitted=False), before)


def test_the_clock_stands_still_while_it_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def slow(*_: object) -> Tensor:
        nonlocal now
        now += 100.0
        return torch.tensor([now])

    monkeypatch.setattr(race, "quadrature", slow)
    monkeypatch.setattr("aevb.reproduction.race.time.perf_counter", lambda: now)
    dataset = some("binary", (4,))
    model = build(resolve(ModelConfig(hidden=()), dataset), dataset.shape)
    curve = race.Curve(model, dataset.test, last=8, moments=4, passes=3)
    for _ in range(8):
        now += 1.0
        curve.step()
    assert curve.columns == {
        "seconds": [0.0, 1.0, 2.0, 4.0, 8.0],
        "passes": [0, 3, 6, 12, 24],
        "log_px": [100.0, 201.0, 302.0, 404.0, 508.0],
    }


def test_when_a_curve_is_as_high() -> None:
    curve: Mapping[str, list[float]] = {"seconds": [0.0, 1.0, 5.0], "log_px": [-9.0, -4.0, -3.0]}
    assert race._reached(curve, -4.0) == 1.0
    assert race._reached(curve, -3.5) == 5.0
    assert race._reached(curve, -1.0) == float("inf")


@pytest.mark.slow
def test_a_race_begins_at_the_same_place_and_climbs() -> None:
    found = race.run(Race(100, iterations=40, epochs=40, test=20, moments=2, source="digits"), seed=1)
    em, aevb = found["em"], found["aevb"]
    assert found["examples"] == 100
    assert em["log_px"][0] == aevb["log_px"][0]
    assert em["log_px"][-1] > em["log_px"][0] + 1
    assert aevb["log_px"][-1] > aevb["log_px"][1] + 1
    assert em["passes"] == [0, 1500, 60_000]
    assert aevb["passes"] == [0, 100, 4000]
    assert found["gain"] == aevb["log_px"][-1] - em["log_px"][-1]


def test_the_original_curves() -> None:
    curves = race._original()
    for _, _, curve in race.METHODS.values():
        for panel in race.ORIGINAL.values():
            samples, nats = curves[panel, curve]
            assert samples == sorted(samples)
            assert -172 < nats[0] < nats[-1] < -137
