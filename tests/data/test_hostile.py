"""Files made to do harm: each is refused in one line, at once, with little memory, and nothing it wants happens."""

import csv
import json
import os
import pickle
import shutil
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from aevb import VariationalAutoencoder
from aevb.cli import app as cli
from aevb.cli import terminal as page
from aevb.config.schema import Config
from aevb.data import load_data
from aevb.errors import BadInput
from aevb.files import write_atomically
from aevb.runs.run_folder import RunFolder
from aevb.runs.sharing import save_pretrained
from aevb.workflow.fitting import fit_run

SECONDS, MEGABYTES = 10.0, 200
"""That a refusal may take at most; seconds of work, since the machine may have other."""
SPRUNG = Path("sprung")
"""What traps make."""


class Trap:
    """Whoever unpickles it, runs what it says."""

    def __reduce__(self) -> Any:
        return os.mkdir, (str(SPRUNG),)


@contextmanager
def modest() -> Iterator[None]:
    """Fails where something takes long, or much more memory than was taken before."""
    begin, before = time.process_time(), peak(reset=True)
    yield
    assert time.process_time() - begin < SECONDS
    assert peak() - before < MEGABYTES


def peak(*, reset: bool = False) -> float:
    """The most megabytes of memory that this process has had, or has had since it was reset; 0 where nobody knows."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0.0
    return int(status.split("VmHWM:")[1].split()[0]) / 1000


def tree(folder: Path) -> dict[Path, int]:
    """Everything in a folder, and when it was written."""
    return {path: path.lstat().st_mtime_ns for path in sorted(folder.rglob("*")) if not path.is_dir()}


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must be refused, which changes nothing on the disk; gives the line."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("AEVB_DATA", raising=False)

    def call(*words: object) -> str:
        before = tree(tmp_path)
        with modest(), pytest.raises(SystemExit) as stop:
            cli.main([str(word) for word in words])
        out, err = capfd.readouterr()
        assert (stop.value.code, out, err.count("\n")) == (2, "", 1), err
        assert err.startswith("aevb: ")
        assert "Traceback" not in err
        assert tree(tmp_path) == before
        assert not SPRUNG.exists()
        return err

    return call


# Pieces of files.

ROUND = 2**24
"""Bytes of a round of zeros."""


def zeros(rounds: int) -> bytes:
    """So many rounds of zeros, deflated to a thousandth; the stream has no end."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (deflate.compress(bytes(ROUND)) + deflate.flush(zlib.Z_FULL_FLUSH)) * rounds


def npy(shape: str, body: bytes = bytes(64)) -> bytes:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


def archive(path: Path, *names: str, content: bytes) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, content)


