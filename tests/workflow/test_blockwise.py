"""Files that are read block by block give the numbers that they give as a whole."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import aevb
from aevb.cli.app import main
from aevb.data.loading import blocks_of
from aevb.data.sources import blocks as blocks_module
from aevb.errors import BadInput
from aevb.evaluation.imputation import typical
from aevb.workflow import blockwise
from aevb.workflow.run import ScoreOptions

ROWS, BLOCK = 300, 70


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for module in (blocks_module, blockwise):
        monkeypatch.setattr(module, "BLOCK", BLOCK)
    monkeypatch.setattr(blockwise, "ROWS", 30)
    monkeypatch.chdir(tmp_path)


def people(rows: int = ROWS, seed: int = 0) -> pa.Table:
    """Rows with an identifier, a normal column, a whole one and a category, some of them missing."""
    rng = np.random.default_rng(seed)
    height, age = rng.normal(170, 10, rows), rng.integers(18, 90, rows)
    gaps = rng.random((2, rows)) < 0.1
    return pa.table(
        {
            "name": [f"person {seed} {row}" for row in range(rows)],
            "height": pa.array(height, mask=gaps[0]),
            "age": pa.array(age, mask=gaps[1]),
            "town": rng.choice(["Bern", "Basel", "Chur"], rows),
        }
    )


@pytest.fixture(scope="module")
def table_run(tmp_path_factory: pytest.TempPathFactory) -> aevb.Run:
    folder = tmp_path_factory.mktemp("people")
    pq.write_table(people(seed=1), folder / "train.parquet")
    return aevb.train(
        folder / "train.parquet", hidden=(8,), epochs=3, report=False, n_importance_samples=2, out=folder / "run"
    )


@pytest.fixture(scope="module")
def array_run(tmp_path_factory: pytest.TempPathFactory) -> aevb.Run:
    folder = tmp_path_factory.mktemp("rows")
    np.save(folder / "train.npy", np.random.default_rng(1).normal(size=(ROWS, 3)))
    return aevb.train(
        folder / "train.npy", hidden=(8,), epochs=3, report=False, n_importance_samples=2, out=folder / "run"
    )


def command(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)


def written(name: str, table: pa.Table) -> str:
    """Write a table as one file with row groups of 100 rows, or as a folder of two files."""
    if name == "folder":
        Path(name).mkdir()
        for number, start in enumerate((0, 130)):
            pq.write_table(table.slice(start, 130 if number == 0 else None), f"folder/{number}.parquet")
    elif name.endswith(".parquet"):
        pq.write_table(table, name, row_group_size=100)
    else:
        with pa.ipc.new_file(name, table.schema) as stream:
            stream.write_table(table, max_chunksize=100)
    return name


def read(path: str | Path) -> pa.Table:
    path = Path(path)
    if path.suffix == ".parquet":
        return pq.read_table(path)
    return pa.csv.read_csv(path) if path.suffix == ".csv" else pa.ipc.open_file(path).read_all()


def spans(name: str) -> list[tuple[int, int]]:
    return [(block.start, block.stop) for block in blocks_of(name)]


def test_blocks_end_with_row_groups() -> None:
    assert spans(written("t.parquet", people())) == [(0, 70), (70, 100), (100, 170), (170, 200), (200, 270), (270, 300)]
    assert spans(written("folder", people())) == [(0, 70), (70, 130), (130, 200), (200, 270), (270, 300)]
    np.save("x.npy", np.zeros((150, 2)))
    assert spans("x.npy") == [(0, 70), (70, 140), (140, 150)]
    Path("t.csv").write_text("a,b\n1,2\n")
    assert not blocks_of("t.csv")


OUTPUTS = ("scores.parquet", "scores.csv", "scores.feather")


@pytest.mark.parametrize(
    ("name", "out"),
    [
        pytest.param(name, out, marks=() if OUTPUTS.index(out) == position else pytest.mark.slow)
        for position, name in enumerate(("t.parquet", "t.arrow", "folder"))
        for out in OUTPUTS
    ],
)
def test_scores(table_run: aevb.Run, name: str, out: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = people().set_column(3, "town", pa.array(["Bern"] * 200 + ["Genf"] + ["Bern"] * 99))
    whole = table_run.score(table.to_pandas())
    assert command("score", table_run.folder, written(name, table), "--out", out) == 0
    assert f"{whole.summary.anomalies} of 300 examples are anomalies" in capsys.readouterr().out
    scores = read(out)
    assert scores.column_names == ["row", "name", "log_px", "p_value", "anomaly", "reason"]
    assert scores["name"].to_pylist() == table["name"].to_pylist()
    assert scores["row"].to_pylist() == list(range(ROWS))
    torch.testing.assert_close(torch.tensor(scores["log_px"].to_pylist()).double(), whole.log_px, rtol=1e-5, atol=1e-5)
    assert whole.is_anomaly is not None
    assert scores["anomaly"].to_pylist() == whole.is_anomaly.tolist()
    assert [row for row, reason in enumerate(scores["reason"].to_pylist()) if reason] == [200]
    assert [path.name for path in Path().iterdir() if path.name.startswith(".")] == []


def test_rows_are_named_by_their_identifier(table_run: aevb.Run) -> None:
    table = people(20)
    table.to_pandas().to_csv("new.csv", index=False)
    names = {"name": table["name"].to_pylist()}
    assert table_run.row_names("new.csv") == table_run.row_names(table.to_pandas()) == names
    assert table_run.row_names(table.drop_columns(["name"]).to_pandas()) == {}


@pytest.mark.parametrize("out", ["z.npy", "z.parquet", "z.csv"])
def test_latent_means(table_run: aevb.Run, array_run: aevb.Run, out: str) -> None:
    x = np.random.default_rng(0).normal(size=(ROWS, 3))
    np.save("x.npy", x)
    for run, name, data in ((array_run, "x.npy", x), (table_run, written("t.parquet", people()), people().to_pandas())):
        assert command("encode", run.folder, name, "--out", out) == 0
        means = np.load(out) if out == "z.npy" else np.stack([c.to_numpy() for c in read(out).columns], 1)
        np.testing.assert_allclose(means, run.encode(data).numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("out", ["full.parquet", "full.csv"])
def test_imputations(table_run: aevb.Run, out: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = people()
    options = ["--n-imputations", 60, "--n-importance-samples", 200]
    assert command("impute", table_run.folder, written("t.parquet", table), "--out", out, *options) == 0
    missing = table["height"].null_count + table["age"].null_count
    assert f"imputed {missing} missing values in 300 rows" in capsys.readouterr().out
    full, lines = read(out), read(Path(out).with_stem("full-draws"))
    assert full.column_names == table.column_names
    for name in ("height", "age"):
        before, after = table[name].to_pylist(), full[name].to_pylist()
        assert None not in after
        assert all(new == old for old, new in zip(before, after, strict=True) if old is not None)
    assert len(lines) == missing
    gaps = {(row, name) for name in ("height", "age") for row in np.flatnonzero(table[name].is_null())}
    assert set(zip(lines["row"].to_pylist(), lines["column"].to_pylist(), strict=True)) == gaps
    whole = typical(table_run.impute(table.to_pandas(), n_imputations=60).imputations, table_run.record.data.columns)
    rows = np.flatnonzero(table["height"].is_null())
    ours = np.array(full["height"].to_pylist())[rows]
    assert abs(ours - whole[rows, 0].numpy()).mean() < 5  # medians of 60 samples with a standard deviation of 10


@pytest.mark.parametrize("gaps", [0, 1])
def test_blocks_without_missing_values(table_run: aevb.Run, gaps: int) -> None:
    table = people().set_column(1, "height", pa.array([None] * gaps + [170.5] * (ROWS - gaps)))
    table = table.set_column(2, "age", pa.array([30] * ROWS))
    assert command("impute", table_run.folder, written("t.parquet", table), "--out", "full.parquet") == 0
    assert read("full.parquet").slice(gaps).equals(table.slice(gaps))
    lines = read("full-draws.parquet")
    assert lines["row"].to_pylist() == [0] * gaps
    assert lines.column_names[:3] == ["row", "column", "value"]


def test_an_array_in_fortran_order_is_read_at_once(array_run: aevb.Run) -> None:
    x = np.random.default_rng(0).normal(size=(ROWS, 3))
    np.save("x.npy", np.asfortranarray(x))
    assert command("encode", array_run.folder, "x.npy", "--out", "z.npy") == 0
    np.testing.assert_allclose(np.load("z.npy"), array_run.encode(x).numpy(), rtol=1e-5, atol=1e-5)


def test_held_out_rows_are_scored_once(table_run: aevb.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the run folder does not keep their scores."""
    measured: list[object] = []
    run = aevb.load_run(table_run.folder)
    monkeypatch.setattr("aevb.workflow.run.load_reference", lambda *_: None)
    monkeypatch.setattr("aevb.workflow.run.save_reference", lambda *_: measured.append(1))
    blocks = blocks_of(written("t.parquet", people()))
    options: ScoreOptions = {"false_alarm_rate": 0.1, "n_importance_samples": 2, "explain": False, "seed": 0}
    blockwise.score_blocks(run, blocks, tmp_path / "scores.csv", lambda: None, **options)
    assert len(measured) == 1


