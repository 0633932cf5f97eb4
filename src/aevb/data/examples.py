"""Examples: tensors, and how batches of them become the input of a model.

Legend: N examples, B of them in a batch; *event is one example, an image (C, H, W) with C in {1, 3} or a vector (D,);
G numbers that a model is given of each.

Values are stored small: bytes where they were bytes, which `scale` brings to [0, 1] only when a batch is made. Training
asks no more of its examples than a `ExampleSource` does, so they may as well lie on a disk (`aevb.data.out_of_core`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from aevb.errors import BadInput


class Order(Protocol):
    """Examples in the order of an epoch."""

    def inputs(self, rows: slice, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """What `Examples.inputs` gives for these places in the order, asked for from first to last."""


class ExampleSource(Protocol):
    """Examples to learn from, wherever they lie.

    Attributes:
        shape: of one example, *event.
        device: where its batches are.
        resampled: whether every batch is a fresh draw.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def resampled(self) -> bool: ...

    def __len__(self) -> int: ...

    def to(self, device: torch.device | str) -> "ExampleSource":
        """The same examples on another device."""

    def subsample(self, count: int) -> "Examples":
        """At most `count` of the examples, evenly spaced."""

    def shuffled(self, generator: torch.Generator | None = None) -> Order:
        """The examples in an order that the generator draws; PyTorch's global one where None."""


@dataclass(frozen=True, eq=False)
class Examples:
    """N examples as one tensor, and how a batch of them becomes the input of a model.

    Raises `BadInput` where `values` or `labels` have another type or length than stated here.
    """

    values: Tensor  # (N, *event), uint8 or float32
    labels: Tensor | None = None  # (N,) int64
    scale: float = 1.0  # a batch is values * scale: 1/255 for grey bytes
    resampled: bool = False  # every batch is a fresh Bernoulli draw with the grey values as probabilities
    given: Tensor | None = None  # (N, G) float32, what a model is given of each and does not explain

    def __post_init__(self) -> None:
        if self.values.dtype not in (torch.uint8, torch.float32):
            raise BadInput(f"examples are {self.values.dtype}: expected torch.uint8 or torch.float32; convert them")
        if self.labels is not None and (self.labels.dtype != torch.int64 or self.labels.shape != (len(self),)):
            raise BadInput(
                f"labels are {self.labels.dtype} of shape {tuple(self.labels.shape)}: "
                f"expected torch.int64 of shape ({len(self)},), one for each example"
            )
        if self.given is not None and len(self.given) != len(self):
            raise BadInput(f"a condition is given of {len(self.given)} examples: expected one for each of {len(self)}")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example, *event."""
        return tuple(self.values.shape[1:])

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.values.device

    def to(self, device: torch.device | str) -> "Examples":
        """The same examples on another device."""
        return self._each(lambda tensor: tensor.to(device))

    def __getitem__(self, index: Tensor | slice) -> "Examples":
        """Some of the examples."""
        return self._each(lambda tensor: tensor[index.to(tensor.device) if isinstance(index, Tensor) else index])

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Examples":
        """The same with all tensors that have a row for each example changed."""
        rows = {"labels": self.labels, "given": self.given}
        changed: dict[str, Any] = {name: change(tensor) for name, tensor in rows.items() if tensor is not None}
        return replace(self, values=change(self.values), **changed)

    def batch(self, index: Tensor | slice, generator: torch.Generator | None = None) -> Tensor:
        """The examples at `index`, (B, *event) float32, ready for a model.

        A slice of float32 values is a view of the data, not to be written into. Resampled examples are drawn from
        the generator; from PyTorch's global one where None.
        """
        batch = self.values[index].to(torch.float32)
        if self.scale != 1.0:
            batch = batch * self.scale
        return torch.bernoulli(batch, generator=generator) if self.resampled else batch

    def subsample(self, count: int) -> "Examples":
        """At most `count` of the examples, evenly spaced, since files may be sorted."""
        return self.spaced(min(count, len(self)))

    def spaced(self, count: int) -> "Examples":
        """So many of the examples, evenly spaced; some of them several times where there are fewer."""
        return self[torch.linspace(0, len(self) - 1, count, dtype=torch.float64).long()]

    def materialize(self) -> "Examples":
        """The same, with values that are drawn anew for each batch drawn once, from PyTorch's global generator."""
        return Examples(self.batch(slice(None)), self.labels, given=self.given) if self.resampled else self

    def inputs(self, index: Tensor | slice, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """The batch at `index` and, if there is a condition, what is given of it, ``(B, G)``."""
        given = () if self.given is None else (self.given[index],)
        return (self.batch(index, generator), *given)

    def shuffled(self, generator: torch.Generator | None = None) -> "Shuffled":
        """The examples in an order that the generator draws; PyTorch's global one where None."""
        return Shuffled(self, torch.randperm(len(self), generator=generator, device=self.values.device))

    def batches(self, size: int) -> Iterator[Tensor]:
        """All examples in order, `size` at a time; the last batch is what is left."""
        return (part.batch(slice(None)) for part in self.parts(size))

    def parts(self, size: int) -> Iterator["Examples"]:
        """All examples in order, `size` of them at a time."""
        return (self[start : start + size] for start in range(0, len(self), size))

    def content(self) -> Iterator[bytes | memoryview]:
        """All values, and what is given."""
        values = self.values.cpu().contiguous()
        yield f"{values.dtype} {tuple(values.shape)} {self.scale}".encode()
        yield values.numpy().data
        if self.given is not None:
            yield self.given.cpu().contiguous().numpy().data


class Shuffled(NamedTuple):
    """Examples in the order of an epoch."""

    examples: Examples
    order: Tensor  # (N,)

    def inputs(self, rows: slice, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """What `Examples.inputs` gives for these places in the order."""
        return self.examples.inputs(self.order[rows], generator)
