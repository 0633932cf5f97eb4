"""What a step of training needs of its models: batches, draws, and the gradients of the mean loss.

`EagerBackend` asks autograd, for one model. `CapturedBackend` runs a graph (`aevb.training.capture`), compiled,
captured, or of several models: their weights then lie one behind the other in the tensors that an optimizer sees, and those of the models are views of
them. Either takes the same numbers from the stream of (seed, epoch): the order of the examples, then for each step the
values that are drawn anew, then the noise.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, nn

from aevb.data.examples import Examples, ExampleSource, Order, Shuffled
from aevb.models.batch import Batch
from aevb.models.objectives import Objective, Terms
from aevb.models.vae import VAE
from aevb.rng import RNGStream, generator, rng_state, seeded, set_rng_state
from aevb.training.capture import CaptureError, Graph, share_done, state_of, trace
from aevb.training.precision import in_bfloat16

Gradients = Callable[[slice, float], Tensor]
"""The rows of an epoch's order that are a batch, and the share of training that is done, to the means of the terms of
each model, ``(M, 4)``; leaves the gradients in the weights."""


class GradientBackend(Protocol):
    """The steps of M models.

    Attributes:
        models: as they are trained, in place.
        weights: what an optimizer changes, by the names of the models' parameters: those that want a gradient.
    """

    models: Sequence[VAE]
    weights: dict[str, Tensor]

    def epoch(self, number: int, streams: Sequence[Tensor] = ()) -> AbstractContextManager[Gradients]:
        """The gradients of an epoch's steps, in order; of those that follow where `streams` is what `streams` gave."""

    def streams(self) -> list[Tensor]:
        """Within an epoch: the state of what draws for each model."""

    def clip(self, limit: float) -> None:
        """Shrink the gradient of each model to a norm of `limit`, where it is larger."""

    def split(self, tensor: Tensor) -> list[Tensor]:
        """Something shaped like a weight, as a copy for each model."""

    def joined(self, tensors: Sequence[Tensor]) -> Tensor:
        """The inverse of `split`."""

    def gather(self) -> None:
        """Bring the weights into the models, where what is trained lies elsewhere."""

    def scatter(self) -> None:
        """The inverse of `gather`."""


class EagerBackend:
    """One model, by autograd.

    In parts, a step needs the memory of one of them, and the gradient is that of the whole batch; but what an objective
    or batch normalisation takes from all examples of a batch, it takes from those of a part.

    Args:
        model: in training mode.
        objective: what is minimised.
        examples: to learn from.
        seed: of what is drawn.
        parts: in which a batch is taken, one after another.
        bf16: whether its networks run in bfloat16 (`aevb.training.precision`).
    """

    def __init__(
        self,
        model: VAE,
        objective: Objective,
        examples: ExampleSource,
        seed: int,
        parts: int = 1,
        *,
        bf16: bool = False,
    ) -> None:
        self.models: Sequence[VAE] = [model]
        self.passed = in_bfloat16(model) if bf16 else model
        self.weights = trainable_parameters(model)
        self.objective, self.examples, self.seed, self.parts = objective, examples, seed, parts

    @contextmanager
    def epoch(self, number: int, streams: Sequence[Tensor] = ()) -> Iterator[Gradients]:
        device = self.examples.device
        with seeded(self.seed, RNGStream.EPOCH, number, device=device):
            shuffled = self.examples.shuffled()
            for state in streams:
                set_rng_state(state, device)

            def gradients(rows: slice, done: float) -> Tensor:
                if self.parts == 1:
                    return self._gradients(shuffled.batch(rows), done)
                parts = parted(rows, self.parts)
                shares = [(part.stop - part.start) / (rows.stop - rows.start) for part in parts]
                each = zip(parts, shares, strict=True)
                return torch.stack([self._gradients(shuffled.batch(part), done, share) for part, share in each]).sum(0)

            yield gradients

    def _gradients(self, batch: Batch, done: float, share: float = 1.0) -> Tensor:
        """Add the share of a batch that these examples are to the gradients, and give that of the terms' means."""
        trace = self.passed.trace(batch, self.objective.n_samples)
        terms = self.objective(trace, done)
        loss = terms.loss.mean()
        loss.backward(torch.full_like(loss, share))
        return share * means(terms).unsqueeze(0)

    def streams(self) -> list[Tensor]:
        return [rng_state(self.examples.device)]

    def clip(self, limit: float) -> None:
        nn.utils.clip_grad_norm_(self.weights.values(), limit)

    def split(self, tensor: Tensor) -> list[Tensor]:
        return [tensor.clone()]

    def joined(self, tensors: Sequence[Tensor]) -> Tensor:
        return tensors[0].clone()

    def gather(self) -> None:
        """They are there."""

    scatter = gather


