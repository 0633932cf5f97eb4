"""The description of a run: what it refuses, what it fills in, and what it builds."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from aevb.config import Config, ModelConfig, ObjectiveConfig, build, build_objective, resolve
from aevb.errors import BadInput
from aevb.likelihoods import Bernoulli, Gaussian
from aevb.objectives import ELBO, MonteCarloELBO


@pytest.mark.parametrize(
    ("kind", "likelihood", "mean", "variance"),
    [
        ("binary", "bernoulli", None, None),
        ("unit", "gaussian", "sigmoid", "learned"),
        ("real", "gaussian", "identity", "learned"),
    ],
)
def test_the_kind_of_data_fills_in_the_likelihood(kind: Any, likelihood: str, mean: str, variance: str) -> None:
    chosen = resolve(ModelConfig(), kind)
    assert (chosen.likelihood, chosen.mean, chosen.variance) == (likelihood, mean, variance)
    assert (chosen.hidden, chosen.channels) == ((500,), None)


def test_resolving_twice_changes_nothing() -> None:
    for options in ({}, {"network": "conv"}, {"likelihood": "gaussian", "variance": 0.1}):
        once = resolve(ModelConfig.model_validate(options), "binary")
        assert resolve(once, "binary") == once


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"likelihood": "bernoulli"}, "unit", "grey values.*--data.binarize threshold, resampled or treat-as-prob"),
        ({"likelihood": "bernoulli"}, "real", r"outside \[0, 1\].*--model.likelihood gaussian"),
        ({"variance": 0.1}, "binary", "--model.variance 0.1 belongs to the gaussian likelihood"),
        ({"mean": "sigmoid"}, "binary", "--model.mean sigmoid belongs to the gaussian likelihood"),
        ({"channels": [4]}, "unit", "--model.channels .* belongs to the conv network"),
        ({"network": "conv", "hidden": [4]}, "unit", "--model.hidden .* belongs to the mlp network"),
    ],
)
def test_what_does_not_fit_is_refused(options: Any, kind: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        resolve(ModelConfig.model_validate(options), kind, "cells.npy")


@pytest.mark.parametrize(
    "content",
    [
        {"model": {"latent": 0}}, {"model": {"latent": 1.5}}, {"model": {"hidden": [0]}}, {"model": {"hidden": "a,b"}},
        {"model": {"variance": 0}}, {"model": {"variance": "learnt"}}, {"model": {"channels": []}}, {"seed": -1},
        {"train": {"lr": float("nan")}}, {"train": {"lr": float("inf")}}, {"train": {"epochs": 0}}, {"trian": {}},
        {"train": {"batch_size": True, "lr": "x"}}, {"data": {"binarize": "maybe"}}, {"model": {"hidden": {"a": 1}}},
    ],
)  # fmt: skip
def test_values_out_of_range_are_refused(content: Any) -> None:
    with pytest.raises(ValidationError):
        Config.model_validate(content)


@pytest.mark.parametrize("hidden", [(300, 100, 10), [300, 100, 10], "300,100,10", ["300", "100,10"]])
def test_widths_can_be_written_with_commas(hidden: Any) -> None:
    assert ModelConfig(hidden=hidden).hidden == (300, 100, 10)


def test_a_configuration_survives_json() -> None:
    config = Config.model_validate({"model": {"hidden": [3, 2], "variance": "learned"}, "train": {"clip_norm": 1}})
    assert Config.model_validate(json.loads(json.dumps(config.model_dump(mode="json")))) == config


def test_build_gives_the_pieces() -> None:
    gaussian = build(resolve(ModelConfig(variance=0.05), "unit"), (1, 8, 8))
    learned = build(resolve(ModelConfig(), "real"), (4,))
    bernoulli = build(resolve(ModelConfig(network="conv"), "binary"), (1, 8, 8))
    assert isinstance(gaussian.likelihood, Gaussian)
    assert gaussian.likelihood.variance == pytest.approx(0.05)
    assert gaussian.likelihood.mean == "sigmoid"
    assert "likelihood.log_scale" in dict(learned.named_parameters())
    assert isinstance(bernoulli.likelihood, Bernoulli)


def test_build_objective() -> None:
    assert build_objective(ObjectiveConfig(samples=3)) == ELBO(3)
    assert build_objective(ObjectiveConfig(kind="elbo-mc")) == MonteCarloELBO(1)
