"""Published data sets.

- digits: 1,797 images of 8 x 8 pixels from 0 to 16, part of scikit-learn.
- mnist, fashion-mnist: 60,000 + 10,000 images of 28 x 28 bytes, each four IDX files, plain or compressed. They are read
  from the folder NAME/ in `data_dir`, by default in the folder that the environment variable AEVB_DATA names. With
  neither, they are downloaded once, checked, into the cache of the user.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import numpy as np
import torch
from numpy.typing import NDArray

from aevb.data.dataset import UnsplitData
from aevb.data.examples import Examples
from aevb.data.sources.arrays import Array
from aevb.data.sources.idx import read_idx
from aevb.errors import BadInput, option
from aevb.models.registry import register

_DIGITS = tuple("0123456789")
_CLASSES = {
    "mnist": _DIGITS,
    "fashion-mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
}
_VALIDATION = 1 / 6  # 10,000 of the 60,000

MIRRORS = {
    "mnist": (
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    "fashion-mnist": (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
}
CHECKSUMS = {
    "mnist": {
        "train-images-idx3-ubyte.gz": "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
    },
}


@register.dataset("digits")
def digits() -> UnsplitData:
    """Handwritten digits of 8 x 8 pixels, part of scikit-learn."""
    # The file itself: importing scikit-learn would take longer than everything else before the first step.
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise BadInput("digits is part of scikit-learn, which is not installed: pip install scikit-learn")
    file = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    table = torch.from_numpy(np.loadtxt(file, delimiter=",", dtype=np.uint8))
    images = table[:, :-1].reshape(-1, 1, 8, 8).contiguous()
    return UnsplitData("digits", Examples(images, table[:, -1].long(), 1 / 16), _DIGITS)


@register.dataset("mnist")
def mnist(data_dir: str | Path | None = None) -> UnsplitData:
    """Handwritten digits of 28 x 28 pixels."""
    return _read_idx_files("mnist", data_dir)


@register.dataset("fashion-mnist")
def fashion_mnist(data_dir: str | Path | None = None) -> UnsplitData:
    """Articles of clothing, 28 x 28 pixels."""
    return _read_idx_files("fashion-mnist", data_dir)


# Data sets in the file format of MNIST.


def _read_idx_files(name: str, data_dir: str | Path | None) -> UnsplitData:
    root = data_dir or os.environ.get("AEVB_DATA")
    files = [_find(Path(root), name, file) if root else _download(name, file) for file in CHECKSUMS[name]]
    return _from_idx(name, *files)


def _from_idx(name: str, train_images: Path, train_labels: Path, test_images: Path, test_labels: Path) -> UnsplitData:
    train, test = read_idx(train_images, 3), read_idx(test_images, 3)
    if train.shape[1:] != test.shape[1:]:
        raise BadInput(
            f"{train_images} has images {train.shape[1:]} and {test_images} {test.shape[1:]}: replace these files"
        )
    values = np.concatenate([_bytes(train, train_images), _bytes(test, test_images)])
    labels = np.concatenate([_labels(train_labels, train, name), _labels(test_labels, test, name)])
    return UnsplitData(
        name=name,
        examples=Examples(torch.from_numpy(values)[:, None], torch.from_numpy(labels), 1 / 255),
        classes=_CLASSES[name],
        test_from=len(train),
        validation=_VALIDATION,
    )


def _labels(path: Path, images: Array, name: str) -> NDArray[np.int64]:
    labels, classes = _bytes(read_idx(path, 1), path), len(_CLASSES[name])
    if len(labels) != len(images):
        raise BadInput(f"{path} has {len(labels)} labels for {len(images)} images: replace the files of {name}")
    if labels.max(initial=0) >= classes:
        raise BadInput(f"{path} has the label {labels.max()}: expected 0 to {classes - 1}; replace this file")
    return labels.astype(np.int64)


def _bytes(values: Array, path: Path) -> NDArray[np.uint8]:
    if values.dtype != np.uint8:
        raise BadInput(f"{path} has values of type {values.dtype}: expected bytes; replace this file")
    return cast("NDArray[np.uint8]", values)


def _find(root: Path, name: str, file: str) -> Path:
    """Return the file, compressed or not, in a local folder."""
    if not root.is_dir():
        raise BadInput(f"the data folder {root} does not exist: use another folder, or omit it to download {name}")
    for candidate in (root / name / file.removesuffix(".gz"), root / name / file):
        if candidate.is_file():
            return candidate
    raise BadInput(
        f"{file}, with or without .gz, is missing in {root / name}: add it, "
        f"or unset {option('data-dir')} and AEVB_DATA to download {name}"
    )


# Downloads.


def _download(name: str, file: str) -> Path:
    """Return the file in the cache, downloaded if necessary from the first mirror that has it."""
    import pooch

    reasons, damaged = [], False
    for mirror in MIRRORS[name]:
        fetch = pooch.HTTPDownloader(progressbar=_Progress(f"{name}/{file}") if sys.stderr.isatty() else False)
        try:
            with _quiet(pooch.get_logger()):
                folder = pooch.os_cache("aevb") / name
                return Path(pooch.retrieve(mirror + file, CHECKSUMS[name][file], file, folder, downloader=fetch))
        except OSError as error:  # those of requests are OSErrors as well
            reasons.append(f"{urlsplit(mirror).netloc}: {_short(error)}")
        except ValueError:
            reasons.append(f"{urlsplit(mirror).netloc}: wrong checksum")
            damaged = True
    fault = "was downloaded and is not the published file" if damaged else "could not be downloaded"
    raise BadInput(
        f"{name}/{file} {fault} ({'; '.join(reasons)}): try again later, "
        f"or set {option('data-dir')} or AEVB_DATA to a folder with the four files in {name}/"
    )


def _short(error: OSError) -> str:
    response = getattr(error, "response", None)
    return f"HTTP status {response.status_code}" if response is not None else error.strerror or type(error).__name__


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Suppress the messages of a library; its errors are raised."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


class _Progress:
    """A progress line on the terminal with the interface that pooch expects."""

    def __init__(self, title: str) -> None:
        self.title, self.total, self.done = title, 0, 0

    def update(self, count: int) -> None:
        self.done += count
        print(f"\r{self.title}: {min(self.done, self.total or self.done) / 1e6:.1f} MB", end="", file=sys.stderr)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        print(file=sys.stderr)
