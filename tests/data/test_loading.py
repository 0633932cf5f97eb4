"""The choice of a source, and options that do not apply to it."""

from pathlib import Path

import pytest
import torch

from aevb.columns import Column
from aevb.data import load_data
from aevb.data.loading import read_examples
from aevb.data.match import DataSpec
from aevb.models.registry import register
from tests.data.sources import BINARIZATIONS, SPLITS, all_values, gray_bytes, refused, saved


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AEVB_DATA", raising=False)


@pytest.mark.parametrize(
    ("source", "nearest"), [("minst", "mnist"), ("MNIST", "mnist"), ("fashion", "fashion-mnist"), ("digit", "digits")]
)
def test_an_unknown_name_lists_the_registered_ones_and_the_most_similar_one(source: str, nearest: str) -> None:
    with refused(repr(source), "no such file exists", f"did you mean {nearest}?", ", ".join(sorted(register.dataset))):
        load_data(source)


@pytest.mark.parametrize("source", ["", "x" * 5000, "no\0where"])
def test_a_source_that_cannot_exist_is_refused(source: str) -> None:
    with refused("no such file exists"):
        load_data(source)


@pytest.mark.parametrize("source", ["missing/file.npy", "missing.csv", "missing/folder"])
def test_a_missing_file_is_no_data_set(source: str) -> None:
    with refused(f"{source} does not exist: pass the path of an existing file"):
        load_data(source)
    columns = (Column(name="x", kind="real", position=0),)
    with refused(f"{source} does not exist"):
        read_examples(source, DataSpec("columns", (1,), columns, (), "none", None, None, 0, None))


def test_a_name_wins_over_a_path_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    assert len(load_data("digits").train) > 1000
    with refused("digits has no images"):
        load_data("./digits")


def test_a_file_of_unknown_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.bin").write_text("1,2\n")
    with refused("table.bin", ".npy", "folder of images"):
        load_data(str(tmp_path / "table.bin"))


def test_image_size_applies_to_folders_of_images_only(tmp_path: Path) -> None:
    for source in ("digits", "mnist", saved(tmp_path / "x.npy", gray_bytes(20, 4, 4))):
        with refused("image_size=8", source):
            load_data(source, image_size=8)


def test_an_unknown_binarization_is_refused() -> None:
    with refused("'treshold'", "one of threshold,", *BINARIZATIONS):
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
    assert all_values(digits).sum().item() == source.images.sum() / 16
    assert digits.test.labels is not None
    assert digits.test.labels.bincount(minlength=10).min() > 20
