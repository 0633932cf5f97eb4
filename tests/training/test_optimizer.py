"""The steps of optimizers."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from aevb.config.schema import TrainConfig
from aevb.training.optimizer import OPTIMIZERS, build_optimizer, fast_step


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
