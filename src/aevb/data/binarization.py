"""Binarization of values in [0, 1], and binary values stored as bytes.

Values that are sampled once come from generators seeded by (split_seed, stream): global random state is neither read
nor changed.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from aevb.data.examples import Examples
from aevb.data.value_kinds import Kind, stored_one

Binarize = Literal["none", "threshold", "resampled", "treat-as-probabilities"]

SPLIT_STREAM, VALID_STREAM, TEST_STREAM = range(3)
"""Streams of random numbers of a split seed."""


def split_generator(seed: int, stream: int) -> np.random.Generator:
    """Return the generator of a stream of random numbers of a split seed."""
    return np.random.default_rng([seed, stream])


def as_bits(examples: Examples) -> Examples:
    """Return examples whose values are all 0 or 1 with one byte for each value."""
    return _with_bits(examples, examples.values == stored_one(examples))


def binarize_splits(splits: list[Examples], binarize: Binarize, seed: int) -> list[Examples]:
    """Binarize training, validation and test examples with values in [0, 1]."""
    train, valid, test = splits
    if binarize == "resampled":
        held_out = [_sampled(valid, seed, VALID_STREAM), _sampled(test, seed, TEST_STREAM)]
        return [binarize_training(train, "unit", binarize), *held_out]
    return [binarize_training(examples, "unit", binarize) for examples in splits]


def binarize_training(examples: Examples, kind: Kind, binarize: Binarize) -> Examples:
    """Return training examples of a kind of values in their final form."""
    if kind == "binary":
        return as_bits(examples)
    if binarize == "threshold":
        return _with_bits(examples, examples.values >= stored_one(examples) / 2)
    return replace(examples, resampled=True) if binarize == "resampled" else examples


def _sampled(examples: Examples, seed: int, stream: int) -> Examples:
    uniform = split_generator(seed, stream).random(examples.values.shape, dtype=np.float32)
    return _with_bits(examples, torch.from_numpy(uniform) < examples.values * examples.scale)


def _with_bits(examples: Examples, bits: Tensor) -> Examples:
    return replace(examples, values=bits.to(torch.uint8), scale=1.0)
