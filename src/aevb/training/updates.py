"""Updates of weights by an optimizer, as operations that can be compiled with the gradients.

With the gradient g, the learning rate lr and a decoupled weight decay λ, each weight becomes

    θ ← (1 - lr λ) θ - lr d

    Adam       m ← m + (1 - β₁) (g - m),  v ← β₂ v + (1 - β₂) g²      d = m / (1 - β₁ᵗ) / (√v / √(1 - β₂ᵗ) + ε)
    Adagrad    v ← v + g²                                              d = g / (√v + ε)
    RMSProp    v ← α v + (1 - α) g²                                    d = g / (√v + ε)
    SGD        m ← μ m + g                                             d = m

Kingma & Ba 2015 (Adam, at step t), Duchi et al. 2011 (Adagrad), Tieleman & Hinton 2012 (RMSProp).
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor

from aevb.config.schema import TrainConfig
from aevb.training.optimizer import MOMENTUM, RMSPROP_ALPHA, learning_rate_factor


@dataclass(frozen=True)
class Update(ABC):
    """The update of weights.

    Attributes:
        factors: of the learning rate, for each weight.
        decays: λ of each weight.
        eps: ε; None for the default.
        slots: the names of the state's tensors in PyTorch's optimizer.
    """

    factors: Sequence[float]
    decays: Sequence[float]
    eps: float | None = None
    slots: ClassVar[tuple[str, ...]] = ()

    def scales(self, rates: Sequence[float], t: int) -> Tensor:
        """Return lr and the factors of the direction at step t, from 1; of M models ``(R, M)``, of one ``(R,)``."""
        rows = [rates, *([factor] * len(rates) for factor in self.corrections(t))]
        return torch.tensor(rows if len(rates) > 1 else [row[0] for row in rows])

    def corrections(self, t: int) -> Sequence[float]:
        """Return the numbers by which the direction depends on t."""
        return ()

    @abstractmethod
    def direction(self, g: Tensor, corrections: Sequence[Tensor], *state: Tensor) -> Tensor:
        """Change the state of a weight in place, and return d."""

    def __call__(
        self,
        scales: Tensor,
        steps: Tensor,
        weights: Sequence[Tensor],
        gradients: Sequence[Tensor],
        state: Sequence[Sequence[Tensor]],
    ) -> None:
        """Update weights, state and the numbers of steps in place.

        Args:
            scales: what `scales` returns.
            steps: the number of steps of each weight.
            weights: θ; several models are stacked along the first axis.
            gradients: g.
            state: for each slot a tensor of each weight.
        """
        for number, (weight, g, *own) in enumerate(zip(weights, gradients, *state, strict=True)):
            ones, factor = [1] * (weight.dim() - scales.dim() + 1), self.factors[number]
            lr, *corrections = scales.view(*scales.shape, *ones)
            if decay := self.decays[number]:
                weight.mul_(1 - lr * (factor * decay))
            weight.sub_(lr * factor * self.direction(g, corrections, *own))
        steps.add_(1)


@dataclass(frozen=True)
class Adam(Update):
    """The update of `torch.optim.Adam`, and with `corrected` False that without the factors 1 - βᵗ."""

    corrected: bool = True
    slots = ("exp_avg", "exp_avg_sq")
    betas: ClassVar[tuple[float, float]] = (0.9, 0.999)

    def corrections(self, t: int) -> Sequence[float]:
        """Return 1 / (1 - β₁ᵗ) and √(1 - β₂ᵗ)."""
        first, second = self.betas
        return (1 / (1 - first**t), sqrt(1 - second**t)) if self.corrected else ()

    def direction(self, g: Tensor, corrections: Sequence[Tensor], *state: Tensor) -> Tensor:
        (first, second), (m, v) = self.betas, state
        m.lerp_(g, 1 - first)
        v.mul_(second).addcmul_(g, g, value=1 - second)
        eps = self.eps or 1e-8
        if not corrections:
            return m / (v.sqrt() + eps)
        size, root = corrections
        return size * (m / (v.sqrt() / root + eps))


class Adagrad(Update):
    """The update of `torch.optim.Adagrad`."""

    slots = ("sum",)

    def direction(self, g: Tensor, corrections: Sequence[Tensor], *state: Tensor) -> Tensor:
        (v,) = state
        v.addcmul_(g, g)
        return g / (v.sqrt() + (self.eps or 1e-10))


class RMSProp(Update):
    """The update of `torch.optim.RMSprop`."""

    slots = ("square_avg",)

    def direction(self, g: Tensor, corrections: Sequence[Tensor], *state: Tensor) -> Tensor:
        (v,) = state
        v.mul_(RMSPROP_ALPHA).addcmul_(g, g, value=1 - RMSPROP_ALPHA)
        return g / (v.sqrt() + (self.eps or 1e-8))


class SGD(Update):
    """The update of `torch.optim.SGD` with momentum."""

    slots = ("momentum_buffer",)

    def direction(self, g: Tensor, corrections: Sequence[Tensor], *state: Tensor) -> Tensor:
        (m,) = state
        return m.mul_(MOMENTUM).add_(g)


_UPDATES: dict[str, type[Update]] = {"adam": Adam, "rmsprop": RMSProp, "adagrad": Adagrad, "sgd": SGD}


def build_update(
    names: Iterable[str], config: TrainConfig, weight_decay: float, in_layers: Collection[str]
) -> Update | None:
    """Return the update of the optimizer that `build_optimizer` builds; None where gradients are clipped.

    Args:
        names: of a model's trainable parameters.
        config: of the training.
        weight_decay: of the weights that decay.
        in_layers: the names of the weights that decay.
    """
    if config.clip_grad_norm:
        return None
    factors = {name: learning_rate_factor(name, config) for name in names}
    decays = [weight_decay if name in in_layers else 0.0 for name in factors]
    if config.optimizer == "adam":
        return Adam([*factors.values()], decays, config.eps, corrected=config.bias_correction == "on")
    return _UPDATES[config.optimizer]([*factors.values()], decays, config.eps)
