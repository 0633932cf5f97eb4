"""Data: every source, every rule of splitting and binarising, and one line for each thing that cannot be used.

Statistical tests are z tests at 5.3 standard errors, so a false alarm has a probability of 1e-7 each; their seeds are
fixed, so that they pass or fail for good.
"""

import gzip
import hashlib
import os
import struct
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from aevb.data import Binarize, Dataset, Examples, load_data
from aevb.data.dataset import UnsplitData
from aevb.data.sources import named
from aevb.data.sources.idx import read_idx
from aevb.data.splits import split_data
from aevb.errors import BadInput
from aevb.models.registry import register

Array = NDArray[Any]
BINARISATIONS: tuple[Binarize, ...] = get_args(Binarize)
SPLITS = ("train", "valid", "test")
Z = 5.3


@contextmanager
def refused(*fragments: object) -> Iterator[None]:
    """The block raises BadInput with one line that contains all fragments."""
    with pytest.raises(BadInput) as caught:
        yield
    message = str(caught.value)
    assert "\n" not in message
    for fragment in fragments:
        assert str(fragment) in message


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def greys(*shape: int) -> Array:
    return rng().integers(0, 256, shape, dtype=np.uint8)


def saved(path: Path, array: Array) -> str:
    np.save(path, array)
    return str(path)


def zipped(path: Path, **arrays: Array) -> str:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return str(path)


def whole(dataset: Dataset) -> torch.Tensor:
    """All examples as model input, training first."""
    return torch.cat([getattr(dataset, split).all().x for split in SPLITS])


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AEVB_DATA", raising=False)


# Examples and Dataset.


def test_a_batch_is_values_times_scale_in_float32() -> None:
    values = torch.tensor([[0, 51], [255, 102], [1, 2]], dtype=torch.uint8)
    examples = Examples(values, torch.tensor([3, 4, 5]), scale=1 / 255)
    batch = examples.batch(torch.tensor([1, 0, 1])).x
    assert batch.dtype == torch.float32
    torch.testing.assert_close(batch, torch.tensor([[1.0, 0.4], [0.0, 0.2], [1.0, 0.4]]))
    torch.testing.assert_close(examples.batch(slice(1, 3)).x, values[1:].float() / 255)
    assert (len(examples), examples.shape) == (3, (2,))
    assert examples.values.dtype == torch.uint8


@pytest.mark.parametrize("white", [255, 16])
def test_scaled_bytes_reach_one_exactly_and_never_pass_it(white: int) -> None:
    values = torch.arange(white + 1, dtype=torch.uint8)[:, None]
    batch = Examples(values, scale=1 / white).all().x
    assert batch.max() == batch[-1, 0] == 1.0
    assert batch.min() == batch[0, 0] == 0.0


def test_resampled_batches_differ_and_have_the_grey_values_as_mean() -> None:
    probabilities = torch.tensor([0.0, 0.2, 0.5, 1.0]).expand(200, 4).contiguous()
    examples = Examples(probabilities, resampled=True)
    draws = torch.stack([examples.all().x for _ in range(100)])
    assert set(draws.flatten().tolist()) == {0.0, 1.0}
    assert all(not torch.equal(first, second) for first, second in pairwise(draws))
    mean, p = draws.flatten(0, 1).mean(0), probabilities[0]
    error = (p * (1 - p) / draws[..., 0].numel()).sqrt()
    assert ((mean - p).abs() <= Z * error).all()


def test_examples_move_with_their_labels_and_keep_the_rest() -> None:
    examples = Examples(torch.zeros(3, 2, dtype=torch.uint8), torch.arange(3), 0.5, True).to("meta")
    assert examples.labels is not None
    assert examples.values.device.type == examples.labels.device.type == "meta"
    assert (examples.scale, examples.resampled) == (0.5, True)
    assert Examples(torch.zeros(3, 2)).to(torch.device("meta")).labels is None


def test_examples_are_frozen_and_checked() -> None:
    examples = Examples(torch.zeros(3, 2))
    with pytest.raises(FrozenInstanceError):
        examples.scale = 2.0  # type: ignore[misc]
    with refused("float64", "float32"):
        Examples(torch.zeros(3, 2, dtype=torch.float64))
    with refused("labels", "(2,)", "(3,)"):
        Examples(torch.zeros(3, 2), torch.zeros(2, dtype=torch.int64))
    with refused("labels", "int32", "int64"):
        Examples(torch.zeros(3, 2), torch.zeros(3, dtype=torch.int32))


def test_the_fingerprint_tells_values_shape_and_type(tmp_path: Path) -> None:
    values = greys(40, 4, 6)
    changed = values.copy()
    changed[:] = np.where(values == 7, 8, values)
    variants = [values, changed, values.reshape(40, 6, 4), values / 255]
    prints = [load_data(saved(tmp_path / f"{n}.npy", variant)).fingerprint for n, variant in enumerate(variants)]
    assert len(set(prints)) == len(prints)
    assert all(len(bytes.fromhex(fingerprint)) == 16 for fingerprint in prints)
    assert load_data(saved(tmp_path / "renamed.npy", values)).fingerprint == prints[0]
    for other in ({"split_seed": 1}, {"validation": 3}, {"binarize": "threshold"}):
        assert load_data(str(tmp_path / "0.npy"), **other).fingerprint != prints[0]


def test_the_fingerprint_tells_a_change_in_any_part(tmp_path: Path) -> None:
    x = greys(30, 4, 4)
    parts = {"x_train": x[:20], "x_test": x[20:]}
    before = load_data(zipped(tmp_path / "x.npz", **parts)).fingerprint
    for name, part in parts.items():
        changed = part.copy()
        changed[3, 2, 1] ^= 1
        assert load_data(zipped(tmp_path / "y.npz", **(parts | {name: changed}))).fingerprint != before


# Sources.


