"""Tables: what columns are taken for, what bad ones get, and that a model of one gives such tables back."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pytest
import torch

import aevb
from aevb.cli.app import main
from aevb.columns import Column, modelled
from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import ModelConfig
from aevb.data import Dataset, load_data
from aevb.data.tables.encode import decode_rows, encode_rows, rounded
from aevb.data.tables.fill import fill_table
from aevb.data.tables.frames import frame_columns, to_frame
from aevb.data.tables.infer import unsplit_table
from aevb.data.tables.read import read_columns
from aevb.data.tables.write import write_table
from aevb.errors import BadInput
from aevb.rng import RNGStream, seeded
from aevb.runs.run_folder import RunFolder
from tests.conftest import mostly_slow

KINDS = {
    "age": "count",
    "income": "positive",
    "height": "real",
    "smoker": "binary",
    "town": "categorical",
    "country": "constant",
}


def people(count: int = 400, seed: int = 0) -> list[dict[str, Any]]:
    """Return rows with columns of every type and missing values; incomes depend on towns."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        town = int(rng.integers(3))
        row: dict[str, Any] = {
            "id": f"c{number:05d}",
            "age": int(rng.negative_binomial(3, 0.1)) if number else 1,
            "income": round(float(np.exp(rng.normal(7 + town, 0.2))), 2),
            "height": round(float(rng.normal(0, 10)), 1),
            "smoker": bool(rng.random() < 0.3),
            "town": ("Bern", "Basel", "Chur")[town],
            "country": "CH",
        }
        gaps = [name for name in KINDS if name != "country" and rng.random() < 0.1]
        rows.append(row | dict.fromkeys(gaps))
    return rows


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def read(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def customers(tmp_path: Path) -> Path:
    return written(tmp_path / "customers.csv", people())


def test_column_types_are_inferred(customers: Path) -> None:
    dataset = load_data(str(customers))
    assert {column.name: column.kind for column in dataset.columns} == KINDS
    assert dataset.kind == "columns"
    assert dataset.shape == (5,)
    assert dataset.train.values.isnan().float().mean() == pytest.approx(0.1, abs=0.03)
    assert [column.name for column in modelled(dataset.columns)] == ["height", "income", "age", "smoker", "town"]
    found = {summary.name: summary for summary in dataset.summaries}
    assert found["id"] == ("id", "excluded", 0, 400, "an identifier: all values differ")
    assert found["country"].reason == "always CH"
    assert found["income"].reason.endswith(", skewed")
    assert found["town"].reason == "Basel, Bern, Chur"
    assert sum(summary.missing for summary in found.values()) == sum(
        value is None for row in people() for value in row.values()
    )


def test_column_types_can_be_declared(customers: Path) -> None:
    given = {"age": "real", "town": "label", "smoker": "none"}
    rows = [row for row in people() if row["town"]]
    dataset = load_data(str(written(customers, rows)), column_types=given)  # type: ignore[arg-type]
    assert {column.name: column.kind for column in dataset.columns} == {
        "age": "real",
        "income": "positive",
        "height": "real",
        "country": "constant",
    }
    assert dataset.classes == ("Basel", "Bern", "Chur")
    assert dataset.train.labels is not None
    with pytest.raises(BadInput, match="no column 'agee'"):
        load_data(str(customers), column_types={"agee": "real"})


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1, 1, 0], "binary"),
        (["yes", "no", "yes", None], "binary"),
        ([True, False, True, None], "binary"),
        ([0, 3, 1, 1], "count"),
        ([2019, 2021, 2020, 2020], "integer"),  # far from zero
        (10 * [2019, 2021, 2020, 2020], "integer"),  # 2022 may follow
        ([-1, 3, 2, 2], "integer"),
        (10 * [4, 6, 8, 8], "discrete"),
        (20 * [0.1, 0.2, 0.4, 0.4], "discrete"),
        (30 * [0.0506801187, -0.0446416365, 0.0012345678], "discrete"),  # many digits, few values
        ([1] * 9 + [2] * 20 + [3] * 30 + [4] * 60 + [5] * 30 + [6] * 15 + [7] * 9, "discrete"),  # a scale ends at 7
        ([0] * 90 + [1] * 40 + [2] * 15 + [3] * 4 + [4], "count"),  # children in a family may be 5
        ([0, 0, 0, 0.5, 3.5, 0.2], "nonnegative"),
        ([0.05, 0.2, 0.5, 0.7, 0.95], "bounded"),
        ([*range(1, 366), *range(1, 366)], "integer"),
        ([0.5, 1.5, -1.0, 2.0], "real"),
        ([1.0, 1.1, 10.0, 1000.0], "positive"),
        (["a", "b", "c", "a", "b", "c", "a"], "categorical"),
        (["1", "2", "3+", "1", "2", "3+", "1"], "categorical"),
        ([7, 7, 7], "constant"),
        ([None, None, None], "constant"),
    ],
)
def test_types_of_values(values: list[Any], kind: str, tmp_path: Path) -> None:
    rows = [{"x": value, "y": place % 4 / 3} for place, value in enumerate(values)]
    found = unsplit_table("t", read_columns(written(tmp_path / "t.csv", rows)), {}).columns[0]
    assert (found.name, found.kind) == ("x", kind)


