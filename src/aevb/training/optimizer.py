"""Optimizers: their options, parameter groups, and decoupled weight decay."""

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from math import sqrt
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from aevb.config.schema import TrainConfig
from aevb.errors import BadInput, option


class UncorrectedAdam(torch.optim.Adam):
    """Adam without the correction of the bias of its moments (Kingma & Ba 2015, Section 3).

    At step t the correction divides the moments m and v by 1 - β₁ᵗ and 1 - β₂ᵗ:

        lr / (1 - β₁ᵗ) · m / (√v / √(1 - β₂ᵗ) + ε)  =  lr √(1 - β₂ᵗ) / (1 - β₁ᵗ) · m / (√v + ε √(1 - β₂ᵗ))

    A step with lr (1 - β₁ᵗ) / √(1 - β₂ᵗ) and ε / √(1 - β₂ᵗ) cancels it.
    """

    def step(self, closure: Any = None) -> Any:
        chosen = [(group["lr"], group["eps"]) for group in self.param_groups]
        for group in self.param_groups:
            (first, second), t = group["betas"], self._next_step(group["params"])
            root = sqrt(1 - second**t)
            group["lr"] *= (1 - first**t) / root
            group["eps"] /= root
        try:
            return super().step(closure)
        finally:
            for group, (lr, eps) in zip(self.param_groups, chosen, strict=True):
                group["lr"], group["eps"] = lr, eps

    def _next_step(self, weights: list[Tensor]) -> int:
        """Return the number of the next step, from 1."""
        return 1 + max((int(self.state[weight]["step"]) for weight in weights if self.state[weight]), default=0)


RMSPROP_ALPHA = 0.9
"""As Tieleman & Hinton 2012; PyTorch's default is 0.99."""
MOMENTUM = 0.9
"""Of SGD."""
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "rmsprop": partial(torch.optim.RMSprop, alpha=RMSPROP_ALPHA),
    "adagrad": torch.optim.Adagrad,
    "sgd": partial(torch.optim.SGD, momentum=MOMENTUM),
}
_WITH_FUSED_KERNEL = ("adam", "adagrad", "sgd")
_MOMENTS = ("exp_avg", "exp_avg_sq")


def build_optimizer(
    weights: Mapping[str, Tensor], config: TrainConfig, in_layers: Collection[str] = ()
) -> torch.optim.Optimizer:
    """Build the optimizer, with a group for each factor of the learning rate, each type of weight, and weight decay.

    Its learning rate is set at each step (`learning_rates`).

    Args:
        weights: by the names of a model's trainable parameters.
        config: of the training.
        in_layers: the names of the weights that decay.

    Raises:
        BadInput: the optimizer has no such option.
    """
    if config.eps and config.optimizer == "sgd":
        raise BadInput(f"{option('train.eps')} has no meaning for sgd: leave it out")
    grouped: dict[tuple[float, type, bool], list[Tensor]] = {}
    for name, weight in weights.items():
        grouped.setdefault((learning_rate_factor(name, config), type(weight), name in in_layers), []).append(weight)
    groups = [
        {"params": group, "lr_factor": factor, "decays": decays} for (factor, _, decays), group in grouped.items()
    ]
    options: dict[str, float | bool] = {"eps": config.eps} if config.eps else {}
    if config.optimizer in _WITH_FUSED_KERNEL:
        # PyTorch has no fused kernels for sharded weights.
        options["fused"] = {type(weight) for weight in weights.values()} <= {Tensor, nn.Parameter}
    build = OPTIMIZERS[config.optimizer]
    if config.bias_correction == "off":
        if config.optimizer != "adam":
            raise BadInput(f"{option('train.bias-correction')} has no meaning for {config.optimizer}: leave it out")
        build = UncorrectedAdam
    return build(groups, lr=config.learning_rate(0), **options)


def learning_rate_factor(name: str, config: TrainConfig) -> float:
    """Return the factor of the learning rate of a weight."""
    return config.bias_lr_factor if name.endswith("bias") else 1.0


