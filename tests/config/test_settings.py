"""The settings that old experiments need do what they say: initial weights, steps, and which examples validate."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from aevb.cli.settings import axes, from_options, from_run
from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import Config, ModelConfig, TrainConfig
from aevb.data import Dataset, Examples
from aevb.data.dataset import UnsplitData
from aevb.data.splits import split_data
from aevb.errors import BadInput
from aevb.models.objectives import ELBO
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded
from aevb.training.fit import fit

pytestmark = pytest.mark.usefixtures("in_command")  # messages name options as a command does


def made(dataset: Dataset, **options: Any) -> VAE:
    with seeded(0, RNGStream.WEIGHTS):
        return build(resolve(ModelConfig.model_validate({"hidden": (50,)} | options), dataset), dataset.shape)


def parameters(model: VAE) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def moved(dataset: Dataset, **train: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """All parameters before and after training."""
    model = made(dataset)
    before = parameters(model)
    config = {"epochs": 1, "lr_schedule": "constant", "keep": "last", "batch_size": 20} | train
    fit(model, ELBO(), dataset.train, None, TrainConfig.model_validate(config))
    return before, parameters(model)


def test_a_resumed_run_accepts_no_seed(tmp_path: Path) -> None:
    """Not even 0, which is false."""
    for options in (Config(seed=0), Config(seed=1)):
        with pytest.raises(BadInput, match="continues with the configuration of the run"):
            from_run(tmp_path, options, {})


def test_a_configuration_file_may_have_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"model": {"latent": [3]}}', encoding="utf-8-sig")
    assert from_options(Config(), tmp_path / "c.json", None).model.latent == (3,)


def test_an_empty_name_of_the_data_is_not_the_default() -> None:
    assert from_options(Config(), None, "").data.source == ""


def test_values_of_a_sweep_are_distinct_and_none_is_dropped() -> None:
    words = ["model.latent", "2", "2", "train.lr=1e-3", "model.latent", "5"]
    assert axes(words) == {"model.latent": ["2", "5"], "train.lr": ["1e-3"]}


def test_weights_decay_apart_from_the_gradient(stripes: Dataset) -> None:
    """A huge eps leaves nothing of the gradient's steps: four of them leave what decay leaves."""
    before, after = moved(stripes, eps=1e12, weight_decay=5.0, lr=0.01, bias_lr_factor=2.0)
    for name, value in after.items():
        share = 0.9 if name.endswith("bias") else 0.95
        torch.testing.assert_close(value, before[name] * share**4)


def test_biases_have_a_learning_rate_of_their_own(stripes: Dataset) -> None:
    steps = []
    for factor in (1.0, 3.0):
        before, after = moved(stripes, optimizer="sgd", lr=1e-4, batch_size=80, bias_lr_factor=factor)
        steps.append({name: after[name] - before[name] for name in after})
    for name, step in steps[0].items():
        factor = 3.0 if name.endswith("bias") else 1.0
        torch.testing.assert_close(steps[1][name], factor * step, rtol=1e-2, atol=1e-6)


def test_a_mean_with_its_epsilon_divided_is_a_sum(stripes: Dataset) -> None:
    """RMSProp as MatConvNet users write it: on the gradient of the sum over a batch."""
    _, after = moved(stripes, optimizer="rmsprop", lr=1e-3, eps=1e-2 / 20, epochs=3)
    model = made(stripes)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.9, eps=1e-2)
    for number in range(1, 4):
        with seeded(0, RNGStream.EPOCH, number):
            for rows in torch.randperm(80).split(20):
                optimizer.zero_grad()
                ELBO()(model.trace(stripes.train.batch(rows).x, 1), 0.0).loss.sum().backward()
                optimizer.step()
    for name, value in parameters(model).items():
        torch.testing.assert_close(after[name], value, rtol=1e-3, atol=1e-5)


def test_epsilon_is_refused_where_it_has_no_meaning(stripes: Dataset) -> None:
    with pytest.raises(BadInput, match=r"--train\.eps has no meaning for sgd"):
        moved(stripes, optimizer="sgd", eps=1e-3)
    with pytest.raises(BadInput, match=r"--train\.bias-correction has no meaning for rmsprop"):
        moved(stripes, optimizer="rmsprop", bias_correction="off")


@pytest.mark.parametrize(("scheme", "biases"), [("lecun", 1.0), ("small", 0.01)])
def test_initial_weights_have_their_variance(stripes: Dataset, scheme: str, biases: float) -> None:
    """Deviations over at least 800 draws are within a tenth of their value: 4 standard errors of it."""
    model = made(stripes, init=scheme, hidden=(1000,), latent=500)
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    assert len(layers) == 4
    for layer in layers:
        expected = layer.in_features**-0.5 if scheme == "lecun" else 0.01
        assert layer.weight.std().item() == pytest.approx(expected, rel=0.1)
        if len(layer.bias) >= 800:
            assert layer.bias.std().item() == pytest.approx(biases, rel=0.1)


def test_a_start_without_the_data_leaves_the_output_alone(stripes: Dataset) -> None:
    model, x = made(stripes), stripes.train.all().x
    before = parameters(model)
    model.initialize(x, output=False)
    assert all(torch.equal(before[name], value) for name, value in parameters(model).items() if "decoder" in name)
    model.initialize(x)
    assert not torch.equal(before["decoder.2.bias"], parameters(model)["decoder.2.bias"])


@pytest.mark.parametrize("test_from", [None, 80])
def test_the_last_examples_may_validate(test_from: int | None) -> None:
    """Of the training part, where the set has a test part of its own; the rest is as it would be at random."""
    pool = UnsplitData("cells", Examples(torch.arange(100.0).view(100, 1)), test_from=test_from)
    dataset = split_data(pool, "none", 15, None, 0, "last")
    train, valid, test = (set(part.values.flatten().tolist()) for part in (dataset.train, dataset.valid, dataset.test))
    end = test_from or 100
    assert valid == set(range(end - 15, end))
    assert len(test) == 20
    assert not train & (valid | test)
    assert not valid & test
    assert len(train) == 65