@pytest.mark.parametrize(
    ("source", "nearest"), [("minst", "mnist"), ("MNIST", "mnist"), ("fashion", "fashion-mnist"), ("digit", "digits")]
)
def test_an_unknown_name_lists_the_known_ones_nearest_first(source: str, nearest: str) -> None:
    with refused(repr(source), "no such file exists", f"one of {nearest},", *register.dataset):
        load_data(source)


@pytest.mark.parametrize("source", ["", "x" * 5000, "no\0where", "missing/file.npy"])
def test_a_source_that_cannot_exist_is_refused(source: str) -> None:
    with refused("no such file exists"):
        load_data(source)


def test_a_name_wins_over_a_path_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    assert len(load_data("digits").train) > 1000
    with refused("digits has no images"):
        load_data("./digits")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.txt").write_text("1,2\n")
    with refused("table.txt", ".npy", "folder of images"):
        load_data(str(tmp_path / "table.txt"))


def test_size_is_for_folders_of_images_only(tmp_path: Path) -> None:
    for source in ("digits", "mnist", saved(tmp_path / "x.npy", greys(20, 4, 4))):
        with refused("image_size=8", source):
            load_data(source, image_size=8)


def test_an_unknown_binarisation_is_refused() -> None:
    with refused("'treshold'", "one of threshold,", *BINARISATIONS):
        load_data("digits", binarize="treshold")  # type: ignore[arg-type]


def test_digits() -> None:
    digits = load_data("digits")
    assert (digits.name, digits.kind, digits.shape, digits.binarize) == ("digits", "unit", (1, 8, 8), "none")
    assert digits.classes == tuple("0123456789")
    assert [len(getattr(digits, split)) for split in SPLITS] == [1797 - 359 - 180, 180, 359]
    assert digits.train.values.dtype == torch.uint8
    assert digits.train.all().x.max() == 1.0
    from sklearn.datasets import load_digits

    source = load_digits()
    assert whole(digits).sum().item() == source.images.sum() / 16
    assert digits.test.labels is not None
    assert digits.test.labels.bincount(minlength=10).min() > 20


# Arrays: shapes and kinds.


@pytest.mark.parametrize(
    ("shape", "event"),
    [
        ((20, 5), (5,)),
        ((20, 1), (1,)),
        ((20, 5, 7), (1, 5, 7)),
        ((20, 5, 7, 3), (3, 5, 7)),
        ((20, 5, 7, 1), (1, 5, 7)),
        ((20, 3, 5, 7), (3, 5, 7)),
        ((20, 1, 5, 7), (1, 5, 7)),
        ((20, 3, 7, 3), (3, 7, 3)),
        ((20, 1, 1, 1), (1, 1, 1)),
    ],
)
def test_shapes_become_events(tmp_path: Path, shape: tuple[int, ...], event: tuple[int, ...]) -> None:
    array = rng().standard_normal(shape)
    dataset = load_data(saved(tmp_path / "x.npy", array))
    assert dataset.shape == dataset.train.shape == dataset.valid.shape == dataset.test.shape == event
    channels_first = np.moveaxis(array, -1, 1) if array.ndim == 4 and shape[1] not in (1, 3) else array
    expected = np.sort(channels_first.reshape(20, -1).astype(np.float32), axis=0)
    np.testing.assert_array_equal(np.sort(whole(dataset).reshape(20, -1).numpy(), axis=0), expected)


def test_images_with_channels_last_keep_their_pixels(tmp_path: Path) -> None:
    array = rng().random((20, 5, 7, 3), dtype=np.float32)
    array[:, 0, 0, 0] = np.arange(20) / 20
    for image in whole(load_data(saved(tmp_path / "x.npy", array))):
        np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), array[round(20 * image[0, 0, 0].item())])


@pytest.mark.parametrize("shape", [(20, 5, 7, 2), (20, 4, 7, 4), (20, 2, 3, 4, 5), ()])
def test_other_shapes_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with refused("x.npy", shape, "(N, D)", "(N, H, W, C)"):
        load_data(saved(tmp_path / "x.npy", np.zeros(shape)))


def test_single_numbers_are_refused_with_advice(tmp_path: Path) -> None:
    with refused("x.npy", "(20,)", "reshape", "(N, 1)"):
        load_data(saved(tmp_path / "x.npy", np.full(20, np.nan)))


