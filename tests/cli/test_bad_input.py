"""Whatever a file holds and whatever is asked for: it is taken, or refused in one line. Nothing else ever happens.

Inputs are generated anew each time. Each test says how many of its own must have been refused; together, over 2,000.
"""

import copy
import csv
import gzip
import io
import json
import shutil
import struct
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pyarrow.parquet
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from PIL import Image

from aevb.cli import app as cli
from aevb.cli import terminal as page
from aevb.config.schema import Config
from aevb.data import Dataset, load_data
from aevb.data.sources.idx import read_idx
from aevb.errors import BadInput
from aevb.runs.run_folder import RunFolder
from aevb.runs.sharing import card
from aevb.workflow import train
from aevb.workflow.fitting import fit_run
from tests.conftest import mostly_slow, some

SECONDS = 5.0
"""Of work that a refusal may take at most."""


def refuses(act: Callable[[], object]) -> bool:
    """Whether something is refused, in one line and soon; any other error or warning fails the test."""
    begin = time.process_time()
    try:
        act()
    except BadInput as error:
        message = str(error)
        assert message.isprintable()
        assert 10 < len(message) < 500, message
        return True
    finally:
        assert time.process_time() - begin < SECONDS
    return False


def refusals(examples: int, strategy: SearchStrategy[Any], act: Callable[[Any], object]) -> int:
    """How many of so many generated inputs are refused."""
    refused = 0

    @settings(max_examples=examples, deadline=None, database=None)
    @given(strategy)
    def check(value: Any) -> None:
        nonlocal refused
        refused += refuses(lambda: act(value))

    check()
    return refused


# Bytes.


