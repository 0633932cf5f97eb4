"""A batch: examples and, for a conditional model, their conditions."""

from dataclasses import dataclass

import torch
from torch import Tensor

from aevb.errors import BadInput


@dataclass(frozen=True, eq=False)
class Batch:
    """Examples as encoders, traces and estimators receive them.

    Attributes:
        x: ``(B, *event)``.
        condition: ``(B, G)``, or ``(1, G)`` for one condition that all examples share; None for unconditional models.
    """

    x: Tensor
    condition: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Tensor | slice) -> "Batch":
        """Return the examples at `index` with their conditions."""
        if self.condition is None or len(self.condition) == 1:
            return Batch(self.x[index], self.condition)
        return Batch(self.x[index], self.condition[index])

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Batch":
        """Return the batch on another device and in a floating-point type, or its own where that is wider."""

        def moved(tensor: Tensor) -> Tensor:
            return tensor.to(device, tensor.dtype if dtype is None else torch.promote_types(tensor.dtype, dtype))

        return Batch(moved(self.x), None if self.condition is None else moved(self.condition))

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The fields that are present, in order: ``Batch(*batch.tensors)`` is the same batch."""
        return (self.x,) if self.condition is None else (self.x, self.condition)


def as_batch(batch: Batch | Tensor) -> Batch:
    """Return a batch; a plain tensor ``(B, *event)`` becomes a batch without a condition."""
    return batch if isinstance(batch, Batch) else Batch(batch)


def require_tensor(
    name: str, value: object, dtype: torch.dtype | None = None, event: tuple[int, ...] | None = None
) -> None:
    """Check the type and the shape of an argument.

    Args:
        name: its name, for the message.
        value: the argument.
        dtype: the floating-point type of the model, if the argument must have it; None for any floating-point type.
        event: the shape of one example, if the argument consists of examples ``(B, *event)``. Other shapes are
            checked by the networks.

    Raises:
        BadInput: it is no tensor, or has another type or shape.
    """
    if not isinstance(value, Tensor):
        kind = f"{type(value).__module__}.{type(value).__name__}"
        raise BadInput(f"{name} is a {kind}: expected a tensor; pass torch.as_tensor({name})")
    if not value.is_floating_point():
        raise BadInput(f"{name} is {value.dtype}: expected floating-point numbers; pass {name}.float()")
    if dtype not in (None, value.dtype) and not torch.is_autocast_enabled(value.device.type):
        raise BadInput(f"{name} is {value.dtype} and the model {dtype}: pass {name}.to({dtype})")
    if event is not None and value.dim() == len(event) and tuple(value.shape) == event:
        expected = ", ".join(map(str, ("B", *event)))
        raise BadInput(f"{name} has the shape {event}: expected ({expected}); pass {name}[None] for one example")
