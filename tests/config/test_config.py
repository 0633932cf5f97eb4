"""The description of a run: what it refuses, what it fills in, and what it builds."""

import json
from dataclasses import replace
from typing import Any

import pandas
import pytest
import torch
from pydantic import ValidationError

from aevb.config.build import build, build_objective
from aevb.config.presets import replaced
from aevb.config.resolve import resolve
from aevb.config.schema import Config, ModelConfig, ObjectiveConfig, TrainConfig, command_config
from aevb.data import Dataset, load_data
from aevb.data.examples import Examples
from aevb.errors import BadInput
from aevb.models.likelihoods import Bernoulli, Gaussian
from aevb.models.objectives import ELBO, IWAE, BetaTC, DReG, MonteCarloELBO, Weight, final_from
from tests.conftest import some

pytestmark = pytest.mark.usefixtures("in_command")  # messages name options as a command does

BITS = some("binary", (1, 8, 8))


@pytest.mark.parametrize(
    ("kind", "likelihood", "mean_link", "variance"),
    [
        ("binary", "bernoulli", None, None),
        ("unit", "gaussian", "sigmoid", "learned"),
        ("counts", "negative-binomial", None, None),
        ("real", "gaussian", "identity", "learned"),
    ],
)
def test_the_kind_of_data_fills_in_the_likelihood(kind: Any, likelihood: str, mean_link: str, variance: str) -> None:
    chosen = resolve(ModelConfig(), some(kind, (1, 8, 8)))
    assert (chosen.likelihood, chosen.options.get("mean_link"), chosen.options.get("variance")) == (
        likelihood,
        mean_link,
        variance,
    )
    assert (chosen.options["hidden"], "channels" in chosen.options) == ((256, 256), False)


@pytest.mark.parametrize(
    ("shape", "layers"), [((1, 8, 8), (2,)), ((1,), (1,)), ((2,), (2,)), ((5,), (5,)), ((784,), (8,))]
)
def test_latent_dimensions_depend_on_the_shape(shape: tuple[int, ...], layers: tuple[int, ...]) -> None:
    assert resolve(ModelConfig(), some("real", shape)).layers == layers
    assert resolve(ModelConfig(latent=3), some("real", shape)).layers == (3,)
    with pytest.raises(ValueError, match="depends on the data"):
        _ = ModelConfig().layers