@st.composite
def damaged(draw: DrawFn, contents: list[bytes]) -> bytes:
    """Bytes that were once a valid file: cut, with bits turned, bytes put in, written over or twice there; or noise."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=300))
    content = bytearray(draw(st.sampled_from(contents)))
    for _ in range(draw(st.integers(1, 3))):
        start, length = draw(st.integers(0, max(0, len(content) - 1))), draw(st.integers(1, 40))
        how = draw(st.sampled_from(["cut", "drop", "turn", "insert", "over", "double"]))
        if how == "cut":
            del content[start:]
        elif how == "drop":
            del content[start : start + length]
        elif how == "turn" and content:
            content[start] ^= 1 << draw(st.integers(0, 7))
        elif how == "insert":
            content[start:start] = draw(st.binary(min_size=1, max_size=8))
        elif how == "over":
            content[start : start + length] = draw(st.sampled_from([b"\0", b"\xff", b"9", b"("])) * length
        else:
            content[start:start] = content[start : start + length]
    return bytes(content)


def packed(save: Callable[[io.BytesIO], object]) -> bytes:
    stream = io.BytesIO()
    save(stream)
    return stream.getvalue()


def arrays() -> list[bytes]:
    values = np.random.default_rng(0)
    rows = (values.random((12, 3)), values.integers(0, 256, (12, 4, 4), dtype=np.uint8), values.random((12, 2)) > 0.5)
    return [packed(lambda stream, array=array: np.save(stream, array)) for array in rows]  # type: ignore[misc]


def archives() -> list[bytes]:
    values = np.random.default_rng(0)
    x, y = values.random((20, 3)), values.integers(0, 2, 20)
    return [
        packed(lambda stream: np.savez(stream, x=x, y=y)),
        packed(lambda stream: np.savez_compressed(stream, x_train=x, x_test=x, y_train=y.astype("U1"), y_test=y)),
        packed(lambda stream: np.savez(stream, x)),
    ]


ROWS = 'when,size,kind,"a, b"\n' + "".join(f'{n / 7:.4f},{n % 5},{"uvw"[n % 3]},"q{n % 2}"\n' for n in range(24))


def tables() -> list[bytes]:
    return [ROWS.encode(), ROWS.replace(",", ";").encode("utf-8-sig"), ROWS.replace(",0,", ",,").encode()]


def tabbed() -> list[bytes]:
    return [ROWS.replace(",", "\t").encode()]


def parquets() -> list[bytes]:
    columns = {"a": [n / 7 for n in range(24)], "b": [n % 5 for n in range(24)], "c": list("uvw" * 8)}
    table = arrow.table(columns)
    listed = table.set_column(2, "c", table["c"].dictionary_encode())
    write: Any = arrow.parquet.write_table
    return [
        packed(lambda stream: write(table, stream)),
        packed(lambda stream: write(listed, stream, compression="gzip")),
    ]


def pictures() -> list[bytes]:
    greys = np.random.default_rng(0).integers(0, 256, (6, 5), dtype=np.uint8)
    images = [Image.fromarray(greys), Image.fromarray(np.stack([greys] * 3, 2)), Image.fromarray(greys).convert("P")]
    formats = ("PNG", "GIF", "TIFF", "BMP", "WEBP", "JPEG")
    found = [
        packed(lambda stream, image=image, kind=kind: image.save(stream, kind))  # type: ignore[misc]
        for image in images
        for kind in formats
        if (kind, image.mode) != ("JPEG", "P")
    ]
    return [*found, packed(lambda stream: images[0].save(stream, "TIFF", compression="tiff_lzw"))]


def sound(dataset: Dataset) -> None:
    """What was taken after all is a data set like any other."""
    assert sum(len(part) for part in (dataset.train, dataset.valid, dataset.test)) >= 3
    x = dataset.train.all().x
    assert x.dtype in (torch.float32, torch.float64)
    assert x.shape[1:] == dataset.shape
    assert not x.isinf().any()
    assert bool(dataset.columns) or not x.isnan().any()


@pytest.mark.parametrize(
    ("name", "contents", "examples", "fewest"),
    [
        ("x.npy", arrays, 150, 108),
        pytest.param("x.npy", arrays, 350, 250, marks=pytest.mark.slow),
        ("x.npz", archives, 150, 108),
        pytest.param("x.npz", archives, 350, 250, marks=pytest.mark.slow),
        ("x.csv", tables, 200, 125),
        pytest.param("x.csv", tables, 400, 250, marks=pytest.mark.slow),
        ("x.tsv", tabbed, 100, 60),
        ("x.parquet", parquets, 200, 150),
        pytest.param("x.parquet", parquets, 400, 300, marks=pytest.mark.slow),
        ("images/02.png", pictures, 200, 120),
        pytest.param("images/02.png", pictures, 500, 300, marks=pytest.mark.slow),
    ],
)
def test_damaged_data(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    name: str,
    contents: Callable[[], list[bytes]],
    examples: int,
    fewest: int,
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if name.startswith("images"):
        for number in range(12):
            Image.new("L", (5, 6), number).save(path.with_name(f"{number:02}.png"))

    def act(content: bytes) -> None:
        path.write_bytes(content)
        sound(load_data(str(path if path.parent == tmp_path else path.parent)))

    whole = contents()
    for content in whole:
        act(content)
    assert refusals(examples, damaged(whole), act) >= fewest
    assert capfd.readouterr() == ("", "")


CELLS = st.one_of(
    st.floats().map(str),
    st.integers().map(str),
    st.sampled_from(["1e308", "-1e308", "1e-320", "5e-324", "1e999", "", "NA", "true", "0", "1_0", "2024-01-02"]),
    st.text(st.characters(codec="utf-8"), max_size=5),
)


def test_odd_cells(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"

    def act(cells: list[str]) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["a", "b"], *([cell, n * n] for n, cell in enumerate(cells))])
        sound(load_data(str(path)))

    few = st.lists(CELLS, min_size=2, max_size=4).flatmap(lambda kinds: st.lists(st.sampled_from(kinds), min_size=10))
    assert refusals(400, few, act) >= 20


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_damaged_idx_files(tmp_path: Path, ending: str) -> None:
    path, content = tmp_path / f"x{ending}", b"\0\0\x08\x03" + struct.pack(">3I", 4, 5, 6) + bytes(range(120))

    def act(content: bytes) -> None:
        path.write_bytes(content)
        assert read_idx(path, 3).ndim == 3

    assert refusals(250, damaged([gzip.compress(content) if ending else content]), act) >= 150


# Runs.


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.lists(st.integers(-1, 3), max_size=3),
    st.sampled_from([-1, 0, 2**31, 2**70, 10**400, 1e308, "", "x" * 3000, "../../x", "\x1b[2J", "\ud800", {}, [[[]]]]),
).map(copy.deepcopy)  # for what is altered twice


@st.composite
def altered(draw: DrawFn, contents: list[Any]) -> Any:
    """A value of JSON with something else at one place or two."""
    content = json.loads(json.dumps(draw(st.sampled_from(contents))))
    for _ in range(draw(st.integers(1, 2))):
        place = content
        while isinstance(place, dict | list) and place:
            key = draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
            if not (isinstance(place[key], dict | list) and place[key]) or draw(st.integers(0, 2)) == 0:
                how = draw(st.integers(0, 3))
                if how == 0:
                    del place[key]
                elif how == 1 and isinstance(place, dict):
                    place[draw(st.text(max_size=9))] = draw(ODD)
                else:
                    place[key] = draw(ODD)
                break
            place = place[key]
    return content


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs, one of which was cut off."""
    folder = tmp_path_factory.mktemp("trained")
    for kind in ("unit", "columns"):
        settings = {"model": {"hidden": (4,)}, "train": {"epochs": 2, "batch_size": 10}}
        dataset = some("unit", (1, 4, 4)) if kind == "unit" else some("columns", (3,))
        run = fit_run(Config.model_validate(settings), folder / kind, dataset)
        run.evaluate(dataset, n_importance_samples=2)
    return folder


def use(folder: Path) -> None:
    """What commands do with a run that is there, whatever it says."""
    run = RunFolder.load(folder)
    run.save_scores([])
    page.show_run(run, json=False)
    page.show_run(run, json=True)
    assert run.model.sample(2).isfinite().all()
    card(run, "me")