class CapturedBackend:
    """Models of one kind, by a graph.

    Args:
        models: in training mode; several get views for weights and buffers, until `release`.
        objective: what is minimised.
        examples: to learn from.
        seeds: one for each model.
        size: of a batch.
        compiled: whether the graph is.
        bf16: as in `EagerBackend`.

    Raises:
        CaptureError: a step cannot be written down, stacked or compiled.
    """

    def __init__(
        self,
        models: Sequence[VAE],
        objective: Objective,
        examples: ExampleSource,
        seeds: Sequence[int],
        size: int,
        *,
        compiled: bool,
        bf16: bool = False,
    ) -> None:
        self.models, self.examples, self.seeds = models, examples, seeds
        self.many = len(models) > 1
        if self.many and not isinstance(examples, Examples):
            raise CaptureError("examples that are not in memory are read for one model at a time")
        device = examples.device
        batch = examples.subsample(size).batch(slice(None), generator(0, RNGStream.EPOCH, device=device))
        passed = in_bfloat16(models[0]) if bf16 else models[0]
        self.graph = _graph(passed, objective, batch, len(models), compiled=compiled)
        self.state = _stacked(models) if self.many else state_of(models[0])
        learnt = trainable_parameters(models[0])
        if self.many:
            stacks = zip(models[0].named_parameters(), self.state, strict=False)
            learnt = {name: stack for (name, _), stack in stacks if name in learnt}
        self.weights: dict[str, Tensor] = learnt
        if device.type == "cuda":
            inputs = (*batch.tensors, *(draw() for draw in self.graph.draws))
            others = [self._joined([tensor] * len(models)) for tensor in inputs]
            self.graph = self.graph.captured(self.state, [*others, share_done(0.5, device)])

    @contextmanager
    def epoch(self, number: int, streams: Sequence[Tensor] = ()) -> Iterator[Gradients]:
        device = self.examples.device
        drawn_from = [generator(seed, RNGStream.EPOCH, number, device=device) for seed in self.seeds]
        shuffled = [self.examples.shuffled(stream) for stream in drawn_from]
        for stream, state in zip(drawn_from, streams, strict=False):
            stream.set_state(state)
        self._streams = drawn_from

        def gradients(rows: slice, done: float) -> Tensor:
            batch = self._batch(shuffled, rows, drawn_from)
            drawn = [self._joined([draw(stream) for stream in drawn_from]) for draw in self.graph.draws]
            row, *found = self.graph.run(*self.state, *batch, *drawn, share_done(done, device))
            for weight, gradient in zip(self.weights.values(), found, strict=True):
                weight.grad = gradient
            return row.view(-1, row.shape[-1])

        with torch.no_grad():
            yield gradients

    def streams(self) -> list[Tensor]:
        return [stream.get_state() for stream in self._streams]

    def clip(self, limit: float) -> None:
        found = [weight.grad for weight in self.weights.values() if weight.grad is not None]
        if not self.many:
            nn.utils.clip_grad_norm_(self.weights.values(), limit)
            return
        norms = torch.stack([gradient.reshape(len(gradient), -1).norm(dim=1) for gradient in found]).norm(dim=0)
        shares = (limit / (norms + 1e-6)).clamp(max=1.0)  # as PyTorch has it
        for gradient in found:
            gradient.mul_(shares.view(-1, *[1] * (gradient.dim() - 1)))

    def split(self, tensor: Tensor) -> list[Tensor]:
        return [part.clone() for part in tensor] if self.many else [tensor.clone()]

    def joined(self, tensors: Sequence[Tensor]) -> Tensor:
        return self._joined(tensors) if self.many else tensors[0].clone()

    def gather(self) -> None:
        """They are there."""

    scatter = gather

    def _batch(self, shuffled: Sequence[Order], rows: slice, streams: Sequence[torch.Generator]) -> tuple[Tensor, ...]:
        """A batch for each model; one gather for all of them, unless its values are drawn anew."""
        if not self.many:
            return shuffled[0].batch(rows, streams[0]).tensors
        orders = [one for one in shuffled if isinstance(one, Shuffled)]  # all of them are
        if orders[0].examples.resampled:
            each = [one.batch(rows, stream).tensors for one, stream in zip(orders, streams, strict=True)]
            return tuple(torch.stack(tensors) for tensors in zip(*each, strict=True))
        return orders[0].examples.batch(torch.stack([one.order[rows] for one in orders])).tensors

    def _joined(self, tensors: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(tensors)) if self.many else tensors[0]


def parted(rows: slice, count: int) -> list[slice]:
    """The same rows in so many parts, which differ by one at most."""
    size = rows.stop - rows.start
    bounds = [rows.start + size * place // count for place in range(count + 1)]
    return [slice(*pair) for pair in pairwise(bounds)]


def trainable_parameters(model: nn.Module) -> dict[str, Tensor]:
    """The weights that want a gradient, by name."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def release(models: Sequence[nn.Module]) -> None:
    """Give models tensors of their own again."""
    for model in models:
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data = tensor.data.clone()


def means(terms: Terms) -> Tensor:
    """The means over a batch, ``(4,)``, left on the device."""
    return torch.stack(terms).detach().mean(1)


def _graph(model: VAE, objective: Objective, batch: Batch, count: int, *, compiled: bool) -> Graph:
    graph = trace(model, objective, batch)
    inputs = [*state_of(model), *batch.tensors, *(draw() for draw in graph.draws), share_done(0.5, batch.x.device)]
    if count > 1:
        graph = graph.stacked(inputs, count)
        *own, share = inputs
        inputs = [*(torch.stack([tensor] * count) for tensor in own), share]
    if compiled:
        graph = graph.compiled()
        try:
            with torch.no_grad():
                graph.run(*inputs)
        except Exception as error:  # no compiler, or one that fails
            raise CaptureError(f"the compiler failed: {str(error).strip().splitlines()[0]}") from error
    return graph


def _stacked(models: Sequence[nn.Module]) -> list[Tensor]:
    """The weights, then the buffers, one behind the other, with those of the models as views."""
    together = []
    for tensors in zip(*([*model.parameters(), *model.buffers()] for model in models), strict=True):
        stack = torch.stack([tensor.detach() for tensor in tensors])
        for tensor, part in zip(tensors, stack, strict=True):
            tensor.data = part
        together.append(stack)
    return together