@pytest.mark.parametrize(
    ("array", "kind", "dtype", "scale"),
    [
        (greys(20, 4, 4), "unit", torch.uint8, 1 / 255),
        (greys(20, 4, 4, 3), "unit", torch.uint8, 1 / 255),
        (greys(20, 4, 4) // 128, "binary", torch.uint8, 1.0),
        (greys(20, 4, 4) // 128 * 255, "binary", torch.uint8, 1.0),
        (np.full((20, 4, 4), 2, dtype=np.uint8), "unit", torch.uint8, 1 / 255),
        (np.zeros((20, 4, 4), dtype=np.uint8), "binary", torch.uint8, 1.0),
        (greys(20, 4), "counts", torch.uint8, 1.0),
        (greys(20, 4) // 128 * 255, "counts", torch.uint8, 1.0),
        (greys(20, 4).astype(float), "counts", torch.float32, 1.0),
        (greys(20, 4) + 0.5, "real", torch.float32, 1.0),
        (greys(20, 4).astype(float) - 1.0 - greys(20, 4).max(), "real", torch.float32, 1.0),
        (np.full((20, 4), 2.0**25), "real", torch.float32, 1.0),
        (greys(20, 4) // 128, "binary", torch.uint8, 1.0),
        (greys(20, 4, 4) > 99, "binary", torch.uint8, 1.0),
        (greys(20, 4) > 99, "binary", torch.uint8, 1.0),
        (greys(20, 4, 4).astype(np.int64), "real", torch.float32, 1.0),
        (greys(20, 4).astype(np.uint16) // 128, "binary", torch.uint8, 1.0),
        (greys(20, 4, 4) / 255, "unit", torch.float32, 1.0),
        (np.asfortranarray(greys(20, 4, 4) / 255), "unit", torch.float32, 1.0),
        ((greys(20, 4) / 255).astype(">f8"), "unit", torch.float32, 1.0),
        ((greys(20, 4) / 255).astype(np.float16), "unit", torch.float32, 1.0),
        (rng().standard_normal((20, 4)).astype(np.longdouble), "real", torch.float32, 1.0),
        ((greys(20, 4) // 128).astype(float), "binary", torch.uint8, 1.0),
        (-(greys(20, 4) // 128).astype(float) * 0.0, "binary", torch.uint8, 1.0),
        (np.full((20, 4), 0.5), "unit", torch.float32, 1.0),
        (np.full((20, 4), 1 + 1e-12), "binary", torch.uint8, 1.0),
        (np.full((20, 4), 1 + 1e-6), "real", torch.float32, 1.0),
        (np.full((20, 4), -1e-30), "real", torch.float32, 1.0),
    ],
)
def test_kinds(tmp_path: Path, array: Array, kind: str, dtype: torch.dtype, scale: float) -> None:
    dataset = load_data(saved(tmp_path / "x.npy", array))
    assert (dataset.kind, dataset.train.values.dtype, dataset.train.scale) == (kind, dtype, scale)
    batch = whole(dataset)
    assert batch.dtype == torch.float32
    if kind in ("binary", "unit"):
        assert batch.min() >= 0
        assert batch.max() <= 1


def test_one_value_anywhere_decides_the_kind(tmp_path: Path) -> None:
    bits = np.zeros((50, 4))
    for row in range(50):
        array = bits.copy()
        array[row, 2] = 0.5
        assert load_data(saved(tmp_path / "x.npy", array)).kind == "unit"


# Arrays: what cannot be used.


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_values_that_are_not_finite_are_counted_and_placed(tmp_path: Path, value: float, dtype: type) -> None:
    array: Array = np.zeros((20, 4, 4), dtype=dtype)
    array[7, 1, 2] = array[7, 1, 3] = array[9, 0, 0] = value
    with refused("x.npy", "3 values", "NaN or infinite", "row 7"):
        load_data(saved(tmp_path / "x.npy", array))


def test_values_that_float32_cannot_hold_are_refused(tmp_path: Path) -> None:
    array = np.zeros((20, 4))
    array[5, 3] = -1e39
    with refused("x.npy", "1 values", "float32", "row 5"):
        load_data(saved(tmp_path / "x.npy", array))
    array[5, 3] = np.finfo(np.float32).max
    assert load_data(saved(tmp_path / "x.npy", array)).kind == "real"


def test_the_faulty_part_of_an_archive_is_named(tmp_path: Path) -> None:
    clean, faulty = np.zeros((20, 4)), np.full((20, 4), np.nan)
    with refused("[x_test]", "80 values", "row 0"):
        load_data(zipped(tmp_path / "x.npz", x_train=clean, x_test=faulty))


@pytest.mark.parametrize("dtype", [complex, "U3", "S3", "M8[s]", [("a", float), ("b", int)]])
def test_types_that_are_no_real_numbers_are_refused(tmp_path: Path, dtype: Any) -> None:
    with refused("x.npy", "expected real numbers"):
        load_data(saved(tmp_path / "x.npy", np.zeros((20, 4), dtype=dtype)))


def test_python_objects_are_never_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    objects = np.array([[Trap()]] * 20, dtype=object)
    sources = [saved(tmp_path / "x.npy", objects), zipped(tmp_path / "x.npz", x=objects)]
    for source in sources:
        with refused(source, "without Python objects"):
            load_data(source)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("kept", [0, 3, 6, 50, 127, 130, -1])
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_truncated_files_are_refused(tmp_path: Path, ending: str, kept: int) -> None:
    path = tmp_path / f"x.{ending}"
    if ending == "npy":
        saved(path, rng().random((20, 4)))
    else:
        zipped(path, x=rng().random((20, 4)))
    path.write_bytes(path.read_bytes()[:kept])
    with refused(path, "cannot be read"):
        load_data(str(path))


@pytest.mark.parametrize("content", [b"", b"garbage" * 50, b"PK\x03\x04" + bytes(99), b"\x93NUMPY\x01\x00\xff\xff{"])
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_garbage_is_refused(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"x.{ending}"
    path.write_bytes(content)
    with refused(path, "cannot be read"):
        load_data(str(path))


@pytest.mark.parametrize("rows", [10**15, -5])
def test_a_header_that_lies_about_its_shape_is_refused(tmp_path: Path, rows: int) -> None:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows}, 8)}}".ljust(117).encode() + b"\n"
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(640)
    (tmp_path / "x.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", content)
    for ending in ("npy", "npz"):
        with refused(f"x.{ending}", "cannot be read"):
            load_data(str(tmp_path / f"x.{ending}"))


def test_an_archive_of_other_things_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("readme.txt", "not an array")
    with refused("x.npz", "readme.txt", "not an array"):
        load_data(str(tmp_path / "x.npz"))


@pytest.mark.parametrize("shape", [(0, 4), (9, 4), (0, 4, 4), (20, 0), (20, 0, 4)])
def test_too_few_examples_or_values_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with refused("x.npy", "expected at least"):
        load_data(saved(tmp_path / "x.npy", np.zeros(shape)))


def test_ten_examples_are_enough(tmp_path: Path) -> None:
    dataset = load_data(saved(tmp_path / "x.npy", greys(10, 3)))
    assert [len(getattr(dataset, split)) for split in SPLITS] == [7, 1, 2]


# Archives and labels.


def test_an_archive_of_one_array_may_name_it_as_it_likes(tmp_path: Path) -> None:
    dataset = load_data(zipped(tmp_path / "cells.npz", counts=greys(20, 4)))
    assert (dataset.name, dataset.classes, dataset.train.labels) == ("cells.npz", None, None)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.arange(20) % 3 * 5 - 5, ("-5", "0", "5")),
        ((np.arange(20) % 3).astype(np.uint8), ("0", "1", "2")),
        (np.array(["cat", "ant", "bee", "ant"] * 5), ("ant", "bee", "cat")),
        (np.array(["é", "a"] * 10).astype("U"), ("a", "é")),
        (np.char.encode(np.array(["é", "a"] * 10), "utf-8"), ("a", "é")),
        (np.arange(20) % 2 == 0, ("0", "1")),
        (np.full(20, 10), ("10",)),
    ],
)
def test_labels_become_codes_that_follow_their_examples(
    tmp_path: Path, labels: Array, classes: tuple[str, ...]
) -> None:
    codes = np.unique(labels, return_inverse=True)[1]
    x = np.column_stack([codes, np.arange(20)]).astype(float)
    dataset = load_data(zipped(tmp_path / "x.npz", x=x, y=labels))
    assert dataset.classes == classes
    for split in SPLITS:
        examples = getattr(dataset, split)
        assert examples.labels.dtype == torch.int64
        assert torch.equal(examples.values[:, 0], examples.labels.float())


def test_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    x = greys(20, 4)
    for labels in (np.arange(19), np.arange(20)[:, None], np.arange(20) / 2, np.zeros(20, dtype=complex)):
        with refused("[y]", labels.shape, labels.dtype, "(20,)"):
            load_data(zipped(tmp_path / "x.npz", x=x, y=labels))
    with refused("[y_test]", "(10,)"):
        load_data(zipped(tmp_path / "x.npz", x_train=x, y_train=np.arange(20), x_test=x[:10], y_test=np.arange(20)))


def test_an_archive_with_a_test_part_keeps_it(tmp_path: Path) -> None:
    x = greys(30, 4, 4)
    y = np.array(["b", "a", "c"] * 10)
    dataset = load_data(zipped(tmp_path / "x.npz", x_train=x[:20], y_train=y[:20], x_test=x[20:], y_test=y[20:]))
    np.testing.assert_array_equal(dataset.test.values[:, 0].numpy(), x[20:])
    assert [len(getattr(dataset, split)) for split in SPLITS] == [18, 2, 10]
    assert dataset.classes == ("a", "b", "c")
    assert dataset.test.labels is not None
    assert dataset.test.labels.tolist() == [{"a": 0, "b": 1, "c": 2}[name] for name in y[20:]]
    for seed in (1, 2):
        assert torch.equal(load_data(str(tmp_path / "x.npz"), split_seed=seed).test.values, dataset.test.values)
    with refused("own test split", "10", "test=0.2"):
        load_data(str(tmp_path / "x.npz"), test=0.2)


def test_the_kind_is_that_of_both_parts(tmp_path: Path) -> None:
    bits = np.zeros((20, 4))
    source = zipped(tmp_path / "x.npz", x_train=bits, x_test=bits + 0.5)
    assert load_data(source).kind == "unit"
    source = zipped(tmp_path / "x.npz", x_train=np.zeros((20, 4, 4), np.uint8), x_test=greys(20, 4, 4))
    assert load_data(source).test.all().x.max() <= 1


@pytest.mark.parametrize("test", [greys(20, 5), greys(20, 4, 4), greys(20, 4) / 255])
def test_parts_that_differ_are_refused(tmp_path: Path, test: Array) -> None:
    with refused("x.npz", "uint8", test.dtype, "expected equal types and shapes"):
        load_data(zipped(tmp_path / "x.npz", x_train=greys(20, 4), x_test=test))


def test_empty_parts_are_refused(tmp_path: Path) -> None:
    with refused("x.npz", "empty test split"):
        load_data(zipped(tmp_path / "x.npz", x_train=greys(20, 4), x_test=greys(0, 4)))
    with refused("validation", "0 examples"):
        load_data(zipped(tmp_path / "x.npz", x_train=greys(0, 4), x_test=greys(20, 4)))


@pytest.mark.parametrize(
    "keys", [("a", "b"), ("x", "z"), ("x_train", "y_train"), ("x_train", "x_test", "y_test"), ("x", "x_test"), ()]
)
def test_other_arrays_in_an_archive_are_listed(tmp_path: Path, keys: tuple[str, ...]) -> None:
    with refused("x.npz", f"{{{', '.join(keys)}}}", "{x, y}", "{x_train, x_test}"):
        load_data(zipped(tmp_path / "x.npz", **{key: greys(20, 4) for key in keys}))


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
def test_amounts_that_are_neither_share_nor_number_are_refused(name: str, amount: float) -> None:
    amounts: dict[str, Any] = {"validation": None, "test": None, name: amount}
    with refused(f"{name}={amount}"):
        split_data(numbered(100), "none", split_seed=0, **amounts)


@pytest.mark.parametrize(("validation", "test"), [(100, None), (0.5, 0.5), (1, 99), (1000, 1000)])
def test_splits_that_leave_nothing_to_train_on_are_refused(validation: float, test: float | None) -> None:
    with refused("leave none of the 100 examples"):
        split_data(numbered(100), "none", validation, test, 0)


def test_the_test_split_is_drawn_first() -> None:
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


def test_a_source_sorted_by_class_still_validates_on_every_class(tmp_path: Path) -> None:
    y = np.repeat(np.arange(10), 100)
    dataset = load_data(
        zipped(tmp_path / "x.npz", x_train=greys(1000, 2), y_train=y, x_test=greys(10, 2), y_test=y[::100])
    )
    assert dataset.valid.labels is not None
    counts = dataset.valid.labels.bincount(minlength=10)
    # 100 of 1000 without replacement: hypergeometric, 10 +- 2.85 of each class.
    assert ((counts - 10).abs() <= Z * 2.85).all()
    assert counts.min() > 0


# Binarisation.


def test_threshold_is_at_one_half(tmp_path: Path) -> None:
    x = np.tile(np.array([0, 127, 128, 255], dtype=np.uint8), (20, 1))[:, None]
    for source in (saved(tmp_path / "grey.npy", x), saved(tmp_path / "unit.npy", x / 255)):
        dataset = load_data(source, binarize="threshold")
        assert (dataset.kind, dataset.binarize) == ("binary", "threshold")
        for split in SPLITS:
            examples = getattr(dataset, split)
            assert (examples.values.dtype, examples.scale, examples.resampled) == (torch.uint8, 1.0, False)
            assert (examples.values == torch.tensor([0, 0, 1, 1])).all()
    halves = load_data(saved(tmp_path / "half.npy", np.full((20, 2), 0.5)), binarize="threshold")
    assert halves.train.values.all()


def test_threshold_of_digits_is_eight_of_sixteen() -> None:
    grey, binary = load_data("digits"), load_data("digits", binarize="threshold")
    assert torch.equal(binary.test.values == 1, grey.test.values >= 8)


def test_resampled_draws_validation_and_test_once(tmp_path: Path) -> None:
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


def test_probabilities_stay_but_are_declared_binary(tmp_path: Path) -> None:
    source = saved(tmp_path / "x.npy", greys(20, 4, 4))
    plain, declared = load_data(source), load_data(source, binarize="treat-as-probabilities")
    assert (plain.kind, declared.kind, declared.binarize) == ("unit", "binary", "treat-as-probabilities")
    for split in SPLITS:
        assert torch.equal(getattr(plain, split).values, getattr(declared, split).values)
        assert not getattr(declared, split).resampled
    assert declared.train.scale == plain.train.scale


@pytest.mark.parametrize("binarize", BINARISATIONS)
def test_binary_data_stay_as_they_are(tmp_path: Path, binarize: Binarize) -> None:
    dataset = load_data(saved(tmp_path / "x.npy", greys(20, 4) > 99), binarize=binarize)
    plain = load_data(str(tmp_path / "x.npy"))
    assert (dataset.kind, dataset.binarize, dataset.train.resampled) == ("binary", "none", False)
    assert torch.equal(dataset.train.values, plain.train.values)
    assert dataset.fingerprint == plain.fingerprint


@pytest.mark.parametrize("binarize", BINARISATIONS[1:])
def test_real_values_are_not_binarised(tmp_path: Path, binarize: Binarize) -> None:
    array = np.zeros((20, 4))
    array[3, 3], array[4, 2] = -0.25, 3.5
    with refused("x.npy", "from -0.25 to 3.5", binarize, "[0, 1]"):
        load_data(saved(tmp_path / "x.npy", array), binarize=binarize)


@pytest.mark.parametrize("binarize", BINARISATIONS)
def test_the_splits_do_not_depend_on_the_binarisation(binarize: Binarize) -> None:
    plain, dataset = load_data("digits"), load_data("digits", binarize=binarize)
    for split in SPLITS:
        assert torch.equal(getattr(plain, split).labels, getattr(dataset, split).labels)


# Folders of images.


def picture(path: Path, pixels: Array | None = None, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(greys(6, 5) if pixels is None else pixels).save(path, **options)
    return path


def album(folder: Path, count: int = 12, ending: str = "png") -> Path:
    for n in range(count):
        picture(folder / f"{n:02}.{ending}", greys(6, 5) // 2 + np.uint8(n))
    return folder


def test_a_folder_of_grey_images(tmp_path: Path) -> None:
    dataset = load_data(str(album(tmp_path / "album")))
    assert (dataset.name, dataset.kind, dataset.shape) == ("album", "unit", (1, 6, 5))
    assert (dataset.classes, dataset.train.labels, dataset.train.scale) == (None, None, 1 / 255)
    values = torch.cat([getattr(dataset, split).values for split in SPLITS])
    assert sorted((values[:, 0, 0, 0] - values[:, 0, 0, 0].min()).tolist()) == list(range(12))
    assert dataset.train.values[:, 0, 0, 0].diff().min() > 0  # in the order of the names


@pytest.mark.parametrize("ending", ["png", "jpg", "JPEG", "bmp", "gif", "webp", "tif", "TIFF"])
def test_every_format(tmp_path: Path, ending: str) -> None:
    dataset = load_data(str(album(tmp_path, ending=ending)))
    # Pillow writes no grey WebP.
    assert dataset.shape == ((3, 6, 5) if ending == "webp" else (1, 6, 5))


def test_one_coloured_image_makes_all_coloured(tmp_path: Path) -> None:
    album(tmp_path)
    colours = greys(6, 5, 3)
    picture(tmp_path / "zz.png", colours)
    dataset = load_data(str(tmp_path))
    assert dataset.shape == (3, 6, 5)
    values = torch.cat([getattr(dataset, split).values for split in SPLITS])
    coloured = [image for image in values if not torch.equal(image[0], image[1])]
    assert len(coloured) == 1
    np.testing.assert_array_equal(coloured[0].permute(1, 2, 0).numpy(), colours)


def test_palettes_count_by_their_colours(tmp_path: Path) -> None:
    for n in range(12):
        picture(tmp_path / "grey" / f"{n}.png")
        image = Image.fromarray(greys(6, 5, 3)).convert("P")
        (tmp_path / "colour").mkdir(exist_ok=True)
        image.save(tmp_path / "colour" / f"{n}.png")
    Image.fromarray(greys(6, 5)).convert("P").save(tmp_path / "grey" / "0.png")
    assert load_data(str(tmp_path / "grey")).shape == (1, 6, 5)
    assert load_data(str(tmp_path / "colour")).shape == (3, 6, 5)


def test_black_and_white_images_are_binary(tmp_path: Path) -> None:
    for n in range(12):
        picture(tmp_path / f"{n}.png", greys(6, 5) > 99)
    dataset = load_data(str(tmp_path))
    assert dataset.kind == "binary"
    np.testing.assert_array_equal(dataset.train.batch(slice(0, 1)).x[0, 0], greys(6, 5) > 99)


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("size", [None, 3])
def test_sixteen_bits_are_kept(tmp_path: Path, ending: str, size: int | None) -> None:
    for n in range(12):
        picture(tmp_path / f"{n}.{ending}", np.full((6, 5), 40 + n, dtype=np.uint16))
    picture(tmp_path / "white.png", np.full((6, 5), 255, dtype=np.uint8))
    dataset = load_data(str(tmp_path), image_size=size)
    assert (dataset.kind, dataset.train.values.dtype) == ("unit", torch.float32)
    levels = sorted(whole(dataset)[:, 0, 0, 0].tolist())
    assert levels == pytest.approx([(40 + n) / 65535 for n in range(12)] + [1.0], rel=1e-5)


def test_resizing_sixteen_bits_stays_in_the_unit_interval(tmp_path: Path) -> None:
    edge = np.repeat(np.array([0, 65535], dtype=np.uint16), 8)
    for n in range(12):
        picture(tmp_path / f"{n}.png", np.tile(edge, (16, 1)))
    assert load_data(str(tmp_path), image_size=24).kind == "unit"


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    album(tmp_path, 11)
    picture(tmp_path / "clear.png", np.dstack([greys(6, 5), np.zeros((6, 5), dtype=np.uint8)]))
    dataset = load_data(str(tmp_path))
    assert dataset.shape == (1, 6, 5)
    assert (whole(dataset) == 1).flatten(1).all(1).sum() == 1


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    album(tmp_path, 11)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    picture(tmp_path / "turned.png", greys(5, 6), exif=exif)
    assert load_data(str(tmp_path)).shape == (1, 6, 5)


def test_images_are_resized_on_request(tmp_path: Path) -> None:
    album(tmp_path, 11)
    picture(tmp_path / "zz.png", greys(9, 4))
    assert load_data(str(tmp_path), image_size=4).shape == (1, 4, 4)
    with refused("image_size=0"):
        load_data(str(tmp_path), image_size=0)


def test_the_first_two_sizes_that_differ_are_named(tmp_path: Path) -> None:
    album(tmp_path)
    picture(tmp_path / "05.png", greys(9, 4))
    picture(tmp_path / "07.png", greys(3, 3))
    with refused("00.png is 5 x 6", "05.png 4 x 9", "--data.image-size N"):
        load_data(str(tmp_path))


def test_subfolders_are_classes(tmp_path: Path) -> None:
    for folder, level, count in (("dog", 10, 8), ("ant", 200, 6), (".thumbs", 0, 3)):
        for n in range(count):
            picture(tmp_path / folder / f"{n}.PNG", np.full((4, 4), level + n, dtype=np.uint8))
    (tmp_path / "notes").mkdir()
    (tmp_path / "readme.txt").write_text("not an image")
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    dataset = load_data(str(tmp_path))
    assert dataset.classes == ("ant", "dog")
    assert sum(len(getattr(dataset, split)) for split in SPLITS) == 14
    for split in SPLITS:
        examples = getattr(dataset, split)
        assert torch.equal(examples.labels == 0, examples.values[:, 0, 0, 0] >= 200)


def test_images_on_two_levels_are_refused(tmp_path: Path) -> None:
    album(tmp_path)
    album(tmp_path / "ant")
    with refused(tmp_path, "00.png", "ant", "subfolder"):
        load_data(str(tmp_path))


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    album(tmp_path / "too" / "deep")
    with refused(tmp_path, "no images", ".png", ".tiff"):
        load_data(str(tmp_path))


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif", "webp", "tif"])
def test_damaged_images_are_named(tmp_path: Path, ending: str) -> None:
    album(tmp_path, ending=ending)
    whole_file = (tmp_path / f"04.{ending}").read_bytes()
    for content in (b"", b"garbage", whole_file[: len(whole_file) // 2]):
        (tmp_path / f"04.{ending}").write_bytes(content)
        with refused(tmp_path / f"04.{ending}", "cannot be read as an image"):
            load_data(str(tmp_path))


@pytest.mark.parametrize("limit", ["aevb.data.sources.images.MAX_PIXELS", "PIL.Image.MAX_IMAGE_PIXELS"])
def test_far_too_large_images_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    album(tmp_path)
    monkeypatch.setattr(limit, 12)  # of 30 pixels
    with refused("00.png", "pixels"):
        load_data(str(tmp_path))


def test_several_images_in_one_file_are_refused(tmp_path: Path) -> None:
    album(tmp_path)
    frames = [Image.fromarray(greys(6, 5) + np.uint8(n)) for n in range(3)]
    frames[0].save(tmp_path / "film.tif", save_all=True, append_images=frames[1:])
    with refused("film.tif", "several images"):
        load_data(str(tmp_path))


def test_images_of_32_bits_are_refused(tmp_path: Path) -> None:
    album(tmp_path)
    for pixels in (np.zeros((6, 5), dtype=np.float32), np.zeros((6, 5), dtype=np.int32)):
        picture(tmp_path / "wide.tif", pixels)
        with refused("wide.tif", "32 bits", ".npy"):
            load_data(str(tmp_path))


def test_only_the_formats_that_are_promised_are_decoded(tmp_path: Path) -> None:
    album(tmp_path)
    Image.fromarray(greys(6, 5)).save(tmp_path / "04.png", format="PPM")
    with refused("04.png", "cannot be read as an image"):
        load_data(str(tmp_path))


# IDX files.


def idx(array: Array) -> bytes:
    code = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}[array.dtype.str[1:]]
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 4), (0, 3)])
def test_idx_files_are_read(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    array = rng().integers(-100, 100, shape).astype(dtype)
    for path, content in ((tmp_path / "x", idx(array)), (tmp_path / "x.gz", gzip.compress(idx(array)))):
        read = read_idx(written(path, content), len(shape))
        np.testing.assert_array_equal(read, array, strict=True)


IMAGES = idx(greys(6, 4, 5))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "not an IDX file"),
        (b"\0\0\x08", "not an IDX file"),
        (b"\x1f\x8b\x08\x00", "not an IDX file"),
        (b"\0\0\x07" + IMAGES[3:], "not an IDX file"),
        (IMAGES[:9], "within its header"),
        (IMAGES[:-1], "declares 120 bytes of values and holds only 119"),
        (IMAGES + b"\0", "declares 120 bytes of values and holds more"),
        (idx(greys(6, 20)), "has 2 dimensions: expected 3"),
        (b"\0\0\x08\xff" + bytes(2000), "has 255 dimensions: expected 3"),
        (b"\0\0\x0e\x03" + b"\xff" * 12 + bytes(99), "expected at most"),
    ],
)
@pytest.mark.parametrize("block", [40, 1 << 20])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_faulty_idx_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, fault: str, ending: str, block: int
) -> None:
    monkeypatch.setattr("aevb.data.sources.idx._BLOCK", block)
    path = written(tmp_path / f"images{ending}", gzip.compress(content) if ending else content)
    with refused(path, fault):
        read_idx(path, 3)