def bomb(path: Path) -> None:
    """An archive of 16 MB with one array of 16 GB."""
    head, size = npy(f"(1000, {ROUND})", b""), 1000 * ROUND
    body = b"\0" + struct.pack("<HH", len(head), 0xFFFF ^ len(head)) + head + zeros(1000)
    sizes = struct.pack("<IIIHH", 0, len(body), 0xFFFFFFFF, 5, 20)
    wide = struct.pack("<HHQ", 1, 8, size + len(head)) + bytes(8)
    local = b"PK\x03\x04" + struct.pack("<HHHHH", 45, 0, 8, 0, 33) + sizes + b"x.npy" + wide
    listed = struct.pack("<IIIHH", 0, len(body), 0xFFFFFFFF, 5, 12) + bytes(10) + struct.pack("<I", 0)
    central = b"PK\x01\x02" + struct.pack("<HHHHHH", 45, 45, 0, 8, 0, 33) + listed + b"x.npy" + wide[:12]
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local) + len(body), 0)
    path.write_bytes(local + body + central + end)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int) -> bytes:
    """An image of zeros and ones that says it is so large, and has a few of its lines."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(9999))) + chunk(b"IEND", b"")


def gif(width: int, height: int) -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02D\x01\0;"


def tiff(width: int, height: int, images: int = 1) -> bytes:
    """As many images as are asked for, one after the other, each with one pixel."""
    fields = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 4), (278, height), (279, 1)]
    size = 2 + 12 * len(fields) + 4
    entries = struct.pack("<H", len(fields)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields)
    places = [*range(8, 8 + size * images, size), 0]
    return b"II*\0" + struct.pack("<I", 8) + b"".join(entries + struct.pack("<I", place) for place in places[1:])


# Data.


def pickled_array(folder: Path) -> Path:
    return written(folder / "x.npy", pickle.dumps(Trap()))


def objects(folder: Path) -> Path:
    np.save(folder / "x.npy", np.array([[Trap()]] * 20, dtype=object))
    return folder / "x.npy"


def objects_in_an_archive(folder: Path) -> Path:
    np.savez(folder / "x.npz", x=np.array([[Trap()]] * 20, dtype=object))
    return folder / "x.npz"


def pickle_in_an_archive(folder: Path) -> Path:
    archive(folder / "x.npz", "x.npy", content=pickle.dumps(Trap()))
    return folder / "x.npz"


def way_out(folder: Path) -> Path:
    archive(folder / "x.npz", "../../evil.npy", content=npy("(20, 3)", bytes(60)))
    return folder / "x.npz"


def absolute(folder: Path) -> Path:
    archive(folder / "x.npz", f"{folder}/evil.npy", content=npy("(20, 3)", bytes(60)))
    return folder / "x.npz"


def array_bomb(folder: Path) -> Path:
    bomb(folder / "x.npz")
    return folder / "x.npz"


def lying_array(folder: Path) -> Path:
    return written(folder / "x.npy", npy(f"({2**40}, {2**20})"))


def lying_array_in_an_archive(folder: Path) -> Path:
    archive(folder / "x.npz", "x.npy", content=npy(f"({2**40}, {2**20})"))
    return folder / "x.npz"


def code_in_an_array(folder: Path) -> Path:
    return written(folder / "x.npy", npy(f"__import__('os').mkdir('{SPRUNG}')"))


def nested_array(folder: Path) -> Path:
    return written(folder / "x.npy", npy("(" * 9000 + ")" * 9000))


def no_picture(folder: Path) -> Path:
    return written(folder / "a.png", b"<svg onload='alert(1)'><!ENTITY x SYSTEM 'file:///etc/passwd'></svg>")


def page_as_picture(folder: Path) -> Path:
    return written(folder / "a.png", b"<!doctype html><script>alert(1)</script>")


def large_png(folder: Path) -> Path:
    return written(folder / "a.png", png(50_000, 50_000))


def larger_png(folder: Path) -> Path:
    return written(folder / "a.png", png(2**31 - 1, 2**31 - 1))


def png_bomb(folder: Path) -> Path:
    Image.new("1", (12_000, 12_000)).save(folder / "a.png")
    return folder / "a.png"


def large_gif(folder: Path) -> Path:
    return written(folder / "a.gif", gif(65_535, 65_535))


def large_tiff(folder: Path) -> Path:
    return written(folder / "a.tif", tiff(100_000, 100_000))


def endless_tiff(folder: Path) -> Path:
    return written(folder / "a.tif", tiff(1, 1, images=40_000))


def truncated_picture(folder: Path) -> Path:
    Image.effect_noise((99, 99), 50).save(folder / "a.png")
    return written(folder / "a.png", (folder / "a.png").read_bytes()[:5000])


def many_columns(folder: Path) -> Path:
    return written(folder / "x.csv", b",".join(b"c%d" % n for n in range(10**6)) + b"\n" + b"1," * (10**6 - 1) + b"1\n")


def many_short_columns(folder: Path) -> Path:
    return written(folder / "x.csv", b"a" + b"," * 10**6 + b"\n")


def long_line(folder: Path) -> Path:
    return written(folder / "x.csv", b"a,b\n1,2\n" + b"," * 30_000_000)


def zero_bytes(folder: Path) -> Path:
    return written(folder / "x.csv", b"a,b\n" + b"1,\0\n" * 20)


def no_text(folder: Path) -> Path:
    return written(folder / "x.csv", b"a,b\n\x01\xff,2\n")


def endless_quote(folder: Path) -> Path:
    return written(folder / "x.csv", b'a,b\n1,"2\n' + b"3,4\n" * 100_000)


def lying_parquet(folder: Path) -> Path:
    return written(folder / "x.parquet", b"PAR1" + bytes(50) + struct.pack("<I", 2**32 - 1) + b"PAR1")


def truncated_parquet(folder: Path) -> Path:
    arrow.parquet.write_table(arrow.table({"a": range(99)}), folder / "x.parquet")
    return written(folder / "x.parquet", (folder / "x.parquet").read_bytes()[:-40])


def parquet_bomb(folder: Path) -> Path:
    part = arrow.table({"a": np.zeros(10**6, dtype=np.int64)})
    with arrow.parquet.ParquetWriter(folder / "x.parquet", part.schema) as file:
        for _ in range(150):
            file.write_table(part)
    return folder / "x.parquet"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "x.npy")
    return folder / "x.npy"


def device(folder: Path) -> Path:
    (folder / "x.csv").symlink_to("/dev/zero")
    return folder / "x.csv"


def loop(folder: Path) -> Path:
    (folder / "x.parquet").symlink_to("x.parquet")
    return folder / "x.parquet"


def special_pictures(folder: Path) -> Path:
    os.mkfifo(folder / "a.png")
    (folder / "b.png").symlink_to("/dev/zero")
    (folder / "c.png").symlink_to("c.png")
    (folder / "d").symlink_to(".")
    return folder


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (pickled_array, "cannot be read"),
        (objects, "without Python objects"),
        (objects_in_an_archive, "without Python objects"),
        (pickle_in_an_archive, "cannot be read"),
        (way_out, "../../evil.npy is a path"),
        (absolute, "evil.npy is a path"),
        (array_bomb, "it expands to 16777216"),
        (lying_array, "cannot be read"),
        (lying_array_in_an_archive, "cannot be read"),
        (code_in_an_array, "cannot be read"),
        (nested_array, "cannot be read"),
        (no_picture, "cannot be read as an image"),
        (page_as_picture, "cannot be read as an image"),
        (large_png, "more than 100000000 pixels"),
        (larger_png, "more than 100000000 pixels"),
        (png_bomb, "more than 100000000 pixels"),
        (large_gif, "more than 100000000 pixels"),
        (large_tiff, "more than 100000000 pixels"),
        (endless_tiff, "holds several images"),
        (truncated_picture, "cannot be read as an image"),
        (many_columns, "has 1000000 columns: expected at most 100000"),
        (many_short_columns, "has 1000001 columns"),
        (long_line, "a line of 16777216 characters or more"),
        (zero_bytes, "a zero byte"),
        (no_text, "in UTF-8, UTF-16 or Latin-1"),
        (endless_quote, "cannot be read"),
        (lying_parquet, "cannot be read"),
        (truncated_parquet, "cannot be read"),
        (parquet_bomb, "expands to 1200000000 bytes"),
        (pipe, "not a regular file"),
        (device, "not a regular file"),
        (loop, "does not exist"),
        (special_pictures, "has no images"),
    ],
)
def test_data(refused: Callable[..., str], tmp_path: Path, make: Callable[[Path], Path], said: str) -> None:
    (tmp_path / "data").mkdir()
    path = make(tmp_path / "data")
    source = path.parent if path.suffix in (".png", ".gif", ".tif") else path
    line = refused("train", source)
    assert str(path) in line
    assert said in line
    with modest(), pytest.raises(BadInput):
        load_data(str(source))


@pytest.mark.parametrize(("count", "said"), [(60_000, "declares 47040000 bytes"), (2**31, "expected at most")])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files_with_wrong_headers_are_refused(
    refused: Callable[..., str], tmp_path: Path, ending: str, count: int, said: str
) -> None:
    (tmp_path / "mnist").mkdir()
    for name in ("train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        written(tmp_path / "mnist" / name, b"\0\0\x08\x01" + struct.pack(">I", 0))
    path = tmp_path / "mnist" / f"train-images-idx3-ubyte{ending}"
    header = b"\0\0\x08\x03" + struct.pack(">3I", count, 28, 28)
    stored = b"\0" + struct.pack("<HH", len(header), 0xFFFF ^ len(header)) + header
    written(path, b"\x1f\x8b\x08" + bytes(7) + stored + zeros(1000) if ending else header + bytes(99))
    line = refused("train", "mnist", "--data-dir", tmp_path)
    assert str(path) in line
    assert said in line


# Runs.


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved estimator, which is a run as well."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    x = np.random.default_rng(0).normal(size=(60, 3))
    VariationalAutoencoder(hidden=(4,), epochs=1, random_state=0).fit(x).save_pretrained(folder)
    return folder


Change = Callable[[Path], object]


def json_with(name: str, *path: str | int, value: Any) -> Change:
    """A file of JSON with another value at a place."""

    def change(folder: Path) -> None:
        content = place = json.loads((folder / name).read_text())
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        (folder / name).write_text(json.dumps(content))

    return change


def text(name: str, content: str) -> Change:
    return lambda folder: (folder / name).write_text(content)


def weights(content: Callable[[bytes], bytes]) -> Change:
    def change(folder: Path) -> None:
        path = folder / "model.safetensors"
        path.write_bytes(content(path.read_bytes()).ljust(path.stat().st_size, b"\0"))

    return change


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-40])


def not_finite(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["decoder.0.weight"][0, 0] = torch.nan
    save_file(tensors, path, metadata={"epoch": "1"})


def instead(target: str) -> Change:
    """The weights as a link, or as a pipe."""

    def change(folder: Path) -> None:
        path = folder / "model.safetensors"
        path.unlink()
        path.symlink_to(target) if target else os.mkfifo(path)

    return change


def header(**tensors: Any) -> bytes:
    content = json.dumps(tensors).encode()
    return struct.pack("<Q", len(content)) + content


def twice(content: bytes) -> bytes:
    """The first tensor is named again."""
    size = int.from_bytes(content[:8], "little")
    names = json.loads(content[8 : 8 + size])
    first = next(name for name in names if name != "__metadata__")
    said = content[8 : 8 + size].rstrip()[:-1] + f', "{first}": {json.dumps(names[first])}}}'.encode()
    return struct.pack("<Q", len(said)) + said + content[8 + size :]


F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
DEEP = "[" * 100_000 + "]" * 100_000
COLUMN = ("dataset", "columns", 0)


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("model.safetensors", weights(lambda _: pickle.dumps(Trap()))),
        ("model.safetensors", weights(lambda _: struct.pack("<Q", 2**60) + b"{}")),
        ("model.safetensors", weights(lambda _: header(a=F32 | {"data_offsets": [2**40, 2**40 + 8]}))),
        ("model.safetensors", weights(lambda _: header(a=F32 | {"shape": [2**62, 4]}))),
        ("model.safetensors", cut),
        ("model.safetensors", weights(twice)),
        ("model.safetensors", not_finite),
        ("model.safetensors", instead("")),
        ("model.safetensors", instead("/dev/zero")),
        ("model.safetensors", instead("model.safetensors")),
        ("model.safetensors", json_with("config.json", "resolved", "latent", value=[10**7])),
        ("config.json", json_with("config.json", "resolved", "latent", value=[10**9])),
        ("config.json", json_with("config.json", "resolved", "hidden", value=[10] * 10**5)),
        ("config.json", json_with("config.json", "resolved", "latent", value="10" * 5000)),
        ("config.json", json_with("config.json", *COLUMN, "kind", value="pickle")),
        ("config.json", json_with("config.json", *COLUMN, "position", value="\x1b[2J")),
        ("config.json", json_with("config.json", "format", value="1")),
        ("config.json", json_with("config.json", "model", value={"__class__": "os.system"})),
        ("config.json", text("config.json", DEEP)),
        ("config.json", text("config.json", "[1]")),
        ("config.json", text("config.json", "9" * 10**6)),
        ("scores.json", json_with("scores.json", "scores", 0, "value", value="much")),
        ("scores.json", text("scores.json", '{"scores": [], "training": {"seconds": NaN}}')),
        ("scores.json", text("scores.json", DEEP)),
        ("metrics.jsonl", text("metrics.jsonl", "{}\n")),
        ("metrics.jsonl", text("metrics.jsonl", '{"number": 1e999}\n')),
        ("metrics.jsonl", text("metrics.jsonl", DEEP + "\n")),
        ("estimator.json", json_with("estimator.json", "name", value="../../evil")),
        ("estimator.json", json_with("estimator.json", "model", value={"__reduce__": "os.system"})),
        ("estimator.json", text("estimator.json", DEEP)),
    ],
)
def test_runs(refused: Callable[..., str], tmp_path: Path, trained: Path, file: str, change: Change) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    change(folder)
    if file != "estimator.json":
        assert str(folder / file) in refused("sample", folder)
        with modest(), pytest.raises(BadInput, match=str(folder)):
            RunFolder.load(folder)
    with modest(), pytest.raises(BadInput, match=str(folder)):
        VariationalAutoencoder.from_pretrained(folder)
    assert not SPRUNG.exists()


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of rows that says nothing of its end."""
    folder = tmp_path_factory.mktemp("begun")
    np.save(folder / "rows.npy", np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32))
    settings = {"data": {"source": str(folder / "rows.npy")}, "model": {"hidden": (4,)}, "train": {"epochs": 1}}
    config = Config.model_validate(settings)
    fit_run(config, folder / "run", load_data(config.data.source))
    (folder / "run" / "scores.json").unlink()
    return folder / "run"