def test_dates_are_named_and_may_be_declared(tmp_path: Path) -> None:
    rows = [
        {
            "at": f"2023-01-{day:02} 09:{36 + day}",
            "clock": f"{9 + day % 9}:{day + 10}",
            "x": day + 0.5,
            "day": f"2023-02-0{day % 3 + 1}",
        }
        for day in range(1, 20)
    ]
    path = written(tmp_path / "t.csv", rows)
    dataset = load_data(path, column_types={"at": "date", "day": "date"})
    kinds = {summary.name: summary.kind for summary in dataset.summaries if summary.name != "x"}
    assert kinds == {"at": "date", "clock": "time", "day": "date"}
    assert {column.name: column.kind for column in dataset.columns}["day"] == "integer"
    with pytest.raises(BadInput, match=r"'x' is declared date and holds '?1.5'?: expected dates"):
        load_data(path, column_types={"x": "date"})


DATES = "\n".join(f"2023-01-{day:02} 09:{36 + day}" for day in range(1, 10))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n3\n", "1 field in line 3 and 2 in the first"),
        ("a,b\n1,2,3\n", "3 fields in line 2"),
        ("a,a\n1,2\n3,4\n", "2 columns named 'a'"),
        ("a,\n1,2\n3,4\n", "without a name"),
        ("", "cannot be read"),
        ("a,b\n1,inf\n2,3\n", "'b' is infinite in 1 row, the first 0"),
        ("a\n" + "\n".join(map(str, range(9))) + "\nx\n", "9 numbers and 1 text, the first 'x' in row 9"),
        ("a\n" + DATES + "\nnot yet\n", "9 dates and 1 text, the first 'not yet' in row 9"),
        ("a\nnot yet\n" + DATES + "\n", "9 dates and 1 text, the first 'not yet' in row 0"),
        ("a\n" + DATES + "\n2023-02-30 09:00\n", "9 dates and 1 text, the first '2023-02-30 09:00'"),
        ("a\n" + 3 * (DATES + "\n") + "not yet\n", "27 dates and 1 text, the first 'not yet' in row 27"),
        ("a\n" + "\n".join(f"{row} kg" for row in range(9)) + "\n5 lb\n", "9 numbers and 1 text, the first '5 lb'"),
        ("a,b\n1,1\n1,1\n1,1\n", "no column that varies"),
    ],
)
def test_unusable_tables_are_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(BadInput, match=said) as caught:
        load_data(str(path))
    assert "\n" not in str(caught.value)


def test_bytes_other_than_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(b"a,b\n\x01\x02,\xff\n")
    with pytest.raises(BadInput, match="cannot be read"):
        load_data(str(path))


@pytest.mark.parametrize("change", [{"town": "Zug"}, {"age": -1}, {"age": 1.5}, {"income": 0}, {"height": "tall"}])
def test_rows_that_do_not_match_the_model_are_refused(change: dict[str, Any], customers: Path, tmp_path: Path) -> None:
    columns = load_data(str(customers)).columns
    other = written(tmp_path / "other.csv", [row | change for row in people(3)])
    with pytest.raises(BadInput, match=f"column '{next(iter(change))}'"):
        encode_rows(read_columns(other), columns, "other.csv")


def test_columns_may_have_any_order_and_others_are_ignored(customers: Path, tmp_path: Path) -> None:
    columns = load_data(str(customers)).columns
    rows = people(20, seed=1)
    turned = [{"extra": 1, **dict(reversed(row.items()))} for row in rows]
    found = [
        encode_rows(read_columns(written(tmp_path / name, some)), columns, name)
        for name, some in (("a.csv", rows), ("b.csv", turned))
    ]
    assert torch.equal(found[0].nan_to_num(-9), found[1].nan_to_num(-9))
    del rows[0]["town"]
    with pytest.raises(BadInput, match="lacks the column 'town'"):
        encode_rows(read_columns(written(tmp_path / "c.csv", [rows[0]])), columns, "c.csv")


def test_decoding_inverts_encoding(customers: Path) -> None:
    raws = read_columns(customers)
    columns = unsplit_table("t", raws, {}).columns
    back = decode_rows(columns, encode_rows(raws, columns, "t").numpy())
    for row, original in enumerate(people()):
        for name in KINDS:
            assert type(back[name][row]) is type(original[name])
            assert back[name][row] == pytest.approx(original[name])


def test_semicolons_and_tabs(tmp_path: Path) -> None:
    for name, mark in (("a.csv", ";"), ("b.tsv", "\t"), ("c.csv", ",")):
        text = "\n".join(mark.join(map(str, row)) for row in [("x", "y"), *((n % 7 - 3, n % 3) for n in range(20))])
        (tmp_path / name).write_text(text)
        assert load_data(str(tmp_path / name)).shape == (2,)


def model_of(dataset: Dataset, **options: Any) -> Any:
    with seeded(0, RNGStream.WEIGHTS):
        model = build(resolve(ModelConfig(**options), dataset), dataset.shape, dataset.columns)
        model.initialize(dataset.train.all().x)
    return model


def test_missing_values_are_marginalized_out(customers: Path) -> None:
    """log p of a row with missing values is that of the marginal."""
    dataset = load_data(str(customers))
    model = model_of(dataset)
    p = model.decode(torch.zeros(model.posterior.latent))
    row = torch.tensor([1.0, 1000.0, 3.0, 1.0, 2.0])
    whole = p.log_prob(row)
    parts = torch.stack([p.log_prob(torch.where(torch.arange(5) == j, row, math.nan)) for j in range(5)])
    assert parts.sum().item() == pytest.approx(whole.item(), rel=1e-5)
    assert p.log_prob(torch.full((5,), math.nan)) == 0


