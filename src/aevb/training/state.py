"""The state of training: what a checkpoint holds, and how it is copied and restored.

Training resumes from a `TrainingState`, after an epoch or within one, and on the same CPU ends bit for bit as an
uninterrupted training does.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from aevb.models.vae import VAE
from aevb.training.backends.base import GradientBackend, trainable_parameters
from aevb.training.backends.captured import unstack
from aevb.training.ema import EMA
from aevb.training.history import EpochMetrics

STEP = "step"
"""Name that optimizers give to their count of steps."""


@dataclass(frozen=True)
class Best:
    """The weights with the best validation merit so far.

    Attributes:
        number: of their epoch; 0 before any.
        merit: in nats.
        weights: of the model, with its buffers, by name.
    """

    number: int = 0
    merit: float = -math.inf
    weights: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Cooldown:
    """The epochs over which the learning rate falls to zero because the validation loss has stopped improving.

    Attributes:
        start: number of the epoch after which it falls, from the best weights.
        end: number of the last epoch.
    """

    start: int
    end: int


@dataclass(frozen=True)
class EpochPosition:
    """A position within an epoch.

    Attributes:
        step: number of steps made.
        totals: sums over the steps of the means of the terms, ``(4,)``.
        rng_state: of the generator of the order, the noise and the resampled values, after these steps.
    """

    step: int
    totals: Tensor
    rng_state: Tensor


@dataclass(frozen=True)
class TrainingState:
    """What training resumes from, together with the configuration, the data and the seed.

    Training never changes the tensors of a state.

    Attributes:
        number: of the last whole epoch; 0 before the first is whole.
        weights: of the model, with its buffers, by name.
        optimizer: the tensors of each trainable weight, by name; weights by their index.
        best: whose weights may be these weights, or their averages.
        position: within the next epoch; None at its beginning.
        averages: moving averages of the weights and buffers, by name; empty without `ema`.
        cooldown: the last epochs, once the validation loss has stopped improving; None before.
    """

    number: int
    weights: dict[str, Tensor]
    optimizer: dict[int, dict[str, Tensor]]
    best: Best
    position: EpochPosition | None = None
    averages: dict[str, Tensor] = field(default_factory=dict)
    cooldown: Cooldown | None = None

    @property
    def step(self) -> int:
        """The number of steps made in the next epoch."""
        return self.position.step if self.position else 0


def from_best(state: TrainingState) -> TrainingState:
    """Return the state with copies of its best weights as weights, and as their averages if there are any.

    The optimizer's tensors stay. A checkpoint cannot contain tensors that share memory.
    """
    weights, averages = ({name: tensor.clone() for name, tensor in state.best.weights.items()} for _ in range(2))
    return replace(state, weights=weights, averages=averages if state.averages else {})


class LiveState:
    """Everything that training changes: the weights, the optimizer's tensors and the moving averages.

    Args:
        models: trained in place.
        backend: whose weights the optimizer updates.
        optimizer: of the backend's weights.
        ema: decay of the moving averages; None for none.
    """

    def __init__(
        self, models: Sequence[VAE], backend: GradientBackend, optimizer: torch.optim.Optimizer, ema: float | None
    ) -> None:
        self.models, self.backend, self.optimizer = models, backend, optimizer
        self.averages = EMA(self._averaged_tensors(), ema) if ema else None

    def _averaged_tensors(self) -> list[Tensor]:
        """Return the weights and the statistics of batch normalization; a step of stacked models has no statistics."""
        buffers = self.models[0].buffers() if len(self.models) == 1 else ()
        return [*self.backend.weights.values(), *(buffer for buffer in buffers if buffer.is_floating_point())]

    def averaged(self) -> AbstractContextManager[None]:
        """Return a context in which the models have their moving averages, if there are any."""
        return self.averages.applied() if self.averages else nullcontext()

    def copy(self, number: int, validated: Sequence[EpochMetrics | None], best: Sequence[Best]) -> list[TrainingState]:
        """Return copies of the state of each model, whose weights must be gathered.

        Args:
            number: of the last whole epoch.
            validated: metrics of each model; None to leave the best weights as they are.
            best: the best weights of each model so far.
        """
        weights = self._copied_weights()
        with self.averaged():
            averages = self._copied_weights() if self.averages else [dict[str, Tensor]() for _ in weights]
        states = []
        for own, average, moments, metrics, previous in zip(
            weights, averages, copied_moments(self.backend, self.optimizer), validated, best, strict=True
        ):
            better = metrics is not None and metrics.merit > previous.merit
            chosen = Best(number, metrics.merit, average or own) if metrics and better else previous
            states.append(TrainingState(number, own, moments, chosen, averages=average))
        return states

    def restore(self, states: Sequence[TrainingState]) -> None:
        """Restore the state of each model."""
        if self.averages:
            self._load([state.averages or state.weights for state in states])
            self.averages.reset()
        self._load([state.weights for state in states])
        self.backend.scatter_weights()
        restore_moments(self.backend, self.optimizer, [state.optimizer for state in states])

    def is_finite(self) -> bool:
        """Gather the weights into the models and return whether all are finite."""
        self.backend.gather_weights()
        return all(is_finite(weight) for model in self.models for weight in trainable_parameters(model).values())

    def release(self) -> None:
        """Leave the models with memory of their own, and with the moving averages if there are any."""
        if self.averages:
            self.averages.apply()
        if len(self.models) > 1:
            unstack(self.models)

    def _copied_weights(self) -> list[dict[str, Tensor]]:
        return [{name: tensor.clone() for name, tensor in model.state_dict().items()} for model in self.models]

    def _load(self, weights: Sequence[Mapping[str, Tensor]]) -> None:
        for model, tensors in zip(self.models, weights, strict=True):
            model.load_state_dict(tensors)


def copied_moments(backend: GradientBackend, optimizer: torch.optim.Optimizer) -> list[dict[int, dict[str, Tensor]]]:
    """Return a copy of the optimizer's tensors for each model; stacked models share the count of steps."""
    moments: list[dict[int, dict[str, Tensor]]] = [{} for _ in backend.models]
    for index, weight in enumerate(backend.weights.values()):
        for name, tensor in optimizer.state.get(weight, {}).items():
            copies = [tensor.clone() for _ in moments] if name == STEP else backend.split_models(tensor)
            for model_moments, copy in zip(moments, copies, strict=True):
                model_moments.setdefault(index, {})[name] = copy
    return moments


def restore_moments(
    backend: GradientBackend, optimizer: torch.optim.Optimizer, moments: Sequence[Mapping[int, Mapping[str, Tensor]]]
) -> None:
    """Restore what `copied_moments` returned."""
    weights, groups = list(backend.weights.values()), optimizer.state_dict()["param_groups"]
    in_groups = [weight for group in optimizer.param_groups for weight in group["params"]]
    numbers = {id(weight): number for number, weight in enumerate(in_groups)}
    state = {
        numbers[id(weights[index])]: {
            name: tensor.clone()
            if name == STEP
            else backend.join_models([model_moments[index][name] for model_moments in moments])
            for name, tensor in sorted(tensors.items())
        }
        for index, tensors in sorted(moments[0].items())  # collective calls need one order in all processes
    }
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def is_finite(tensor: Tensor) -> bool:
    """Return whether all entries are finite."""
    return bool(tensor.isfinite().all())