def test_an_array_with_gaps() -> None:
    """Columns of an array have the names x0, x1, ..."""
    x = np.random.default_rng(0).normal(size=(ROWS, 3))
    x[::7, 1] = np.nan
    np.save("x.npy", x)
    table = pa.table({f"x{number}": column for number, column in enumerate(x.T)})
    run = aevb.train(table.to_pandas(), hidden=(8,), epochs=2, report=False, n_importance_samples=2, out="run")
    assert command("impute", "run", "x.npy", "--out", "full.csv", "--n-imputations", 3) == 0
    full = np.stack([column.to_numpy() for column in read("full.csv").columns], 1)
    assert np.isfinite(full).all()
    np.testing.assert_allclose(full[~np.isnan(x)], x[~np.isnan(x)], rtol=1e-6)
    torch.testing.assert_close(run.score(blocks_of("x.npy")[1]).log_px, run.score(x[BLOCK : 2 * BLOCK]).log_px)


def test_an_array_with_a_condition_keeps_it() -> None:
    x = np.random.default_rng(0).normal(size=(ROWS, 3)).round(3)
    x[::7, 1] = np.nan
    table = pa.table({f"x{number}": column for number, column in enumerate(x.T)}).to_pandas()
    aevb.train(table, condition=["x2"], hidden=(8,), epochs=2, report=False, n_importance_samples=2, out="run")
    np.save("x.npy", x)
    assert command("impute", "run", "x.npy", "--out", "full.csv", "--n-imputations", 3) == 0
    assert read("full.csv").column_names == ["x0", "x1", "x2"]
    np.testing.assert_allclose(read("full.csv")["x2"].to_numpy(), x[:, 2])


