"""Parquet and Arrow files and folders of them, near and afar: the same numbers as of one table in memory."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from aevb.config.schema import Config
from aevb.data import Dataset, load_data, out_of_core
from aevb.errors import BadInput
from aevb.runs.run_folder import RunFolder
from aevb.workflow.fitting import fit_run
from aevb.workflow.options import with_absolute_paths

pytestmark = pytest.mark.usefixtures("in_command")  # messages name options as a command does

ROWS, FILES = 400, 4


@pytest.fixture(autouse=True)
def _little_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out_of_core, "BUFFER", 2000)
    monkeypatch.setattr(out_of_core, "SCANNED", 200)


def columns(seed: int = 0) -> dict[str, Any]:
    """Return columns of each type, with missing values; `rare` has a value that occurs in one row."""
    rng = np.random.default_rng(seed)

    def gaps(values: Any) -> list[Any]:
        return [None if hole else value for value, hole in zip(values, rng.random(ROWS) < 0.1, strict=True)]

    rare = ["usual", "common"] * (ROWS // 2)
    rare[257] = "rare"
    return {
        "number": rng.normal(size=ROWS).tolist(),
        "place": gaps(rng.choice(["north", "south", "west"], ROWS).tolist()),
        "times": gaps(rng.poisson(3.0, ROWS).tolist()),
        "told": gaps(rng.random(ROWS) < 0.5),
        "rare": rare,
        "same": ["here"] * ROWS,
    }


def written(folder: Path, content: dict[str, Any], suffix: str = "parquet", dictionary: bool = False) -> str:
    """Write a folder of files with groups of 30 rows."""
    folder.mkdir(exist_ok=True)
    table = pa.table(content)
    if dictionary:
        table = table.set_column(1, "place", table.column("place").dictionary_encode())
    size = -(-len(table) // FILES)
    for number in range(FILES):
        part, path = table.slice(number * size, size), folder / f"part-{number}.{suffix}"
        if suffix == "parquet":
            pq.write_table(part, path, row_group_size=30)
        else:
            with pa.ipc.new_file(path, part.schema) as file:
                file.write_table(part, max_chunksize=30)
    (folder / "_SUCCESS").touch()
    return str(folder)


def every_row(dataset: Dataset) -> list[tuple[float, ...]]:
    """Return all training and held-out rows."""
    order, total = dataset.train_source.shuffled(torch.Generator().manual_seed(0)), len(dataset.train_source)
    parts = [order.batch(slice(first, first + 37)).x for first in range(0, total, 37)]
    values = torch.cat([*parts, dataset.valid.values, dataset.test.values])
    return sorted(map(tuple, values.nan_to_num(-1.0).tolist()))


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "feather"])
@pytest.mark.parametrize("dictionary", [False, True])
def test_rows_are_those_of_a_table_in_memory(tmp_path: Path, suffix: str, dictionary: bool) -> None:
    folder = written(tmp_path / "rows", columns(), suffix, dictionary)
    far, near = load_data(folder, in_memory="off"), load_data(folder)
    assert far.out_of_core
    assert near.out_of_core is None
    assert [(c.name, c.kind, c.values) for c in far.columns] == [(c.name, c.kind, c.values) for c in near.columns]
    assert (len(far.train_source), len(far.valid), len(far.test)) == (340, 20, 40)
    assert every_row(far) == every_row(near)


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_string_views_are_strings(tmp_path: Path, suffix: str) -> None:
    """polars writes them."""
    content = columns()
    views = content | {"place": pa.array(content["place"], pa.string_view())}
    near, far = (load_data(written(tmp_path / name, table, suffix)) for name, table in (("a", content), ("b", views)))
    assert every_row(far) == every_row(near)


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_the_index_of_pandas_is_no_column(tmp_path: Path, suffix: str) -> None:
    content = columns()
    indexed = content | {"__index_level_0__": list(range(ROWS))}
    plain, folder = load_data(written(tmp_path / "a", content, suffix)), written(tmp_path / "b", indexed, suffix)
    for source in (folder, f"{folder}/part-0.{suffix}"):
        for in_memory in ("on", "off"):
            assert load_data(source, in_memory=in_memory).columns[-1].name == "same"
    assert every_row(load_data(folder, in_memory="off")) == every_row(plain)


@pytest.mark.parametrize("in_memory", ["on", "off"])
@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_files_may_differ_in_whether_values_can_be_missing(tmp_path: Path, suffix: str, in_memory: Any) -> None:
    plain, folder = load_data(written(tmp_path / "a", columns(), suffix)), written(tmp_path / "b", columns(), suffix)
    part = pa.table(columns()).slice(0, ROWS // FILES)
    part = part.cast(part.schema.set(0, part.schema.field(0).with_nullable(False)))
    if suffix == "parquet":
        pq.write_table(part, f"{folder}/part-0.parquet", row_group_size=30)
    else:
        with pa.ipc.new_file(f"{folder}/part-0.arrow", part.schema) as file:
            file.write_table(part, max_chunksize=30)
    assert every_row(load_data(folder, in_memory=in_memory)) == every_row(plain)


def test_a_rare_category_is_collected_and_trained_on(tmp_path: Path) -> None:
    dataset = load_data(written(tmp_path / "rows", columns()), in_memory="off")
    rare = next(column for column in dataset.columns if column.name == "rare")
    assert rare.values == ("common", "rare", "usual")
    assert rare.kind == "categorical"


def test_one_large_file_is_read_equally(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "rows.parquet")
    pq.write_table(pa.table(columns()), path, row_group_size=50)
    near = load_data(path)
    assert every_row(load_data(path, in_memory="off")) == every_row(near)
    monkeypatch.setattr(out_of_core, "LIMIT", 1000)
    assert load_data(path).out_of_core


def test_conditions_and_labels(tmp_path: Path) -> None:
    folder = written(tmp_path / "rows", columns())
    dataset = load_data(folder, in_memory="off", condition=["place", "number"], column_types={"rare": "label"})
    batch = dataset.train_source.shuffled(torch.Generator().manual_seed(0)).batch(slice(0, 60))
    assert batch.condition is not None
    assert (tuple(batch.x.shape), tuple(batch.condition.shape)) == ((60, 2), (60, 2))
    assert dataset.test.labels is not None
    assert dataset.classes == ("common", "usual")
    assert dataset.notes[-1] == (
        "340 of 400 rows are trained on from disk; validation and test examples are from a scan of 200 rows"
    )


def test_a_run_is_trained_loaded_and_evaluated(tmp_path: Path) -> None:
    data = {"source": written(tmp_path / "rows", columns()), "in_memory": "off"}
    config = Config.model_validate({"data": data, "model": {"hidden": [8]}, "train": {"epochs": 2, "batch_size": 20}})
    dataset = load_data(**config.load_options())
    run = fit_run(config, tmp_path / "run", dataset)
    run.evaluate(dataset, "test", n_importance_samples=10)
    again = RunFolder.load(tmp_path / "run")
    assert again.data.train == 340
    assert len(again.load_data().test) == 40
    assert all(np.isfinite(score.value) for score in again.scores)


# From afar.


@pytest.fixture
def afar() -> str:
    return f"memory://{uuid.uuid4()}"


def test_an_address_does_not_depend_on_the_working_folder(afar: str) -> None:
    config = Config.model_validate({"data": {"source": afar}})
    assert with_absolute_paths(config).data.source == afar


def copied(folder: str, address: str) -> None:
    system, path = fsspec.core.url_to_fs(address)
    system.put(folder + "/", path + "/", recursive=True)


def test_a_folder_at_an_address(tmp_path: Path, afar: str) -> None:
    near = written(tmp_path / "rows", columns())
    copied(near, afar)
    for in_memory in ("on", "off"):
        assert every_row(load_data(afar, in_memory=in_memory)) == every_row(load_data(near, in_memory=in_memory))


@pytest.mark.parametrize("in_memory", ["on", "off"])
def test_an_array_at_an_address(tmp_path: Path, afar: str, in_memory: Any) -> None:
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).normal(size=(300, 3)))
    copied(str(tmp_path), afar)
    near, far = (load_data(f"{place}/rows.npy", in_memory=in_memory) for place in (tmp_path, afar))
    assert every_row(near) == every_row(far)
    assert near.fingerprint == far.fingerprint


@pytest.mark.parametrize(
    ("address", "fragment"),
    [
        ("memory://nowhere/x.npy", "does not exist"),
        ("nosuch://x.npy", "Protocol not known"),
        ("memory://{}/x.txt", "unknown format"),
    ],
)
def test_unusable_addresses_are_refused(afar: str, address: str, fragment: str) -> None:
    filled = address.format(afar.split("//")[1])
    if "{}" in address:
        fsspec.filesystem("memory").pipe(filled.removeprefix("memory:/"), b"text")
    with pytest.raises(BadInput, match=fragment) as caught:
        load_data(filled)
    assert "\n" not in str(caught.value)


# What goes wrong.


def other_names(folder: Path) -> None:
    pq.write_table(pa.table({"number": [1.0], "other": ["a"]}), folder / "part-9.parquet")


def other_types(folder: Path) -> None:
    content = columns() | {"number": ["text"] * ROWS}
    pq.write_table(pa.table(content), folder / "part-9.parquet")


def damaged(folder: Path) -> None:
    path = folder / "part-2.parquet"
    path.write_bytes(path.read_bytes()[:-100])


def a_stream(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    table = pa.table(columns())
    with pa.ipc.new_stream(folder / "data.arrow", table.schema) as file:
        file.write_table(table)


@pytest.mark.parametrize(
    ("spoil", "fragments"),
    [
        (other_names, ("part-9", "lacks the column 'place'")),
        (other_types, ("part-9", "string in column 'number'")),
        (damaged, ("part-2", "cannot be read")),
        (a_stream, ("data.arrow", "not a stream")),
    ],
)
def test_unreadable_folders_are_refused(
    tmp_path: Path, spoil: Callable[[Path], None], fragments: tuple[str, ...]
) -> None:
    folder = written(tmp_path / "rows", columns())
    spoil(Path(folder))
    with pytest.raises(BadInput) as caught:
        load_data(folder, in_memory="off")
    assert all(fragment in str(caught.value) for fragment in fragments), caught.value
    assert "\n" not in str(caught.value)


def unseen(dataset: Dataset) -> int:
    assert dataset.out_of_core
    return next(row for row in range(225, ROWS) if row not in dataset.out_of_core.scanned)


@pytest.mark.parametrize(
    ("name", "value", "fragment"),
    [("place", "east", "'east'"), ("times", -3, "whole numbers from 0"), ("number", float("inf"), "finite numbers")],
)
def test_changed_rows_are_named(tmp_path: Path, name: str, value: Any, fragment: str) -> None:
    content = columns()
    dataset = load_data(written(tmp_path / "rows", content, "arrow"), in_memory="off")
    row = unseen(dataset)
    content[name][row] = value
    written(tmp_path / "rows", content, "arrow")
    group, place = divmod(row % 100, 30)
    with pytest.raises(BadInput, match=f"part-{row // 100}.*row group {group}.*{name}.* row {place} ") as caught:
        every_row(dataset)
    assert fragment in str(caught.value)


def test_a_changed_parquet_file_is_named(tmp_path: Path) -> None:
    content = columns()
    dataset = load_data(written(tmp_path / "rows", content), in_memory="off")
    written(tmp_path / "rows", content | {"number": [0.0] * ROWS})
    with pytest.raises(BadInput, match=r"part-\d.*does not change while it is read"):
        every_row(dataset)


def test_numbers_absent_from_the_scan_require_a_type(tmp_path: Path) -> None:
    content = columns() | {"same": [5.0] * ROWS}
    row = unseen(load_data(written(tmp_path / "rows", content), in_memory="off"))
    content["same"][row] = 6.0
    with pytest.raises(
        BadInput, match=r"'same' is constant in the scanned rows and also holds 6.0.*column-types.same real"
    ):
        load_data(written(tmp_path / "rows", content), in_memory="off")
    dataset = load_data(str(tmp_path / "rows"), in_memory="off", column_types={"same": "real"})
    assert dataset.shape == (6,)


def test_many_categories_are_refused_as_in_a_table(tmp_path: Path) -> None:
    content = columns()
    dataset = load_data(written(tmp_path / "rows", content), in_memory="off")
    assert dataset.out_of_core
    looked = set(dataset.out_of_core.scanned.tolist())
    content["same"] = ["here" if row in looked else f"there {row}" for row in range(ROWS)]
    with pytest.raises(BadInput, match="more than 100 values"):
        load_data(written(tmp_path / "rows", content), in_memory="off")


def test_a_folder_without_tables_is_one_of_images(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has no images"):
        load_data(str(tmp_path))
