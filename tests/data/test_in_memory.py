"""`load_data` of objects in memory, and of data sets that a module outside the package registers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torch.utils.data import Dataset as TorchDataset

from aevb.data import IN_MEMORY, DataSpec, load_data, read_examples
from aevb.errors import BadInput
from aevb.models.registry import import_plugin, register

LABELS = ["ant", "bee"]


def images(count: int = 40) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, 5, 4), dtype=np.uint8)


def classes(count: int = 40) -> NDArray[np.str_]:
    return np.array(LABELS)[np.arange(count) % 2]


class Items(TorchDataset[Any]):
    """A map-style data set of (image, label)."""

    def __init__(self, *, labeled: bool) -> None:
        self.labeled = labeled

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> object:
        image = torch.from_numpy(images()[index])
        return (image, index % 2) if self.labeled else image


class Stream(IterableDataset[Tensor]):
    """An iterable data set of vectors."""

    def __iter__(self) -> Iterator[Tensor]:
        return iter(torch.arange(60.0).view(20, 3))


def test_an_array_is_read_as_its_file(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", images())
    dataset, stored = load_data(images()), load_data(tmp_path / "x.npy")
    assert (dataset.name, dataset.kind, dataset.shape) == (IN_MEMORY, "unit", (1, 5, 4))
    assert dataset.fingerprint == stored.fingerprint == load_data(torch.from_numpy(images())).fingerprint
    assert dataset.classes is None


@pytest.mark.parametrize(
    "labels",
    [
        classes(),
        classes().astype(object),
        pandas.Series(classes(), dtype=object),
        (np.arange(40) % 2),
        torch.arange(40) % 2,
    ],
)
def test_labels_may_accompany_an_array(labels: object) -> None:
    dataset = load_data((images(), labels))
    assert dataset.classes in (("ant", "bee"), ("0", "1"))
    assert dataset.train.labels is not None
    assert load_data([images(), labels]).fingerprint == load_data(images()).fingerprint


def test_masked_values_are_missing() -> None:
    rng = np.random.default_rng(0)
    values, mask = rng.normal(size=(40, 3)), rng.random((40, 3)) < 0.2
    masked = load_data(np.ma.masked_array(values, mask))
    assert masked.fingerprint == load_data(np.where(mask, np.nan, values)).fingerprint
    assert load_data(np.ma.masked_array(images())).fingerprint == load_data(images()).fingerprint
    with pytest.raises(BadInput, match=r"\(in memory\) has 20 values that are NaN"):
        load_data(np.ma.masked_array(images(), np.arange(800).reshape(40, 5, 4) % 40 == 0))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float8_e4m3fn])
def test_tensors_of_short_types_are_read(dtype: torch.dtype) -> None:
    values = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    expected = load_data(values.float()).fingerprint
    assert load_data(values).fingerprint == load_data(TensorDataset(values)).fingerprint == expected


def test_sparse_tensors_are_read() -> None:
    values = torch.randn(40, 3).relu()
    assert load_data(values.to_sparse()).fingerprint == load_data(values).fingerprint


@pytest.mark.parametrize("library", [pandas, polars])
def test_a_data_frame_is_read_as_a_table(library: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {"age": rng.normal(40, 9, 50), "town": np.array(["Basel", "Bern", "Chur"])[rng.integers(3, size=50)]}
    pandas.DataFrame(columns).to_csv(tmp_path / "people.csv", index=False)
    dataset = load_data(library.DataFrame(columns), column_types={"age": "real"})
    assert {column.name: column.kind for column in dataset.columns} == {"age": "real", "town": "categorical"}
    stored = load_data(tmp_path / "people.csv", column_types={"age": "real"})
    assert torch.equal(dataset.train.values, stored.train.values)
    spec = DataSpec(dataset.kind, dataset.shape, dataset.columns, (), "none", None, None, 0, None)
    assert len(read_examples(library.DataFrame(columns), spec)) == 50


@pytest.mark.parametrize("labeled", [False, True])
def test_a_torch_data_set_is_copied_into_memory(labeled: bool) -> None:
    dataset = load_data(Items(labeled=labeled))
    assert dataset.fingerprint == load_data(images()).fingerprint
    assert dataset.classes == (("0", "1") if labeled else None)
    loaded = load_data(DataLoader(Items(labeled=labeled), batch_size=7))
    assert loaded.fingerprint == dataset.fingerprint
    assert loaded.classes == dataset.classes


def test_other_torch_data_sets() -> None:
    vectors = torch.randn(30, 3)
    assert load_data(TensorDataset(vectors, torch.arange(30) % 3)).classes == ("0", "1", "2")
    for single in (TensorDataset(vectors), DataLoader(TensorDataset(vectors), batch_size=7)):
        assert load_data(single).fingerprint == load_data(vectors).fingerprint
    assert load_data(Stream()).shape == (3,)
    assert load_data(DataLoader(Stream(), batch_size=None)).shape == (3,)


class Mappings(TorchDataset[Any]):
    """A map-style data set of dictionaries, such as those of Hugging Face in the format of PyTorch."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> object:
        item = {"image": torch.from_numpy(images()[index]), "label": index % 2, "id": index, "mask": torch.zeros(2)}
        return {name: item[name] for name in self.names}


