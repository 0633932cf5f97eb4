"""Optimizers: their options, parameter groups, and decoupled weight decay."""

from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "rmsprop": partial(torch.optim.RMSprop, alpha=0.9),  # as Tieleman & Hinton 2012; PyTorch's default is 0.99
    "adagrad": torch.optim.Adagrad,
    "sgd": partial(torch.optim.SGD, momentum=0.9),
}
_WITH_FUSED_KERNEL = ("adam", "adagrad", "sgd")


def build_optimizer(
    weights: Mapping[str, Tensor], config: TrainConfig, in_layers: Collection[str] = ()
) -> torch.optim.Optimizer:
    """Build the optimizer, with a group for each factor of the learning rate, each type of weight, and weight decay.

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
        grouped.setdefault((_factor(name, config), type(weight), name in in_layers), []).append(weight)
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
    return build(groups, lr=config.lr, **options)


def _factor(name: str, config: TrainConfig) -> float:
    """Return the factor of the learning rate of a weight."""
    return config.bias_lr_factor if name.endswith("bias") else 1.0


@dataclass(frozen=True)
class AdamUpdate:
    """The update of weights by Adam (Kingma & Ba 2015) as operations that can be compiled with the gradients.

        m ← m + (1 - β₁) (g - m),    v ← β₂ v + (1 - β₂) g²
        θ ← (1 - lr λ) θ - lr / (1 - β₁ᵗ) · m / (√v / √(1 - β₂ᵗ) + ε)

    Attributes:
        factors: of the learning rate lr, for each weight.
        decays: weight decay λ of each weight.
        eps: ε.
        betas: β₁ and β₂.
    """

    factors: Sequence[float]
    decays: Sequence[float]
    eps: float
    betas: tuple[float, float] = (0.9, 0.999)

    def scales(self, rates: Sequence[float], t: int) -> Tensor:
        """Return lr, lr / (1 - β₁ᵗ) and √(1 - β₂ᵗ) at step t, from 1; of several models ``(3, M)``, of one ``(3,)``."""
        first, second = self.betas
        rows = [rates, [rate / (1 - first**t) for rate in rates], [sqrt(1 - second**t)] * len(rates)]
        return torch.tensor(rows if len(rates) > 1 else [row[0] for row in rows])

    def __call__(
        self,
        scales: Tensor,
        steps: Tensor,
        weights: Sequence[Tensor],
        gradients: Sequence[Tensor],
        means: Sequence[Tensor],
        squares: Sequence[Tensor],
    ) -> None:
        """Update weights, moments and the numbers of steps in place.

        Args:
            scales: what `scales` returns.
            steps: the number of steps of each weight.
            weights: θ; several models are stacked along the first axis.
            gradients: g.
            means, squares: m and v.
        """
        first, second = self.betas
        for number, (weight, g, m, v) in enumerate(zip(weights, gradients, means, squares, strict=True)):
            ones, factor = [1] * (weight.dim() - scales.dim() + 1), self.factors[number]
            rate, size, root = scales.view(*scales.shape, *ones)
            if decay := self.decays[number]:
                weight.mul_(1 - rate * (factor * decay))
            m.lerp_(g, 1 - first)
            v.mul_(second).addcmul_(g, g, value=1 - second)
            weight.sub_(size * factor * (m / (v.sqrt() / root + self.eps)))
        steps.add_(1)


def adam_update(
    names: Iterable[str], config: TrainConfig, weight_decay: float, in_layers: Collection[str]
) -> AdamUpdate | None:
    """Return the update that `build_optimizer`'s Adam makes; None for other optimizers and for clipped gradients.

    Args:
        names: of a model's trainable parameters.
        config: of the training.
        weight_decay: of the weights that decay.
        in_layers: the names of the weights that decay.
    """
    if config.optimizer != "adam" or config.bias_correction == "off" or config.clip_grad_norm:
        return None
    factors = {name: _factor(name, config) for name in names}
    decays = [weight_decay if name in in_layers else 0.0 for name in factors]
    return AdamUpdate([*factors.values()], decays, config.eps or 1e-8)


class AdamState(NamedTuple):
    """The tensors of Adam for some weights.

    Attributes:
        means, squares: the moments m and v of each weight.
        steps: the number of steps of each weight.
        views: the same numbers as the optimizer's tensors.
    """

    means: list[Tensor]
    squares: list[Tensor]
    steps: Tensor
    views: list[Tensor]

    @classmethod
    def of(cls, optimizer: torch.optim.Optimizer, weights: Sequence[Tensor]) -> "AdamState":
        """Return the state of weights."""
        states = [optimizer.state[weight] for weight in weights]
        steps = torch.stack([state["step"] for state in states])
        views = list(steps.unbind())
        for state, view in zip(states, views, strict=True):
            state["step"] = view
        return cls([state["exp_avg"] for state in states], [state["exp_avg_sq"] for state in states], steps, views)


def create_state(optimizer: torch.optim.Optimizer) -> None:
    """Make Adam create its state, by a step with gradients of zero, which leaves the weights as they are."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    for weight in weights:
        weight.grad = None
        optimizer.state[weight]["step"].zero_()


def fast_step(optimizer: torch.optim.Optimizer) -> Callable[[], object]:
    """Return a function that does what `optimizer.step` does, in half of the time for fused Adam with small weights.

    PyTorch looks for the tensors of every weight at each step; here they are looked for once. The function is valid as
    long as the optimizer has the same weights and state.
    """
    if type(optimizer) is not torch.optim.Adam or not all(group["fused"] for group in optimizer.param_groups):
        return optimizer.step
    prepared: list[AdamState] = []

    def step() -> None:
        gradients = [[weight.grad for weight in group["params"]] for group in optimizer.param_groups]
        if not prepared or any(gradient is None for group in gradients for gradient in group):
            optimizer.step()  # it creates the state
            if all(optimizer.state.get(weight) for group in optimizer.param_groups for weight in group["params"]):
                prepared[:] = [AdamState.of(optimizer, group["params"]) for group in optimizer.param_groups]
            return
        for place, (found, state) in enumerate(zip(gradients, prepared, strict=True)):
            _fused_adam(optimizer, place, found, state)

    return step


@torch.no_grad()
def _fused_adam(optimizer: torch.optim.Optimizer, place: int, gradients: list[Tensor], state: AdamState) -> None:
    """Update the weights of a group of Adam by their gradients."""
    group = optimizer.param_groups[place]
    first, second = group["betas"]
    state.steps.add_(1)
    torch._fused_adam_(
        group["params"], gradients, state.means, state.squares, [], state.views, lr=group["lr"],
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
