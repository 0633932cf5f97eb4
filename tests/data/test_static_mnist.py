"""Statically binarized MNIST, from files of both formats."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from aevb.data import load_data
from aevb.data.sources.static_mnist import SPLITS
from tests.data.sources import Array, idx, refused, rng

COUNTS = {"train": 6, "valid": 3, "test": 4}


def bits(split: str) -> Array:
    return rng(len(split)).integers(0, 2, (COUNTS[split], 28, 28), dtype=np.uint8)


def save(root: Path, form: str) -> Path:
    folder = root / "static-mnist"
    folder.mkdir()
    for split in SPLITS:
        if form == "amat":
            np.savetxt(folder / f"binarized_mnist_{split}.amat", bits(split).reshape(-1, 784), fmt="%d")
        else:
            (folder / f"{split}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(255 * bits(split))))
    return root


@pytest.mark.parametrize("form", ["amat", "idx"])
def test_both_formats(tmp_path: Path, form: str) -> None:
    dataset = load_data("static-mnist", data_dir=save(tmp_path, form))
    assert (dataset.kind, dataset.shape, dataset.classes) == ("binary", (1, 28, 28), None)
    for split in SPLITS:
        assert torch.equal(getattr(dataset, split).all().x[:, 0], torch.from_numpy(bits(split)).float())


def test_its_validation_split_is_kept(tmp_path: Path) -> None:
    root = save(tmp_path, "idx")
    with refused("static-mnist", "own validation split of 3"):
        load_data("static-mnist", data_dir=root, validation=2)
    with refused("static-mnist", "own validation split of 3"):
        load_data("static-mnist", data_dir=root, validate_on="last")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"0 1 1\n", "3 digits"),
        (b"0 2 " * 392, "other values than 0 and 1"),
        (b"", "images of shape"),
        (b"\xff", "1 digits"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, content: bytes, fault: str) -> None:
    root = save(tmp_path, "amat")
    (root / "static-mnist" / "binarized_mnist_valid.amat").write_bytes(content)
    with refused("binarized_mnist_valid.amat", fault):
        load_data("static-mnist", data_dir=root)


def test_missing_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with refused("binarized_mnist_train.amat", "missing"):
        load_data("static-mnist", data_dir=tmp_path)
    monkeypatch.delenv("AEVB_DATA", raising=False)
    with refused("static-mnist is not downloaded"):
        load_data("static-mnist")


def test_the_published_images() -> None:
    """Their numbers, and the share of the pixels that are on."""
    root = Path(os.environ.get("AEVB_DATA", "../shared/data"))
    if not (root / "static-mnist").is_dir():
        pytest.skip(f"no static-mnist in {root}; name its folder by AEVB_DATA")
    dataset = load_data("static-mnist", data_dir=root)
    assert [len(getattr(dataset, split)) for split in SPLITS] == [50_000, 10_000, 10_000]
    means = [getattr(dataset, split).all().x.mean().item() for split in SPLITS]
    assert means == pytest.approx([0.1306, 0.1319, 0.1327], abs=2e-3)
