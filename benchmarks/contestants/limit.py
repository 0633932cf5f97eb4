"""The least time of a step on this machine: its multiply-adds at the rate of a large matrix product, and the bytes of
Adam's update at the rate of a copy.

Both rates are measured beside each other here, with PyTorch's default number of threads.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.contestants.floor import backward, layers_and_inputs
from benchmarks.workloads import Workload

MOVED = 7 * 4
"""Bytes of a weight in Adam's update: weight, gradient and two moments are read, and all but the gradient written."""


@torch.no_grad()
def train(workload: Workload, x: Tensor, epochs: int, device: str) -> float:
    """Return the seconds of as many steps as there are full batches."""
    layers, inputs = layers_and_inputs(workload, x[: workload.batch].to(device), device)
    with FlopCounterMode(display=False) as counter:
        for place, (layer, given) in enumerate(zip(layers, inputs, strict=True)):
            backward(layer, given, layer(given), first=place == 0)
    weights = sum(parameter.numel() for layer in layers for parameter in layer.parameters())
    step = counter.get_total_flops() / _operations_a_second(device) + weights * MOVED / _bytes_a_second(weights, device)
    return epochs * (len(x) // workload.batch) * step


def _operations_a_second(device: str, size: int = 1024) -> float:
    a, b = (torch.randn(size, size, device=device) for _ in range(2))
    result = torch.empty_like(a)
    return 2 * size**3 / _least(lambda: torch.mm(a, b, out=result))


def _bytes_a_second(count: int, device: str) -> float:
    source, target = (torch.zeros(count, device=device) for _ in range(2))
    return 8 * count / _least(lambda: target.copy_(source))


def _least(action: Callable[[], object], repeats: int = 50) -> float:
    """Return the least seconds of an action over its repeats."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
