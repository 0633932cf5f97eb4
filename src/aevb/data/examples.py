"""Examples: tensors, and how batches of them become the input of a model.

Legend: N examples, B of them in a batch, G numbers of a condition; *event is the shape of one example, an image
(C, H, W) with C in {1, 3} or a vector (D,).

Values keep their stored type: bytes stay bytes and are scaled to [0, 1] when a batch is built; other values are
float32, or float64 where that is too coarse (`aevb.data.rounding`). Training needs only the interface of an
`ExampleSource`, so examples may also stay on disk (`aevb.data.out_of_core`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from aevb.errors import BadInput
from aevb.models.batch import Batch

_DTYPES = (torch.uint8, torch.float32, torch.float64)


class Order(Protocol):
    """Examples in the order of an epoch."""

    def batch(self, rows: slice, generator: torch.Generator | None = None) -> Batch:
        """Return the batch at these positions in the order; positions are requested from first to last."""


class ExampleSource(Protocol):
    """Examples to train on, in memory or elsewhere.

    Attributes:
        shape: shape of one example, ``*event``.
        device: device of the batches.
        resampled: whether the values of every batch are sampled anew.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def resampled(self) -> bool: ...

    def __len__(self) -> int: ...

    def to(self, device: torch.device | str) -> "ExampleSource":
        """Return the same examples with batches on another device."""

    def subsample(self, count: int) -> "Examples":
        """Return at most `count` of the examples, evenly spaced."""

    def shuffled(self, generator: torch.Generator | None = None) -> Order:
        """Return the examples in a random order, from `generator` or from PyTorch's global generator."""


@dataclass(frozen=True, eq=False)
class Examples:
    """N examples as one tensor.

    Attributes:
        values: ``(N, *event)``, uint8, float32 or float64.
        labels: ``(N,)``, int64.
        scale: a batch is values * scale: 1/255 for gray bytes.
        resampled: whether every batch is a new Bernoulli sample with the gray values as probabilities.
        condition: ``(N, G)``, float32 or float64: what a conditional model receives of each example and does not model.

    Raises:
        BadInput: a tensor has another type or length than stated here.
    """

    values: Tensor
    labels: Tensor | None = None
    scale: float = 1.0
    resampled: bool = False
    condition: Tensor | None = None

    def __post_init__(self) -> None:
        if self.values.dtype not in _DTYPES:
            raise BadInput(
                f"examples are {self.values.dtype}: expected torch.uint8, torch.float32 or torch.float64; convert them"
            )
        if self.labels is not None and (self.labels.dtype != torch.int64 or self.labels.shape != (len(self),)):
            raise BadInput(
                f"labels are {self.labels.dtype} of shape {tuple(self.labels.shape)}: "
                f"expected torch.int64 of shape ({len(self)},), one for each example"
            )
        if self.condition is not None and len(self.condition) != len(self):
            raise BadInput(f"the condition has {len(self.condition)} rows: expected {len(self)}, one for each example")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example, ``*event``."""
        return tuple(self.values.shape[1:])

    @property
    def device(self) -> torch.device:
        """The device of the values."""
        return self.values.device

    @property
    def has_classes(self) -> bool:
        """Whether there are labels of at least two classes."""
        return self.labels is not None and len(self.labels.unique()) > 1

    def to(self, device: torch.device | str) -> "Examples":
        """Return the same examples on another device.

        Raises:
            BadInput: the values are float64, which the device does not support.
        """
        if self.values.dtype == torch.float64 and torch.device(device).type == "mps":
            raise BadInput("these data need float64, which mps does not support: use the device cpu")
        return self._map(lambda tensor: tensor.to(device))

    def __getitem__(self, index: Tensor | slice) -> "Examples":
        """Return the examples at `index`."""
        return self._map(lambda tensor: tensor[index.to(tensor.device) if isinstance(index, Tensor) else index])

    def _map(self, change: Callable[[Tensor], Tensor]) -> "Examples":
        """Apply `change` to every tensor that has one row per example."""
        labels, condition = (None if tensor is None else change(tensor) for tensor in (self.labels, self.condition))
        return replace(self, values=change(self.values), labels=labels, condition=condition)

    def batch(self, index: Tensor | slice, generator: torch.Generator | None = None) -> Batch:
        """Return the batch at `index`, x ``(B, *event)``; bytes become float32.

        A slice of other values is a view of the data: do not write into it. Resampled values come from `generator`
        or, where it is None, from PyTorch's global generator.
        """
        x = self.values[index]
        x = x.float() if x.dtype == torch.uint8 else x
        if self.scale != 1.0:
            x = x * self.scale
        x = torch.bernoulli(x, generator=generator) if self.resampled else x
        return Batch(x, None if self.condition is None else self.condition[index])

    def all(self) -> Batch:
        """Return all examples as one batch."""
        return self.batch(slice(None))

    def subsample(self, count: int) -> "Examples":
        """Return at most `count` of the examples, evenly spaced, because files may be sorted."""
        return self.spaced(min(count, len(self)))

    def spaced(self, count: int) -> "Examples":
        """Return `count` examples, evenly spaced; some are repeated if there are fewer."""
        return self[evenly_spaced(len(self), count)]

    def brightened(self, white: float) -> "Examples":
        """Return the examples with all values divided by `white`, which becomes 1."""
        return self if white == 1.0 else replace(self, values=self.values / white)

    def materialize(self) -> "Examples":
        """Return the same examples with resampled values sampled once, from PyTorch's global generator."""
        return Examples(self.all().x, self.labels, condition=self.condition) if self.resampled else self

    def shuffled(self, generator: torch.Generator | None = None) -> "Shuffled":
        """Return the examples in a random order, from `generator` or from PyTorch's global generator."""
        return Shuffled(self, torch.randperm(len(self), generator=generator, device=self.values.device))

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield all examples in order, in batches of `size`; the last batch may be smaller."""
        return (chunk.all() for chunk in self.chunks(size))

    def chunks(self, size: int) -> Iterator["Examples"]:
        """Yield all examples in order, `size` at a time; the last chunk may be smaller."""
        return (self[start : start + size] for start in range(0, len(self), size))

    def content(self) -> Iterator[bytes | memoryview]:
        """Yield the bytes of all values and conditions, for a fingerprint."""
        values = self.values.cpu().contiguous()
        yield f"{values.dtype} {tuple(values.shape)} {self.scale}".encode()
        yield values.numpy().data
        if self.condition is not None:
            yield self.condition.cpu().contiguous().numpy().data


def evenly_spaced(total: int, count: int) -> Tensor:
    """Return the indices of `count` of `total` examples, evenly spaced."""
    return torch.linspace(0, total - 1, count, dtype=torch.float64).long()


class Shuffled(NamedTuple):
    """Examples in memory, in the order of an epoch.

    Attributes:
        examples: N of them.
        order: their indices, ``(N,)``.
    """

    examples: Examples
    order: Tensor

    def batch(self, rows: slice, generator: torch.Generator | None = None) -> Batch:
        """Return the batch at these positions in the order."""
        return self.examples.batch(self.order[rows], generator)
