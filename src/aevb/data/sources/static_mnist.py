"""Statically binarized MNIST: its 50,000 training, 10,000 validation and 10,000 test images were sampled once.

Larochelle & Murray, The neural autoregressive distribution estimator, 2011. Published as text files,

    binarized_mnist_train.amat, binarized_mnist_valid.amat, binarized_mnist_test.amat        a row of 784 digits each

at www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/. They are read from the folder static-mnist/ in
`data_dir`, or the same images as IDX files of bytes, train-images-idx3-ubyte(.gz), valid-… and test-…. Nothing is
downloaded, since no checksums of these files are published.
"""

import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from aevb.data.dataset import UnsplitData
from aevb.data.examples import Examples
from aevb.data.sources.idx import read_idx
from aevb.errors import BadInput, option
from aevb.models.registry import register

NAME = "static-mnist"
SPLITS = ("train", "valid", "test")
SHAPE = (28, 28)
_SPACE = np.frombuffer(b" \t\r\n", dtype=np.uint8)


@register.dataset(NAME)
def static_mnist(data_dir: str | Path | None = None) -> UnsplitData:
    """Binarized handwritten digits of 28 x 28 pixels, with their own validation and test images."""
    root = data_dir or os.environ.get("AEVB_DATA")
    if not root:
        raise BadInput(
            f"{NAME} is not downloaded: name a folder that contains {NAME}/ by {option('data-dir')} or AEVB_DATA"
        )
    train, valid, test = (_read(Path(root) / NAME, split) for split in SPLITS)
    return UnsplitData(
        name=NAME,
        examples=Examples(torch.from_numpy(np.concatenate([train, valid, test]))[:, None]),
        valid_from=len(train),
        test_from=len(train) + len(valid),
    )


def _read(folder: Path, split: str) -> NDArray[np.uint8]:
    """Return the images of a split, zeros and ones, ``(N, 28, 28)``."""
    idx, text = folder / f"{split}-images-idx3-ubyte", folder / f"binarized_mnist_{split}.amat"
    for path in (idx, idx.with_name(f"{idx.name}.gz")):
        if path.is_file():
            return _bits(read_idx(path, 3), path)
    if text.is_file():
        return _bits(_digits(text), text)
    raise BadInput(f"{text.name}, or {idx.name} with or without .gz, is missing in {folder}: add it")


def _digits(path: Path) -> NDArray[np.uint8]:
    """Return the images of a text file of zeros and ones."""
    content = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    digits = content[~np.isin(content, _SPACE)] - ord("0")
    if digits.size % np.prod(SHAPE):
        raise BadInput(f"{path} has {digits.size} digits: expected {np.prod(SHAPE)} in each row; replace this file")
    return digits.reshape(-1, *SHAPE)


def _bits(values: NDArray[np.generic], path: Path) -> NDArray[np.uint8]:
    """Return images whose values are 0, and 1 or 255, as zeros and ones."""
    if values.shape[1:] != SHAPE or not len(values):
        raise BadInput(f"{path} has images of shape {values.shape[1:]}: expected some of {SHAPE}; replace this file")
    on = values != 0
    if values.max() not in (0, 1, 255) or not (values[on] == values.max()).all():
        raise BadInput(f"{path} has other values than 0 and 1, or 0 and 255: replace this file")
    bits: NDArray[np.uint8] = on.astype(np.uint8)
    return bits
