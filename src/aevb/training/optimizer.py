"""Optimizers: their options, parameter groups, and decoupled weight decay."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from aevb.config.schema import TrainConfig
from aevb.errors import BadInput

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "rmsprop": partial(torch.optim.RMSprop, alpha=0.9),  # as Tieleman & Hinton 2012; PyTorch's default is 0.99
    "adagrad": torch.optim.Adagrad,
    "sgd": partial(torch.optim.SGD, momentum=0.9),
}
_WITH_FUSED_KERNEL = ("adam", "adagrad", "sgd")


def build_optimizer(weights: Mapping[str, Tensor], config: TrainConfig) -> torch.optim.Optimizer:
    """Build the optimizer, with a group for each factor of the learning rate and each type of weight.

    Raises:
        BadInput: the optimizer has no such option.
    """
    if config.eps and config.optimizer == "sgd":
        raise BadInput("--train.eps has no meaning for sgd: leave it out")
    grouped: dict[tuple[float, type], list[Tensor]] = {}
    for name, weight in weights.items():
        factor = config.bias_lr_factor if name.endswith("bias") else 1.0
        grouped.setdefault((factor, type(weight)), []).append(weight)
    groups = [{"params": group, "lr_factor": factor} for (factor, _), group in grouped.items()]
    options: dict[str, float | bool] = {"eps": config.eps} if config.eps else {}
    if config.optimizer in _WITH_FUSED_KERNEL:
        # PyTorch has no fused kernels for sharded weights.
        options["fused"] = {type(weight) for weight in weights.values()} <= {Tensor, nn.Parameter}
    return OPTIMIZERS[config.optimizer](groups, lr=config.lr, **options)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of each group to `lr` times the factor of the group."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_factor"]


@torch.no_grad()
def decay_weights(optimizer: torch.optim.Optimizer, weight_decay: float) -> None:
    """Shrink all parameters, apart from the gradient (Loshchilov & Hutter 2019)."""
    for group in optimizer.param_groups:
        torch._foreach_mul_(group["params"], 1 - group["lr"] * weight_decay)