def test_faulty_compression_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(IMAGES)
    flipped = packed[:40] + bytes([packed[40] ^ 255]) + packed[41:]
    for content in (IMAGES, packed[:-20], packed[:5], flipped, packed[:-8] + bytes(8), packed + b"rubbish"):
        path = written(tmp_path / "images.gz", content)
        with refused(path):
            read_idx(path, 3)


# Named sets from a folder.

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx_set(train: int = 60, test: int = 20) -> dict[str, bytes]:
    """The four files of a small set whose images all differ."""
    images = greys(train + test, 4, 5)
    images[:, 0, 0] = np.arange(train + test)
    labels = (np.arange(train + test) % 10).astype(np.uint8)
    parts = (images[:train], labels[:train], images[train:], labels[train:])
    return {file: idx(part) for file, part in zip(FILES, parts, strict=True)}


def stored(root: Path, name: str = "mnist", packed: bool = False, changed: dict[str, bytes] | None = None) -> Path:
    for file, content in (idx_set() | (changed or {})).items():
        written(root / name / (file + ".gz" * packed), gzip.compress(content) if packed else content)
    return root


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_named_sets_from_a_folder(tmp_path: Path, name: str, packed: bool) -> None:
    dataset = load_data(name, data_dir=stored(tmp_path, name, packed))
    assert (dataset.name, dataset.kind, dataset.shape) == (name, "unit", (1, 4, 5))
    assert [len(getattr(dataset, split)) for split in SPLITS] == [50, 10, 20]
    assert dataset.test.values[:, 0, 0, 0].tolist() == list(range(60, 80))
    assert dataset.classes is not None
    assert (len(dataset.classes), dataset.classes[9]) == (10, "9" if name == "mnist" else "Ankle boot")
    for split in SPLITS:
        examples = getattr(dataset, split)
        assert (examples.values.dtype, examples.scale) == (torch.uint8, 1 / 255)
        assert torch.equal(examples.values[:, 0, 0, 0] % 10, examples.labels)
    with refused(name, "own test split of 20"):
        load_data(name, data_dir=tmp_path, test=10)
    assert len(load_data(name, data_dir=tmp_path, validation=30).train) == 30


