"""Examples that stay on disk or at an address: read in blocks, shuffled in buffers, ahead of the training step.

    rows     | block | block | block | ...      consecutive rows: 1 MiB of a .npy file (8 MiB if remote), or a row group
    epoch    the blocks in random order, cut into buffers of up to BUFFER bytes
    buffer   its rows in random order

One buffer is trained on while a thread reads the next, so an epoch holds two of them in memory. Every example occurs
once in an epoch. Rows that are neighbors in the file are apart in an epoch by at most a buffer: if BUFFER holds all
examples, any order is possible, as for examples in memory; if it holds a small part of a sorted file, each buffer has
rows from as many positions of the file as it has blocks.

The order is a function of what the generator of the epoch yields at its beginning, so an epoch can be resumed anywhere.

When a file is opened, SCANNED of its rows, a random one from each of equally long stretches (fewer if they exceed
SCANNED_BYTES), are read into memory. They determine the kind of the values. Shares of them become the validation and
test examples; the others represent the training examples wherever these are measured or shown. All rows that are not
held out are trained on, and each is checked when it is read.
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
from aevb.data.value_kinds import Kind, first_mismatch
from aevb.errors import BadInput
from aevb.models.batch import Batch

InMemory = Literal["auto", "on", "off"]
Rows = NDArray[np.int64]
Transform = Callable[[Examples], Examples]
T = TypeVar("T")

BUFFER = 2**27
"""Approximate bytes of the examples that are shuffled together."""
SCANNED, SCANNED_BYTES = 50_000, 2**27
"""Largest number of rows read when a file is opened, and of their bytes in memory."""
_STREAM = 3  # stream of random numbers of a split seed, after those of `aevb.data.splits`
LIMIT = 2**31
"""Bytes of examples above which they stay on disk by default."""


class RowReader(Protocol):
    """Rows with random access.

    Attributes:
        name: name of the file or folder.
        size: its size in bytes.
        bounds: the first row of each block, and the number of all rows, ``(blocks + 1,)``.
    """

    name: str
    size: int
    bounds: Rows

    def read(self, rows: Rows) -> Examples:
        """Read the rows with these ascending numbers.

        Raises:
            BadInput: the rows cannot be read, or hold values that no model supports.
        """


@dataclass(frozen=True, eq=False)
class OutOfCoreExamples:
    """Examples that are read when they are needed.

    Attributes:
        reader: reads the rows.
        in_memory: some of the examples, in memory.
        scanned: the rows that were read when the file was opened, ascending; initially those of `in_memory`.
        held_out: rows to skip, ascending.
        stop: this row and all after it are skipped.
        kind: kind of the values.
        transforms: applied in order to the examples that are read.
        device: device of the batches.
    """

    reader: RowReader
    in_memory: Examples
    scanned: Rows
    held_out: Rows = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    stop: int = sys.maxsize
    kind: Kind = "columns"
    transforms: tuple[Transform, ...] = ()
    device: torch.device = torch.device("cpu")  # noqa: RUF009  (immutable)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example, *event."""
        return self.in_memory.shape

    @property
    def resampled(self) -> bool:
        """Whether the values of every batch are sampled anew."""
        return self.in_memory.resampled

    def __len__(self) -> int:
        return int(self._counts.sum())

    @property
    def _counts(self) -> Rows:
        """Number of examples in each block."""
        bounds = np.minimum(self.reader.bounds, self.stop)
        return np.diff(bounds - np.searchsorted(self.held_out, bounds))

    def to(self, device: torch.device | str) -> "OutOfCoreExamples":
        """Return the same examples with batches on another device."""
        return replace(self, in_memory=self.in_memory.to(device), device=torch.device(device))

    def subsample(self, count: int) -> Examples:
        """Return at most `count` of the examples, evenly spaced among those in memory."""
        return self.in_memory.spaced(min(count, len(self)))

    def transformed(self, transform: Transform) -> "OutOfCoreExamples":
        """Return the same examples with one more transformation; those in memory are unchanged."""
        return replace(self, transforms=(*self.transforms, transform))

    def without(
        self, held_out: Rows, in_memory: Examples, kind: Kind, stop_at: int | None = None
    ) -> "OutOfCoreExamples":
        """Return the training examples.

        Args:
            held_out: indices of validation and test examples among the scanned rows, ascending.
            in_memory: the other scanned examples, as they are trained on.
            kind: kind of all values.
            stop_at: an index among the scanned rows; all rows from there on are skipped, too.
        """
        rows = self.scanned[held_out]
        stop = self.stop if stop_at is None else int(self.scanned[stop_at])
        return replace(self, in_memory=in_memory, held_out=rows[rows < stop], stop=stop, kind=kind)

    def shuffled(self, generator: torch.Generator | None = None) -> "BufferedOrder":
        """Return the examples in a random order, from `generator` or from PyTorch's global generator."""
        counts = self._counts
        order = torch.randperm(len(counts), generator=generator, device=self.device).cpu().numpy()
        seed = int(torch.randint(2**62, (), generator=generator, device=self.device))
        order = order[counts[order] > 0]
        buffers = self._buffers(order, counts[order])

        def load(index: int) -> Examples:
            blocks = buffers[index]
            examples = concatenate(map(self._read, blocks.tolist()), int(counts[blocks].sum()))
            return examples.to(self.device)

        return BufferedOrder([int(counts[blocks].sum()) for blocks in buffers], load, seed)

    def _buffers(self, order: Rows, counts: Rows) -> list[Rows]:
        """Cut blocks into buffers with nearly equal numbers of rows."""
        row = self.in_memory.values[:1]
        before = np.cumsum(counts) - counts
        total = int(counts.sum())
        number = -(-total * row.numel() * row.element_size() // BUFFER)
        return np.split(order, np.flatnonzero(np.diff(before * number // max(1, total))) + 1)

    def _read(self, block: int) -> Examples:
        first, last = np.minimum(self.reader.bounds[block : block + 2], self.stop).tolist()
        start, stop = np.searchsorted(self.held_out, (first, last))
        rows = np.delete(np.arange(first, last), self.held_out[start:stop] - first)
        examples = self.reader.read(rows)
        if (mismatch := first_mismatch(examples, self.kind)) is not None:
            raise BadInput(
                f"{self.reader.name} has values in row {rows[mismatch]} counted from 0 that are not {self.kind}, unlike"
                f" the {len(self.scanned)} rows that were scanned: fix this row"
            )
        for transform in self.transforms:
            examples = transform(examples)
        return replace(self._narrowed(examples), labels=None)

    def _narrowed(self, examples: Examples) -> Examples:
        """Return examples with values and conditions in float32 where those in memory are."""

        def like(tensor: Tensor, other: Tensor) -> Tensor:
            return tensor.float() if other.dtype == torch.float32 and tensor.dtype == torch.float64 else tensor

        condition, other = examples.condition, self.in_memory.condition
        narrow = None if condition is None or other is None else like(condition, other)
        return replace(examples, values=like(examples.values, self.in_memory.values), condition=narrow)

    @property
    def note(self) -> str:
        """A line that says which examples are trained on."""
        return (
            f"{len(self):,} of {self.reader.bounds[-1]:,} rows are trained on from disk; validation and test examples"
            f" are from a scan of {len(self.scanned):,} rows"
        )

    def content(self) -> Iterator[bytes | memoryview]:
        """Yield the bytes of the number of examples, the size of the file, and the examples in memory."""
        yield f"{len(self)} of {self.reader.bounds[-1]} in {self.reader.size} bytes".encode()
        yield from self.in_memory.content()


def scan_rows(total: int, row_bytes: int, seed: int) -> Rows:
    """Return the rows to scan: a random one from each of equally long stretches, ascending."""
    count = min(total, SCANNED, max(1, SCANNED_BYTES // max(1, row_bytes)))
    edges = np.arange(count + 1) * total // max(1, count)
    return edges[:-1] + (np.random.default_rng([seed, _STREAM]).random(count) * np.diff(edges)).astype(np.int64)


def stays_on_disk(in_memory: InMemory, size: int) -> bool:
    """Return whether examples of `size` bytes stay on disk."""
    return in_memory == "off" or (in_memory == "auto" and size > LIMIT)


def concatenate(chunks: Iterator[Examples], count: int) -> Examples:
    """Concatenate chunks of `count` examples in total, in memory that is allocated once."""
    first = next(chunks)
    values = first.values.new_empty(count, *first.shape)
    condition = None if first.condition is None else first.condition.new_empty(count, *first.condition.shape[1:])
    done, chunk = 0, first
    while True:
        values[done : done + len(chunk)] = chunk.values
        if condition is not None and chunk.condition is not None:
            condition[done : done + len(chunk)] = chunk.condition
        done += len(chunk)
        if done == count:
            return replace(first, values=values, condition=condition)
        chunk = next(chunks)


_Buffer = tuple[Examples, Tensor]


class BufferedOrder:
    """Examples in the order of an epoch, one buffer at a time.

    Args:
        sizes: sizes of the buffers.
        load: reads the buffer with this index; buffers are requested in order, not necessarily from the first.
        seed: seed of the orders within the buffers.
    """

    def __init__(self, sizes: Sequence[int], load: Callable[[int], Examples], seed: int) -> None:
        self._ends, self._load, self._seed = list(accumulate(sizes)), load, seed
        self._index, self._current = -1, Future[_Buffer]()
        self._next = self._current

    def batch(self, rows: slice, generator: torch.Generator | None = None) -> Batch:
        """Return the batch at these positions in the order; positions are requested from first to last.

        Raises:
            BadInput: the rows cannot be read or hold values that no model supports.
        """
        chunks, start, stop = [], rows.start, min(rows.stop, self._ends[-1])
        while start < stop:
            buffer = bisect_right(self._ends, start)
            examples, order = self._buffer(buffer)
            index = order[start - self._ends[buffer] :][: stop - start]  # counted from the end of the buffer
            if len(index) == rows.stop - rows.start:
                return examples.batch(index, generator)
            chunks.append(examples[index])
            start += len(index)
        return concatenate(iter(chunks), sum(map(len, chunks))).batch(slice(None), generator)

    def _buffer(self, index: int) -> _Buffer:
        if index != self._index:
            self._current = self._next if index == self._index + 1 > 0 else run_in_thread(partial(self._read, index))
            self._current.result()  # before the next one is started: two buffers at once are enough
            self._index = index
            if index + 1 < len(self._ends):
                self._next = run_in_thread(partial(self._read, index + 1))
        return self._current.result()

    def _read(self, index: int) -> _Buffer:
        examples = self._load(index)
        order = np.random.default_rng([self._seed, index]).permutation(len(examples))
        return examples, torch.from_numpy(order).to(examples.device)


def run_in_thread(work: Callable[[], T]) -> "Future[T]":
    """Run a function in a new thread."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, name="aevb reads ahead").start()
    return future
