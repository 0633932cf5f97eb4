"""Data sets, and the way to them from the examples of a source: splits and binarisation.

Where the examples are (`aevb.data.examples`) and what kinds of values there are (`aevb.data.value_kinds`) is told
elsewhere.

Splits, and values that are drawn once, come from generators seeded by (split_seed, purpose): no global random state is
read or changed, and the validation examples, say, do not depend on whether the set is binarised.
"""

from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aevb.columns import Column
from aevb.data.examples import Examples as Examples
from aevb.data.examples import ExampleSource
from aevb.data.out_of_core import Stored
from aevb.data.value_kinds import Kind as Kind
from aevb.data.value_kinds import kind_of, one
from aevb.errors import BadInput

Binarize = Literal["none", "threshold", "resampled", "treat-as-probabilities"]
ValidateOn = Literal["random", "last"]

_FEWEST = 10  # examples below which no split means anything
_TEST_SHARE = 0.2
_FOR_SPLITS, _FOR_VALID, _FOR_TEST = range(3)  # purposes, each with a stream of random numbers of its own


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training, validation and test examples, and what their values are."""

    name: str
    kind: Kind
    shape: tuple[int, ...]  # *event
    train: Examples  # all, or some of those that are stored
    valid: Examples
    test: Examples
    binarize: Binarize
    classes: tuple[str, ...] | None  # names of the labels 0, 1, ...; None where there are no labels
    columns: tuple[Column, ...] = ()  # of a table
    condition_columns: tuple[Column, ...] = ()  # what a model is given of each example and does not explain
    notes: tuple[str, ...] = ()  # what was done to the data that their owner may not expect, a line each
    stored: Stored | None = None  # all training examples, where they are not in memory

    @property
    def supply(self) -> ExampleSource:
        """All training examples."""
        return self.stored or self.train

    @property
    def largest(self) -> int:
        """The largest value, as a whole number."""
        splits = (self.train, self.valid, self.test)
        return int(max(float(part.values.max()) * part.scale for part in splits))

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits of all values, their splits and what they are: are these the data of that run?

        Of training examples that are stored, of those at hand, their number, and the size of their source.
        """
        digest = blake2b(f"{self.kind} {self.binarize}".encode(), digest_size=16)
        for column in (*self.columns, *self.condition_columns):
            digest.update(column.model_dump_json(exclude={"type"}).encode())  # the same from a file and a frame
        for part in (self.stored or self.train, self.valid, self.test):
            for content in part.content():
                digest.update(content)
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class UnsplitData:
    """All examples of one source, before they are split."""

    name: str
    examples: Examples
    classes: tuple[str, ...] | None = None
    test_from: int | None = None  # from this example on they are the source's own test part, if it has one
    validation: float = 0.1  # default share
    columns: tuple[Column, ...] = ()
    condition_columns: tuple[Column, ...] = ()
    notes: tuple[str, ...] = ()
    stored: Stored | None = None  # where all examples are, if `examples` are only some of them


def make_dataset(
    pool: UnsplitData,
    binarize: Binarize,
    validation: float | None,
    test: float | None,
    split_seed: int,
    validate_on: ValidateOn = "random",
) -> Dataset:
    """Split and binarise the examples of a source; the arguments are those of `aevb.data.load`.

    Raises `BadInput` if there are too few examples, a split does not fit them, or real values are to be binarised.
    """
    _require_examples(pool)
    require_seed(split_seed)
    kind = "columns" if pool.columns else kind_of(pool.examples)
    if kind in ("counts", "real", "columns") and binarize != "none":
        raise BadInput(_not_in_unit_interval(pool, binarize))
    examples = _as_bits(pool.examples) if kind == "binary" else pool.examples
    indices = _split(pool, validation, test, split_seed, validate_on)
    splits = [examples[torch.from_numpy(index)] for index in indices]
    if kind == "unit":
        splits = _binarized(splits, binarize, split_seed)
    stored = pool.stored
    if stored:
        held_out, last = np.sort(np.concatenate(indices[1:])), indices[1][0] if validate_on == "last" else None
        stored = stored.without(held_out, splits[0], kind, from_on=last)
        stored = stored.changed(partial(_learnt, kind=kind, binarize=binarize))
    return Dataset(
        name=pool.name,
        kind="binary" if binarize != "none" else kind,
        shape=examples.shape,
        train=splits[0],
        valid=splits[1],
        test=splits[2],
        binarize="none" if kind == "binary" else binarize,
        classes=pool.classes,
        columns=pool.columns,
        condition_columns=pool.condition_columns,
        notes=(*pool.notes, stored.note) if stored else pool.notes,
        stored=stored,
    )


