"""The legend of shapes of all modules, and reductions over them.

========  =====================================================================
``S``     samples of z for each example
``B``     examples in a batch
``Z``     latent dimensions
``*event``  one example: an image ``(C, H, W)`` or a row ``(D,)``
========  =====================================================================

x is ``(B, *event)``, z is ``(S, B, Z)``, a log-density is ``(S, B)`` or ``(B,)``. Log-densities are in nats and sum
over the event; means are over examples, and are the last reduction.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest

import torch
from torch import Tensor, nn


def size(event: tuple[int, ...]) -> int:
    """Return the number of elements of one example."""
    return math.prod(event)


def broadcast_shape(first: Sequence[int], second: Sequence[int]) -> tuple[int, ...]:
    """Return the shape to which two shapes are broadcast; `torch.broadcast_shapes` imports SymPy first."""
    sizes = zip_longest(reversed(first), reversed(second), fillvalue=1)
    return tuple(b if a == 1 else a for a, b in sizes)[::-1]


@contextmanager
def output_sizes(modules: Iterable[nn.Module]) -> Iterator[list[int]]:
    """Collect the numbers of elements of the tensors that modules return within a block."""
    sizes: list[int] = []

    def note(_module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            sizes.append(output.numel())

    with forward_hooks(modules, note):
        yield sizes


@contextmanager
def forward_hooks(modules: Iterable[nn.Module], hook: Callable[..., object]) -> Iterator[None]:
    """Call `hook` with a module, its inputs and its output after each call of one of the modules within a block."""
    handles = [module.register_forward_hook(hook) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def widest_float(device: torch.device) -> torch.dtype:
    """Return the most precise floating-point type of a device."""
    return torch.float32 if device.type == "mps" else torch.float64


def log_mean_exp(values: Tensor) -> Tensor:
    """Return log 1/S Σ_s e^{v_s}: ``(S, B)`` to ``(B,)``."""
    return values.logsumexp(0) - math.log(len(values))


def sum_event(values: Tensor, dims: int) -> Tensor:
    """Return the sum over the last `dims` axes, those of the event: ``(..., *event)`` to ``(...)``."""
    return values.flatten(-dims).sum(-1) if dims > 1 else values.sum(-1) if dims else values