@pytest.mark.parametrize("names", [("image", "label"), ("id", "image"), ("image",)])
def test_dictionaries_have_one_array_and_a_label(names: tuple[str, ...]) -> None:
    for source in (Mappings(*names), DataLoader(Mappings(*names), batch_size=7)):
        dataset = load_data(source)
        assert dataset.fingerprint == load_data(images()).fingerprint
        assert dataset.classes == (("0", "1") if "label" in names else None)


@pytest.mark.parametrize("names", [("id", "label"), ("image", "mask")])
def test_other_dictionaries_are_refused(names: tuple[str, ...]) -> None:
    for source in (Mappings(*names), DataLoader(Mappings(*names), batch_size=7)):
        with pytest.raises(BadInput, match=f"dictionaries with {', '.join(names)} as items: expected one array"):
            load_data(source)


def test_a_dataset_is_returned_as_it_is() -> None:
    dataset = load_data(images())
    assert load_data(dataset) is dataset
    for options in ({"binarize": "threshold"}, {"split_seed": 1}, {"condition": ["label"]}, {"in_memory": "off"}):
        with pytest.raises(BadInput, match="already a Dataset: omit the options"):
            load_data(dataset, **options)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (3, "data of type int cannot be used: expected a NumPy array or tensor"),
        ({"x": images()}, "data of type dict cannot be used"),
        (np.zeros((20, 2, 2, 2, 2)), r"\(in memory\) has the shape"),
        (np.full((20, 2, 2), np.nan), r"\(in memory\) has 80 values that are NaN \(only rows"),
        ((images(), np.zeros(3, dtype=int)), r"labels int64 of shape \(3,\)"),
        ([Items(labeled=True)], "data of type list"),
        (TensorDataset(torch.zeros(0, 3)), "no items"),
    ],
)
def test_unusable_objects_are_refused(source: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load_data(source)


@pytest.mark.parametrize("option", [{"image_size": 8}, {"variant": "printed"}, {"column_types": {"x0": "real"}}])
def test_options_of_other_sources_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=rf"{next(iter(option))}=.* which \(in memory\) is not: omit it"):
        load_data(images(), **option)


RINGS = """
import numpy as np
from aevb.models.registry import register

@register.dataset("rings", variants=("two", "three"))
def rings(split_seed=0, variant=None):
    "Circles in the plane."
    rng = np.random.default_rng(split_seed)
    label = rng.integers(2 if variant == "two" else 3, size=200)
    angle = rng.uniform(0, 2 * np.pi, 200)
    return (label[:, None] + 1) * np.stack([np.cos(angle), np.sin(angle)], 1), label
"""


def test_a_function_becomes_a_named_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        register.dataset, "_entries", {name: register.dataset._entry(name) for name in register.dataset}
    )
    (tmp_path / "my_rings.py").write_text(RINGS)
    import_plugin(str(tmp_path / "my_rings.py"))
    assert "rings" in register.dataset.names()
    dataset = load_data("rings")
    assert (dataset.name, dataset.kind, dataset.shape, dataset.classes) == ("rings", "real", (2,), ("0", "1", "2"))
    assert load_data("rings", variant="two").classes == ("0", "1")
    assert load_data("rings", split_seed=1).fingerprint != dataset.fingerprint
    with pytest.raises(BadInput, match="variant='four' of rings is unknown: expected two or three"):
        load_data("rings", variant="four")