@pytest.fixture
def cut_off(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "run"))


@pytest.mark.parametrize("content", [pickle.dumps(Trap()), header(a=F32 | {"data_offsets": [2**40, 2**40 + 8]}), b""])
def test_a_checkpoint(refused: Callable[..., str], cut_off: Path, content: bytes) -> None:
    written(cut_off / "checkpoint.safetensors", content)
    assert f"{cut_off / 'checkpoint.safetensors'} is damaged" in refused("train", "--resume", cut_off)


@pytest.mark.parametrize("shape", [[2**62], [10**6, 10**6], [10**9], [-3], [], [2**80], [0]])
def test_a_shape(refused: Callable[..., str], cut_off: Path, shape: list[int]) -> None:
    json_with("config.json", "dataset", "shape", value=shape)(cut_off)
    assert str(cut_off) in refused("sample", cut_off)


def test_figures_outside_the_run_are_refused(refused: Callable[..., str], cut_off: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (cut_off / "figures").symlink_to(tmp_path / "elsewhere")
    assert "figures is a symbolic link" in refused("report", cut_off)


@pytest.mark.parametrize("name", ["report.html", "metrics.jsonl", "scores.json", "model.safetensors", "explorer.html"])
def test_links_in_a_run_are_not_written_through(cut_off: Path, tmp_path: Path, name: str) -> None:
    """A link is replaced; so is one under the name of the temporary file."""
    before = (cut_off / name).read_bytes() if (cut_off / name).exists() else b"{}"
    target = written(tmp_path / "target", before)
    for link in (cut_off / name, cut_off / f".{Path(name).stem}-{os.getpid()}{Path(name).suffix}"):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    write_atomically(cut_off / name, lambda path: path.write_bytes(b"new"))
    assert (cut_off / name).read_bytes() == b"new"
    assert target.read_bytes() == before
    assert not (cut_off / name).is_symlink()


@pytest.mark.parametrize(
    "words",
    [
        ["--model.latent", 10**7],
        ["--model.hidden", f"{10**6},{10**6}"],
        ["--model.network", "conv", "--model.channels", 2**24],
        ["--model.hidden", 2**24, "--model.latent", 2**24, "--model.posterior", "full"],
        ["--model.latent", 2**24, "--model.prior", "flow"],
    ],
)
def test_a_model_too_large_for_any_machine_is_refused(refused: Callable[..., str], words: list[object]) -> None:
    assert "GiB of memory, but only" in refused("train", *words)


def test_an_endless_configuration_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    for content in (DEEP, '{"model": ' * 5000, '{"format": "new"}', "[1]", '{"train": {"epochs": 1e999}}'):
        written(tmp_path / "c.json", content.encode())
        assert str(tmp_path / "c.json") in refused("train", "--config", tmp_path / "c.json")
    assert "/dev/zero" in refused("train", "--config", "/dev/zero")


# Names.


COMMAND = "\x1b[2J"
"""It would clear a terminal."""
SCRIPTS = ("<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>")


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table whose names and categories want to be more than texts."""
    monkeypatch.chdir(tmp_path)
    names = ["[bold]a[/bold]", r"[/] $\broken{$", ":smile:", f"{COMMAND}b", SCRIPTS[0], "label"]
    categories = ["[red]c", f"{COMMAND}d $", SCRIPTS[1]]
    draw = np.random.default_rng(0)
    rows = [[*draw.normal(size=4).round(3), categories[n % 3], rf"{COMMAND}{SCRIPTS[n % 2]}$\no$"] for n in range(40)]
    with Path("x.csv").open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return Path("x.csv")


@pytest.mark.slow
def test_names_are_texts(named: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """In the terminal and on pages; a table of samples has the user's own values, as they were."""

    def done(*words: object) -> str:
        with pytest.raises(SystemExit) as stop:
            cli.main([str(word) for word in words])
        out, err = capfd.readouterr()
        assert stop.value.code == 0, err
        assert COMMAND not in out + err
        return out + err

    few = ["--train.epochs", 2, "--model.hidden", 4, "--n-importance-samples", 2]
    shown = done("train", named, "--data.column-types.label", "label", *few, "--out", f"[red]{COMMAND}")
    for name in ("[bold]a[/bold]", "[/]", ":smile:", r"\x1b[2Jb", "[red]c"):
        assert name in shown
    run = shutil.move(f"[red]{COMMAND}", "run")
    done("evaluate", run, "--n-importance-samples", 2)
    done("diagnose", run)
    done("explore", run, "--no-open")
    done("sample", run, "--out", "samples.csv")
    assert COMMAND in Path("samples.csv").read_text()
    save_pretrained(RunFolder.load(run), "saved")
    for written in (Path(run, "report.html"), Path(run, "explorer.html"), Path("saved", "README.md")):
        assert not any(script in written.read_text(encoding="utf-8") for script in SCRIPTS), written
    assert SCRIPTS[0].replace("<", "&lt;") in Path("saved", "README.md").read_text()


def test_a_status_is_a_text(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with page.status(f"measuring [/] of {COMMAND}"):
        time.sleep(0.2)
    err = capfd.readouterr().err
    assert r"measuring [/] of \x1b[2J" in err
    assert COMMAND not in err


def test_a_message_is_one_printable_line() -> None:
    line = str(BadInput(f"one\ntwo {COMMAND} \u202e \ud800 {'x' * 5000} end"))
    assert line.startswith(r"one two \x1b[2J \u202e \ud800 xxx")
    assert line.endswith("xxx end")
    assert line.isprintable()
    assert len(line) <= 480
    assert str(BadInput("Größe 5 × 5")) == "Größe 5 × 5"
