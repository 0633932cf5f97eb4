"""The legend of shapes, kept by every module, and the reductions over them.

========  =====================================================================
``S``     samples of z drawn for each example
``B``     examples in a batch
``Z``     latent dimensions
``*event``  one example: an image ``(C, H, W)`` or a row ``(D,)``
========  =====================================================================

x is ``(B, *event)``, z is ``(S, B, Z)``, a log-density is ``(S, B)`` or ``(B,)``. Log-densities are in nats and sum
over the event; means are taken over examples, and only at the very end.
"""

import math

from torch import Tensor


def size(event: tuple[int, ...]) -> int:
    """How many numbers one example has."""
    return math.prod(event)


def log_mean_exp(values: Tensor) -> Tensor:
    """log 1/S Σ_s e^{v_s}: ``(S, B)`` to ``(B,)``."""
    return values.logsumexp(0) - math.log(len(values))


def sum_event(values: Tensor, dims: int) -> Tensor:
    """Sum over the last `dims` axes, those of the event: ``(..., *event)`` to ``(...)``; over none, nothing."""
    return values.flatten(-dims).sum(-1) if dims > 1 else values.sum(-1) if dims else values
