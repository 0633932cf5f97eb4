"""Streams of examples, such as any `torch.utils.data.IterableDataset`, for `fit`.

They are shuffled in a buffer and read ahead, as those in `aevb.data.out_of_core`. A stream can only be read from its
beginning: every epoch starts a new iteration, and an epoch that is resumed skips the examples before its position.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from aevb.data import out_of_core
from aevb.data.examples import Examples
from aevb.data.out_of_core import BufferedOrder, concatenate
from aevb.data.rounding import narrowed
from aevb.errors import BadInput

CHUNK = 1000
"""Number of examples to stack at once: a buffer of separate examples would take far more memory."""


@dataclass(frozen=True, eq=False)
class StreamedExamples:
    """The first examples of each iteration over a stream.

    Attributes:
        stream: examples, from the beginning at each iteration.
        per_epoch: number of examples in an epoch.
        first: some examples at its beginning.
        device: device of the batches.
    """

    stream: Iterable[object]
    per_epoch: int
    first: Examples
    device: torch.device = torch.device("cpu")  # noqa: RUF009  (immutable)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example, ``*event``."""
        return self.first.shape

    @property
    def resampled(self) -> bool:
        """Whether the values of every batch are sampled anew: never."""
        return False

    def __len__(self) -> int:
        return self.per_epoch

    def to(self, device: torch.device | str) -> "StreamedExamples":
        """Return the same examples with batches on another device."""
        return replace(self, first=self.first.to(device), device=torch.device(device))

    def subsample(self, count: int) -> Examples:
        """Return at most `count` of the first examples, evenly spaced."""
        return self.first.spaced(min(count, self.per_epoch))

    def shuffled(self, generator: torch.Generator | None = None) -> BufferedOrder:
        """Return the examples in a random order, from `generator` or from PyTorch's global generator."""
        example = self.first.values[:1]
        size = max(1, min(self.per_epoch, out_of_core.BUFFER // (example.numel() * example.element_size())))
        ends = [*range(size, self.per_epoch, size), self.per_epoch]
        seed = int(torch.randint(2**62, (), generator=generator, device=self.device))
        reader = _Reader(iter(self.stream), self.first)
        return BufferedOrder(
            [end - start for start, end in zip([0, *ends], ends, strict=False)],
            lambda index: reader.read(ends[index - 1] if index else 0, ends[index]).to(self.device),
            seed,
        )


def from_iterable(
    stream: Iterable[object], per_epoch: int, *, scale: float = 1.0, n_first: int = 1000
) -> StreamedExamples:
    """Return examples for `fit` from a stream: ``fit(model, objective, from_iterable(dataset, per_epoch=1_000_000))``.

    Args:
        stream: tensors or arrays ``*event``, or tuples that begin with one. Every iteration over it begins anew; if all
            iterations are equal, a run can be resumed within an epoch.
        per_epoch: number of examples in an epoch.
        scale: factor of the values, such as 1/255 for gray bytes.
        n_first: number of examples at the beginning to keep for the initialization of a model (`.first`).

    Raises:
        BadInput: there are no examples, they have different shapes, or values are not finite.
    """
    if per_epoch < 1:
        raise BadInput(f"per_epoch={per_epoch}: expected at least 1")
    events = [_event(item) for item in islice(iter(stream), min(n_first, per_epoch))]
    if not events:
        raise BadInput("the stream has no examples: expected tensors or arrays")
    first = narrowed(Examples(_stacked(events, events[0].shape, 0), scale=scale))
    return StreamedExamples(stream, per_epoch, first)


class _Reader:
    """An iteration, read in consecutive ranges."""

    def __init__(self, items: Iterator[object], like: Examples) -> None:
        self.items, self.like, self.position = items, like, 0

    def read(self, start: int, stop: int) -> Examples:
        for _ in islice(self.items, start - self.position):
            pass
        self.position = stop
        firsts = range(start, stop, CHUNK)
        return concatenate((self._chunk(first, min(first + CHUNK, stop)) for first in firsts), stop - start)

    def _chunk(self, start: int, stop: int) -> Examples:
        events = [_event(item) for item in islice(self.items, stop - start)]
        if len(events) < stop - start:
            raise BadInput(
                f"the stream ended after {start + len(events)} examples: expected those of an epoch; use a smaller"
                " per_epoch, or a longer stream"
            )
        return replace(self.like, values=_stacked(events, self.like.shape, start).to(self.like.values.dtype))


def _event(item: object) -> Tensor:
    value = item[0] if isinstance(item, tuple | list) and item else item
    if not isinstance(value, Tensor | np.ndarray):
        raise BadInput(
            f"the stream has items of type {type(value).__name__}: expected tensors or arrays, or tuples that begin"
            " with one"
        )
    tensor = torch.as_tensor(value)
    return tensor if tensor.dtype == torch.uint8 else tensor.to(torch.float64)


def _stacked(events: list[Tensor], shape: tuple[int, ...], start: int) -> Tensor:
    for index, event in enumerate(events, start):
        if event.shape != shape:
            raise BadInput(
                f"example {index} of the stream has the shape {tuple(event.shape)}: expected {tuple(shape)}, as for the"
                " first"
            )
    stacked = torch.stack(events)
    finite = stacked.isfinite().flatten(1).all(1)
    if not bool(finite.all()):
        raise BadInput(
            f"example {start + int(finite.int().argmin())} of the stream has values that are not finite: drop or"
            " replace it"
        )
    return stacked
