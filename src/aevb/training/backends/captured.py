"""Gradients by a captured step (`aevb.training.capture`), of one model or of several stacked models.

The weights of stacked models lie one behind the other in the tensors that the optimizer updates, and those of the
models are views of them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count

import torch
from torch import Tensor, nn

from aevb.data.examples import Examples, ExampleSource, Order, Shuffled
from aevb.models.batch import Batch
from aevb.models.objectives import Objective
from aevb.models.vae import VAE
from aevb.rng import RNGStream, generator
from aevb.training.backends.base import Gradients, StepFunction, trainable_parameters
from aevb.training.capture import (
    CapturedStep,
    CaptureError,
    capture_step,
    parameters_and_buffers,
    progress_tensor,
)
from aevb.training.optimizer import OptimizerState, create_state
from aevb.training.precision import in_bfloat16
from aevb.training.updates import Update


class CapturedBackend:
    """The gradients of models of one architecture, by a captured step.

    Args:
        models: in training mode; several get views as parameters and buffers, until `unstack`.
        objective: minimized.
        examples: to learn from.
        seeds: one for each model.
        batch_size: of every batch.
        compiled: whether to compile the captured step.
        update: of the weights, compiled with it on a CPU (`updates`).
        bf16: whether the networks run in bfloat16 (`aevb.training.precision`).

    Raises:
        CaptureError: the step cannot be captured, stacked or compiled.
    """

    def __init__(
        self,
        models: Sequence[VAE],
        objective: Objective,
        examples: ExampleSource,
        seeds: Sequence[int],
        batch_size: int,
        *,
        compiled: bool,
        update: Update | None = None,
        bf16: bool = False,
    ) -> None:
        self.models = models
        self._examples, self._seeds = examples, seeds
        self._stacked = len(models) > 1
        if self._stacked and not isinstance(examples, Examples):
            raise CaptureError("examples that are not in memory are read for one model at a time")
        device = examples.device
        batch = examples.subsample(batch_size).batch(slice(None), generator(0, RNGStream.EPOCH, device=device))
        model = in_bfloat16(models[0]) if bf16 else models[0]
        self.update = update if compiled and device.type == "cpu" else None
        """What a step does after the gradients; None where it leaves them in the weights."""
        self.step = _captured(model, objective, batch, len(models))
        if compiled:
            places = [place for place, weight in enumerate(models[0].parameters()) if weight.requires_grad]
            self.step = _compiled(self.step, _example_inputs(self.step, model, batch), self.update, places)
        else:
            self.step = self.step.called_directly()
        self._state = _stack(models) if self._stacked else parameters_and_buffers(models[0])
        weights = trainable_parameters(models[0])
        if self._stacked:
            stacks = zip(models[0].named_parameters(), self._state, strict=False)
            weights = {name: stack for (name, _), stack in stacks if name in weights}
        self.weights: dict[str, Tensor] = weights
        if device.type == "cuda":
            tensors = (*batch.tensors, *(noise.draw() for noise in self.step.noise))
            inputs = [self._stack_models([tensor] * len(models)) for tensor in tensors]
            self.step = self.step.as_cuda_graph(self._state, [*inputs, progress_tensor(0.5, device)])

    @contextmanager
    def epoch(self, number: int, rng_states: Sequence[Tensor] = ()) -> Iterator[Gradients]:
        inputs = self._epoch_inputs(number, rng_states)

        def gradients(rows: slice, done: float) -> Tensor:
            means, *grads = self.step.run(*inputs(rows, done))
            for weight, gradient in zip(self.weights.values(), grads, strict=True):
                weight.grad = gradient
            return means.view(-1, means.shape[-1])

        with torch.no_grad():
            yield gradients

    @contextmanager
    def updates(
        self, optimizer: torch.optim.Optimizer, number: int, rng_states: Sequence[Tensor] = ()
    ) -> Iterator[StepFunction]:
        """Enter an epoch whose steps update the weights, where the backend has an `update`.

        Args:
            optimizer: of the weights, with their state.
            number, rng_states: as for `epoch`.
        """
        inputs = self._epoch_inputs(number, rng_states)
        if not optimizer.state:
            create_state(optimizer)
        update = self.update
        assert update
        tensors, steps, _ = OptimizerState.of(optimizer, list(self.weights.values()), update.slots)
        state = [steps, *chain(*tensors)]
        numbers = count(int(steps[0]) + 1)

        def step(rows: slice, done: float, rates: Sequence[float]) -> Tensor:
            (means,) = self.step.run(update.scales(rates, next(numbers)), *state, *inputs(rows, done))
            return means.view(-1, means.shape[-1])

        with torch.no_grad():
            yield step

    def _epoch_inputs(self, number: int, rng_states: Sequence[Tensor]) -> Callable[[slice, float], list[Tensor]]:
        """Return a function of the rows of a batch and the completed fraction of training: the inputs of its step."""
        device = self._examples.device
        generators = [generator(seed, RNGStream.EPOCH, number, device=device) for seed in self._seeds]
        shuffled = [self._examples.shuffled(stream) for stream in generators]
        for stream, state in zip(generators, rng_states, strict=False):
            stream.set_state(state)
        self._generators = generators

        def inputs(rows: slice, done: float) -> list[Tensor]:
            batch = self._batch(shuffled, rows, generators)
            noise = [self._stack_models([noise.draw(stream) for stream in generators]) for noise in self.step.noise]
            return [*self._state, *batch, *noise, progress_tensor(done, device)]

        return inputs

    def rng_states(self) -> list[Tensor]:
        return [stream.get_state() for stream in self._generators]

    def clip_gradients(self, max_norm: float) -> None:
        if not self._stacked:
            nn.utils.clip_grad_norm_(self.weights.values(), max_norm)
            return
        gradients = [weight.grad for weight in self.weights.values() if weight.grad is not None]
        norms = torch.stack([gradient.reshape(len(gradient), -1).norm(dim=1) for gradient in gradients]).norm(dim=0)
        factors = (max_norm / (norms + 1e-6)).clamp(max=1.0)  # as PyTorch computes them
        for gradient in gradients:
            gradient.mul_(factors.view(-1, *[1] * (gradient.dim() - 1)))

    def split_models(self, tensor: Tensor) -> list[Tensor]:
        return [part.clone() for part in tensor] if self._stacked else [tensor.clone()]

    def join_models(self, tensors: Sequence[Tensor]) -> Tensor:
        return self._stack_models(tensors) if self._stacked else tensors[0].clone()

    def gather_weights(self) -> None:
        """Do nothing: the weights of the models are views of the trained ones."""

    scatter_weights = gather_weights

    def _batch(self, shuffled: Sequence[Order], rows: slice, streams: Sequence[torch.Generator]) -> tuple[Tensor, ...]:
        """Return a batch for each model, by one gather for all models unless values are resampled."""
        if not self._stacked:
            return shuffled[0].batch(rows, streams[0]).tensors
        orders = [order for order in shuffled if isinstance(order, Shuffled)]  # all of them are
        if orders[0].examples.resampled:
            inputs = [order.batch(rows, stream).tensors for order, stream in zip(orders, streams, strict=True)]
            return tuple(torch.stack(tensors) for tensors in zip(*inputs, strict=True))
        return orders[0].examples.batch(torch.stack([order.order[rows] for order in orders])).tensors

    def _stack_models(self, tensors: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(tensors)) if self._stacked else tensors[0]


def unstack(models: Sequence[nn.Module]) -> None:
    """Give the parameters and buffers of stacked models memory of their own again."""
    for model in models:
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data = tensor.data.clone()


def _stack(models: Sequence[nn.Module]) -> list[Tensor]:
    """Stack the parameters, then the buffers, and make those of the models views of the stacks."""
    stacks = []
    for tensors in zip(*([*model.parameters(), *model.buffers()] for model in models), strict=True):
        stack = torch.stack([tensor.detach() for tensor in tensors])
        for tensor, view in zip(tensors, stack, strict=True):
            tensor.data = view
        stacks.append(stack)
    return stacks


def _captured(model: VAE, objective: Objective, batch: Batch, models: int) -> CapturedStep:
    step = capture_step(model, objective, batch)
    return step.stacked(_example_inputs(step, model, batch), models) if models > 1 else step


def _example_inputs(step: CapturedStep, model: VAE, batch: Batch) -> list[Tensor]:
    """Return examples of the inputs of a step, of several models if it is stacked."""
    inputs = [*parameters_and_buffers(model), *batch.tensors, *(noise.draw() for noise in step.noise)]
    if step.count:
        inputs = [torch.stack([tensor] * step.count) for tensor in inputs]
    return [*inputs, progress_tensor(0.5, batch.x.device)]


def _compiled(
    step: CapturedStep, inputs: Sequence[Tensor], update: Update | None, places: Sequence[int]
) -> CapturedStep:
    """Return the step, compiled with an update of the weights if there is one."""
    inputs = [tensor.clone() for tensor in inputs]  # the update changes them
    try:
        with torch.no_grad():
            if update:
                step = step.with_update(update, places, inputs)
                inputs = [*step.update_inputs(update, places, inputs), *inputs]
            step = step.compiled(inputs)
            step.run(*inputs)
    except Exception as error:  # no compiler, or one that fails
        raise CaptureError(f"the compiler failed: {str(error).strip().splitlines()[0]}") from error
    return step
