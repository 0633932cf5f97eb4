"""The interface between the training loop and the gradients of a step.

A backend makes the batches, the noise and the gradients of the mean loss. All backends take the same numbers from the
stream of (seed, epoch): the order of the examples, then for each step the resampled values, then the noise. They differ
in speed and memory alone:

    EagerBackend          autograd, one model
    CapturedBackend       a captured step (`aevb.training.capture`), one model or several stacked models
    DistributedBackend    autograd in several processes, one model
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, nn

from aevb.models.objectives import Terms
from aevb.models.vae import VAE

Gradients = Callable[[slice, float], Tensor]
"""Function of the rows of a batch in the epoch's order and of the completed fraction of training: it leaves the
gradients in the weights and returns the means of the terms of each model, ``(M, 4)``."""
StepFunction = Callable[[slice, float, Sequence[float]], Tensor]
"""The same with the learning rate of each model as third argument: it updates the weights."""


class GradientBackend(Protocol):
    """The gradients of M models.

    Attributes:
        models: trained in place.
        weights: the tensors that the optimizer updates, by the names of the models' trainable parameters.
    """

    models: Sequence[VAE]
    weights: dict[str, Tensor]

    def epoch(self, number: int, rng_states: Sequence[Tensor] = ()) -> AbstractContextManager[Gradients]:
        """Enter an epoch, whose steps are made in order.

        Args:
            number: of the epoch, from 1.
            rng_states: what the method `rng_states` returned after the last step that was made; empty at the beginning.
        """

    def rng_states(self) -> list[Tensor]:
        """Return the state of the random number generator of each model, within an epoch."""

    def clip_gradients(self, max_norm: float) -> None:
        """Scale the gradient of each model down to a norm of at most `max_norm`."""

    def split_models(self, tensor: Tensor) -> list[Tensor]:
        """Return the part of each model of a tensor shaped like a weight, copied."""

    def join_models(self, tensors: Sequence[Tensor]) -> Tensor:
        """Return the inverse of `split_models`."""

    def gather_weights(self) -> None:
        """Copy the trained weights into the models, where they lie elsewhere."""

    def scatter_weights(self) -> None:
        """Copy the weights of the models to where they are trained: the inverse of `gather_weights`."""


def trainable_parameters(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters that require a gradient, by name."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def term_means(terms: Terms) -> Tensor:
    """Return the means over a batch, ``(4,)``, on its device."""
    return torch.stack(terms).detach().mean(1)


def losses(terms: Tensor) -> Tensor:
    """Return the losses, ``(...)``, from stacked terms or their means, ``(..., 4)``."""
    return terms[..., Terms._fields.index("loss")]


def split_rows(rows: slice, count: int) -> list[slice]:
    """Split rows into `count` slices, whose lengths differ by one at most."""
    size = rows.stop - rows.start
    bounds = [rows.start + size * index // count for index in range(count + 1)]
    return [slice(*pair) for pair in pairwise(bounds)]
