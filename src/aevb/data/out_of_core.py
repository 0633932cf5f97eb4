"""Examples that stay where they lie: read in blocks, shuffled in a buffer, ahead of the step.

    source   | block | block | block | ...      consecutive rows: 1 MiB of a .npy file (8 from afar), or a row group
    epoch    the blocks in a drawn order, cut into buffers of up to BUFFER bytes
    buffer   its rows in an order that is drawn anew

One buffer is learned from while a thread reads the next, so an epoch holds two of them. Every example comes once in an
epoch. Neighbours in a source are apart in an epoch as far as a buffer reaches: where BUFFER holds all examples, the
order is any order, as of examples in memory; where it holds a small part of them and the source is sorted, each buffer
has rows from as many places of it as it has blocks.

Orders are a function of what the epoch's generator draws at its beginning, so an epoch can be entered anywhere.

When a source is opened, LOOKED of its rows, one at random from each of so many equal stretches (fewer where they are
more than LOOKED_BYTES), are read into memory. They tell the kind of the values; some of them are the validation and the
test part, of which shares are meant; the others speak for the training part wherever it is measured or shown. All rows
that are not held out are learned from, and each is checked when it is read.
"""

import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate
from threading import Thread
from typing import Literal, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aevb.data.examples import Examples
from aevb.data.value_kinds import Kind, misfit
from aevb.errors import BadInput
from aevb.models.batch import Batch

InMemory = Literal["auto", "on", "off"]
Rows = NDArray[np.int64]
Change = Callable[[Examples], Examples]
T = TypeVar("T")

BUFFER = 2**27
"""Bytes of examples, about, that are shuffled among each other."""
LOOKED, LOOKED_BYTES = 50_000, 2**27
"""Rows of a source that are looked at when it is opened, and their bytes in memory, at most."""
_PURPOSE = 3  # of what is drawn from a split's seed, after those of `aevb.data.dataset`
LIMIT = 2**31
"""Bytes of examples from which on they stay where they lie, unless something else is asked for."""


class Source(Protocol):
    """Rows that can be read wherever one likes.

    Attributes:
        name: of a file or a folder.
        size: of it in bytes.
        bounds: of its blocks: the first row of each, and the number of all rows, ``(blocks + 1,)``.
    """

    name: str
    size: int
    bounds: Rows

    def read(self, rows: Rows) -> Examples:
        """Some rows, whose numbers ascend.

        Raises:
            BadInput: they cannot be read, or hold what no model can use.
        """


