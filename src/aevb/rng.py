"""Randomness as a function of a seed.

PyTorch's functions use its global generator, so a block of code becomes repeatable by seeding this generator before the
block and restoring it afterwards. Each purpose has its own stream: the random numbers of one purpose are independent of
those of another, although both start from the same seed.
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
    """The purpose of random numbers."""

    WEIGHTS = 0
    EPOCH = 1
    VALIDATION = 2
    EVALUATION = 3
    SAMPLES = 4
    FEATURES = 5
    FIRST_SAMPLES = 6


@contextmanager
def seeded(seed: int, purpose: RNGStream, *substreams: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Make PyTorch's global generators a function of the arguments within a block, then restore them.

    Args:
        seed: 0 or more.
        purpose: the purpose of the random numbers.
        substreams: which of several streams of this purpose, such as the number of an epoch.
        device: the device whose generator is seeded together with the CPU's.
    """
    device = torch.device(device)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        # torch.manual_seed records a traceback for a GPU that is not in use, which costs more than a small step.
        manual_seed = torch.default_generator.manual_seed if device.type == "cpu" else torch.manual_seed
        manual_seed(_stream_seed(seed, purpose, *substreams))
        yield


def generator(seed: int, purpose: RNGStream, *substreams: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a new generator with the stream that the global generator has within `seeded`."""
    return torch.Generator(device).manual_seed(_stream_seed(seed, purpose, *substreams))


def rng_state(device: torch.device) -> Tensor:
    """Return the state of the global generator of a device."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def set_rng_state(state: Tensor, device: torch.device) -> None:
    """Set the state of the global generator of a device."""
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)


def _stream_seed(seed: int, purpose: RNGStream, *substreams: int) -> int:
    return int(np.random.SeedSequence(seed, spawn_key=(purpose, *substreams)).generate_state(1, np.uint64)[0])


class ExampleStreams:
    """A random number stream for each example, independent of batches and of the order of the examples.

    A stream depends on the seed, on the values of the example and, unless equal examples get equal streams, on how many
    equal examples came before.

    Args:
        seed: the seed.
        purpose: the purpose of the random numbers.
        equal: whether equal examples get equal streams.
    """

    def __init__(self, seed: int, purpose: RNGStream, *, equal: bool = False) -> None:
        self._key = f"{seed}:{int(purpose)}".encode()
        self._counts: Counter[bytes] = Counter()
        self._equal = equal

    def streams(self, x: Tensor) -> list[torch.Generator]:
        """Return the streams of examples ``(B, *event)``, on the CPU."""
        return [self._generator(example.numpy().tobytes()) for example in x.cpu()]

    def _generator(self, content: bytes) -> torch.Generator:
        content = blake2b(content, digest_size=16).digest()
        repeat = self._counts[content].to_bytes(8, "little")
        if not self._equal:
            self._counts[content] += 1
        seed = blake2b(content + repeat, digest_size=8, key=self._key).digest()
        return torch.Generator().manual_seed(int.from_bytes(seed, "little") >> 1)


def normal(streams: Sequence[torch.Generator], count: int, size: int) -> Tensor:
    """Return `count` vectors of standard normal numbers from each stream, ``(count, B, size)``."""
    return torch.stack([torch.randn(count, size, generator=stream) for stream in streams], dim=1)


def uniform(streams: Sequence[torch.Generator], count: int) -> Tensor:
    """Return `count` uniform numbers from each stream, ``(count, B)``."""
    return torch.stack([torch.rand(count, generator=stream) for stream in streams], dim=1)
