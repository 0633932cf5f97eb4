"""Training, validation and test splits.

The splits come from generators seeded by (split_seed, stream): global random state is neither read nor changed, and the
validation examples, for instance, do not depend on the binarization.
"""

from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from aevb.data.binarization import (
    SPLIT_STREAM,
    Binarize,
    as_bits,
    binarize_splits,
    binarize_training,
    split_generator,
)
from aevb.data.dataset import Dataset, UnsplitData
from aevb.data.rounding import narrowed
from aevb.data.value_kinds import kind_of
from aevb.errors import BadInput

ValidateOn = Literal["random", "last"]

_MIN_EXAMPLES = 10
_TEST_SHARE = 0.2


def split_data(
    data: UnsplitData,
    binarize: Binarize = "none",
    validation: float | None = None,
    test: float | None = None,
    split_seed: int = 0,
    validate_on: ValidateOn = "random",
) -> Dataset:
    """Split and binarize the examples of a source; the options are those of `aevb.load_data`.

    Raises:
        BadInput: there are too few examples, a split does not fit them, or values outside [0, 1] are to be binarized.
    """
    _require_examples(data)
    require_seed(split_seed)
    examples = narrowed(data.examples).brightened(data.white or 1.0)
    kind = "columns" if data.columns else kind_of(examples)
    if kind in ("counts", "real", "columns") and binarize != "none":
        raise BadInput(_cannot_binarize(data, binarize))
    examples = as_bits(examples) if kind == "binary" else examples
    indices = _split_indices(data, validation, test, split_seed, validate_on)
    splits = [examples[torch.from_numpy(index)] for index in indices]
    if kind == "unit":
        splits = binarize_splits(splits, binarize, split_seed)
    out_of_core = data.out_of_core
    if out_of_core:
        held_out, stop_at = np.sort(np.concatenate(indices[1:])), indices[1][0] if validate_on == "last" else None
        out_of_core = out_of_core.without(held_out, splits[0], kind, stop_at=stop_at)
        out_of_core = out_of_core.transformed(partial(binarize_training, kind=kind, binarize=binarize))
    return Dataset(
        name=data.name,
        kind="binary" if binarize != "none" else kind,
        shape=examples.shape,
        train=splits[0],
        valid=splits[1],
        test=splits[2],
        binarize="none" if kind == "binary" else binarize,
        classes=data.classes,
        columns=data.columns,
        condition_columns=data.condition_columns,
        summaries=data.summaries,
        notes=(*data.notes, out_of_core.note) if out_of_core else data.notes,
        out_of_core=out_of_core,
        rows=tuple(index if data.out_of_core is None else data.out_of_core.scanned[index] for index in indices),
        white=data.white or 1.0,
        text_form=data.text_form,
        byte_scale=data.examples.scale if data.examples.values.dtype == torch.uint8 else None,
    )


def require_seed(seed: int) -> None:
    """Refuse a negative seed.

    Raises:
        BadInput: the seed is negative.
    """
    if seed < 0:
        raise BadInput(f"split_seed={seed} is negative: expected a whole number from 0")


def _require_examples(data: UnsplitData) -> None:
    if len(data.examples) < _MIN_EXAMPLES:
        raise BadInput(f"{data.name} has {len(data.examples)} examples: expected at least {_MIN_EXAMPLES}; add data")
    if 0 in data.examples.shape:
        raise BadInput(f"{data.name} has examples of shape {data.examples.shape}: expected at least one value in each")


def _split_indices(
    data: UnsplitData, validation: float | None, test: float | None, seed: int, validate_on: ValidateOn
) -> list[NDArray[np.int64]]:
    """Return the indices of the training, validation and test examples, each ascending."""
    total = len(data.examples)
    if data.test_from is None:
        available, n_test = total, _count("test", _TEST_SHARE if test is None else test, total)
    elif test is not None:
        raise BadInput(f"{data.name} has its own test split of {total - data.test_from} examples: omit test={test}")
    elif data.test_from == total:
        raise BadInput(f"{data.name} has an empty test split: expected at least one example in it")
    else:
        available, n_test = data.test_from, 0
    if data.valid_from is not None:
        if validation is not None or validate_on != "random":
            raise BadInput(
                f"{data.name} has its own validation split of {available - data.valid_from} examples: omit the options"
                " of another"
            )
        return [np.arange(data.valid_from), np.arange(data.valid_from, available), np.arange(available, total)]
    n_valid = _count("validation", data.validation if validation is None else validation, available)
    if n_test + n_valid >= available:
        raise BadInput(
            f"validation ({n_valid}) and test ({n_test}) leave none of the {available} examples of {data.name} "
            "for training: use smaller splits"
        )
    # At random even if the source is in random order: files are often sorted by class.
    last = np.arange(available - n_valid * (validate_on == "last"), available)
    order = split_generator(seed, SPLIT_STREAM).permutation(available - len(last))
    test_index, valid_index, train_index = np.split(order, [n_test, n_test + n_valid - len(last)])
    own_test = np.arange(available, total)
    indices = [train_index, np.concatenate([valid_index, last]), np.concatenate([test_index, own_test])]
    return [np.sort(index) for index in indices]


def _count(name: str, amount: float, total: int) -> int:
    """Return the number of examples in a split that is stated as a share (below 1) or as a number of examples."""
    if not (0 < amount < 1 or (amount >= 1 and float(amount).is_integer())):
        raise BadInput(f"{name}={amount}: expected a share between 0 and 1, or a whole number of examples")
    count = round(amount * total) if amount < 1 else int(amount)
    if count == 0:
        raise BadInput(f"{name}={amount} of {total} examples is none: use a larger share, or a number of examples")
    return count


def _cannot_binarize(data: UnsplitData, binarize: Binarize) -> str:
    if data.columns:
        return f"{data.name} is a table, and binarize={binarize!r} applies to gray values: omit it"
    low, high = data.examples.values.min().item(), data.examples.values.max().item()
    return (
        f"{data.name} has values from {low:g} to {high:g}, and binarize={binarize!r} requires values in [0, 1]: "
        "rescale them, or omit it and use a likelihood of real values"
    )