def test_text_files_are_those_of_a_table_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dates are written as in the data, and the index of pandas is no column."""
    days = np.datetime64("2024-01-01", "us") + np.random.default_rng(0).integers(0, 900, ROWS) * np.timedelta64(1, "D")
    table = people().append_column("day", pa.array(days)).append_column("__index_level_0__", pa.array(range(ROWS)))
    aevb.train(written("t.parquet", table), hidden=(8,), epochs=2, report=False, n_importance_samples=2, out="run")
    assert command("impute", "run", "t.parquet", "--out", "blocks.csv", "--n-imputations", 3) == 0
    monkeypatch.setattr(blockwise, "BLOCK", ROWS)
    assert command("impute", "run", "t.parquet", "--out", "whole.csv", "--n-imputations", 3) == 0
    blocks, whole = read("blocks.csv"), read("whole.csv")
    assert blocks.schema == whole.schema
    assert blocks["day"] == whole["day"]


def test_a_damaged_block_leaves_nothing(table_run: aevb.Run, capsys: pytest.CaptureFixture[str]) -> None:
    table = people().set_column(1, "height", pa.array([1.0] * 290 + [np.inf] * 10))
    written("t.parquet", table)
    assert command("encode", table_run.folder, "t.parquet", "--out", "z.npy") == 2
    assert "t.parquet from row 270" in capsys.readouterr().err
    assert sorted(path.name for path in Path().iterdir()) == ["t.parquet"]


def test_blocks_are_no_named_data() -> None:
    with pytest.raises(BadInput, match=r"^(?!.*block).*$"):
        aevb.load_data("nothing")


@pytest.mark.slow
def test_two_processes_write_the_same_file(table_run: aevb.Run) -> None:
    written("t.parquet", people(70_000))

    def run(words: Sequence[str], processes: int) -> bytes:
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
        start = launch if processes > 1 else [sys.executable, "-m"]
        done = subprocess.run(
            [*start, "aevb", *words, "--out", "out.parquet"],
            capture_output=True,
            text=True,
            env=os.environ,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        content = Path("out.parquet").read_bytes()
        Path("out.parquet").unlink()
        return content

    folder = str(table_run.folder)
    for words in (["score", folder, "t.parquet", "--n-importance-samples", "2"], ["encode", folder, "t.parquet"]):
        assert run(words, 1) == run(words, 2)
