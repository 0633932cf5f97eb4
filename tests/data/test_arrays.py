"""Arrays in .npy and .npz files."""

import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aevb.data import load_data
from tests.data.sources import SPLITS, Array, all_values, gray_bytes, refused, rng, saved, zipped

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
    np.testing.assert_array_equal(np.sort(all_values(dataset).reshape(20, -1).numpy(), axis=0), expected)


def test_images_with_channels_last_keep_their_pixels(tmp_path: Path) -> None:
    array = rng().random((20, 5, 7, 3), dtype=np.float32)
    array[:, 0, 0, 0] = np.arange(20) / 20
    for image in all_values(load_data(saved(tmp_path / "x.npy", array))):
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
        (gray_bytes(20, 4, 4), "unit", torch.uint8, 1 / 255),
        (gray_bytes(20, 4, 4, 3), "unit", torch.uint8, 1 / 255),
        (gray_bytes(20, 4, 4) // 128, "binary", torch.uint8, 1.0),
        (gray_bytes(20, 4, 4) // 128 * 255, "binary", torch.uint8, 1.0),
        (np.full((20, 4, 4), 2, dtype=np.uint8), "unit", torch.uint8, 1 / 255),
        (np.zeros((20, 4, 4), dtype=np.uint8), "binary", torch.uint8, 1.0),
        (gray_bytes(20, 4), "counts", torch.uint8, 1.0),
        (gray_bytes(20, 4) // 128 * 255, "counts", torch.uint8, 1.0),
        (gray_bytes(20, 4).astype(float), "counts", torch.float32, 1.0),
        (gray_bytes(20, 4) + 0.5, "real", torch.float32, 1.0),
        (gray_bytes(20, 4).astype(float) - 1.0 - gray_bytes(20, 4).max(), "real", torch.float32, 1.0),
        (np.full((20, 4), 2.0**25), "real", torch.float32, 1.0),
        (gray_bytes(20, 4) // 128, "binary", torch.uint8, 1.0),
        (gray_bytes(20, 4, 4) > 99, "binary", torch.uint8, 1.0),
        (gray_bytes(20, 4) > 99, "binary", torch.uint8, 1.0),
        (gray_bytes(20, 4, 4).astype(np.int64), "real", torch.float32, 1.0),
        (gray_bytes(20, 4).astype(np.uint16) // 128, "binary", torch.uint8, 1.0),
        (gray_bytes(20, 4, 4) / 255, "unit", torch.float32, 1.0),
        (np.asfortranarray(gray_bytes(20, 4, 4) / 255), "unit", torch.float32, 1.0),
        ((gray_bytes(20, 4) / 255).astype(">f8"), "unit", torch.float32, 1.0),
        ((gray_bytes(20, 4) / 255).astype(np.float16), "unit", torch.float32, 1.0),
        (rng().standard_normal((20, 4)).astype(np.longdouble), "real", torch.float32, 1.0),
        ((gray_bytes(20, 4) // 128).astype(float), "binary", torch.uint8, 1.0),
        (-(gray_bytes(20, 4) // 128).astype(float) * 0.0, "binary", torch.uint8, 1.0),
        (np.full((20, 4), 0.5), "unit", torch.float32, 1.0),
        (np.full((20, 4), 1 + 1e-12), "binary", torch.uint8, 1.0),
        (np.full((20, 4), 1 + 1e-6), "real", torch.float32, 1.0),
        (np.full((20, 4), -1e-30), "real", torch.float32, 1.0),
    ],
)
def test_kinds(tmp_path: Path, array: Array, kind: str, dtype: torch.dtype, scale: float) -> None:
    dataset = load_data(saved(tmp_path / "x.npy", array))
    assert (dataset.kind, dataset.train.values.dtype, dataset.train.scale) == (kind, dtype, scale)
    batch = all_values(dataset)
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
def test_values_that_are_not_finite_are_counted_with_their_row(tmp_path: Path, value: float, dtype: type) -> None:
    array: Array = np.zeros((20, 4, 4), dtype=dtype)
    array[7, 1, 2] = array[7, 1, 3] = array[9, 0, 0] = value
    with refused("x.npy", "3 values", "NaN" if np.isnan(value) else "infinite", "row 7"):
        load_data(saved(tmp_path / "x.npy", array))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_with_missing_values_are_a_table(tmp_path: Path, dtype: type) -> None:
    rows: Array = np.random.default_rng(0).normal(size=(60, 4)).astype(dtype)
    rows[rows > 1] = np.nan
    dataset = load_data(saved(tmp_path / "x.npy", rows))
    assert [column.name for column in dataset.columns] == ["x0", "x1", "x2", "x3"]
    assert sum(summary.missing for summary in dataset.summaries) == np.isnan(rows).sum()
    labeled = load_data((rows, np.arange(60) % 3))
    assert labeled.classes == ("0", "1", "2")
    rows[7, 1] = np.inf
    with refused("1 value that is infinite", "row 7"):
        load_data(rows)


def test_values_that_float32_cannot_hold_are_refused(tmp_path: Path) -> None:
    array = np.zeros((20, 4))
    array[5, 3] = -1e39
    with refused("x.npy", "1 value ", "float32", "row 5"):
        load_data(saved(tmp_path / "x.npy", array))
    array[5, 3] = np.finfo(np.float32).max
    assert load_data(saved(tmp_path / "x.npy", array)).kind == "real"


def test_the_faulty_part_of_an_archive_is_named(tmp_path: Path) -> None:
    clean, faulty = np.zeros((20, 4)), np.full((20, 4), np.inf)
    with refused("[x_test]", "80 values", "row 0"):
        load_data(zipped(tmp_path / "x.npz", x_train=clean, x_test=faulty))


@pytest.mark.parametrize("dtype", [complex, "U3", "S3", "M8[s]", [("a", float), ("b", int)]])
def test_types_other_than_real_numbers_are_refused(tmp_path: Path, dtype: Any) -> None:
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
def test_a_header_with_a_wrong_shape_is_refused(tmp_path: Path, rows: int) -> None:
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
    dataset = load_data(saved(tmp_path / "x.npy", gray_bytes(10, 3)))
    assert [len(getattr(dataset, split)) for split in SPLITS] == [7, 1, 2]


# Archives and labels.


def test_an_archive_of_one_array_may_have_any_name(tmp_path: Path) -> None:
    dataset = load_data(zipped(tmp_path / "cells.npz", counts=gray_bytes(20, 4)))
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
def test_labels_become_codes_in_the_order_of_the_examples(
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


def test_labels_of_wrong_shape_or_type_are_refused(tmp_path: Path) -> None:
    x = gray_bytes(20, 4)
    for labels in (np.arange(19), np.arange(20)[:, None], np.arange(20) / 2, np.zeros(20, dtype=complex)):
        with refused("[y]", labels.shape, labels.dtype, "(20,)"):
            load_data(zipped(tmp_path / "x.npz", x=x, y=labels))
    with refused("[y_test]", "(10,)"):
        load_data(zipped(tmp_path / "x.npz", x_train=x, y_train=np.arange(20), x_test=x[:10], y_test=np.arange(20)))


def test_an_archive_with_a_test_part_keeps_it(tmp_path: Path) -> None:
    x = gray_bytes(30, 4, 4)
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


def test_the_kind_is_that_of_both_splits(tmp_path: Path) -> None:
    bits = np.zeros((20, 4))
    source = zipped(tmp_path / "x.npz", x_train=bits, x_test=bits + 0.5)
    assert load_data(source).kind == "unit"
    source = zipped(tmp_path / "x.npz", x_train=np.zeros((20, 4, 4), np.uint8), x_test=gray_bytes(20, 4, 4))
    assert load_data(source).test.all().x.max() <= 1


@pytest.mark.parametrize("test", [gray_bytes(20, 5), gray_bytes(20, 4, 4), gray_bytes(20, 4) / 255])
def test_splits_of_different_shapes_or_types_are_refused(tmp_path: Path, test: Array) -> None:
    with refused("x.npz", "uint8", test.dtype, "expected equal types and shapes"):
        load_data(zipped(tmp_path / "x.npz", x_train=gray_bytes(20, 4), x_test=test))


def test_empty_splits_are_refused(tmp_path: Path) -> None:
    with refused("x.npz", "empty test split"):
        load_data(zipped(tmp_path / "x.npz", x_train=gray_bytes(20, 4), x_test=gray_bytes(0, 4)))
    with refused("validation", "0 examples"):
        load_data(zipped(tmp_path / "x.npz", x_train=gray_bytes(0, 4), x_test=gray_bytes(20, 4)))


@pytest.mark.parametrize(
    "keys", [("a", "b"), ("x", "z"), ("x_train", "y_train"), ("x_train", "x_test", "y_test"), ("x", "x_test"), ()]
)
def test_other_arrays_in_an_archive_are_listed(tmp_path: Path, keys: tuple[str, ...]) -> None:
    with refused("x.npz", f"{{{', '.join(keys)}}}", "{x, y}", "{x_train, x_test}"):
        load_data(zipped(tmp_path / "x.npz", **{key: gray_bytes(20, 4) for key in keys}))
