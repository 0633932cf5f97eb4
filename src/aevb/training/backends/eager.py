"""Gradients by autograd: the reference for the other backends."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from aevb.data.examples import ExampleSource
from aevb.models.batch import Batch
from aevb.models.objectives import Objective
from aevb.models.vae import VAE
from aevb.rng import RNGStream, rng_state, seeded, set_rng_state
from aevb.training.backends.base import Gradients, split_rows, term_means, trainable_parameters
from aevb.training.precision import in_bfloat16


class EagerBackend:
    """The gradients of one model, by autograd.

    With micro-batches, a step needs the memory of one of them, and the gradient is that of the whole batch. Quantities
    that an objective or batch normalization computes over a batch are computed over a micro-batch.

    Args:
        model: in training mode.
        objective: minimized.
        examples: to learn from.
        seed: of the order of the examples and of the noise.
        micro_batches: into which a batch is split.
        bf16: whether the networks run in bfloat16 (`aevb.training.precision`).
    """

    def __init__(
        self,
        model: VAE,
        objective: Objective,
        examples: ExampleSource,
        seed: int,
        micro_batches: int = 1,
        *,
        bf16: bool = False,
    ) -> None:
        self.models: Sequence[VAE] = [model]
        self.weights = trainable_parameters(model)
        self._model = in_bfloat16(model) if bf16 else model
        self._objective, self._examples, self._seed, self._micro_batches = objective, examples, seed, micro_batches

    @contextmanager
    def epoch(self, number: int, rng_states: Sequence[Tensor] = ()) -> Iterator[Gradients]:
        device = self._examples.device
        with seeded(self._seed, RNGStream.EPOCH, number, device=device):
            shuffled = self._examples.shuffled()
            for state in rng_states:
                set_rng_state(state, device)

            def gradients(rows: slice, done: float) -> Tensor:
                if self._micro_batches == 1:
                    return self._backward(shuffled.batch(rows), done)
                pieces = split_rows(rows, self._micro_batches)
                shares = [(piece.stop - piece.start) / (rows.stop - rows.start) for piece in pieces]
                weighted = zip(pieces, shares, strict=True)
                return torch.stack(
                    [self._backward(shuffled.batch(piece), done, share) for piece, share in weighted]
                ).sum(0)

            yield gradients

    def _backward(self, batch: Batch, done: float, share: float = 1.0) -> Tensor:
        """Add `share` times the gradient on these examples, and return `share` times the means of the terms."""
        trace = self._model.trace(batch, self._objective.n_samples)
        terms = self._objective(trace, done)
        loss = terms.loss.mean()
        loss.backward(torch.full_like(loss, share))
        return share * term_means(terms).unsqueeze(0)

    def rng_states(self) -> list[Tensor]:
        return [rng_state(self._examples.device)]

    def clip_gradients(self, max_norm: float) -> None:
        nn.utils.clip_grad_norm_(self.weights.values(), max_norm)

    def split_models(self, tensor: Tensor) -> list[Tensor]:
        return [tensor.clone()]

    def join_models(self, tensors: Sequence[Tensor]) -> Tensor:
        return tensors[0].clone()

    def gather_weights(self) -> None:
        """Do nothing: the weights are those of the model."""

    scatter_weights = gather_weights