def made_alike(pool: UnsplitData, kind: Kind, shape: tuple[int, ...], binarize: Binarize, seed: int) -> Examples:
    """All examples of a source, for a model that learned from others of a kind and shape.

    Args:
        pool: not a table.
        kind, shape, binarize: of the data set that the model learned from.
        seed: of binary values that are drawn.

    Raises:
        BadInput: they are of another shape, or have values that those could not have.
    """
    examples = pool.examples
    if examples.shape != shape:
        raise BadInput(f"{pool.name} holds examples of shape {examples.shape}, and the model learned from {shape}")
    found, known = kind_of(examples), {"binary": 0, "unit": 1, "counts": 1, "real": 2}
    wanted: Kind = kind if binarize == "none" else "unit"
    if known[found] > known[wanted] or (known[found] == 1 and found != wanted != "real"):
        raise BadInput(f"{pool.name} holds {found} values, and the model learned from {wanted} ones")
    if found == "binary":
        return _as_bits(examples)
    return _binarized([examples] * 3, binarize, seed)[2]


def _require_examples(pool: UnsplitData) -> None:
    if len(pool.examples) < _FEWEST:
        raise BadInput(f"{pool.name} holds {len(pool.examples)} examples: expected at least {_FEWEST}; give more data")
    if 0 in pool.examples.shape:
        raise BadInput(
            f"{pool.name} holds examples of shape {pool.examples.shape}: expected at least one value in each"
        )


def require_seed(seed: int) -> None:
    """Raise `BadInput` if no generator can be seeded by it."""
    if seed < 0:
        raise BadInput(f"split_seed={seed} is negative: expected a whole number from 0 on")


# Binarisation, and what becomes of zeros and ones.


def _as_bits(examples: Examples) -> Examples:
    """Examples whose values are all 0 or 1, one byte each."""
    return replace(examples, values=(examples.values == one(examples)).to(torch.uint8), scale=1.0)


# Splits.


def _split(
    pool: UnsplitData, validation: float | None, test: float | None, seed: int, validate_on: ValidateOn
) -> list[NDArray[np.int64]]:
    """Indices of the training, validation and test examples, each ascending: the order of the source is kept."""
    total = len(pool.examples)
    if pool.test_from is None:
        free, held_out = total, _count("test", _TEST_SHARE if test is None else test, total)
    elif test is not None:
        raise BadInput(f"{pool.name} has its own test part of {total - pool.test_from} examples: leave out test={test}")
    elif pool.test_from == total:
        raise BadInput(f"{pool.name} has an empty test part: expected at least one example in it")
    else:
        free, held_out = pool.test_from, 0
    validating = _count("validation", pool.validation if validation is None else validation, free)
    if held_out + validating >= free:
        raise BadInput(
            f"validation ({validating}) and test ({held_out}) leave none of the {free} examples of {pool.name} "
            "to train on: give smaller ones"
        )
    # At random even where the source is in random order: files are often sorted by class.
    last = np.arange(free - validating * (validate_on == "last"), free)
    order = _generator(seed, _FOR_SPLITS).permutation(free - len(last))
    test_index, valid_index, train_index = np.split(order, [held_out, held_out + validating - len(last)])
    parts = [train_index, np.concatenate([valid_index, last]), np.concatenate([test_index, np.arange(free, total)])]
    return [np.sort(part) for part in parts]


def _count(name: str, amount: float, total: int) -> int:
    """Number of examples in a split given as a share (below 1) or as a number of examples."""
    if not (0 < amount < 1 or (amount >= 1 and float(amount).is_integer())):
        raise BadInput(f"{name}={amount}: expected a share between 0 and 1, or a whole number of examples")
    count = round(amount * total) if amount < 1 else int(amount)
    if count == 0:
        raise BadInput(
            f"{name}={amount} of {total} examples is none at all: give a larger share, or a number of examples"
        )
    return count


def _generator(seed: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng([seed, purpose])


# Binarisation of values in [0, 1].


def _binarized(splits: list[Examples], binarize: Binarize, seed: int) -> list[Examples]:
    train, valid, test = splits
    if binarize == "resampled":
        return [_learnt(train, "unit", binarize), _drawn(valid, seed, _FOR_VALID), _drawn(test, seed, _FOR_TEST)]
    return [_learnt(examples, "unit", binarize) for examples in splits]


def _learnt(examples: Examples, kind: Kind, binarize: Binarize) -> Examples:
    """Values of a kind as they are learned from."""
    if kind == "binary":
        return _as_bits(examples)
    if binarize == "threshold":
        return _with_bits(examples, examples.values >= one(examples) / 2)
    return replace(examples, resampled=True) if binarize == "resampled" else examples


def _drawn(examples: Examples, seed: int, purpose: int) -> Examples:
    uniform = _generator(seed, purpose).random(examples.values.shape, dtype=np.float32)
    return _with_bits(examples, torch.from_numpy(uniform) < examples.values * examples.scale)


def _with_bits(examples: Examples, bits: Tensor) -> Examples:
    return replace(examples, values=bits.to(torch.uint8), scale=1.0)


def _not_in_unit_interval(pool: UnsplitData, binarize: Binarize) -> str:
    if pool.columns:
        return f"{pool.name} is a table, and binarize={binarize!r} is for grey values: leave it out"
    low, high = pool.examples.values.min().item(), pool.examples.values.max().item()
    return (
        f"{pool.name} has values from {low:g} to {high:g}, and binarize={binarize!r} needs them in [0, 1]: "
        "rescale them, or leave it out and choose a likelihood of real values"
    )
