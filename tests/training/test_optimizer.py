"""The steps of optimizers."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from aevb.config.schema import TrainConfig
from aevb.training.optimizer import (
    OPTIMIZERS,
    build_optimizer,
    decay_weights,
    fast_step,
    learning_rates,
)
from aevb.training.updates import build_update


def trained(options: dict[str, Any], *, fast: bool) -> list[Tensor]:
    """Weights after steps with random gradients, of which one weight first has none, and the state."""
    torch.manual_seed(0)
    weights = {name: nn.Parameter(torch.randn(3, 4)) for name in ("first.weight", "first.bias", "second.weight")}
    optimizer = build_optimizer(weights, TrainConfig.model_validate(options), {"first.weight"})
    step = fast_step(optimizer) if fast else optimizer.step
    for number in range(6):
        for name, weight in weights.items():
            weight.grad = None if number == 2 or (number < 2 and name == "second.weight") else torch.randn(3, 4)
        optimizer.param_groups[0]["lr"] = 0.1 / (1 + number)
        step()
    states = [tensor for weight in weights.values() for tensor in optimizer.state[weight].values()]
    return [*weights.values(), *states]


@pytest.mark.parametrize("options", [*({"optimizer": name} for name in OPTIMIZERS), {"bias_correction": "off"}])
def test_a_fast_step_is_that_of_pytorch(options: dict[str, Any]) -> None:
    options = {"bias_lr_factor": 2, "eps": 1e-3} | options
    if options.get("optimizer") == "sgd":
        del options["eps"]
    for ours, right in zip(trained(options, fast=True), trained(options, fast=False), strict=True):
        assert torch.equal(torch.as_tensor(ours), torch.as_tensor(right))


@pytest.mark.parametrize("rates", [[0.1], [0.1, 0.03, 0.0]])
@pytest.mark.parametrize("options", [*({"optimizer": name} for name in OPTIMIZERS), {"bias_correction": "off"}])
def test_an_update_is_that_of_pytorch(options: dict[str, Any], rates: list[float]) -> None:
    """Also with decay, factors of the learning rate, and stacked models that have rates of their own."""
    eps = {} if options.get("optimizer") == "sgd" else {"eps": 1e-3}
    config = TrainConfig.model_validate({"bias_lr_factor": 2} | eps | options)
    shapes = {"first.weight": (3, 4), "first.bias": (3,), "scale": ()}
    own, right = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)
    lead = (len(rates),) if len(rates) > 1 else ()

    def draw(stream: torch.Generator) -> dict[str, Tensor]:
        return {name: torch.randn((*lead, *shape), generator=stream) for name, shape in shapes.items()}

    weights, expected = draw(own), draw(right)
    optimizer = build_optimizer(expected, config, {"first.weight"})
    update = build_update(shapes, config, 0.5, {"first.weight"})
    assert update
    state = [[torch.zeros_like(weight) for weight in weights.values()] for _ in update.slots]
    steps = torch.zeros(len(shapes))
    for t in range(1, 6):
        update(update.scales(rates, t), steps, [*weights.values()], [*draw(own).values()], state)
        for name, gradient in draw(right).items():
            expected[name].grad = gradient
        with learning_rates(optimizer, rates):
            decay_weights(optimizer, 0.5)
            optimizer.step()
    for ours, theirs in zip(weights.values(), expected.values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert steps.tolist() == [5, 5, 5]
    for slot, tensors in zip(update.slots, state, strict=True):
        for tensor, weight in zip(tensors, expected.values(), strict=True):
            torch.testing.assert_close(tensor, optimizer.state[weight][slot], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_update_has_the_default_eps_of_pytorch(name: str) -> None:
    """The first step with a tiny gradient depends on it."""
    config = TrainConfig.model_validate({"optimizer": name})
    weight, expected = torch.zeros(1), torch.zeros(1)
    update = build_update(["weight"], config, 0.0, ())
    assert update
    state = [[torch.zeros(1)] for _ in update.slots]
    update(update.scales([config.learning_rate(1)], 1), torch.zeros(1), [weight], [torch.tensor([1e-9])], state)
    expected.grad = torch.tensor([1e-9])
    build_optimizer({"weight": expected}, config).step()
    torch.testing.assert_close(weight, expected, rtol=1e-4, atol=0.0)


def test_clipped_gradients_are_not_compiled_with_the_update() -> None:
    assert build_update(["weight"], TrainConfig(clip_grad_norm=1.0), 0.0, ()) is None
