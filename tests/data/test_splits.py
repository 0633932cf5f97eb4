"""Splits and binarization.

Statistical tests are z tests at 5.3 standard errors, so a false alarm has a probability of 1e-7 each; their seeds are
fixed, so that their results do not change.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aevb.data import Binarize, Dataset, Examples, load_data
from aevb.data.dataset import UnsplitData
from aevb.data.splits import split_data
from aevb.errors import BadInput
from tests.data.sources import BINARIZATIONS, SPLITS, Z, gray_bytes, refused, saved, zipped

# Splits.


def rows(dataset: Dataset) -> list[list[int]]:
    """For a set whose examples are their row numbers, the rows in each split."""
    return [getattr(dataset, split).values[:, 0].int().tolist() for split in SPLITS]


def numbered(count: int, test_from: int | None = None) -> UnsplitData:
    return UnsplitData("numbered", Examples(torch.arange(float(count))[:, None].expand(count, 2)), test_from=test_from)


@given(
    count=st.integers(10, 300),
    validation=st.none() | st.floats(-0.5, 1.5) | st.integers(-1, 200),
    test=st.none() | st.floats(0.001, 0.999) | st.integers(1, 200),
    seed=st.integers(0, 2**70),
)
def test_splits_are_disjoint_complete_ordered_and_never_empty(
    count: int, validation: float | None, test: float | None, seed: int
) -> None:
    try:
        dataset = split_data(numbered(count), "none", validation, test, seed)
    except BadInput:
        assert (validation, test) != (None, None)
        return
    train, valid, tested = rows(dataset)
    assert sorted(train + valid + tested) == list(range(count))
    assert all(split and split == sorted(split) for split in (train, valid, tested))


def test_shares_and_numbers_of_examples() -> None:
    def sizes(validation: float | None, test: float | None) -> list[int]:
        return [len(split) for split in rows(split_data(numbered(1000), "none", validation, test, 0))]

    assert sizes(None, None) == [700, 100, 200]
    assert sizes(0.25, 0.5) == [250, 250, 500]
    assert sizes(100, 100.0) == [800, 100, 100]
    assert sizes(1, 998) == [1, 1, 998]


@pytest.mark.parametrize("amount", [2.5, 0, 0.0, -1, -0.1, float("nan"), float("inf"), 1e-9])
@pytest.mark.parametrize("name", ["validation", "test"])
def test_invalid_split_sizes_are_refused(name: str, amount: float) -> None:
    amounts: dict[str, Any] = {"validation": None, "test": None, name: amount}
    with refused(f"{name}={amount}"):
        split_data(numbered(100), "none", split_seed=0, **amounts)


@pytest.mark.parametrize(("validation", "test"), [(100, None), (0.5, 0.5), (1, 99), (1000, 1000)])
def test_splits_that_leave_nothing_to_train_on_are_refused(validation: float, test: float | None) -> None:
    with refused("leave none of the 100 examples"):
        split_data(numbered(100), "none", validation, test, 0)


def test_the_test_split_does_not_depend_on_validation() -> None:
    several = [split_data(numbered(200), "none", validation, None, 0) for validation in (0.1, 50, 1)]
    assert len({tuple(rows(dataset)[2]) for dataset in several}) == 1


def test_splits_are_a_function_of_the_seed_alone() -> None:
    def split(seed: int) -> list[list[int]]:
        return rows(split_data(numbered(200), "none", None, None, seed))

    expected = split(0)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    before = np.random.get_state()[1].copy(), torch.random.get_rng_state()  # type: ignore[index] # noqa: NPY002
    assert split(0) == expected
    assert split(1) != expected
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # type: ignore[index] # noqa: NPY002
    assert torch.equal(torch.random.get_rng_state(), before[1])
    with refused("split_seed=-1"):
        split(-1)


def test_data_sorted_by_class_are_validated_on_every_class(tmp_path: Path) -> None:
    y = np.repeat(np.arange(10), 100)
    dataset = load_data(
        zipped(tmp_path / "x.npz", x_train=gray_bytes(1000, 2), y_train=y, x_test=gray_bytes(10, 2), y_test=y[::100])
    )
    assert dataset.valid.labels is not None
    counts = dataset.valid.labels.bincount(minlength=10)
    # 100 of 1000 without replacement: hypergeometric, 10 +- 2.85 of each class.
    assert ((counts - 10).abs() <= Z * 2.85).all()
    assert counts.min() > 0


# Binarization.


def test_threshold_is_at_one_half(tmp_path: Path) -> None:
    x = np.tile(np.array([0, 127, 128, 255], dtype=np.uint8), (20, 1))[:, None]
    for source in (saved(tmp_path / "gray.npy", x), saved(tmp_path / "unit.npy", x / 255)):
        dataset = load_data(source, binarize="threshold")
        assert (dataset.kind, dataset.binarize) == ("binary", "threshold")
        for split in SPLITS:
            examples = getattr(dataset, split)
            assert (examples.values.dtype, examples.scale, examples.resampled) == (torch.uint8, 1.0, False)
            assert (examples.values == torch.tensor([0, 0, 1, 1])).all()
    halves = load_data(saved(tmp_path / "half.npy", np.full((20, 2), 0.5)), binarize="threshold")
    assert halves.train.values.all()


def test_threshold_of_digits_is_eight_of_sixteen() -> None:
    gray, binary = load_data("digits"), load_data("digits", binarize="threshold")
    assert torch.equal(binary.test.values == 1, gray.test.values >= 8)


def test_resampled_binarization_samples_validation_and_test_once(tmp_path: Path) -> None:
    x = np.tile(np.array([0, 51, 255], dtype=np.uint8), (4000, 1))[:, None]
    source = saved(tmp_path / "x.npy", x)
    dataset, again, other = (load_data(source, binarize="resampled", split_seed=seed) for seed in (0, 0, 1))
    assert (dataset.kind, dataset.binarize) == ("binary", "resampled")
    assert dataset.train.resampled
    assert dataset.train.values.max() == 255
    for split in ("valid", "test"):
        examples = getattr(dataset, split)
        assert (examples.values.dtype, examples.scale, examples.resampled) == (torch.uint8, 1.0, False)
        assert torch.equal(examples.all().x, examples.all().x)
        assert torch.equal(examples.values, getattr(again, split).values)
        assert not torch.equal(examples.values, getattr(other, split).values)
        mean = examples.all().x.mean(0)[0, 0]
        assert mean[0] == 0
        assert mean[2] == 1
        assert abs(mean[1] - 0.2) <= Z * (0.2 * 0.8 / len(examples)) ** 0.5
    assert not torch.equal(dataset.valid.values, dataset.test.values[: len(dataset.valid)])


def test_probabilities_are_kept_and_declared_binary(tmp_path: Path) -> None:
    source = saved(tmp_path / "x.npy", gray_bytes(20, 4, 4))
    plain, declared = load_data(source), load_data(source, binarize="treat-as-probabilities")
    assert (plain.kind, declared.kind, declared.binarize) == ("unit", "binary", "treat-as-probabilities")
    for split in SPLITS:
        assert torch.equal(getattr(plain, split).values, getattr(declared, split).values)
        assert not getattr(declared, split).resampled
    assert declared.train.scale == plain.train.scale


@pytest.mark.parametrize("binarize", BINARIZATIONS)
def test_binary_data_are_unchanged(tmp_path: Path, binarize: Binarize) -> None:
    dataset = load_data(saved(tmp_path / "x.npy", gray_bytes(20, 4) > 99), binarize=binarize)
    plain = load_data(str(tmp_path / "x.npy"))
    assert (dataset.kind, dataset.binarize, dataset.train.resampled) == ("binary", "none", False)
    assert torch.equal(dataset.train.values, plain.train.values)
    assert dataset.fingerprint == plain.fingerprint


@pytest.mark.parametrize("binarize", BINARIZATIONS[1:])
def test_real_values_are_not_binarized(tmp_path: Path, binarize: Binarize) -> None:
    array = np.zeros((20, 4))
    array[3, 3], array[4, 2] = -0.25, 3.5
    with refused("x.npy", "from -0.25 to 3.5", binarize, "[0, 1]"):
        load_data(saved(tmp_path / "x.npy", array), binarize=binarize)


@pytest.mark.parametrize("binarize", BINARIZATIONS)
def test_the_splits_do_not_depend_on_the_binarization(binarize: Binarize) -> None:
    plain, dataset = load_data("digits"), load_data("digits", binarize=binarize)
    for split in SPLITS:
        assert torch.equal(getattr(plain, split).labels, getattr(dataset, split).labels)
