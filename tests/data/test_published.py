"""Published data sets: from a folder, downloaded, and the real ones."""

import gzip
import hashlib
import os
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch

from aevb.data import load_data
from aevb.data.sources import named
from tests.data.sources import FILES, IMAGES, SPLITS, Z, gray_bytes, idx, idx_set, refused, save_idx_set, written


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AEVB_DATA", raising=False)


# Named sets from a folder.


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_data_sets_in_a_folder(tmp_path: Path, name: str, packed: bool) -> None:
    dataset = load_data(name, data_dir=save_idx_set(tmp_path, name, packed))
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


def test_the_folder_may_be_set_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEVB_DATA", str(save_idx_set(tmp_path / "here")))
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
    save_idx_set(tmp_path)
    (tmp_path / "mnist" / file).unlink()
    with refused(file, tmp_path / "mnist", "missing"):
        load_data("mnist", data_dir=tmp_path)
    with refused(FILES[0], tmp_path / "fashion-mnist", "missing"):
        load_data("fashion-mnist", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        (FILES[0], IMAGES[:-1], "holds only"),
        (FILES[0], idx(gray_bytes(60, 5, 4)), "(5, 4)"),
        (FILES[0], idx(gray_bytes(60, 4, 5).astype("f4")), "expected bytes"),
        (FILES[0], idx(gray_bytes(59, 4, 5)), "60 labels for 59 images"),
        (FILES[1], idx(gray_bytes(60, 4, 5)), "3 dimensions"),
        (FILES[1], idx(np.full(60, 10, dtype=np.uint8)), "label 10"),
        (FILES[3], idx(np.zeros(21, dtype=np.uint8)), "21 labels for 20 images"),
    ],
)
def test_inconsistent_files_are_named(tmp_path: Path, file: str, content: bytes, fault: str) -> None:
    with refused(file.split("-")[0], fault):
        load_data("mnist", data_dir=save_idx_set(tmp_path, changed={file: content}))


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


def test_pooch_is_silent_during_downloads_only(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_unreachable_mirrors_are_reported_with_advice(
    tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    closed = Mirror()
    closed.close()
    monkeypatch.setattr(named, "MIRRORS", {"mnist": (closed.url, mirror.url + "broken/")})
    with refused(f"mnist/{FILES[0]}.gz", "could not be downloaded", "ConnectionError", "404", "data_dir", "AEVB_DATA"):
        load_data("mnist")
    assert cached(tmp_path) == []
    assert capfd.readouterr() == ("", "")


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, mirror: Mirror) -> None:
    written(tmp_path / "cache", b"a file where a folder should be")
    with refused("could not be downloaded", "directory"):
        load_data("mnist")
    assert len(mirror.requests) <= 2


def test_progress_is_shown_on_a_terminal(
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
    gray = load_data("mnist", data_dir=real)
    p = gray.test.all().x.double()
    drawn = dataset.test.all().x.double()
    assert (drawn - p).sum().abs() <= Z * (p * (1 - p)).sum().sqrt()


def test_fashion_mnist_is_validated_on_every_class(real: Path) -> None:
    dataset = load_data("fashion-mnist", data_dir=real)
    assert dataset.valid.labels is not None
    counts = dataset.valid.labels.bincount(minlength=10)
    # 10,000 of 60,000 without replacement: hypergeometric, 1000 +- 27.4 of each class.
    assert ((counts - 1000).abs() <= Z * 27.4).all()
