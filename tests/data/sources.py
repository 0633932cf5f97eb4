"""Helpers of the tests of data sources."""

import gzip
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from aevb.data import Binarize, Dataset
from aevb.errors import BadInput

Array = NDArray[Any]
BINARIZATIONS: tuple[Binarize, ...] = get_args(Binarize)
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


def gray_bytes(*shape: int) -> Array:
    return rng().integers(0, 256, shape, dtype=np.uint8)


def saved(path: Path, array: Array) -> str:
    np.save(path, array)
    return str(path)


def zipped(path: Path, **arrays: Array) -> str:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return str(path)


def all_values(dataset: Dataset) -> torch.Tensor:
    """All examples as model input, training first."""
    return torch.cat([getattr(dataset, split).all().x for split in SPLITS])


def idx(array: Array) -> bytes:
    code = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}[array.dtype.str[1:]]
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


IMAGES = idx(gray_bytes(6, 4, 5))
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx_set(train: int = 60, test: int = 20) -> dict[str, bytes]:
    """The four files of a small set whose images all differ."""
    images = gray_bytes(train + test, 4, 5)
    images[:, 0, 0] = np.arange(train + test)
    labels = (np.arange(train + test) % 10).astype(np.uint8)
    parts = (images[:train], labels[:train], images[train:], labels[train:])
    return {file: idx(part) for file, part in zip(FILES, parts, strict=True)}


def save_idx_set(
    root: Path, name: str = "mnist", packed: bool = False, changed: dict[str, bytes] | None = None
) -> Path:
    for file, content in (idx_set() | (changed or {})).items():
        written(root / name / (file + ".gz" * packed), gzip.compress(content) if packed else content)
    return root
