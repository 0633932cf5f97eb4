"""Tables with some cells replaced: all others stay as they were, to the last character."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow as arrow
import pyarrow.parquet
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aevb.cli import app as cli
from aevb.data import load_data
from aevb.data.tables.encode import decode_rows, decode_value, encode_rows
from aevb.data.tables.fill import fill_table
from aevb.data.tables.raw import MISSING
from aevb.data.tables.read import read_columns
from aevb.data.tables.write import write_table
from aevb.errors import BadInput
from aevb.evaluation.imputation import imputation_table

FIELD = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\ufeff"), max_size=6)


@st.composite
def written(draw: st.DrawFn) -> tuple[str, list[list[str]], str]:
    """A text file in one of the ways in which people write them, its fields, and its delimiter."""
    delimiter, end = draw(st.sampled_from([",", ";"])), draw(st.sampled_from(["\n", "\r\n"]))
    width = draw(st.integers(2, 4))
    rows = draw(st.lists(st.lists(FIELD, min_size=width, max_size=width), min_size=1, max_size=6))
    rows = [[field.replace(",", "x").replace(";", "y") for field in row] for row in rows]
    stream = io.StringIO()
    style: Any = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=end, quoting=style)
    writer.writerows([[f"c{number}" for number in range(width)], *rows])
    text = draw(st.sampled_from(["", "\ufeff"])) + stream.getvalue()
    return text.rstrip("\r\n") if draw(st.booleans()) else text, rows, delimiter


@settings(max_examples=60, deadline=None, database=None)
@given(written(), st.data())
def test_only_the_replaced_cells_of_a_text_file_change(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[str, list[list[str]], str], data: st.DataObject
) -> None:
    text, rows, delimiter = made
    folder = tmp_path_factory.mktemp("filled")
    source, filled = folder / "t.csv", folder / "filled.csv"
    source.write_bytes(text.encode())
    fill_table(source, filled, {})
    assert filled.read_bytes() == text.encode()
    row = data.draw(st.integers(0, len(rows) - 1))
    position = data.draw(st.integers(0, len(rows[0]) - 1))
    fill_table(source, filled, {f"c{position}": {row: 'a "new" one,;'}})
    with filled.open(newline="", encoding="utf-8-sig") as file:
        _, *found = csv.reader(file, delimiter=delimiter)
    expected = [list(fields) for fields in rows]
    expected[row][position] = 'a "new" one,;'
    assert found == expected
    before, after = text.encode().splitlines(), filled.read_bytes().splitlines()
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1


def test_types_and_metadata_of_parquet_stay(tmp_path: Path) -> None:
    """Also digits beyond 2^53, an ordered categorical type, decimals, dates and the index of pandas."""
    frame = pandas.DataFrame(
        {
            "id": np.array([2**60 + 1, 2**60 + 3, 2**60 + 5, 7], dtype="int64"),
            "small": pandas.array([1, None, 3, 4], dtype="Int16"),
            "size": pandas.Categorical(["s", None, "l", "s"], categories=["s", "m", "l"], ordered=True),
            "when": pandas.to_datetime(["2020-01-01", None, "2021-05-05", "2022-02-02"]),
            "yes": pandas.array([True, None, False, True], dtype="boolean"),
            "x": np.array([0.1, np.nan, 1e-30, 3.0], dtype="float32"),
        },
        index=[5, 3, 9, 1],
    )
    frame.to_parquet(tmp_path / "t.parquet")
    cells: Any = {"small": {1: 2}, "size": {1: "m"}, "yes": {1: True}, "x": {1: 0.5}}
    fill_table(tmp_path / "t.parquet", tmp_path / "filled.parquet", cells)
    before, after = (pandas.read_parquet(tmp_path / name) for name in ("t.parquet", "filled.parquet"))
    assert after.dtypes.equals(before.dtypes)
    assert after.index.tolist() == [5, 3, 9, 1]
    for name in before:
        rows = zip(before[name].tolist(), after[name].tolist(), strict=True)
        for row, (old, new) in enumerate(rows):
            expected = cells.get(name, {}).get(row, old)
            assert new == expected or (pandas.isna(new) and pandas.isna(expected))


def test_a_text_file_becomes_parquet_with_all_its_digits_and_columns(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"name,id,x\nAnn,{2**60 + 1},0.1\nBob,{2**60 + 3},\n")
    fill_table(tmp_path / "t.csv", tmp_path / "t.parquet", {"x": {1: 0.25}})
    table = arrow.parquet.read_table(tmp_path / "t.parquet").to_pydict()
    assert table == {"name": ["Ann", "Bob"], "id": [2**60 + 1, 2**60 + 3], "x": [0.1, 0.25]}
    fill_table(tmp_path / "t.parquet", tmp_path / "back.csv", {})
    assert (tmp_path / "back.csv").read_text() == f"name,id,x\nAnn,{2**60 + 1},0.1\nBob,{2**60 + 3},0.25\n"


@pytest.mark.parametrize("source", ["t.parquet", "t.feather", "t.xlsx", "t.dta"])
@pytest.mark.parametrize("destination", ["t.csv", "t.jsonl", "t.parquet", "t.feather", "t.xlsx", "t.dta"])
def test_dates_stay_dates_in_another_format(source: str, destination: str, tmp_path: Path) -> None:
    """An imputed date has the form of the others, and the model reads all of them; missing texts stay missing."""
    days = pandas.to_datetime([f"19{year}-03-11T10:30:00" for year in range(50, 99)])
    frame = pandas.DataFrame({"when": days, "name": [f"n{row}" for row in range(len(days))], "x": np.arange(49) / 7})
    frame.loc[5, "when"], frame.loc[7, "name"] = pandas.NaT, None
    {
        "t.parquet": frame.to_parquet,
        "t.feather": frame.to_feather,
        "t.xlsx": lambda path: frame.to_excel(path, index=False),
        "t.dta": lambda path: frame.fillna({"name": ""}).to_stata(path, write_index=False, version=118),
    }[source](tmp_path / source)
    columns, filled = load_data(tmp_path / source).columns, tmp_path / f"filled-{destination}"
    when = next(column for column in columns if column.name == "when")
    before = encode_rows(read_columns(tmp_path / source), [when], source)[:, 0]
    date = decode_value(when, np.float64(before[8].item()))
    assert date is not None
    fill_table(tmp_path / source, filled, {"when": {5: date}}, columns)
    before[5] = before[8]
    raw_columns = {raw.name: raw for raw in read_columns(filled)}
    assert encode_rows(list(raw_columns.values()), [when], destination)[:, 0].tolist() == before.tolist()
    assert raw_columns["name"].values()[7] in (None, "")


def test_columns_of_a_workbook_with_equal_names(tmp_path: Path) -> None:
    """pandas numbers them."""
    frame = pandas.DataFrame([[0.5, 1.5], [2.5, np.nan]], columns=["a", "a"])
    frame.to_excel(tmp_path / "t.xlsx", index=False)
    fill_table(tmp_path / "t.xlsx", tmp_path / "filled.xlsx", {"a.1": {1: 3.5}})
    assert pandas.read_excel(tmp_path / "filled.xlsx").to_numpy().tolist() == [[0.5, 1.5], [2.5, 3.5]]


def test_another_text_format_keeps_the_texts(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a;b\n007;TRUE\n"x\ty";NA\n')
    fill_table(tmp_path / "t.csv", tmp_path / "t.tsv", {"b": {1: False}})
    assert (tmp_path / "t.tsv").read_text() == 'a\tb\n007\tTRUE\n"x\ty"\tfalse\n'


def test_impute_keeps_observed_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An identifier, leading zeros, a large number, a left-out column, spaces and quotes; "none" is a category."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    lines = ['uid,code,"amount, net",mood,note,height']
    for row in range(60):
        height = "" if row % 7 == 0 else f"{rng.normal(170, 8):.1f}"
        mood = ("none", "good", "bad")[row % 3]
        lines.append(f'u{row:05d},00{row % 3},{rng.integers(10**7, 10**9)} ,"{mood}",free {row},{height}')
    text = "\r\n".join(lines) + "\r\n"
    Path("t.csv").write_bytes(text.encode())
    train = (
        "train t.csv --data.column-types.note none --model.hidden 4 --train.epochs 1 --n-importance-samples 2 --out run"
    )
    for command in (train, "impute run t.csv --out full.csv --n-imputations 2 --n-importance-samples 5"):
        with pytest.raises(SystemExit) as stop:
            cli.main(command.split())
        assert not stop.value.code
    before, after = text.split("\r\n"), Path("full.csv").read_bytes().decode().split("\r\n")
    for old, new in zip(before, after, strict=True):
        if old.endswith(","):
            assert new.startswith(old)
            assert 100 < float(new.removeprefix(old)) < 250
        else:
            assert new == old


def test_codes_with_leading_zeros_are_texts(tmp_path: Path) -> None:
    lines = [f"0{1000 + row % 9},{row / 7:.3f},{row * 37 % 11}" for row in range(90)]
    (tmp_path / "t.csv").write_text("zip,x,n\n" + "\n".join(lines) + "\n")
    column = load_data(tmp_path / "t.csv").columns[0]
    assert column.kind == "categorical"
    assert column.values == tuple(f"0{1000 + code}" for code in range(9))
    (tmp_path / "new.csv").write_text("zip,x,n\n01004,0.5,0\n")
    codes = encode_rows(read_columns(tmp_path / "new.csv"), [column], "new.csv")
    assert column.values[int(codes.item())] == "01004"


def test_the_missing_values_are_those_of_pandas(tmp_path: Path) -> None:
    others = ["none", "NONE", "?", "-", "na", "N.A.", "missing", "0"]
    lines = [f'"{text}",1' for text in (*MISSING, *others)]
    (tmp_path / "t.csv").write_text("a,b\n" + "\n".join(lines) + "\n")
    texts = read_columns(tmp_path / "t.csv")[0].values()
    expected = pandas.read_csv(tmp_path / "t.csv")["a"]
    assert [text is None for text in texts] == expected.isna().tolist()
    assert [text for text in texts if text is not None] == others
    declared = read_columns(tmp_path / "t.csv", ("?", "-"))[0].values()
    assert [text for text in declared if text is not None] == [text for text in others if text not in "?-"]
    alone = read_columns(tmp_path / "t.csv", ("", "?", "-"))[0].values()
    assert [text for text in alone if text is None] == [None] * 3
    assert "NA" in alone


def test_missing_values_are_counted_and_declared(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "age,town\n" + "".join(f"{row if row % 5 else '?'},{'ab'[row % 2]}\n" for row in range(40))
    )
    with pytest.raises(BadInput, match=r"pass missing=\['\?'\] if"):
        load_data(tmp_path / "t.csv")
    dataset = load_data(tmp_path / "t.csv", missing=["?"])
    assert [(found.name, found.missing) for found in dataset.summaries] == [("age", 8), ("town", 0)]


def test_an_index_is_no_column(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"a": np.arange(80) * 0.37 % 1, "b": np.arange(80) % 5})
    frame[frame.b > 0].to_parquet(tmp_path / "filtered.parquet")
    frame.to_csv(tmp_path / "indexed.csv")
    for name in ("filtered.parquet", "indexed.csv"):
        assert [column.name for column in read_columns(tmp_path / name)] == ["a", "b"]
    fill_table(tmp_path / "indexed.csv", tmp_path / "filled.csv", {"a": {3: 0.5}})
    filled = pandas.read_csv(tmp_path / "filled.csv", index_col=0)
    assert filled.index.tolist() == list(range(80))
    assert filled.a.tolist() == [0.5 if row == 3 else value for row, value in enumerate(frame.a)]


@pytest.mark.parametrize("truth", [("False", "True"), ("FALSE", "TRUE"), ("false", "true")])
def test_truth_values_are_spelled_as_in_the_file(truth: tuple[str, str], tmp_path: Path) -> None:
    """In samples, imputed tables, also of another suffix, and the table of imputations; JSON has its own."""
    source = tmp_path / "t.csv"
    lines = [f"{truth[number % 2]},{truth[1]},{number}" for number in range(20)]
    source.write_text("\n".join(["a,constant,x", ",,0.5", *lines]) + "\n")
    columns = load_data(source).columns
    cells = {"a": {0: True}, "constant": {0: True}}
    for name in ("filled.csv", "filled.tsv"):
        fill_table(source, tmp_path / name, cells, columns)
        assert (tmp_path / name).read_text().splitlines()[1].split()[0].split(",")[0] == truth[1]
        assert pandas.read_csv(tmp_path / name, sep=None, engine="python", dtype=str).isin(truth).a.all()
    rows = decode_rows(columns, np.array([[0.5, 0.0], [0.5, 1.0]]))
    write_table(tmp_path / "new.csv", rows, columns)
    assert [line.split(",")[:2] for line in (tmp_path / "new.csv").read_text().splitlines()[1:]] == [
        [truth[0], truth[1]],
        [truth[1], truth[1]],
    ]
    draws = imputation_table(columns, torch.tensor([[0.5, np.nan]]), torch.tensor([[[0.5, 1.0]]]))
    assert [*draws["value"], *draws["imputation_1"]] == [truth[1], truth[1]]
    write_table(tmp_path / "new.json", rows, columns)
    assert [row["a"] for row in json.loads((tmp_path / "new.json").read_text())] == [False, True]


@pytest.mark.parametrize("levels", [["1", "2", "3", "A"], ["true", "maybe"], ["1.0", "1", "x"]])
def test_categories_do_not_depend_on_what_else_is_in_the_file(levels: list[str], tmp_path: Path) -> None:
    def table(name: str, rows: list[str]) -> Path:
        path = tmp_path / name
        path.write_text("kind,x\n" + "".join(f"{row},{number / 7}\n" for number, row in enumerate(rows)))
        return path

    columns = load_data(table("train.csv", levels * 20), column_types={"kind": "categorical"}).columns
    whole = encode_rows(read_columns(table("all.csv", levels)), columns, "all.csv")[:, -1]
    assert sorted(whole.tolist()) == list(range(len(levels)))
    for code, level in zip(whole, levels, strict=True):
        assert encode_rows(read_columns(table("one.csv", [level])), columns, "one.csv")[0, -1] == code
