"""Randomness as a function of a seed.

PyTorch's own functions draw from its global generator, so a stretch of code is made repeatable by seeding that
generator for its length and giving it back afterwards. Every purpose has streams of its own: what is drawn for one is
independent of what is drawn for another, although both start from the same seed.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor


class RNGStream(IntEnum):
    """What random numbers are drawn for."""

    WEIGHTS = 0
    EPOCH = 1
    VALIDATION = 2
    EVALUATION = 3
    SAMPLES = 4
    FEATURES = 5


@contextmanager
def seeded(seed: int, purpose: RNGStream, *further: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Make PyTorch's global generator a function of the arguments for a while, then give it back as it was.

    Args:
        seed: from 0 on.
        purpose: what is drawn.
        further: which of several streams of this purpose, such as the number of an epoch.
        device: whose generator is meant, beside the CPU's.
    """
    device = torch.device(device)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        # torch.manual_seed writes down a traceback for a GPU that is not in use, which costs more than a small step.
        begin = torch.default_generator.manual_seed if device.type == "cpu" else torch.manual_seed
        begin(_start(seed, purpose, *further))
        yield


def generator(seed: int, purpose: RNGStream, *further: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own with the stream that the global one has within `seeded`."""
    return torch.Generator(device).manual_seed(_start(seed, purpose, *further))


def rng_state(device: torch.device) -> Tensor:
    """The state of the global generator of a device."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def set_rng_state(state: Tensor, device: torch.device) -> None:
    """Bring the global generator of a device into a state that it had."""
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)


def _start(seed: int, purpose: RNGStream, *further: int) -> int:
    return int(np.random.SeedSequence(seed, spawn_key=(purpose, *further)).generate_state(1, np.uint64)[0])


class ExampleStreams:
    """A stream of random numbers for each example, whatever batch it comes in and in whatever order.

    It depends on the seed, on the values of the example and on how many equal ones came before.
    """

    def __init__(self, seed: int, purpose: RNGStream) -> None:
        self._key = f"{seed}:{int(purpose)}".encode()
        self._met: Counter[bytes] = Counter()

    def of(self, x: Tensor) -> list[torch.Generator]:
        """The streams of examples ``(B, *event)``, on the CPU."""
        return [self._generator(example.numpy().tobytes()) for example in x.cpu()]

    def _generator(self, content: bytes) -> torch.Generator:
        content = blake2b(content, digest_size=16).digest()
        place = self._met[content].to_bytes(8, "little")
        self._met[content] += 1
        seed = blake2b(content + place, digest_size=8, key=self._key).digest()
        return torch.Generator().manual_seed(int.from_bytes(seed, "little") >> 1)


def normal(streams: Sequence[torch.Generator], count: int, size: int) -> Tensor:
    """Standard normal numbers of each stream, ``(count, B, size)``."""
    return torch.stack([torch.randn(count, size, generator=stream) for stream in streams], dim=1)


def uniform(streams: Sequence[torch.Generator], count: int) -> Tensor:
    """Uniform numbers of each stream, ``(count, B)``."""
    return torch.stack([torch.rand(count, generator=stream) for stream in streams], dim=1)