class OptimizerState(NamedTuple):
    """The tensors of an optimizer for some weights.

    Attributes:
        tensors: for each slot, such as a moment, a tensor of each weight.
        steps: the number of steps of each weight; zeros if the optimizer does not count them.
        views: the same numbers as the optimizer's tensors.
    """

    tensors: list[list[Tensor]]
    steps: Tensor
    views: list[Tensor]

    @classmethod
    def of(cls, optimizer: torch.optim.Optimizer, weights: Sequence[Tensor], slots: Sequence[str]) -> "OptimizerState":
        """Return the state of weights, by the names of the slots."""
        states = [optimizer.state[weight] for weight in weights]
        steps = torch.stack([state.get("step", torch.zeros(())) for state in states])
        views = list(steps.unbind())
        for state, view in zip(states, views, strict=True):
            if "step" in state:
                state["step"] = view
        return cls([[state[slot] for state in states] for slot in slots], steps, views)


def create_state(optimizer: torch.optim.Optimizer) -> None:
    """Make an optimizer create its state, by a step with gradients of zero, which leaves the weights as they are."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    for weight in weights:
        weight.grad = None
        if "step" in (state := optimizer.state[weight]):
            state["step"].zero_()


def fast_step(optimizer: torch.optim.Optimizer) -> Callable[[], object]:
    """Return a function that does what `optimizer.step` does, in half of the time for fused Adam with small weights.

    PyTorch looks for the tensors of every weight at each step; here they are looked for once. The function is valid as
    long as the optimizer has the same weights and state.
    """
    if type(optimizer) is not torch.optim.Adam or not all(group["fused"] for group in optimizer.param_groups):
        return optimizer.step
    prepared: list[OptimizerState] = []

    def step() -> None:
        gradients = [[weight.grad for weight in group["params"]] for group in optimizer.param_groups]
        if not prepared or any(gradient is None for group in gradients for gradient in group):
            optimizer.step()  # it creates the state
            if all(optimizer.state.get(weight) for group in optimizer.param_groups for weight in group["params"]):
                prepared[:] = [
                    OptimizerState.of(optimizer, group["params"], _MOMENTS) for group in optimizer.param_groups
                ]
            return
        for place, (found, state) in enumerate(zip(gradients, prepared, strict=True)):
            _fused_adam(optimizer, place, found, state)

    return step


@torch.no_grad()
def _fused_adam(optimizer: torch.optim.Optimizer, place: int, gradients: list[Tensor], state: OptimizerState) -> None:
    """Update the weights of a group of Adam by their gradients."""
    group = optimizer.param_groups[place]
    (first, second), (means, squares) = group["betas"], state.tensors
    state.steps.add_(1)
    torch._fused_adam_(
        group["params"], gradients, means, squares, [], state.views, lr=group["lr"],
        beta1=first, beta2=second, weight_decay=group["weight_decay"], eps=group["eps"], amsgrad=False, maximize=False,
    )  # fmt: skip


@contextmanager
def learning_rates(optimizer: torch.optim.Optimizer, rates: Sequence[float]) -> Generator[None]:
    """Set the learning rate of each model for the step within: its rate times the factor of each group.

    A step is proportional to the learning rate. Stacked models with different rates all make a step with the largest
    one, and each keeps its share of it.

    Args:
        optimizer: of the weights, which have models as first axis if there are several rates.
        rates: of each model.
    """
    largest = max(rates)
    for group in optimizer.param_groups:
        group["lr"] = largest * group["lr_factor"]
    if min(rates) == largest:
        yield
        return
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    before = [weight.detach().clone() for weight in weights]
    yield
    shares = torch.tensor([rate / largest for rate in rates])
    with torch.no_grad():
        for weight, old in zip(weights, before, strict=True):
            share = shares.to(weight).view(-1, *[1] * (weight.dim() - 1))
            weight.copy_(torch.lerp(old, weight, share))


@torch.no_grad()
def decay_weights(optimizer: torch.optim.Optimizer, weight_decay: float) -> None:
    """Shrink the weights that decay, apart from the gradient (Loshchilov & Hutter 2019)."""
    for group in optimizer.param_groups:
        if group["decays"]:
            torch._foreach_mul_(group["params"], 1 - group["lr"] * weight_decay)


def layer_weights(model: nn.Module) -> set[str]:
    """Return the names of weights and biases of layers: what decays, unlike variances, means and scales.

    A layer is a module whose `weight` has two dimensions or more; that of a normalization has one.
    """
    names = set()
    for path, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.dim() > 1:
            names |= {f"{path}.{name}" for name in ("weight", "bias")}
    return names