NAMES = ["config.json", "scores.json", "metrics.jsonl", "model.safetensors"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", mostly_slow(["columns", "unit"]))
def test_damaged_runs(tmp_path: Path, trained: Path, name: str, kind: str) -> None:
    content = (trained / kind / name).read_bytes()

    def act(content: bytes) -> None:
        shutil.copytree(trained / kind, tmp_path / "run", dirs_exist_ok=True)
        (tmp_path / "run" / name).write_bytes(content)
        use(tmp_path / "run")

    assert refusals(80, damaged([content]), act) >= 15


@pytest.mark.parametrize("name", mostly_slow(["config.json", "scores.json", "metrics.jsonl"]))
@pytest.mark.parametrize("kind", mostly_slow(["columns", "unit"]))
def test_runs_that_say_something_else(tmp_path: Path, trained: Path, name: str, kind: str) -> None:
    text = (trained / kind / name).read_text()

    def act(content: Any) -> None:
        shutil.copytree(trained / kind, tmp_path / "run", dirs_exist_ok=True)
        lines = map(json.dumps, content) if name == "metrics.jsonl" else [json.dumps(content)]
        (tmp_path / "run" / name).write_text("".join(line + "\n" for line in lines))
        use(tmp_path / "run")

    contents = [json.loads(line) for line in text.splitlines()] if name == "metrics.jsonl" else json.loads(text)
    assert refusals(120, altered([contents]), act) >= 45


# What is asked for.


class Begun(BaseException):
    """Training would begin."""


@pytest.fixture
def asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[[list[str]], None]:
    """Checks a command line up to where training would begin: it is taken, or refused with status 2 and a line."""

    def begin(*_: object, **__: object) -> None:
        raise Begun

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "fit_run", begin)
    np.save("rows.npy", np.random.default_rng(0).random((30, 4)))

    def check(words: list[str]) -> None:
        with pytest.raises((SystemExit, Begun)) as stop:
            cli.main(words)
        out, err = capfd.readouterr()
        if isinstance(stop.value, SystemExit):
            assert (stop.value.code, out, err.count("\n")) == (2, "", 1), err
            assert {path.name for path in tmp_path.iterdir()} <= {"rows.npy", "config.json"}
            raise BadInput(err.removesuffix("\n"))  # to be judged as one

    return check


OPTIONS = [
    f"--{group}.{name.replace('_', '-')}"
    for group, section in Config.model_fields.items()
    if group not in ("preset", "seed")
    for name in getattr(Config(), group).model_dump()
]
WORDS = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.text(st.characters(exclude_characters="\0"), max_size=12),
    st.sampled_from(
        ["", "-1", "1e999", "9" * 5000, "0,1", "none", "[bold]", "\x1b[2J", "../..", "{", "\ud800", "x\ny"]
    ),
)


@pytest.mark.parametrize("count", [20, pytest.param(300, marks=pytest.mark.slow)])
def test_command_lines(asked: Callable[[list[str]], None], count: int) -> None:
    option = st.one_of(
        st.sampled_from([*OPTIONS, "--seed", "--n-importance-samples", "--device", "--config", "--resume", "--over"]),
        st.text("abcdelmnorst.-", min_size=1, max_size=9).map("--".__add__).filter(lambda word: word not in "--help"),
    )
    words = st.lists(st.tuples(option, WORDS), min_size=1, max_size=3).map(chain.from_iterable)
    assert refusals(count, words, lambda found: asked(["train", "rows.npy", *found])) >= 0.75 * count


@pytest.mark.parametrize("count", [20, pytest.param(300, marks=pytest.mark.slow)])
def test_configurations(asked: Callable[[list[str]], None], tmp_path: Path, count: int) -> None:
    def act(content: bytes) -> None:
        (tmp_path / "config.json").write_bytes(content)
        asked(["train", "--config", "config.json"])

    content = Config.model_validate({"data": {"source": "rows.npy"}}).model_dump()
    changed = altered([content]).map(lambda value: json.dumps(value).encode())
    written = json.dumps(content).encode()
    assert refusals(count, st.one_of(changed, damaged([written])), act) >= 0.5 * count


def test_training_on_damaged_data_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    files = {"x.npy": arrays(), "x.npz": archives(), "x.parquet": parquets()}

    @st.composite
    def cut(draw: DrawFn) -> tuple[str, bytes]:
        name = draw(st.sampled_from(sorted(files)))
        content = draw(st.sampled_from(files[name]))
        return name, content[: draw(st.integers(0, len(content) - 1))]

    def act(found: tuple[str, bytes]) -> None:
        Path(found[0]).write_bytes(found[1])
        with pytest.raises(SystemExit) as stop:
            cli.main(["train", found[0], "--out", "run"])
        assert stop.value.code == 2
        assert {path.name for path in tmp_path.iterdir()} <= set(files)
        out, err = capfd.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        raise BadInput(err.removesuffix("\n"))

    assert refusals(40, cut(), act) == 40