def test_probabilities_of_codes_sum_to_one(customers: Path) -> None:
    model = model_of(load_data(str(customers)))
    p = model.decode(torch.randn(model.posterior.latent))
    for place, count in ((3, 2), (4, 3)):
        rows = torch.full((count, 5), math.nan)
        rows[:, place] = torch.arange(count)
        assert p.log_prob(rows).exp().sum().item() == pytest.approx(1.0, rel=1e-5)


def test_gradients_are_finite_with_missing_values(customers: Path) -> None:
    dataset = load_data(str(customers))
    model = model_of(dataset)
    x = dataset.train.batch(slice(0, 20)).x.clone()
    x[0] = math.nan
    model.trace(x).log_likelihood.mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.likelihood.parameters())
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def run(*arguments: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    assert caught.value.code == 0


def test_round_trip_by_the_commands(
    customers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Types, categories and the order of columns are kept by training, saving, loading and sampling."""
    monkeypatch.chdir(tmp_path)
    run("train", "--no-report", str(customers), "--train.epochs", "30", "--out", "run", "--n-importance-samples", "20")
    assert "smoker" in capsys.readouterr().err
    run("sample", "run", "--n-samples", "200", "--out", "new.csv")
    again = load_data("new.csv", column_types={"age": "count"})  # which may have none near zero
    kinds = {column.name: (column.kind, column.values, column.whole) for column in again.columns}
    before = {column.name: (column.kind, column.values, column.whole) for column in load_data(str(customers)).columns}
    assert kinds == before
    assert list(kinds) == list(KINDS)
    loaded = RunFolder.load("run")
    assert {column.name: column.kind for column in loaded.data.columns} == KINDS
    assert [score.name for score in loaded.scores if score.name == "squared_error"] == []


@pytest.mark.slow
@pytest.mark.parametrize("given", [(), ("--model.condition", "town")])
def test_round_trip_by_parquet(given: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Parquet file keeps the types of its columns and categories that do not occur."""
    pytest.importorskip("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.chdir(tmp_path)
    rows = people()
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    towns = ["Zug", "Chur", "Bern", "Basel"]
    codes = pa.array([None if town is None else towns.index(town) for town in columns["town"]], type=pa.int8())
    types = {"age": pa.uint8(), "income": pa.float64(), "height": pa.float32(), "smoker": pa.bool_()}
    made = {name: pa.array(columns[name], type=kind) for name, kind in types.items()}
    made |= {"town": pa.DictionaryArray.from_arrays(codes, towns, ordered=True)}
    made |= {"country": pa.array(columns["country"], type=pa.large_string())}
    pq.write_table(pa.table(made), "people.parquet")
    run(
        "train",
        "--no-report",
        "people.parquet",
        "--train.epochs",
        "30",
        "--out",
        "run",
        "--n-importance-samples",
        "20",
        *given,
    )
    run("sample", "run", "--n-samples", "200", "--out", "new.parquet")
    run(
        "impute",
        "run",
        "people.parquet",
        "--n-imputations",
        "3",
        "--n-importance-samples",
        "10",
        "--out",
        "full.parquet",
    )
    data = RunFolder.load("run").data
    assert {column.name: column.kind for column in (*data.columns, *data.condition_columns)} == KINDS
    for name, count in (("new", 200), ("full", 400)):
        found = pq.read_table(f"{name}.parquet")
        assert [(field.name, field.type) for field in found.schema] == [(key, made[key].type) for key in made]
        assert found["town"].chunk(0).dictionary.to_pylist() == towns
        assert found.num_rows == count
        assert not any(found[column.name].null_count for column in data.columns)
        assert set(found["town"].drop_null().to_pylist()) <= set(towns)
    before, after = pa.table(made), pq.read_table("full.parquet")
    for name in made:
        known = before[name].is_valid()
        assert after[name].filter(known).to_pylist() == before[name].filter(known).to_pylist()


def test_impute_by_the_command(customers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Incomes depend on towns: a trained model imputes most of them correctly."""
    monkeypatch.chdir(tmp_path)
    run("train", "--no-report", str(customers), "--train.epochs", "150", "--out", "run", "--n-importance-samples", "20")
    rows = people(200, seed=1)
    gaps = [row | {"town": None} for row in rows]
    run("impute", "run", str(written(tmp_path / "gaps.csv", gaps)), "--n-imputations", "50", "--out", "full.csv")
    filled = read("full.csv")
    known = [(row["town"], new["town"]) for row, new in zip(rows, filled, strict=True) if row["town"] and row["income"]]
    assert np.mean([old == new for old, new in known]) > 0.75  # by chance a third
    assert all(new["age"] == str(row["age"]) for row, new in zip(rows, filled, strict=True) if row["age"] is not None)
    lines = read("full-draws.csv")
    assert len(lines) == sum(row[name] is None for row in gaps for name in KINDS)
    heights = [line for line in lines if line["column"] == "height"]
    assert all(float(line["q05"]) < float(line["q95"]) for line in heights)
    assert np.mean([float(line["std"]) for line in heights]) == pytest.approx(10, rel=0.2)


def test_score_by_the_command(customers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("train", "--no-report", str(customers), "--train.epochs", "100", "--out", "run", "--n-importance-samples", "20")
    odd = [row | {"income": 1e6 if row["income"] else None} for row in people(50, seed=1)]
    run(
        "score",
        "run",
        str(written(tmp_path / "odd.csv", odd)),
        "--n-importance-samples",
        "50",
        "--out",
        "odd-scores.csv",
    )
    run(
        "score",
        "run",
        str(written(tmp_path / "usual.csv", people(400, seed=2))),
        "--n-importance-samples",
        "50",
        "--false-alarm-rate",
        "0.1",
    )
    rows = [line for line, row in zip(read("odd-scores.csv"), odd, strict=True) if row["income"]]
    assert np.mean([line["anomaly"] == "true" for line in rows]) > 0.9
    alarms = np.mean([line["anomaly"] == "true" for line in read("run/scores-usual.csv")])
    # Of 400, with a limit set by 80: five deviations above a tenth is 0.30.
    assert alarms < 0.3


def test_rows_of_a_later_time_are_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of them are improbable; the command says why, and how to train without the dates."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)

    def rows(year: int) -> list[dict[str, object]]:
        days = np.datetime64(f"{year}-01-01") + rng.integers(0, 365, 200)
        return [{"day": str(day), "x": x} for day, x in zip(days, rng.normal(size=200).round(3).tolist(), strict=True)]

    options = ["--train.epochs", "20", "--no-report", "--out", "run", "--n-importance-samples", "20"]
    run("train", str(written(tmp_path / "t.csv", rows(2020))), *options)
    for year, said in ((2020, False), (2030, True)):
        run("score", "run", str(written(tmp_path / "new.csv", rows(year))), "--n-importance-samples", "20")
        assert ("To ignore day, train with --data.column-types.day none" in capsys.readouterr().out) == said


def test_held_out_rows_are_scored_once_and_few_of_them_set_no_threshold(
    customers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run("train", "--no-report", str(customers), "--train.epochs", "1", "--out", "run", "--n-importance-samples", "2")
    command = ("score", "run", str(customers), "--n-importance-samples", "3", "--false-alarm-rate")
    run(*command, "0.1")
    first, stored = read("run/scores-customers.csv"), Path("run/reference-scores.json").read_text()
    assert len(json.loads(stored)["log_px"]) == 80
    monkeypatch.setattr(RunFolder, "load_data", None)  # a second measurement would need the data
    run(*command, "0.1")
    assert read("run/scores-customers.csv") == first
    capsys.readouterr()
    run(*command, "0.001")
    assert "80 held-out examples support no rate of false alarms below 0.012" in capsys.readouterr().out
    rows = read("run/scores-customers.csv")
    assert list(rows[0]) == ["row", "id", "log_px", "p_value"]
    assert [row["p_value"] for row in rows] == [row["p_value"] for row in first]


@pytest.mark.parametrize("file", mostly_slow(["reference-scores.json", "model.safetensors"], 1))
def test_scores_of_other_weights_or_a_damaged_file_are_measured_again(
    file: str, customers: Path, tmp_path: Path
) -> None:
    trained = aevb.train(customers, epochs=1, out=tmp_path / "run", report=False, n_importance_samples=2)
    old = trained.score(customers, n_importance_samples=3).reference
    if file == "model.safetensors":
        aevb.train(customers, epochs=1, seed=1, out=tmp_path / "other", report=False, n_importance_samples=2)
    (tmp_path / "run" / file).write_bytes((tmp_path / "other" / file).read_bytes() if "model" in file else b"{}")
    new = aevb.load_run(tmp_path / "run").score(customers, n_importance_samples=3).reference
    assert old
    assert new
    assert (old.log_px == new.log_px) == ("model" not in file)


@pytest.mark.slow
def test_samples_with_given_values(customers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Incomes e^(7 + town) depend on towns: samples of one from the other, compared within five standard errors."""
    monkeypatch.chdir(tmp_path)
    run("train", "--no-report", str(customers), "--train.epochs", "400", "--out", "run", "--n-importance-samples", "20")
    run("sample", "run", "--n-samples", "400", "--given.town", "Chur", "--given.smoker", "true", "--out", "a.csv")
    rows = read("a.csv")
    assert {(row["town"], row["smoker"], row["country"]) for row in rows} == {("Chur", "true", "CH")}
    logarithms = np.log([float(row["income"]) for row in rows])
    assert abs(np.mean(logarithms) - 9) < 0.3  # the model's own error, and that of the mean, which is 0.01
    run("sample", "run", "--n-samples", "400", "--given.income", "1100", "--out", "b.csv")
    assert np.mean([row["town"] == "Bern" for row in read("b.csv")]) > 0.5  # a third of all rows


@pytest.mark.parametrize("stored", ["t.csv", "t.json", "t.xlsx", "t.parquet", "t.feather", ""])
def test_numbers_in_texts_may_be_declared(stored: str, tmp_path: Path) -> None:
    """In files with types, numbers in texts are texts, as are digits after a leading zero in text files."""
    texts = [f"{row * 37 % 50 / 10:04.1f}" for row in range(60)]
    table: Any = {"x": texts, "y": list(range(0, 120, 2))}
    if stored:
        write_table(tmp_path / stored, table)
    raw = read_columns(tmp_path / stored) if stored else frame_columns(pandas.DataFrame(table))
    dataset = unsplit_table("t", raw, {"x": "real", "y": "real"})
    assert dataset.columns[0].kind == "real"
    assert dataset.examples.values[:, 0].tolist() == [float(text) for text in texts]
    with pytest.raises(BadInput, match="'x' holds 60 numbers and 1 text, the first 'a' in row 60"):
        unsplit_table("t", frame_columns(pandas.DataFrame({"x": [*texts, "a"]})), {"x": "real"})
    if stored:
        write_table(tmp_path / f"gaps-{stored}", table | {"x": [None, *texts[1:]]})
        for name in ("t.csv", "t.json", "t.xlsx", "t.parquet", "t.feather"):
            fill_table(tmp_path / f"gaps-{stored}", tmp_path / f"full-{name}", {"x": {0: 0.0}}, dataset.columns)
            filled = encode_rows(read_columns(tmp_path / f"full-{name}"), dataset.columns, "t")
            assert torch.equal(filled, dataset.examples.values)


def test_names_of_columns_may_have_dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of R have, and those that pandas gives to columns with equal names."""
    monkeypatch.chdir(tmp_path)
    rows = [{"x": row / 7, "x.1": row % 9 / 7, "Sepal.Kind": "abc"[row % 3], "y": row**2 / 9} for row in range(60)]
    written(tmp_path / "t.csv", rows)
    types = ["--data.column-types.x", "real", "--data.column-types.x.1", "real", "--data.column-types.y", "none"]
    run("train", "--no-report", "t.csv", *types, "--train.epochs", "1", "--out", "run")
    run("sample", "run", "--n-samples", "3", "--given.Sepal.Kind", "b", "--given.x.1", "0.5", "--out", "new.csv")
    assert {tuple(row.items())[1:] for row in read("new.csv")} == {(("x.1", "0.5"), ("Sepal.Kind", "b"))}


@pytest.mark.parametrize("dtype", ["int8", "Int8", "int8[pyarrow]", "uint8[pyarrow]"])
def test_whole_numbers_stay_within_their_type(dtype: str) -> None:
    frame = pandas.DataFrame({"x": pandas.Series(np.arange(60) * 37 % 50 + 70).astype(dtype)})
    columns = [
        column.model_copy(update={"low": None, "high": None})
        for column in unsplit_table("t", frame_columns(frame), {}).columns
    ]
    beyond = to_frame(columns, np.array([[300.0], [-300.0]]), "pandas")["x"]
    assert beyond.dtype == dtype
    assert beyond.to_list() == ([255, 0] if dtype.startswith("u") else [127, -128])


def test_a_column_of_dates_may_be_missing_entirely(tmp_path: Path) -> None:
    """In a text file, in a data frame of numbers, and where other columns are given."""
    pandas = pytest.importorskip("pandas")
    rows = [{"day": f"2020-01-{number % 20 + 1:02d}", "x": number * 0.37 % 1} for number in range(60)]
    trained = aevb.train(
        written(tmp_path / "t.csv", rows), epochs=1, out=tmp_path / "run", report=False, n_importance_samples=2
    )
    new = [{"day": "", "x": 0.5}, {"day": "", "x": 0.7}]
    frame = pandas.DataFrame({"day": [np.nan, np.nan], "x": [0.5, 0.7]})
    for missing in (written(tmp_path / "new.csv", new), frame):
        assert trained.score(missing, n_importance_samples=2).log_px.isfinite().all()
    assert trained.sample(3, given={"x": "0.5"}).shape == (3, 2)


def test_rows_have_the_given_values(customers: Path, tmp_path: Path) -> None:
    trained = aevb.train(customers, epochs=1, out=tmp_path / "run", report=False, n_importance_samples=2)
    rows = trained.sample(50, given={"town": "Chur", "smoker": "true"})
    assert (rows[:, 3:] == torch.tensor([1.0, 2.0])).all()  # codes of smoker and town
    assert len(rows[:, 0].unique()) == 50
    refused: list[tuple[dict[str, object], str]] = [({"town": "Oslo"}, "'Oslo'"), ({"tow": "Bern"}, "no column 'tow'")]
    refused += [({"height": value}, "missing value: expected numbers") for value in ("nan", "NaN", "", np.nan)]
    refused += [({"town": "Chur", "smoker": ""}, "missing value: expected one of"), ({"age": "inf"}, "whole numbers")]
    for given, message in refused:
        with pytest.raises(BadInput, match=message):
            trained.sample(given=given)


def test_given_values_need_a_table(tmp_path: Path) -> None:
    trained = aevb.train(
        np.random.default_rng(0).normal(size=(40, 2)),
        n_importance_samples=2,
        epochs=1,
        out=tmp_path / "run",
        report=False,
    )
    with pytest.raises(BadInput, match="needs a model of a table"):
        trained.sample(given={"x0": "1"})


def test_encode_by_the_command(customers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("train", "--no-report", str(customers), "--train.epochs", "1", "--out", "run", "--n-importance-samples", "2")
    run("encode", "run", str(customers), "--out", "latent-means.npy")
    run("encode", "run", str(customers), "--out", "codes.csv")
    assert np.load("latent-means.npy").shape == (400, 5)
    assert len((tmp_path / "codes.csv").read_text().splitlines()) == 401


def test_frames() -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    rows = people(100)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    for made in (pandas.DataFrame(columns), polars.DataFrame(columns)):
        found = {column.name: column.kind for column in unsplit_table("t", frame_columns(made), {}).columns}
        assert found == KINDS


@pytest.mark.parametrize("stored", ["pandas", "polars", "parquet"])
def test_a_column_that_no_model_can_use_can_be_left_out(stored: str, tmp_path: Path) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    columns = {"when": pandas.date_range("2020-01-01", periods=40), "x": range(40), "y": [row / 7 for row in range(40)]}
    data: Any = pandas.DataFrame(columns)
    if stored == "polars":
        data = polars.from_pandas(data)
    elif stored == "parquet":
        data["list"] = [[row] for row in range(40)]
        data.to_parquet(tmp_path / "t.parquet")
        data = tmp_path / "t.parquet"
    excluded: dict[str, Any] = {"when": "none"}
    if stored == "parquet":
        with pytest.raises(BadInput, match=r"'list' holds list<.*column_types=\{'list': 'none'\}"):
            load_data(data, column_types=excluded)
        excluded["list"] = "none"
    dataset = load_data(data, column_types=excluded)
    assert [column.name for column in dataset.columns] == ["y"]  # x counts the rows


@pytest.mark.parametrize(
    "values",
    [
        pandas.Series([None, *[[1, 2]] * 39]),
        pandas.Series([[]] * 40),
        pandas.Series([np.arange(3.0)] * 40),
        pandas.Series([{"a": 1}] * 40),
        pandas.Series([(1, 2), {1}] * 20),
        pandas.Series([b"a", b"b"] * 20),
        polars.Series([None, *[[1, 2]] * 39]),
        polars.Series([[1, 2]] * 40, dtype=polars.Array(polars.Int64, 2)),
        polars.Series([{"a": 1, "b": 2.0}] * 40),
        [None, *[[1, 2]] * 39],
        [{"a": 1}] * 40,
    ],
)
def test_values_that_hold_others_are_no_texts(values: Any, tmp_path: Path) -> None:
    columns = {"x": [row / 7 for row in range(40)], "odd": values}
    if isinstance(values, list):
        data: Any = tmp_path / "t.json"
        data.write_text(json.dumps(columns))
    else:
        data = (pandas if isinstance(values, pandas.Series) else polars).DataFrame(columns)
    with pytest.raises(BadInput, match=r"'odd' holds values of type \w+: expected .*column_types=\{'odd': 'none'\}"):
        load_data(data)
    assert [column.name for column in load_data(data, column_types={"odd": "none"}).columns] == ["x"]


def test_a_column_of_intervals_holds_texts() -> None:
    intervals = pandas.arrays.IntervalArray.from_breaks([0, 1, 2, 3]).repeat(20)
    dataset = load_data(pandas.DataFrame({"bin": intervals, "x": np.arange(60) / 7}))
    assert dataset.columns[0].values == ("(0, 1]", "(1, 2]", "(2, 3]")


def test_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = people(100)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    coded_towns = pa.array(columns["town"]).dictionary_encode()
    pq.write_table(pa.table(columns | {"town": coded_towns}), tmp_path / "t.parquet")
    dataset = load_data(str(tmp_path / "t.parquet"))
    assert {column.name: column.kind for column in dataset.columns} == KINDS
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(BadInput, match="cannot be read"):
        load_data(str(tmp_path / "bad.parquet"))


def test_a_run_lists_its_columns(customers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("train", "--no-report", str(customers), "--train.epochs", "1", "--out", "run", "--n-importance-samples", "2")
    card = json.loads((tmp_path / "run" / "config.json").read_text())["dataset"]
    assert [column["name"] for column in card["columns"]] == list(KINDS)
    assert card["columns"][5]["values"] == ["CH"]


def test_rare_and_unseen_texts_are_other_where_there_are_many(tmp_path: Path) -> None:
    """The 99 most frequent of 150 towns are listed; a new town is one of the others, in files as in blocks of them."""
    rng = np.random.default_rng(0)
    towns = [f"town {number:03}" for number in [*np.repeat(np.arange(99), 6), *np.repeat(np.arange(99, 150), 3)]]
    rows = [{"town": town, "x": float(rng.normal())} for town in rng.permutation(towns)]
    dataset = load_data(written(tmp_path / "t.csv", rows))
    column = next(column for column in dataset.columns if column.name == "town")
    assert column.values == (*(f"town {number:03}" for number in range(99)), "other")
    (summary,) = (summary for summary in dataset.summaries if summary.name == "town")
    assert "; 51 rare values in " in summary.reason
    assert summary.reason.endswith(" of the rows as 'other'")
    assert [note for note in dataset.notes if "column_types={'town': 'none'}" in note]
    unseen = written(tmp_path / "new.csv", [{"town": "Bern", "x": 0.0}, {"town": "town 007", "x": 0.0}])
    x = encode_rows(read_columns(unseen), dataset.columns, "new")
    assert x[:, 1].tolist() == [99, 7]
    assert decode_rows(dataset.columns, x.numpy())["town"] == ["other", "town 007"]


def weather(rng: np.random.Generator, count: int) -> dict[str, Any]:
    """Return columns of all types of numbers."""
    return {
        "rain": np.where(rng.random(count) < 0.57, 0.0, rng.gamma(0.6, 8.0, count).round(1)),
        "hour": rng.integers(0, 24, count),
        "cylinders": rng.choice([4, 6, 8], count),
        "price": rng.choice([0.99, 1.49, 9.99], count),
        "share": rng.beta(2, 1, count).round(4),
        "day": rng.integers(1, 366, count),
        "year": rng.integers(2015, 2024, count),
        "width": (np.exp(rng.normal(size=count)) + 0.01).round(2),
        "age": rng.normal(40, 20, count).clip(1).round(1),
        "visits": rng.poisson(3, count),
        "degrees": rng.integers(-30, 31, count),
        "profit": rng.normal(0, 1e4, count).round(),
    }


def test_no_sampled_value_is_impossible(tmp_path: Path) -> None:
    """A model that has hardly been trained samples any value that it can."""
    pandas = pytest.importorskip("pandas")
    table = weather(np.random.default_rng(0), 1500)
    pandas.DataFrame(table).to_csv(tmp_path / "t.csv", index=False)
    trained = aevb.train(tmp_path / "t.csv", epochs=1, out=tmp_path / "run", report=False, n_importance_samples=2)
    kinds = {column.name: column.kind for column in trained.dataset.columns}
    assert kinds == {
        "rain": "nonnegative",
        "hour": "discrete",
        "cylinders": "discrete",
        "price": "discrete",
        "share": "bounded",
        "day": "integer",
        "year": "integer",
        "width": "positive",
        "age": "bounded",
        "visits": "count",
        "degrees": "integer",
        "profit": "integer",
    }
    rows = trained.sample(4000).numpy()
    new = {name: np.array(values) for name, values in decode_rows(trained.dataset.columns, rows).items()}
    for name in ("hour", "cylinders", "price"):
        assert set(new[name]) == set(table[name])
    for name, low, high in (("rain", 0, np.inf), ("share", 0, 1), ("day", 1, 365), ("width", 0.01, np.inf)):
        assert low <= new[name].min() <= new[name].max() <= high
    assert 0.3 < (new["rain"] == 0).mean() < 0.8
    assert new["age"].min() >= 0
    for name, decimals in (("rain", 1), ("share", 4), ("width", 2), ("age", 1), ("year", 0), ("visits", 0)):
        assert (new[name] == new[name].round(decimals)).all()
    for name in ("degrees", "profit"):  # symmetric around zero: 4,000 signs have a standard error of 0.008
        assert abs((new[name] < 0).mean() - 0.5) < 0.1


def test_numbers_that_are_far_more_frequent_than_others_are_spikes(tmp_path: Path) -> None:
    """A model that is hardly trained samples them as often as the data have them; smooth columns have none."""
    rng, count = np.random.default_rng(0), 2000
    often = rng.random(count)
    table = {
        "hours": np.where(often < 0.5, 40, np.where(often < 0.6, 20, rng.integers(1, 200, count))),
        "weeks": np.minimum(rng.geometric(0.01, count), 52),
        "price": np.where(often < 0.3, 9.99, np.exp(rng.normal(3, 1, count)).round(2)),
        "level": np.where(often < 0.2, -1.0, rng.normal(size=count)),
        "share": np.where(often < 0.4, 0.5, rng.beta(2, 1, count).round(4)),
        "age": rng.normal(40, 12, count).round(),
        "income": np.exp(rng.normal(3, 0.3, count)).round(1),
        "visits": rng.geometric(0.3, count),
    }
    expected = {"hours": (20, 40), "weeks": (52,), "price": (9.99,), "level": (-1,), "share": (0.5,)}
    rows = [
        dict(zip(table, row, strict=True)) for row in zip(*(values.tolist() for values in table.values()), strict=True)
    ]
    trained = aevb.train(
        written(tmp_path / "t.csv", rows), epochs=1, out=tmp_path / "run", report=False, n_importance_samples=2
    )
    assert {column.name: column.spikes for column in trained.dataset.columns if column.spikes} == expected
    declared = load_data(tmp_path / "t.csv", column_types={"hours": "integer", "level": "real"})
    assert {column.name for column in declared.columns if column.spikes} == {"weeks", "price", "share"}
    found = {summary.name: summary.reason for summary in trained.dataset.summaries}
    assert found["hours"].endswith(
        f", 20 in {np.mean(table['hours'] == 20):.0%}, 40 in {np.mean(table['hours'] == 40):.0%}"
    )
    new = decode_rows(trained.dataset.columns, trained.sample(4000).numpy())
    for name, spikes in expected.items():
        for spike in spikes:
            share = np.mean(table[name] == spike)
            assert np.mean(np.array(new[name]) == spike) == pytest.approx(share, abs=0.06)
    assert aevb.load_run(tmp_path / "run").record.data.columns == trained.dataset.columns
    scores = trained.score(tmp_path / "t.csv", n_importance_samples=10).log_px
    assert scores.isfinite().all()


@pytest.mark.parametrize(
    ("name", "bounds", "spikes"),
    [
        ("shares with zeros", (0, 1), (0,)),
        ("shares with both ends", (0, 1), (0, 1)),
        ("scores with zeros", (0, 10), (0,)),
        ("positive with two ends", (35, 80), ()),
        ("a grid", (1, 1.793), ()),
        ("minutes of a day", (0, 1440), ()),
    ],
)
def test_ends_of_numbers(name: str, bounds: tuple[float, float], spikes: tuple[float, ...], tmp_path: Path) -> None:
    rng, n = np.random.default_rng(0), 2000
    at = rng.random(n)
    numbers = {
        "shares with zeros": np.where(at < 0.1, 0, rng.beta(2, 1, n)),
        "shares with both ends": np.select([at < 0.05, at > 0.95], [0, 1], rng.beta(2, 2, n)),
        "scores with zeros": np.where(at < 0.1, 0, 10 * rng.uniform(0, 1, n)),
        "positive with two ends": 35 + 45 * rng.beta(0.7, 1, n),
        "a grid": np.arange(794) * 0.001 + 1,
        "minutes of a day": rng.integers(0, 1440, 1000),
    }[name]
    dataset = load_data(
        written(tmp_path / "t.csv", [{"x": float(x), "y": i * 0.37 % 1} for i, x in enumerate(numbers)])
    )
    column = next(column for column in dataset.columns if column.name == "x")
    assert column.limits == pytest.approx(bounds, abs=0.02)
    assert column.spikes == spikes
    assert column.limits[0] <= numbers.min()
    assert column.limits[1] >= numbers.max()


def test_a_written_number_is_within_its_bounds_and_equals_its_spike() -> None:
    third = 1 / 3
    column = Column(name="x", kind="bounded", position=0, low=0.0, high=third, spikes=(0.1, third))
    assert rounded(column, float(str(np.float32(third)))) == third
    assert rounded(column, float(str(np.float32(0.1)))) == 0.1
    assert rounded(column, 0.25) == 0.25


def test_new_categories_are_reported_together(tmp_path: Path) -> None:
    rows = [{"zip": f"0{1060 + row % 9}", "town": "abc"[row % 3], "x": row * 0.37 % 1} for row in range(120)]
    columns = load_data(written(tmp_path / "t.csv", rows)).columns
    new = pandas.DataFrame({"zip": [1067, 1067, 1060, 1061, 1062, 1063], "town": list("aabdee"), "x": 0.5})
    with pytest.raises(
        BadInput, match=r"zip.* 2 rows, the first 0 .* and 2 other values.*'01067' does.*; .*town"
    ) as error:
        encode_rows(frame_columns(new), columns, "new")
    assert "'e' in 2 rows, the first 4 counted from 0 and 'd' in row 3, which do not" in str(error.value)
    with pytest.raises(BadInput, match=r"'e' in row 4 counted from 0, which does not occur .* expected one of a, b, c"):
        encode_rows(frame_columns(new.iloc[[0, 1, 2, 0, 4]].assign(zip="01067")), columns, "new")


def test_numbers_outside_of_their_bounds_are_named_and_are_anomalies(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = load_data(
        written(tmp_path / "t.csv", [{"share": float(rng.random()), "x": float(rng.normal())} for _ in range(300)])
    ).columns
    new = read_columns(written(tmp_path / "new.csv", [{"share": 0.5, "x": 0.0}, {"share": 1.3, "x": 0.0}]))
    with pytest.raises(BadInput, match=r"'share' holds 1 value other than finite numbers from 0 to 1, the first 1.3"):
        encode_rows(new, columns, "new")
    outside: dict[int, str] = {}
    assert encode_rows(new, columns, "new", outside)[1, 1].isnan()
    assert outside == {1: "share is 1.3: expected finite numbers from 0 to 1"}


@pytest.mark.parametrize("stored", ["csv", "jsonl", "parquet", "pandas", "polars"])
def test_whole_numbers_that_float64_lacks_keep_their_digits(stored: str, tmp_path: Path) -> None:
    """They are read as names: unique ones are identifiers, and others are categories, also with gaps."""
    rng, first = np.random.default_rng(0), 2**53 + 1
    accounts = [None if row % 7 == 6 else first + 2 * int(rng.integers(3)) for row in range(60)]
    values = {"id": [first + 2 * row**2 for row in range(60)], "account": accounts, "bank": [first] * 60}
    frame = pandas.DataFrame({name: pandas.array(column, dtype="Int64") for name, column in values.items()})
    frame["x"] = rng.normal(size=60).round(3)
    frame["even"] = 2**54 * np.arange(60)  # float64 has all of these
    path = tmp_path / f"t.{stored}"
    write: dict[str, Any] = {
        "csv": lambda: frame.to_csv(path, index=False),
        "jsonl": lambda: frame.to_json(path, orient="records", lines=True),
        "parquet": lambda: frame.to_parquet(path, index=False),
    }
    if stored in write:
        write[stored]()
        raw = read_columns(path)
    else:
        data: Any = polars.from_pandas(frame) if stored == "polars" else frame
        raw = frame_columns(data)
    table = unsplit_table("t", raw, {})
    kinds = {column.name: column.kind for column in table.columns}
    assert kinds == {"account": "categorical", "bank": "constant", "x": "real", "even": kinds["even"]}
    assert kinds["even"] in ("real", "positive", "bounded")
    assert [summary.name for summary in table.summaries if summary.is_identifier] == ["id"]
    assert any("whole numbers beyond 2^53 are read as names, in id, account, bank" in note for note in table.notes)
    rows = decode_rows(table.columns, table.examples.values.numpy())
    assert rows["account"] == accounts
    assert rows["bank"] == [first] * 60
    declared = unsplit_table("t", raw, {"id": "real"})
    assert next(column.kind for column in declared.columns if column.name == "id") == "real"


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("to", ["csv", "jsonl", "parquet"])
def test_commands_write_the_digits_of_large_whole_numbers(
    suffix: str, to: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng, first = np.random.default_rng(0), 2**53 + 1
    accounts = [None if row % 7 == 6 else first + 2 * int(rng.integers(3)) for row in range(60)]
    frame = pandas.DataFrame({"account": pandas.array(accounts, dtype="Int64"), "x": rng.normal(size=60).round(3)})
    frame["id"] = first + 2 * np.arange(60) ** 2
    write = {"csv": frame.to_csv, "parquet": frame.to_parquet}
    if suffix in write:
        write[suffix](f"t.{suffix}", index=False)
    else:
        frame.to_json(f"t.{suffix}", orient="records", lines=True)
    run("train", f"t.{suffix}", "--train.epochs", "1", "--no-report", "--out", "r")
    run("sample", "r", "--out", f"s.{to}", "--given.account", str(first + 2))
    run("impute", "r", f"t.{suffix}", "--out", f"i.{to}", "--n-imputations", "3")
    run("score", "r", f"t.{suffix}", "--out", f"c.{to}")
    sampled, imputed, scored = (read_columns(tmp_path / f"{name}.{to}") for name in "sic")
    assert {int(str(value)) for value in sampled[0].as_written()} == {first + 2}
    full = [int(str(value)) for value in next(raw for raw in imputed if raw.name == "account").as_written()]
    assert all(
        value in {first, first + 2, first + 4} and old in (None, value)
        for value, old in zip(full, accounts, strict=True)
    )
    ids = next(raw for raw in scored if raw.name == "id").as_written()
    assert [int(str(value)) for value in ids] == frame["id"].tolist()
