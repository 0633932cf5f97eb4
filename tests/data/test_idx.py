"""IDX files."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from aevb.data.sources.idx import read_idx
from tests.data.sources import IMAGES, gray_bytes, idx, refused, rng, written


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 4), (0, 3)])
def test_idx_files_are_read(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    array = rng().integers(-100, 100, shape).astype(dtype)
    for path, content in ((tmp_path / "x", idx(array)), (tmp_path / "x.gz", gzip.compress(idx(array)))):
        read = read_idx(written(path, content), len(shape))
        np.testing.assert_array_equal(read, array, strict=True)


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
        (idx(gray_bytes(6, 20)), "has 2 dimensions: expected 3"),
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