def test_the_folder_may_be_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEVB_DATA", str(stored(tmp_path / "here")))
    assert len(load_data("mnist").test) == 20
    with refused("nowhere", "does not exist"):  # the argument goes before
        load_data("mnist", data_dir=tmp_path / "nowhere")
    monkeypatch.setenv("AEVB_DATA", str(tmp_path / "elsewhere"))
    with refused("elsewhere", "does not exist"):
        load_data("mnist")
    assert len(load_data("mnist", data_dir=str(tmp_path / "here")).test) == 20


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_named_and_nothing_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.setattr(named, "MIRRORS", {})
    stored(tmp_path)
    (tmp_path / "mnist" / file).unlink()
    with refused(file, tmp_path / "mnist", "missing"):
        load_data("mnist", data_dir=tmp_path)
    with refused(FILES[0], tmp_path / "fashion-mnist", "missing"):
        load_data("fashion-mnist", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        (FILES[0], IMAGES[:-1], "holds only"),
        (FILES[0], idx(greys(60, 5, 4)), "(5, 4)"),
        (FILES[0], idx(greys(60, 4, 5).astype("f4")), "expected bytes"),
        (FILES[0], idx(greys(59, 4, 5)), "60 labels for 59 images"),
        (FILES[1], idx(greys(60, 4, 5)), "3 dimensions"),
        (FILES[1], idx(np.full(60, 10, dtype=np.uint8)), "label 10"),
        (FILES[3], idx(np.zeros(21, dtype=np.uint8)), "21 labels for 20 images"),
    ],
)
def test_files_that_do_not_fit_are_named(tmp_path: Path, file: str, content: bytes, fault: str) -> None:
    with refused(file.split("-")[0], fault):
        load_data("mnist", data_dir=stored(tmp_path, changed={file: content}))


