"""Randomness as a function of a seed.

PyTorch's own functions draw from its global generator, so a stretch of code is made repeatable by seeding that
generator for its length and giving it back afterwards. Every purpose has streams of its own: what is drawn for one is
independent of what is drawn for another, although both start from the same seed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import numpy as np
import torch


class Purpose(IntEnum):
    """What random numbers are drawn for."""

    WEIGHTS = 0
    EPOCH = 1
    VALIDATION = 2
    EVALUATION = 3
    SAMPLES = 4


@contextmanager
def seeded(seed: int, purpose: Purpose, *further: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Make PyTorch's global generator a function of the arguments for a while, then give it back as it was.

    Args:
        seed: from 0 on.
        purpose: what is drawn.
        further: which of several streams of this purpose, such as the number of an epoch.
        device: whose generator is meant, beside the CPU's.
    """
    device = torch.device(device)
    state = np.random.SeedSequence(seed, spawn_key=(purpose, *further)).generate_state(1, np.uint64)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(int(state[0]))
        yield
