"""Base classes of the distributions in this package."""

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size


def magnitude(x: Tensor) -> Tensor:
    """Return |x|. Unlike that of `Tensor.abs`, its second derivative needs no import that takes a second."""
    return torch.where(x < 0, -x, x)


class BaseDistribution(Distribution):
    """A distribution over events of any shape.

    Args:
        shape: shape of a parameter, ``(..., *event)``.
        event_dims: number of trailing axes that form the event.
    """

    arg_constraints = {}  # noqa: RUF012  (an instance attribute in torch's own interface)
    element_constraint: constraints.Constraint = constraints.real
    """Constraint on each number of the event."""

    def __init__(self, shape: torch.Size, event_dims: int) -> None:
        split = len(shape) - event_dims
        super().__init__(shape[:split], shape[split:], validate_args=False)

    @property
    def event_dims(self) -> int:
        return len(self.event_shape)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(self.element_constraint, self.event_dims)

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Return samples without gradient, ``(*sample_shape, ..., *event)``."""
        with torch.no_grad():
            return self._sample(sample_shape)

    def _sample(self, sample_shape: _size) -> Tensor:
        return self.rsample(sample_shape)


class LogitDistribution(BaseDistribution):
    """Independent variables with p(x) proportional to e^{l x}.

    Args:
        logits: l, ``(..., *event)``.
        event_dims: number of trailing axes that form the event.
    """

    def __init__(self, logits: Tensor, event_dims: int) -> None:
        self.logits = logits
        super().__init__(logits.shape, event_dims)

    def entropy(self) -> Tensor:
        """Return -log p at the mean in nats, ``(...)``: log p is linear in x."""
        return -self.log_prob(self.mean)