# Downloads.


class Mirror:
    """A server on this machine, with the files it has and the requests it got."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[str] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.requests.append(self.path)
                content = mirror.files.get(self.path)
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """A mirror of a small mnist at good/, the table of mirrors set to broken/ and good/, and an empty cache."""
    mirror = Mirror()
    packed = {f"{file}.gz": gzip.compress(content) for file, content in idx_set().items()}
    mirror.files = {f"/good/{file}": content for file, content in packed.items()}
    checksums = {file: "md5:" + hashlib.md5(content).hexdigest() for file, content in packed.items()}
    monkeypatch.setattr(named, "MIRRORS", {"mnist": (mirror.url + "broken/", mirror.url + "good/")})
    monkeypatch.setattr(named, "CHECKSUMS", {"mnist": checksums})
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield mirror
    mirror.close()


def cached(tmp_path: Path) -> list[str]:
    folder = tmp_path / "cache" / "aevb" / "mnist"
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


def test_the_next_mirror_is_tried_and_the_cache_is_used_afterwards(
    tmp_path: Path, mirror: Mirror, capfd: pytest.CaptureFixture[str]
) -> None:
    assert len(load_data("mnist").test) == 20
    assert cached(tmp_path) == sorted(file + ".gz" for file in FILES)
    assert mirror.requests == [f"/{place}/{file}.gz" for file in FILES for place in ("broken", "good")]
    mirror.requests.clear()
    assert len(load_data("mnist").test) == 20
    assert mirror.requests == []
    assert capfd.readouterr() == ("", "")


def test_pooch_keeps_silent_for_us_alone(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    import pooch

    logger, records = pooch.get_logger(), list[object]()
    level = logger.level
    monkeypatch.setattr(logger, "handle", records.append)
    assert mirror.files
    load_data("mnist")
    assert records == []
    assert logger.level == level


def test_a_damaged_cache_is_renewed(tmp_path: Path, mirror: Mirror) -> None:
    load_data("mnist")
    mirror.requests.clear()
    written(tmp_path / "cache" / "aevb" / "mnist" / f"{FILES[2]}.gz", b"cut off")
    assert len(load_data("mnist").test) == 20
    assert mirror.requests[-1] == f"/good/{FILES[2]}.gz"


def test_a_wrong_checksum_is_refused_and_leaves_nothing(tmp_path: Path, mirror: Mirror) -> None:
    mirror.files[f"/good/{FILES[0]}.gz"] += b"!"
    with refused(f"mnist/{FILES[0]}.gz", "not the published file", "wrong checksum", "HTTP status 404", "AEVB_DATA"):
        load_data("mnist")
    assert cached(tmp_path) == []


def test_a_damaged_mirror_does_not_hide_a_good_one(mirror: Mirror) -> None:
    for file in FILES:
        mirror.files[f"/broken/{file}.gz"] = b"<html>log in to the hotel's network</html>"
    assert len(load_data("mnist").test) == 20


def test_nothing_reachable_says_what_to_do(
    tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    closed = Mirror()
    closed.close()
    monkeypatch.setattr(named, "MIRRORS", {"mnist": (closed.url, mirror.url + "broken/")})
    with refused(
        f"mnist/{FILES[0]}.gz", "could not be downloaded", "ConnectionError", "404", "--data-dir", "AEVB_DATA"
    ):
        load_data("mnist")
    assert cached(tmp_path) == []
    assert capfd.readouterr() == ("", "")


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, mirror: Mirror) -> None:
    written(tmp_path / "cache", b"a file where a folder should be")
    with refused("could not be downloaded", "directory"):
        load_data("mnist")
    assert len(mirror.requests) <= 2


def test_a_terminal_sees_progress(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert mirror.files
    load_data("mnist")
    lines = capsys.readouterr().err.splitlines()
    assert all(any(file in line and line.endswith("MB") for line in lines) for file in FILES)


def test_the_published_mirrors_and_checksums_are_complete() -> None:
    for name in ("mnist", "fashion-mnist"):
        assert sorted(named.CHECKSUMS[name]) == sorted(file + ".gz" for file in FILES)
        assert len(named.MIRRORS[name]) == 2
        assert all(url.startswith("http") and url.endswith("/") for url in named.MIRRORS[name])


# The real sets.


@pytest.fixture(scope="module")
def real() -> Path:
    root = Path(os.environ.get("AEVB_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not (root / "mnist").is_dir() or not (root / "fashion-mnist").is_dir():
        pytest.skip(f"no mnist and fashion-mnist in {root}; name their folder by AEVB_DATA")
    return root


def test_mnist_is_the_published_one(real: Path) -> None:
    images = gzip.decompress((real / "mnist" / f"{FILES[0]}.gz").read_bytes())
    assert hashlib.md5(images).hexdigest() == "6bbc9ace898e44ae57da46a324031adb"
    dataset = load_data("mnist", data_dir=real, binarize="resampled")
    assert [len(getattr(dataset, split)) for split in SPLITS] == [50_000, 10_000, 10_000]
    assert (dataset.kind, dataset.shape) == ("binary", (1, 28, 28))
    kept = torch.from_numpy(np.frombuffer(images[16:], dtype=np.uint8).reshape(-1, 1, 28, 28).copy())
    assert torch.equal(dataset.train.values[0], kept[0]) or torch.equal(dataset.train.values[0], kept[1])
    grey = load_data("mnist", data_dir=real)
    p = grey.test.all().x.double()
    drawn = dataset.test.all().x.double()
    assert (drawn - p).sum().abs() <= Z * (p * (1 - p)).sum().sqrt()


def test_fashion_mnist_validates_on_every_class(real: Path) -> None:
    dataset = load_data("fashion-mnist", data_dir=real)
    assert dataset.valid.labels is not None
    counts = dataset.valid.labels.bincount(minlength=10)
    # 10,000 of 60,000 without replacement: hypergeometric, 1000 +- 27.4 of each class.
    assert ((counts - 1000).abs() <= Z * 27.4).all()