@dataclass(frozen=True, eq=False)
class Stored:
    """Examples of a source.

    Attributes:
        source: of them.
        at_hand: some of them, in memory.
        looked: the rows that were looked at, ascending; at first those of `at_hand`.
        held_out: rows that are passed over, ascending.
        stop: this row and those after it are passed over.
        kind: of the values.
        changes: what becomes of the examples that are read.
        device: where batches are.
    """

    source: Source
    at_hand: Examples
    looked: Rows
    held_out: Rows = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    stop: int = sys.maxsize
    kind: Kind = "columns"
    changes: tuple[Change, ...] = ()
    device: torch.device = torch.device("cpu")  # noqa: RUF009  (immutable)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example, *event."""
        return self.at_hand.shape

    @property
    def resampled(self) -> bool:
        """Whether every batch is a fresh draw."""
        return self.at_hand.resampled

    def __len__(self) -> int:
        return int(self._counts.sum())

    @property
    def _counts(self) -> Rows:
        """Examples in each block."""
        bounds = np.minimum(self.source.bounds, self.stop)
        return np.diff(bounds - np.searchsorted(self.held_out, bounds))

    def to(self, device: torch.device | str) -> "Stored":
        """The same examples for another device."""
        return replace(self, at_hand=self.at_hand.to(device), device=torch.device(device))

    def subsample(self, count: int) -> Examples:
        """As of examples in memory, with those at hand for all of them."""
        return self.at_hand.spaced(min(count, len(self)))

    def changed(self, change: Change) -> "Stored":
        """The same examples, of which each that is read is changed; those at hand are left as they are."""
        return replace(self, changes=(*self.changes, change))

    def without(self, held_out: Rows, at_hand: Examples, kind: Kind, from_on: int | None = None) -> "Stored":
        """What is left to learn from.

        Args:
            held_out: places among the rows that were looked at, ascending.
            at_hand: the others, as they are learned from.
            kind: of the values of all.
            from_on: a place; what lies in the source from there on is left out, too.
        """
        rows = self.looked[held_out]
        stop = self.stop if from_on is None else int(self.looked[from_on])
        return replace(self, at_hand=at_hand, held_out=rows[rows < stop], stop=stop, kind=kind)

    def shuffled(self, generator: torch.Generator | None = None) -> "Buffered":
        """The examples in an order that the generator draws; PyTorch's global one where None."""
        counts = self._counts
        order = torch.randperm(len(counts), generator=generator, device=self.device).cpu().numpy()
        seed = int(torch.randint(2**62, (), generator=generator, device=self.device))
        order = order[counts[order] > 0]
        buffers = self._cut(order, counts[order])

        def load(place: int) -> Examples:
            examples = joined(map(self._read, buffers[place].tolist()), int(counts[buffers[place]].sum()))
            return examples.to(self.device)

        return Buffered([int(counts[blocks].sum()) for blocks in buffers], load, seed)

    def _cut(self, order: Rows, counts: Rows) -> list[Rows]:
        """Blocks as buffers, of nearly the same number of rows."""
        row = self.at_hand.values[:1]
        before = np.cumsum(counts) - counts
        total = int(counts.sum())
        number = -(-total * row.numel() * row.element_size() // BUFFER)
        return np.split(order, np.flatnonzero(np.diff(before * number // max(1, total))) + 1)

    def _read(self, block: int) -> Examples:
        first, last = np.minimum(self.source.bounds[block : block + 2], self.stop).tolist()
        start, stop = np.searchsorted(self.held_out, (first, last))
        rows = np.delete(np.arange(first, last), self.held_out[start:stop] - first)
        examples = self.source.read(rows)
        if (wrong := misfit(examples, self.kind)) is not None:
            raise BadInput(
                f"{self.source.name} has in row {rows[wrong]} counted from 0 values that are not {self.kind}, as those"
                f" of the {len(self.looked)} rows were that told what it holds: mend it"
            )
        for change in self.changes:
            examples = change(examples)
        return replace(examples, labels=None)

    @property
    def note(self) -> str:
        """What its owner may not expect."""
        return (
            f"{len(self):,} of {self.source.bounds[-1]:,} rows are learned from where they are; the others were drawn"
            f" from {len(self.looked):,} that were looked at"
        )

    def content(self) -> Iterator[bytes | memoryview]:
        """How many there are, their shape, the size of the source, and all that is at hand."""
        yield f"{len(self)} of {self.source.bounds[-1]} in {self.source.size} bytes".encode()
        yield from self.at_hand.content()


def spread(total: int, row_bytes: int, seed: int) -> Rows:
    """Rows to look at: one at random from each of as many equal stretches as there may be, ascending."""
    count = min(total, LOOKED, max(1, LOOKED_BYTES // max(1, row_bytes)))
    edges = np.arange(count + 1) * total // max(1, count)
    return edges[:-1] + (np.random.default_rng([seed, _PURPOSE]).random(count) * np.diff(edges)).astype(np.int64)


def stays(in_memory: InMemory, size: int) -> bool:
    """Whether examples of so many bytes stay where they lie."""
    return in_memory == "off" or (in_memory == "auto" and size > LIMIT)


def joined(parts: Iterator[Examples], count: int) -> Examples:
    """Examples one behind the other, `count` of them, in memory that is taken once."""
    first = next(parts)
    values = first.values.new_empty(count, *first.shape)
    condition = None if first.condition is None else first.condition.new_empty(count, *first.condition.shape[1:])
    done, part = 0, first
    while True:
        values[done : done + len(part)] = part.values
        if condition is not None and part.condition is not None:
            condition[done : done + len(part)] = part.condition
        done += len(part)
        if done == count:
            return replace(first, values=values, condition=condition)
        part = next(parts)


_Buffer = tuple[Examples, Tensor]


class Buffered:
    """Examples in the order of an epoch, a buffer at a time.

    Args:
        sizes: of the buffers.
        load: reads one of them; they are asked for in order, though not from the first on.
        seed: of the orders within them.
    """

    def __init__(self, sizes: Sequence[int], load: Callable[[int], Examples], seed: int) -> None:
        self._ends, self._load, self._seed = list(accumulate(sizes)), load, seed
        self._place, self._now = -1, Future[_Buffer]()
        self._ahead = self._now

    def batch(self, rows: slice, generator: torch.Generator | None = None) -> Batch:
        """Return the batch at these positions in the order; positions are requested from first to last.

        Raises:
            BadInput: what is read cannot be used.
        """
        parts, start, stop = [], rows.start, min(rows.stop, self._ends[-1])
        while start < stop:
            place = bisect_right(self._ends, start)
            examples, order = self._buffer(place)
            index = order[start - self._ends[place] :][: stop - start]  # counted from the buffer's end
            if len(index) == rows.stop - rows.start:
                return examples.batch(index, generator)
            parts.append(examples[index])
            start += len(index)
        return joined(iter(parts), sum(map(len, parts))).batch(slice(None), generator)

    def _buffer(self, place: int) -> _Buffer:
        if place != self._place:
            self._now = self._ahead if place == self._place + 1 > 0 else begun(partial(self._read, place))
            self._now.result()  # before the one after it is begun: two at once are enough
            self._place = place
            if place + 1 < len(self._ends):
                self._ahead = begun(partial(self._read, place + 1))
        return self._now.result()

    def _read(self, place: int) -> _Buffer:
        examples = self._load(place)
        order = np.random.default_rng([self._seed, place]).permutation(len(examples))
        return examples, torch.from_numpy(order).to(examples.device)


def begun(work: Callable[[], T]) -> "Future[T]":
    """Begin some work in a thread of its own, which ends with it."""
    future: Future[T] = Future()

    def carry_out() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=carry_out, name="aevb reads ahead").start()
    return future
