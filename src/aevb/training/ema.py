"""Exponential moving averages of weights, which depend less on the last batches than the weights themselves.

After step t = 1, 2, ... of training, where the weights are θ_t,

    θ̄_t = d_t θ̄_{t-1} + (1 - d_t) θ_t,    d_t = min(d, (1 + t) / (10 + t)),    θ̄_0 = θ_0

Averages of iterates: Polyak & Juditsky 1992. The smaller decay of the first steps, with which the weight of the initial
values falls as t⁻⁹, is that of TensorFlow's `ExponentialMovingAverage` with `num_updates`.

The statistics of batch normalization are averaged with the weights. Using their latest values instead was worse by 0.3
to 1.3 nats on digits where the weights oscillated, which is the case that averages are for, better only in the first
epochs, and otherwise the same.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


class EMA:
    """Moving averages of tensors that training changes in place.

    Args:
        tensors: of floating-point type; the averages start at their values.
        decay: d.
    """

    def __init__(self, tensors: Sequence[Tensor], decay: float) -> None:
        self.tensors, self.decay = [tensor.detach() for tensor in tensors], decay
        self.values = [tensor.clone() for tensor in self.tensors]

    def update(self, step: int) -> None:
        """Update the averages after step t, counted from 1."""
        torch._foreach_lerp_(self.values, self.tensors, 1 - min(self.decay, (1 + step) / (10 + step)))

    def reset(self) -> None:
        """Set the averages to the present values of the tensors."""
        torch._foreach_copy_(self.values, self.tensors)

    def apply(self) -> None:
        """Set the tensors to their averages."""
        torch._foreach_copy_(self.tensors, self.values)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Set the tensors to their averages within a context; they keep them where an error ends it."""
        before = [tensor.clone() for tensor in self.tensors]
        self.apply()
        yield
        torch._foreach_copy_(self.tensors, before)
