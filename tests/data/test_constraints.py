"""Constraints on sampled rows: what they accept, and how they are stated."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aevb
from aevb.columns import Column, modelled
from aevb.data import load_data
from aevb.data.condition import parse_row
from aevb.data.tables.constraints import parse_constraint, satisfied
from aevb.data.tables.encode import decode_rows
from aevb.errors import BadInput
from aevb.workflow.sampling import DRAWN_AT_ONCE, Request
from tests.data.test_tables import written

Row = dict[str, Any]
ROWS: list[Row] = [
    {
        "a=b": round(number * 0.37 % 1 - 0.5, 2),
        "floors": number % 3 + 1,
        "placed": f"2020-01-{number % 20 + 1:02d} {number % 24:02d}:{number % 60:02d}:30",
        "start": f"2020-01-{number % 20 + 1:02d}",
        "end": f"2020-01-{number * 7 % 20 + 1:02d}",
        "from": ("Bern", "Chur", "Zug")[number % 3],
        "to": ("Chur", "Basel", "Bern")[number // 2 % 3],
        "fee": f"${1000 + number:,}.50",
        "paid": number % 2 == 0,
    }
    for number in range(120)
]


@pytest.fixture
def columns(tmp_path: Path) -> tuple[Column, ...]:
    return load_data(written(tmp_path / "t.csv", ROWS), test=1, validation=1).columns


def accepted(columns: tuple[Column, ...], tmp_path: Path, *texts: str) -> list[int]:
    dataset = load_data(tmp_path / "t.csv", test=1, validation=1, validate_on="last", split_seed=0)
    rows = dataset.train.all().x.double().numpy()
    chosen = satisfied([parse_constraint(columns, text) for text in texts], columns, rows)
    table = decode_rows(columns, rows[chosen])
    return sorted(int(str(fee)[1:].replace(",", "")[:4]) - 1000 for fee in table["fee"])


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("floors >= 2", lambda row: row["floors"] >= 2),
        ("floors=2", lambda row: row["floors"] == 2),
        ("a=b < 0", lambda row: row["a=b"] < 0),
        ("from != Bern", lambda row: row["from"] != "Bern"),
        ("from == to", lambda row: row["from"] == row["to"]),
        ("from != to", lambda row: row["from"] != row["to"]),
        ("start <= end", lambda row: row["start"] <= row["end"]),
        ("end >= placed", lambda row: row["end"] >= row["placed"][:10]),
        ("placed < end", lambda row: row["placed"][:10] < row["end"]),
        ("placed <= 2020-01-05", lambda row: row["placed"][:10] <= "2020-01-05"),
        ("placed > 2020-01-05", lambda row: row["placed"][:10] > "2020-01-05"),
        ("placed <= 2020-01-05 04:04", lambda row: row["placed"][:16] <= "2020-01-05 04:04"),
        ("start > 2020-01-15", lambda row: row["start"] > "2020-01-15"),
        ("fee < $1,050.50", lambda row: row["fee"] < "$1,050.50"),
        ("paid == true", lambda row: row["paid"]),
        ("paid == false", lambda row: not row["paid"]),
    ],
)
def test_rows_that_satisfy_a_constraint(
    text: str, fits: Callable[[Row], bool], columns: tuple[Column, ...], tmp_path: Path
) -> None:
    trained = set(accepted(columns, tmp_path))
    expected = [number for number, row in enumerate(ROWS) if fits(row) and number in trained]
    assert 0 < len(expected) < len(trained)
    assert accepted(columns, tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("floor > 1", "'floor > 1' is not a constraint: expected a column"),
        ("floors", "is not a constraint"),
        ("floors >", "is not a constraint"),
        ("floors > many", "'many' is not a value like those of floors"),
        ("start > yesterday", "'yesterday' is not a value like those of start"),
        ("from == Oslo", "from has no value 'Oslo': expected one of Bern, Chur, Zug"),
        ("from > Bern", "from holds texts, which == and != compare"),
        ("floors < start", "compares numbers with dates"),
        ("floors == from", "compares numbers with texts"),
        ("start > 2020-02-30", "expected dates such as '2020-01-11'"),
    ],
)
def test_constraints_that_cannot_be_meant(text: str, said: str, columns: tuple[Column, ...]) -> None:
    with pytest.raises(BadInput, match=said):
        parse_constraint(columns, text)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("placed", "2020-01-05", "2020-01-05 00:00:00"[:16]),
        ("placed", "2020-01-05 04:04:30", "2020-01-05 04:04:30"),
        ("start", "2020-01-05", "2020-01-05"),
        ("fee", "$1,050.50", "$1,050.50"),
        ("fee", "1050.5", "$1,050.50"),
        ("from", "Zug", "Zug"),
    ],
)
def test_given_values(name: str, text: str, said: str, columns: tuple[Column, ...]) -> None:
    row = parse_row(columns, {name: text}).numpy()
    assert str(decode_rows(columns, row)[name][0]).startswith(said)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("placed", "24.12.2024", "expected dates such as '2020-01-"),
        ("start", "soon", "expected dates such as '2020-01-11'"),
        ("fee", "much", r"expected numbers such as '\$1,060.50'"),
        ("from", "Oslo", "expected one of Bern, Chur, Zug$"),
        ("floors", "many", "expected one of 1"),
        ("a=b", "x", "expected "),
    ],
)
def test_given_values_that_cannot_be_meant(name: str, text: str, said: str, columns: tuple[Column, ...]) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        parse_row(columns, {name: text})
    assert "row" not in str(caught.value)
    assert text in str(caught.value)
    with pytest.raises(BadInput, match=said):
        parse_constraint(columns, f"{name} == {text}")


def test_dates_with_an_offset_are_compared_as_they_are_written(tmp_path: Path) -> None:
    rows = [{"at": f"2020-01-{day:02}T00:30:00+02:00", "x": day * 0.37 % 1} for day in range(1, 21)]
    columns = load_data(written(tmp_path / "t.csv", rows), test=1, validation=1).columns
    row = parse_row(columns, {"at": "2020-01-03T00:30:00+02:00"}).numpy()
    for text, fits in (("at == 2020-01-03", True), ("at <= 2020-01-02", False), ("at == 2020-01-03 00:30", True)):
        assert satisfied([parse_constraint(columns, text)], columns, row).tolist() == [fits]


def test_samples_are_those_that_satisfy_the_constraints(tmp_path: Path) -> None:
    """They are a part of the samples without constraints, and so are those with given values."""
    path = written(tmp_path / "t.csv", ROWS)
    run = aevb.train(path, epochs=3, out=tmp_path / "run", report=False, n_importance_samples=2)
    names = [column.name for column in sorted(run.dataset.columns, key=lambda column: column.position)]
    where = ("start <= end", "floors != 2")
    found = run.draw_samples(500, Request(where=where, seed=3))
    table = decode_rows(run.dataset.columns, found.x.numpy())
    assert list(table) == names
    assert all(str(a) <= str(b) for a, b in zip(table["start"], table["end"], strict=True))
    assert set(table["floors"]) == {1, 3}
    every = run.sample(DRAWN_AT_ONCE, seed=3).numpy()[: found.n_drawn]
    constraints = [parse_constraint(run.dataset.columns, text) for text in where]
    np.testing.assert_array_equal(every[satisfied(constraints, run.dataset.columns, every)], found.x.numpy())
    given = decode_rows(run.dataset.columns, run.sample(50, given={"from": "Zug"}, where=("paid == true",)).numpy())
    assert set(given["from"]) == {"Zug"}
    assert set(given["paid"]) == {True}


def test_rare_rows_take_several_rounds_and_hardly_any_is_an_error(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(400, 2))
    path = written(tmp_path / "t.csv", [{"a": a, "b": b} for a, b in x.tolist()])
    run = aevb.train(path, epochs=1, out=tmp_path / "run", report=False, n_importance_samples=2)
    found = run.draw_samples(200, Request(where=["a > 2"]))
    assert found.n_drawn > 3000  # one in 44 in the data, and about as many in a normal around them
    assert len(found.x.unique(dim=0)) == 200
    with pytest.raises(BadInput, match=r"0 of 10000 samples satisfy 'a > 50': expected one in 1000 or more"):
        run.sample(1, where=["a > 50"])
    rows = aevb.train(x, epochs=1, out=tmp_path / "rows", report=False, n_importance_samples=2)
    with pytest.raises(BadInput, match="needs a model of a table"):
        rows.sample(1, where=["a > 0"])


def test_constraints_on_a_few_numbers_with_a_notation(tmp_path: Path) -> None:
    prices = [{"price": f"${(5, 10, 20)[number % 3]}", "x": number * 0.37 % 1} for number in range(120)]
    (column, _) = load_data(written(tmp_path / "t.csv", prices), test=1, validation=1).columns
    assert column.kind == "discrete"
    rows = np.array([[0.0], [1.0], [2.0]])
    for text, fits in (("price >= $10", [False, True, True]), ("price == 5", [True, False, False])):
        assert satisfied([parse_constraint([column], text)], [column], rows).tolist() == fits


def test_requests_of_samples_in_python(tmp_path: Path) -> None:
    rows = [{"stars": number % 5 + 1, "x": number * 0.37 % 1, "third": (number % 4) / 3} for number in range(200)]
    options: dict[str, Any] = {
        "train": {"epochs": 1},
        "report": False,
        "n_importance_samples": 2,
        "out": tmp_path / "run",
    }
    trained = aevb.train(written(tmp_path / "t.csv", rows), **options)
    names = [column.name for column in modelled(trained.dataset.columns)]
    assert len(trained.sample(5, where="stars >= 3")) == 5
    stars = trained.sample(5, given={"stars": 3})[:, names.index("stars")]  # codes of 1 to 5
    assert stars.tolist() == [2.0] * 5
    with pytest.raises(BadInput, match="less than 1"):
        trained.sample(0, where=["stars >= 3"])
