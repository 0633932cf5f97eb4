"""Examples that come one after another, such as those of any `torch.utils.data.IterableDataset`, as `fit` takes them.

They are shuffled in a buffer and read ahead as those in `aevb.data.out_of_core` are; but a stream can only be gone
through from its beginning. So every epoch begins a new iteration, and one that is entered within passes over what comes before.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aevb.data import out_of_core as stored
from aevb.data.examples import Examples
from aevb.data.out_of_core import Buffered, joined
from aevb.errors import BadInput

TOGETHER = 1000
"""Examples that are stacked at once: those of a buffer, one by one, would take far more memory than together."""


@dataclass(frozen=True, eq=False)
class Streamed:
    """The first examples of each iteration over a stream.

    Attributes:
        stream: of examples.
        per_epoch: how many are learned from in an epoch.
        first: some at its beginning.
        device: where batches are.
    """

    stream: Iterable[Any]
    per_epoch: int
    first: Examples
    device: torch.device = torch.device("cpu")  # noqa: RUF009  (immutable)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example, *event."""
        return self.first.shape

    @property
    def resampled(self) -> bool:
        """Its values are what they are."""
        return False

    def __len__(self) -> int:
        return self.per_epoch

    def to(self, device: torch.device | str) -> "Streamed":
        """The same examples for another device."""
        return replace(self, first=self.first.to(device), device=torch.device(device))

    def subsample(self, count: int) -> Examples:
        """As of examples in memory, with the first ones for all of them."""
        return self.first.spaced(min(count, self.per_epoch))

    def shuffled(self, generator: torch.Generator | None = None) -> Buffered:
        """The examples in an order that the generator draws; PyTorch's global one where None."""
        example = self.first.values[:1]
        size = max(1, min(self.per_epoch, stored.BUFFER // (example.numel() * example.element_size())))
        ends = [*range(size, self.per_epoch, size), self.per_epoch]
        seed = int(torch.randint(2**62, (), generator=generator, device=self.device))
        reader = _Reader(iter(self.stream), self.first)
        return Buffered(
            [end - start for start, end in zip([0, *ends], ends, strict=False)],
            lambda place: reader.read(ends[place - 1] if place else 0, ends[place]).to(self.device),
            seed,
        )


def from_iterable(stream: Iterable[Any], per_epoch: int, *, scale: float = 1.0, look: int = 1000) -> Streamed:
    """What `fit` can learn from a stream: `fit(model, objective, from_iterable(dataset, per_epoch=1_000_000))`.

    Args:
        stream: of tensors or arrays *event, or of tuples that begin with one; every iteration over it begins anew, and
            if all are alike, a run can go on within an epoch.
        per_epoch: how many of them are an epoch.
        scale: what brings their values to those that are modelled, such as 1/255 for grey bytes.
        look: how many at the beginning are kept, for a model to begin from (`.first`).

    Raises:
        BadInput: there are none, or they are of different shapes or have values that are not finite.
    """
    if per_epoch < 1:
        raise BadInput(f"per_epoch={per_epoch}: expected a number of examples from 1 on")
    events = [_event(item) for item in islice(iter(stream), min(look, per_epoch))]
    if not events:
        raise BadInput("the stream gives no examples: expected tensors or arrays")
    return Streamed(stream, per_epoch, Examples(_stacked(events, events[0].shape, 0), scale=scale))


class _Reader:
    """An iteration, of which stretches are read in order."""

    def __init__(self, items: Iterator[Any], like: Examples) -> None:
        self.items, self.like, self.place = items, like, 0

    def read(self, start: int, stop: int) -> Examples:
        for _ in islice(self.items, start - self.place):
            pass
        self.place = stop
        firsts = range(start, stop, TOGETHER)
        return joined((self._some(first, min(first + TOGETHER, stop)) for first in firsts), stop - start)

    def _some(self, start: int, stop: int) -> Examples:
        events = [_event(item) for item in islice(self.items, stop - start)]
        if len(events) < stop - start:
            raise BadInput(
                f"the stream ended after {start + len(events)} examples: expected those of an epoch; give a smaller"
                " per_epoch, or a stream that goes on"
            )
        return replace(self.like, values=_stacked(events, self.like.shape, start))


def _event(item: Any) -> Tensor:
    value = item[0] if isinstance(item, tuple | list) and item else item
    if not isinstance(value, Tensor | np.ndarray):
        raise BadInput(f"the stream gives {type(value).__name__}: expected tensors or arrays, or tuples that begin so")
    tensor = torch.as_tensor(value)
    return tensor if tensor.dtype == torch.uint8 else tensor.to(torch.float32)


def _stacked(events: list[Tensor], shape: tuple[int, ...], start: int) -> Tensor:
    for place, event in enumerate(events, start):
        if event.shape != shape:
            shapes = f"{tuple(event.shape)}, and the first {tuple(shape)}"
            raise BadInput(f"example {place} of the stream has the shape {shapes}")
    stacked = torch.stack(events)
    usable = stacked.isfinite().flatten(1).all(1)
    if not bool(usable.all()):
        raise BadInput(f"example {start + int(usable.int().argmin())} of the stream has values that are not finite")
    return stacked
