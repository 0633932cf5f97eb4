"""Examples, data sets, and the way from one to the other: the kind of the values, splits, binarisation.

Legend: N examples, B of them in a batch; *event is one example, an image (C, H, W) with C in {1, 3} or a vector (D,).

A set is of the kind "binary" if every value in it is exactly 0 or 1, "unit" if all lie in [0, 1], "counts" if they are
rows of whole numbers from 0 on, "columns" if they are the rows of a table (`aevb.columns`), "real" otherwise. Only in
tables values may be missing, NaN.
Values are stored small: bytes where they were bytes, which `scale` brings to [0, 1] only when a batch is made.

Splits, and values that are drawn once, come from generators seeded by (split_seed, purpose): no global random state is
read or changed, and the validation examples, say, do not depend on whether the set is binarised.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aevb.columns import Column
from aevb.errors import BadInput

Binarize = Literal["none", "threshold", "resampled", "treat-as-probabilities"]
Kind = Literal["binary", "unit", "counts", "real", "columns"]
ValidateOn = Literal["random", "last"]

_FEWEST = 10  # examples below which no split means anything
_TEST_SHARE = 0.2
_LARGEST_COUNT = 2**24  # beyond it float32 has no more odd numbers
_FOR_SPLITS, _FOR_VALID, _FOR_TEST = range(3)  # purposes, each with a stream of random numbers of its own


@dataclass(frozen=True, eq=False)
class Examples:
    """N examples as one tensor, and how a batch of them becomes the input of a model.

    Raises `BadInput` where `values` or `labels` have another type or length than stated here.
    """

    values: Tensor  # (N, *event), uint8 or float32
    labels: Tensor | None = None  # (N,) int64
    scale: float = 1.0  # a batch is values * scale: 1/255 for grey bytes
    resampled: bool = False  # every batch is a fresh Bernoulli draw with the grey values as probabilities
    given: Tensor | None = None  # (N, G) float32, what a model is given of each and does not explain

    def __post_init__(self) -> None:
        if self.values.dtype not in (torch.uint8, torch.float32):
            raise BadInput(f"examples are {self.values.dtype}: expected torch.uint8 or torch.float32; convert them")
        if self.labels is not None and (self.labels.dtype != torch.int64 or self.labels.shape != (len(self),)):
            raise BadInput(
                f"labels are {self.labels.dtype} of shape {tuple(self.labels.shape)}: "
                f"expected torch.int64 of shape ({len(self)},), one for each example"
            )
        if self.given is not None and len(self.given) != len(self):
            raise BadInput(f"a condition is given of {len(self.given)} examples: expected one for each of {len(self)}")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example, *event."""
        return tuple(self.values.shape[1:])

    def to(self, device: torch.device | str) -> "Examples":
        """The same examples on another device."""
        return self._each(lambda tensor: tensor.to(device))

    def __getitem__(self, index: Tensor | slice) -> "Examples":
        """Some of the examples."""
        return self._each(lambda tensor: tensor[index.to(tensor.device) if isinstance(index, Tensor) else index])

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Examples":
        """The same with all tensors that have a row for each example changed."""
        rows = {"labels": self.labels, "given": self.given}
        changed: dict[str, Any] = {name: change(tensor) for name, tensor in rows.items() if tensor is not None}
        return replace(self, values=change(self.values), **changed)

    def batch(self, index: Tensor | slice, generator: torch.Generator | None = None) -> Tensor:
        """The examples at `index`, (B, *event) float32, ready for a model.

        A slice of float32 values is a view of the data, not to be written into. Resampled examples are drawn from
        the generator; from PyTorch's global one where None.
        """
        batch = self.values[index].to(torch.float32)
        if self.scale != 1.0:
            batch = batch * self.scale
        return torch.bernoulli(batch, generator=generator) if self.resampled else batch

    def some(self, count: int) -> "Examples":
        """At most `count` of the examples, evenly spaced, since files may be sorted."""
        return self[torch.linspace(0, len(self) - 1, min(count, len(self)), dtype=torch.float64).long()]

    def settled(self) -> "Examples":
        """The same, with values that are drawn anew for each batch drawn once, from PyTorch's global generator."""
        return Examples(self.batch(slice(None)), self.labels, given=self.given) if self.resampled else self

    def inputs(self, index: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """The batch at `index` and, if there is a condition, what is given of it, ``(B, G)``."""
        given = () if self.given is None else (self.given[index],)
        return (self.batch(index, generator), *given)

    def shuffled(self, generator: torch.Generator | None = None) -> "Shuffled":
        """The examples in an order that the generator draws; PyTorch's global one where None."""
        return Shuffled(self, torch.randperm(len(self), generator=generator, device=self.values.device))

    def batches(self, size: int) -> Iterator[Tensor]:
        """All examples in order, `size` at a time; the last batch is what is left."""
        return (part.batch(slice(None)) for part in self.parts(size))

    def parts(self, size: int) -> Iterator["Examples"]:
        """All examples in order, `size` of them at a time."""
        return (self[start : start + size] for start in range(0, len(self), size))


class Shuffled(NamedTuple):
    """Examples in the order of an epoch."""

    examples: Examples
    order: Tensor  # (N,)

    def inputs(self, rows: slice, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """What `Examples.inputs` gives for these places in the order."""
        return self.examples.inputs(self.order[rows], generator)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training, validation and test examples, and what their values are."""

    name: str
    kind: Kind
    shape: tuple[int, ...]  # *event
    train: Examples
    valid: Examples
    test: Examples
    binarize: Binarize
    classes: tuple[str, ...] | None  # names of the labels 0, 1, ...; None where there are no labels
    columns: tuple[Column, ...] = ()  # of a table
    given: tuple[Column, ...] = ()  # what a model is given of each example and does not explain
    notes: tuple[str, ...] = ()  # what was done to the data that their owner may not expect, a line each

    @property
    def largest(self) -> int:
        """The largest value, as a whole number."""
        splits = (self.train, self.valid, self.test)
        return int(max(float(part.values.max()) * part.scale for part in splits))

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits of all values, their splits and what they are: are these the data of that run?"""
        digest = blake2b(f"{self.kind} {self.binarize}".encode(), digest_size=16)
        for column in (*self.columns, *self.given):
            digest.update(column.model_dump_json(exclude={"type"}).encode())  # the same from a file and a frame
        for part in (self.train, self.valid, self.test):
            values = part.values.cpu().contiguous()
            digest.update(f"{values.dtype} {tuple(values.shape)} {part.scale}".encode())
            digest.update(values.numpy().data)
            if part.given is not None:
                digest.update(part.given.cpu().contiguous().numpy().data)
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Pool:
    """All examples of one source, before they are split."""

    name: str
    examples: Examples
    classes: tuple[str, ...] | None = None
    test_from: int | None = None  # from this example on they are the source's own test part, if it has one
    validation: float = 0.1  # default share
    columns: tuple[Column, ...] = ()
    given: tuple[Column, ...] = ()
    notes: tuple[str, ...] = ()


def make_dataset(
    pool: Pool,
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
    kind = "columns" if pool.columns else _kind(pool.examples)
    if kind in ("counts", "real", "columns") and binarize != "none":
        raise BadInput(_not_in_unit_interval(pool, binarize))
    examples = _as_bits(pool.examples) if kind == "binary" else pool.examples
    splits = [examples[torch.from_numpy(index)] for index in _split(pool, validation, test, split_seed, validate_on)]
    if kind == "unit":
        splits = _binarized(splits, binarize, split_seed)
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
        given=pool.given,
        notes=pool.notes,
    )


def made_alike(pool: Pool, kind: Kind, shape: tuple[int, ...], binarize: Binarize, seed: int) -> Examples:
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
    found, known = _kind(examples), {"binary": 0, "unit": 1, "counts": 1, "real": 2}
    wanted: Kind = kind if binarize == "none" else "unit"
    if known[found] > known[wanted] or (known[found] == 1 and found != wanted != "real"):
        raise BadInput(f"{pool.name} holds {found} values, and the model learned from {wanted} ones")
    if found == "binary":
        return _as_bits(examples)
    return _binarized([examples] * 3, binarize, seed)[2]


def _require_examples(pool: Pool) -> None:
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


# The kind of the values. A value is 1 where its stored number is `_one`, so that bytes are compared as bytes.


def _one(examples: Examples) -> int:
    return round(1 / examples.scale)


def _kind(examples: Examples) -> Kind:
    values, one = examples.values, _one(examples)
    if bool(((values == 0) | (values == one)).all()):
        return "binary"
    if values.min() >= 0 and values.max() <= one:
        return "unit"
    return "counts" if _are_counts(values) else "real"


def _are_counts(values: Tensor) -> bool:
    """Whether rows hold whole numbers from 0 on; those of images are greys of some other scale."""
    within = values.dim() == 2 and values.min().item() >= 0 and values.max().item() <= _LARGEST_COUNT
    return within and (not values.is_floating_point() or bool((values == values.round()).all()))


def _as_bits(examples: Examples) -> Examples:
    """Examples whose values are all 0 or 1, one byte each."""
    return replace(examples, values=(examples.values == _one(examples)).to(torch.uint8), scale=1.0)


# Splits.


def _split(
    pool: Pool, validation: float | None, test: float | None, seed: int, validate_on: ValidateOn
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
    if binarize == "threshold":
        return [_with_bits(examples, examples.values >= _one(examples) / 2) for examples in splits]
    if binarize == "resampled":
        train, valid, test = splits
        return [replace(train, resampled=True), _drawn(valid, seed, _FOR_VALID), _drawn(test, seed, _FOR_TEST)]
    return splits


def _drawn(examples: Examples, seed: int, purpose: int) -> Examples:
    uniform = _generator(seed, purpose).random(examples.values.shape, dtype=np.float32)
    return _with_bits(examples, torch.from_numpy(uniform) < examples.values * examples.scale)


def _with_bits(examples: Examples, bits: Tensor) -> Examples:
    return replace(examples, values=bits.to(torch.uint8), scale=1.0)


def _not_in_unit_interval(pool: Pool, binarize: Binarize) -> str:
    if pool.columns:
        return f"{pool.name} is a table, and binarize={binarize!r} is for grey values: leave it out"
    low, high = pool.examples.values.min().item(), pool.examples.values.max().item()
    return (
        f"{pool.name} has values from {low:g} to {high:g}, and binarize={binarize!r} needs them in [0, 1]: "
        "rescale them, or leave it out and choose a likelihood of real values"
    )