def test_resolving_twice_changes_nothing() -> None:
    for options in ({}, {"network": "conv"}, {"likelihood": "gaussian", "variance": 0.1}):
        once = resolve(ModelConfig.model_validate(options), BITS)
        assert resolve(once, BITS) == once


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (
            {"likelihood": "bernoulli"},
            "unit",
            "has gray values.*--data.binarize threshold.*--model.likelihood cont",
        ),
        (
            {"likelihood": "bernoulli"},
            "real",
            "has real values.*explains zeros and ones: use --model.like.* gaussian",
        ),
        ({"likelihood": "poisson"}, "real", "explains zeros and ones or counts"),
        ({"likelihood": "continuous-bernoulli"}, "counts", "explains zeros and ones or gray values"),
        ({"variance": 0.1}, "binary", "--model.variance 0.1 has no meaning for this model"),
        ({"variance": 0.1, "likelihood": "laplace"}, "real", "--model.variance 0.1 has no meaning"),
        ({"mean_link": "sigmoid"}, "binary", "--model.mean-link sigmoid has no meaning"),
        ({"classes": 3}, "binary", "--model.classes 3 has no meaning"),
        ({"classes": 2, "likelihood": "categorical"}, "counts", "--model.classes 2: .* has the value .; use at least"),
        ({"components": 3}, "binary", "--model.components 3 has no meaning"),
        ({"channels": [4]}, "unit", "--model.channels 4 has no meaning"),
        ({"network": "conv", "hidden": [4, 3]}, "unit", "--model.hidden 4 3 has no meaning"),
    ],
)
def test_what_does_not_fit_is_refused(options: Any, kind: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        resolve(ModelConfig.model_validate(options), some(kind, (3,)))


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
    assert ModelConfig(hidden=hidden).options["hidden"] == (300, 100, 10)


def test_a_configuration_survives_json() -> None:
    config = Config.model_validate({"model": {"hidden": [3, 2], "variance": "learned"}, "train": {"clip_grad_norm": 1}})
    assert Config.model_validate(json.loads(json.dumps(config.model_dump(mode="json")))) == config


@pytest.mark.parametrize("likelihood", ["categorical", "poisson", "negative-binomial"])
def test_grays_as_probabilities_are_for_bernoulli(likelihood: Any) -> None:
    gray = replace(some("unit", (3,)), kind="binary", binarize="treat-as-probabilities")
    assert resolve(ModelConfig(), gray).likelihood == "bernoulli"
    with pytest.raises(BadInput, match=f"not {likelihood}: use --data.binarize threshold or resampled"):
        resolve(ModelConfig(likelihood=likelihood), gray)


def test_build_gives_the_pieces() -> None:
    gaussian = build(resolve(ModelConfig(variance=0.05), some("unit", (1, 8, 8))), (1, 8, 8))
    learned = build(resolve(ModelConfig(), some("real", (4,))), (4,))
    bernoulli = build(resolve(ModelConfig(network="conv"), BITS), (1, 8, 8))
    assert isinstance(gaussian.likelihood, Gaussian)
    assert gaussian.likelihood.variance == pytest.approx(0.05)
    assert gaussian.likelihood.mean_link == "sigmoid"
    assert "likelihood.log_scale" in dict(learned.named_parameters())
    assert isinstance(bernoulli.likelihood, Bernoulli)


def test_options_of_pieces_are_filled_in() -> None:
    counts = some("counts", (4,))
    assert resolve(ModelConfig(likelihood="categorical"), counts).options["classes"] == counts.largest + 1 == 7
    assert resolve(ModelConfig(likelihood="categorical", classes=9), counts).options["classes"] == 9
    assert resolve(ModelConfig(prior="vamp"), counts).options["components"] == 20
    assert resolve(ModelConfig(prior="mixture", components=3), counts).options["components"] == 3


def test_a_preset_is_below_other_options() -> None:
    preset = Config(preset="density")
    assert (preset.objective.kind, preset.model.options["hidden"], preset.train.lr_decay) == ("dreg", (128, 128), 0.5)
    chosen = Config.model_validate({"preset": "density", "model": {"hidden": [8]}, "train": {"epochs": 3}})
    assert (chosen.objective, chosen.model.options["hidden"]) == (preset.objective, (8,))
    assert (chosen.train.lr_decay, chosen.train.epochs) == (0.5, 3)
    assert Config.model_validate(chosen.model_dump()) == chosen
    assert chosen.preset is None
    with pytest.raises(ValidationError, match="preset"):
        Config.model_validate({"preset": "none"})


def test_a_least_standard_deviation_is_of_elements_with_their_own_variance() -> None:
    digits = load_data("digits")
    with pytest.raises(BadInput, match=r"--model.min-stddev 0.5 has no meaning without --model.variance per-element"):
        resolve(Config(preset="anomalies").model, digits)
    resolved = resolve(ModelConfig.model_validate({"min_stddev": 0.5, "variance": "per-element"}), digits)
    assert resolved.options["min_stddev"] == 0.5


def test_options_that_a_preset_would_replace() -> None:
    """Those that were chosen, also after the configuration was written with all its options."""
    chosen = Config.model_validate({"model": {"hidden": [32]}, "objective": {"warmup": 0.0}, "train": {"epochs": 5}})
    again = Config.model_validate_json(chosen.model_dump_json())
    expected = ["model.hidden", "objective.warmup"]
    assert replaced("density", dict(chosen)) == replaced("density", dict(again)) == expected


def test_build_objective() -> None:
    assert build_objective(ObjectiveConfig(n_samples=3)) == ELBO(3)
    assert build_objective(ObjectiveConfig(kind="elbo-mc")) == MonteCarloELBO(1)
    assert build_objective(ObjectiveConfig(kind="iwae")) == IWAE(50)
    assert build_objective(ObjectiveConfig(beta=4, warmup=0.5)) == ELBO(1, Weight(4, 0.5))
    assert build_objective(ObjectiveConfig(kind="dreg", warmup=0.5)) == DReG(50, Weight(1, 0.5))
    assert build_objective(ObjectiveConfig(kind="beta-tc", beta=4)) == BetaTC(1, Weight(4))


def test_warm_up_depends_on_the_data() -> None:
    """Tables, and few images, are learned by heart while the KL has little weight."""
    table = load_data(pandas.DataFrame({"a": range(40), "b": ["x", "y"] * 20}))
    default, none = ObjectiveConfig(), ObjectiveConfig(warmup=0)
    assert build_objective(default, data=BITS) == ELBO(1, Weight(1.0, 0.2 * (BITS.n_train / 10_000)))
    assert build_objective(default, data=table) == build_objective(none, data=BITS) == ELBO(1)
    assert build_objective(ObjectiveConfig(warmup=0.5), data=table) == ELBO(1, Weight(1.0, 0.5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "iwae", "free_bits": 2}, "--objective.free-bits has no meaning for the objective iwae"),
        ({"kind": "elbo-mc", "free_bits": 0.5}, "--objective.free-bits has no meaning for the objective elbo-mc"),
    ],
)
def test_options_of_other_objectives_are_refused(options: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        build_objective(ObjectiveConfig.model_validate(options))


def test_cycles_need_a_warm_up() -> None:
    """Whether it is turned off, or is by default, as that of tables."""
    table = load_data(pandas.DataFrame({"a": range(40), "b": ["x", "y"] * 20}))
    for data, options in ((table, {}), (BITS, {"warmup": 0})):
        with pytest.raises(BadInput, match=r"--objective.cycles 4 has no meaning without .*--objective.warmup 0.5"):
            build_objective(ObjectiveConfig.model_validate({"cycles": 4, **options}), data=data)
    assert build_objective(ObjectiveConfig.model_validate({"cycles": 4}), data=BITS)
    assert build_objective(ObjectiveConfig.model_validate({"cycles": 4, "warmup": 0.5}), data=table)


@pytest.mark.parametrize(("count", "warmup"), [(1_000, 0.02), (10_000, 0.2), (60_000, 0.2)])
def test_few_examples_have_a_short_warm_up(count: int, warmup: float) -> None:
    part = Examples(torch.zeros(count, 1, 2, 2))
    dataset = Dataset("zeros", "unit", (1, 2, 2), part, part, part, "none", None)
    objective = build_objective(ObjectiveConfig(), data=dataset)
    assert final_from(objective) == pytest.approx(warmup)


def test_weight_decay_of_few_rows() -> None:
    """By default rows alone, the more the fewer they are."""
    config = TrainConfig()
    assert [config.decay(count, (4,)) for count in (10, 1_000, 3_000, 10**6)] == pytest.approx(
        [0.1, 0.1, 0.0333, 1e-4], rel=1e-2
    )
    assert config.decay(1_000, (1, 8, 8)) == 0
    assert TrainConfig(weight_decay=0.5).decay(10**6, (1, 8, 8)) == 0.5


@pytest.mark.parametrize(("shape", "activation"), [((1, 2, 2), "glu"), ((4,), "relu")])
def test_images_have_gated_units(shape: tuple[int, ...], activation: str) -> None:
    part = Examples(torch.zeros(20, *shape))
    dataset = Dataset("zeros", "real", shape, part, part, part, "none", None)
    assert resolve(ModelConfig(), dataset).activation == activation
    assert resolve(ModelConfig(activation="elu"), dataset).activation == "elu"
    if len(shape) > 1:
        assert resolve(ModelConfig(network="conv"), dataset).activation == "relu"


def test_the_help_states_defaults_that_differ_between_pieces() -> None:
    """Not the default of one of them."""
    model = command_config()().model
    fields = type(model).model_fields
    assert fields["norm"].default is None
    assert "Default: batch (conv), none (mlp)." in str(fields["norm"].description)
    assert fields["components"].default == 20
    assert "Default" not in str(fields["components"].description)
