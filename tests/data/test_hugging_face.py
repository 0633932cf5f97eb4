"""`load_data` of data sets of the Hugging Face library `datasets`: rows, images and arrays."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from torch.utils.data import DataLoader

import aevb
from aevb.data import load_data
from tests.data.sources import gray_bytes, refused

datasets = pytest.importorskip("datasets")
N = 40
PIXELS = gray_bytes(N, 5, 4)
CLASSES = ["ant", "bee"]


def rows() -> Any:
    towns = datasets.ClassLabel(names=["Basel", "Bern", "Chur"])
    rng = np.random.default_rng(0)
    content = {"age": rng.normal(40, 9, N).tolist(), "town": [0, 1, 2, -1] * (N // 4), "name": ["x", None] * (N // 2)}
    kinds = {"age": datasets.Value("float64"), "town": towns, "name": datasets.Value("string")}
    return datasets.Dataset.from_dict(content, features=datasets.Features(kinds))


def pictures(*others: str) -> Any:
    columns = {
        "image": [PillowImage.fromarray(pixels) for pixels in PIXELS],
        "label": [0, 1] * (N // 2),
        "source": ["web"] * N,
    }
    kinds = {
        "image": datasets.Image(),
        "label": datasets.ClassLabel(names=CLASSES),
        "source": datasets.Value("string"),
    }
    names = ("image", *others)
    features = datasets.Features({name: kinds[name] for name in names})
    return datasets.Dataset.from_dict({name: columns[name] for name in names}, features=features)


def test_rows_are_read_as_a_table(tmp_path: Path) -> None:
    data = rows()
    dataset = load_data(data, column_types={"age": "real"})
    assert {column.name: column.kind for column in dataset.columns} == {
        "age": "real",
        "town": "categorical",
        "name": "constant",
    }
    (town,) = [column for column in dataset.columns if column.name == "town"]
    assert town.values == ("Basel", "Bern", "Chur")
    data.remove_columns("town").to_parquet(str(tmp_path / "people.parquet"))
    stored = load_data(tmp_path / "people.parquet", column_types={"age": "real"})
    assert torch.equal(
        load_data(data.remove_columns("town"), column_types={"age": "real"}).train.values, stored.train.values
    )


@pytest.mark.parametrize("others", [(), ("label",), ("label", "source")])
def test_images_are_read_as_a_folder_of_images(others: tuple[str, ...]) -> None:
    dataset = load_data(pictures(*others))
    assert dataset.fingerprint == load_data(PIXELS).fingerprint
    assert dataset.classes == (tuple(CLASSES) if others else None)
    assert dataset.notes == (("ignored: columns source",) if "source" in others else ())
    assert load_data(pictures(), image_size=3).shape == (1, 3, 3)


def test_image_files_and_parts_of_a_data_set_are_read(tmp_path: Path) -> None:
    for index, pixels in enumerate(PIXELS):
        PillowImage.fromarray(pixels).save(tmp_path / f"{index:02}.png")
    paths = datasets.Dataset.from_dict({"image": [str(path) for path in sorted(tmp_path.iterdir())]})
    data = paths.cast_column("image", datasets.Image()).shuffle(seed=0).select(range(20))
    chosen = [int(Path(one).stem) for one in paths.shuffle(seed=0)[:20]["image"]]
    assert load_data(data).fingerprint == load_data(PIXELS[chosen]).fingerprint


@pytest.mark.parametrize("kind", ["uint8", "float32", "float64", "int64"])
def test_arrays_keep_their_type(kind: str) -> None:
    array = PIXELS.astype(kind)
    features = datasets.Features({"x": datasets.Array2D((5, 4), kind), "y": datasets.ClassLabel(names=CLASSES)})
    data = datasets.Dataset.from_dict({"x": array, "y": [0, 1] * (N // 2)}, features=features)
    dataset, expected = load_data(data), load_data((array, np.array(CLASSES * (N // 2))))
    assert dataset.fingerprint == expected.fingerprint
    assert (dataset.kind, dataset.shape, dataset.classes) == (expected.kind, (1, 5, 4), tuple(CLASSES))


def test_lists_are_vectors_and_can_be_encoded(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(N, 3))
    data = datasets.Dataset.from_dict({"embedding": x.tolist(), "label": ["a", "b"] * (N // 2)})
    assert load_data(data).fingerprint == load_data(x).fingerprint
    run = aevb.train(data, out=tmp_path / "run", epochs=1, hidden=4, report=False, device="cpu", n_importance_samples=2)
    assert run.encode(data).shape == (N, 3)
    assert load_data(data).classes == ("a", "b")


def test_batches_of_a_data_loader_are_dictionaries() -> None:
    data = datasets.Dataset.from_dict({"x": PIXELS.reshape(N, 20).astype(float).tolist(), "label": [0, 1] * (N // 2)})
    for source in (
        DataLoader(data.with_format("torch"), batch_size=7),
        data.to_iterable_dataset().with_format("torch"),
    ):
        dataset = load_data(source)
        assert (dataset.shape, dataset.classes) == ((20,), ("0", "1"))


def test_what_cannot_be_used_is_refused() -> None:
    two = datasets.Dataset.from_dict({"a": [[1.0]] * N, "b": [[1.0]] * N})
    with refused("several columns of examples (a, b)", "select_columns"):
        load_data(two)
    with refused("data of type DatasetDict", "a Hugging Face Dataset of rows"):
        load_data(datasets.DatasetDict({"train": two}))
    with refused("image_size=8 applies to a folder of images"):
        load_data(rows(), image_size=8)
    features = datasets.Features({"image": datasets.Image()})
    with refused("image 1 of the data set is missing"):
        load_data(datasets.Dataset.from_dict({"image": [pictures()[0]["image"], None]}, features=features))
    with refused("files cannot be read as images: image 0"):
        load_data(datasets.Dataset.from_dict({"image": [{"bytes": b"no", "path": None}] * N}, features=features))
    with refused("dictionaries with image as items"):
        load_data(pictures().to_iterable_dataset())
    ragged = datasets.Dataset.from_dict({"x": [[1.0], [1.0, 2.0]] * N})
    with refused("expected real numbers"):
        load_data(ragged)
    unlabeled = datasets.Dataset.from_dict({"x": [[1.0]] * 4, "label": [0, None, 1, 0]})
    with refused("labels", "expected integers or strings"):
        load_data(unlabeled)
