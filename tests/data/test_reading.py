"""Files of all formats: the same table gives the same columns, whatever the format, the encoding and the delimiter."""

import csv
import gzip
import io
import shlex
import zipfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aevb.cli import app as cli
from aevb.columns import TextForm
from aevb.data import load_data
from aevb.data.tables.arrow import read_table, write_arrow_table
from aevb.data.tables.encode import decode_rows, encode_rows
from aevb.data.tables.fill import fill_table
from aevb.data.tables.formats import SUFFIXES, bare_suffix, format_of, stem_of, suffix_of
from aevb.data.tables.frames import frame_columns
from aevb.data.tables.infer import unsplit_table
from aevb.data.tables.raw import RawColumn
from aevb.data.tables.read import read_columns
from aevb.data.tables.recognize import recognize_column
from aevb.data.tables.write import write_table
from aevb.errors import BadInput
from aevb.runs.records import DataCard

HEADER = ["größe", "town", "n", "when"]
TOWNS = ("Zürich", "Bern", "Genève")


def rows() -> list[list[Any]]:
    begin = datetime(2023, 1, 5, 10)
    return [[row / 8, TOWNS[row % 3], row % 5, f"{begin + timedelta(hours=row):%Y-%m-%d %H:%M}"] for row in range(30)]


def text(delimiter: str, lines: Sequence[Sequence[Any]] | None = None) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter).writerows(lines or [HEADER, *rows()])
    return stream.getvalue()


def columns_of(path: Path) -> list[RawColumn]:
    return [recognize_column(raw) for raw in read_columns(path)]


def summary(path: Path) -> list[Any]:
    return [(raw.name, raw.values()) for raw in columns_of(path)]


@pytest.fixture
def expected(tmp_path: Path) -> list[Any]:
    (tmp_path / "expected.csv").write_text(text(","), encoding="utf-8")
    found = summary(tmp_path / "expected.csv")
    assert [values for _, values in found] == [list(column) for column in zip(*rows(), strict=True)]
    assert [name for name, _ in found] == HEADER
    return found


def packed(path: Path, content: bytes) -> None:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("inner.csv", content)
    else:
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-be-mark", "latin-1"]
FILES = [
    ("t.csv", ","),
    ("t.csv", ";"),
    ("t.csv", "|"),
    ("t.tsv", "\t"),
    ("t.txt", "\t"),
    ("t.txt", ","),
    ("t.txt", " "),
]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("name", "delimiter"), [*FILES, ("t.CSV.gz", ","), ("t.tsv.zip", "\t")])
def test_encodings_and_delimiters(
    name: str, delimiter: str, encoding: str, tmp_path: Path, expected: list[Any]
) -> None:
    written = text(delimiter)
    content = b"\xfe\xff" + written.encode("utf-16-be") if encoding.endswith("mark") else written.encode(encoding)
    packed(tmp_path / name, content)
    assert summary(tmp_path / name) == expected
    fill_table(tmp_path / name, tmp_path / f"filled-{name}", {})
    cells: Any = {"town": {2: "Bern"}}
    fill_table(tmp_path / name, tmp_path / f"new-{name}", cells)
    if not name.endswith((".gz", ".zip")):
        assert (tmp_path / f"filled-{name}").read_bytes() == content
        before, after = content.splitlines(), (tmp_path / f"new-{name}").read_bytes().splitlines()
        if encoding != "utf-16" and not encoding.endswith("mark"):
            assert [old != new for old, new in zip(before, after, strict=True)].count(True) == 1
    assert summary(tmp_path / f"new-{name}")[1][1][:4] == ["Zürich", "Bern", "Bern", "Zürich"]


@pytest.mark.parametrize(
    "name", ["t.json", "t.jsonl", "t.ndjson.gz", "t.feather", "t.arrow", "t.parquet", "t.xlsx", "t.dta"]
)
def test_formats_with_types(name: str, tmp_path: Path, expected: list[Any]) -> None:
    table = dict(zip(HEADER, zip(*rows(), strict=True), strict=True))
    write_table(tmp_path / name, table)
    assert summary(tmp_path / name) == expected
    cells: Any = {"größe": {1: 7.5}, "town": {2: "Bern"}}
    for other in (f"filled-{name}", "filled.csv", "filled.json", "filled.parquet"):
        fill_table(tmp_path / name, tmp_path / other, cells)
        filled = dict(summary(tmp_path / other))
        assert filled["town"][:4] == ["Zürich", "Bern", "Bern", "Zürich"]
        assert filled["größe"][:3] == [0.0, 7.5, 0.25]
        assert filled["when"] == list(table["when"])


def test_json_of_columns_keeps_its_form(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text('{"a": [1, null, 3.5], "b": {"0": "x", "1": "y", "2": null}}')
    assert summary(path) == [("a", [1.0, None, 3.5]), ("b", ["x", "y", None])]
    fill_table(path, tmp_path / "new.json", {"a": {1: 2}, "b": {2: "z"}})
    assert summary(tmp_path / "new.json") == [("a", [1.0, 2.0, 3.5]), ("b", ["x", "y", "z"])]


@pytest.mark.parametrize("name", ["t.xlsx", "t.dta"])
def test_a_column_without_any_value_is_written(name: str, tmp_path: Path) -> None:
    write_table(tmp_path / name, {"x": [1.5, 2.5], "share": [None, None]})
    assert summary(tmp_path / name) == [("x", [1.5, 2.5]), ("share", [None, None])]


def test_empty_texts_of_stata_are_missing(tmp_path: Path) -> None:
    texts = ["a", None, "b"] * 20
    pandas.DataFrame({"x": np.arange(60) / 7, "text": texts}).to_stata(tmp_path / "t.dta", write_index=False)
    column = next(column for column in load_data(tmp_path / "t.dta").columns if column.name == "text")
    assert column.values == ("a", "b")
    assert summary(tmp_path / "t.dta")[1] == ("text", texts)


@pytest.mark.parametrize("name", ["t.parquet", "t.feather"])
def test_a_column_without_a_type_is_missing(name: str, tmp_path: Path) -> None:
    """Arrow gives a column without any value the type null."""
    days = pandas.date_range("2020", periods=60)
    frame = pandas.DataFrame({"number": np.arange(60) ** 2, "text": list("abc") * 20, "day": days})
    columns = unsplit_table("t", frame_columns(frame), {}).columns
    write_arrow_table(pa.table({"number": [9], "text": pa.nulls(1), "day": pa.nulls(1)}), tmp_path / name)
    assert encode_rows(read_columns(tmp_path / name), columns, "t").isnan().sum() == 2
    fill_table(tmp_path / name, tmp_path / f"full-{name}", {"text": {0: "b"}, "day": {0: "2020-01-05"}}, columns)
    filled = encode_rows(read_columns(tmp_path / f"full-{name}"), columns, "t")
    same = frame.assign(number=9, text="b", day=days[4])
    assert torch.equal(filled[0], encode_rows(frame_columns(same), columns, "t")[0])
    write_arrow_table(pa.table({"x": np.arange(60) / 7, "none": pa.nulls(60)}), tmp_path / name)
    dataset = load_data(tmp_path / name)
    assert [column.kind for column in dataset.columns] == ["bounded", "constant"]
    write_table(tmp_path / name, decode_rows(dataset.columns, dataset.test.values.numpy()), dataset.columns)
    assert pa.types.is_null(read_table(tmp_path / name).schema.field("none").type)


def test_lines_of_json_end_with_line_feeds_alone(tmp_path: Path) -> None:
    """Other separators of lines, such as U+2028, may stand in the texts."""
    path = tmp_path / "t.jsonl"
    write_table(path, {"a": ["x\u2028y", "x\u0085y"], "b": [1, 2]})
    assert summary(path) == [("a", ["x\u2028y", "x\u0085y"]), ("b", [1.0, 2.0])]
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert summary(path) == [("a", ["x\u2028y", "x\u0085y"]), ("b", [1.0, 2.0])]


@pytest.mark.parametrize("content", ["[1, 2]", "{}", '{"a": [1], "b": [1, 2]}', "[]", '"x"', "[{", '{"a": 3}'])
def test_other_json_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(BadInput, match=r"array of records|cannot be read"):
        load_data(tmp_path / "t.json")


@pytest.mark.parametrize(
    ("content", "names", "first"),
    [
        ("# made by hand\n# twice\na,b\n1,2\n3,4\n", ["a", "b"], [1, 2]),
        ("\n\na,b\n1,2\n\n3,4\n", ["a", "b"], [1, 2]),
        ("a,b\n1,2,\n3,4,\n", ["a", "b"], [1, 2]),
        ("a,b,\n1,2,\n3,4,\n", ["a", "b"], [1, 2]),
        ("a,b,,,\n1,2,,,\n3,4,,,\n", ["a", "b"], [1, 2]),
        ("a,b,\n1,2\n3,4\n", ["a", "b"], [1, 2]),
        (",a,b\n0,1,2\n1,3,4\n", ["a", "b"], [1, 2]),
        ("1,2\n3,4\n5,6\n", ["x0", "x1"], [1, 2]),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n6.1,3.1,virginica\n", ["x0", "x1", "x2"], [5.1, 3.5, "setosa"]),
        ("5.1,NA,setosa\n4.9,3.0,setosa\n6.1,3.1,virginica\n", ["x0", "x1", "x2"], [5.1, None, "setosa"]),
        ("0,1,2\n5,6,7\n3,4,5\n", ["0", "1", "2"], [5, 6, 7]),  # of a frame without names
        ("town,2019,2020\nBern,6,7\nChur,4,5\n", ["town", "2019", "2020"], ["Bern", 6, 7]),
        ('a;b\n1,5;"x;y"\n2,5;z\n', ["a", "b"], ["1,5", "x;y"]),
        ("Preis, netto;Menge\n1,5;2\n3,5;1\n", ["Preis, netto", "Menge"], ["1,5", 2]),
        ("a|b\n1|x,y\n2|z,y\n", ["a", "b"], [1, "x,y"]),
        ("a\n1\n2\n", ["a"], [1]),
        ("a\n1,5\n2,5\n", ["a"], ["1,5"]),
        ('"a\nb",c\n1,2\n3,4\n', ["a\nb", "c"], [1, 2]),
        ("a,b\r\n1,2\r\n3,4", ["a", "b"], [1, 2]),
        ("a , b\n 1 , x \n3,y\n", ["a", "b"], [1, "x"]),
    ],
)
def test_forms_of_text_files(content: str, names: list[str], first: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode())
    found = summary(path)
    assert [name for name, _ in found] == names
    assert [values[0] for _, values in found] == first
    fill_table(path, tmp_path / "new.csv", {})
    assert (tmp_path / "new.csv").read_bytes() == content.encode()


def test_a_file_without_names_gets_a_note(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("".join(f"{row / 7:.3f},{row * 37 % 11 - 5}\n" for row in range(40)))
    dataset = load_data(tmp_path / "t.csv")
    assert "t.csv has no column names: the columns are x0, x1, ..." in dataset.notes
    assert sum(len(part) for part in (dataset.train, dataset.valid, dataset.test)) == 40


def test_missing_values_between_spaces(tmp_path: Path) -> None:
    form = TextForm(suffix=".txt", delimiter=" ", encoding="utf-8")
    write_table(
        tmp_path / "t.txt", {"row": [1, 2, 3], "mean": [None, 0.5, None], "share": [0.25, None, None]}, form=form
    )
    assert summary(tmp_path / "t.txt") == [
        ("row", [1, 2, 3]),
        ("mean", [None, 0.5, None]),
        ("share", [0.25, None, None]),
    ]


def test_spaces_between_fields(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("  a   b\n  1  2.5\n 10  NA\n")
    assert summary(tmp_path / "t.txt") == [("a", [1, 10]), ("b", [2.5, None])]
    fill_table(tmp_path / "t.txt", tmp_path / "new.txt", {"b": {1: 3.5}})
    assert (tmp_path / "new.txt").read_text() == "  a   b\n  1  2.5\n 10  3.5\n"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"a,b\n1,2\n3\n4,5\n", "1 field in line 3 and 2 in the first"),
        ("t.csv", b'# c\na,b\n"x\ny",2\n3\n', "1 field in line 5 and 2 in the first"),
        ("t.csv", b"a,,b\n1,2,3\n", "without a name"),
        ("t.csv", b"a,b\n", "no rows"),
        ("t.csv", b"# only a comment", "it is empty"),
        ("t.csv", b'a,b\n1,"2\n', "cannot be read"),
        ("t.csv.gz", b"a,b\n1,2\n", "cannot be read"),
        ("t.csv.gz", gzip.compress(bytes(2**27)), "expands to over 200 times"),
        ("t.csv.zip", b"PK", "cannot be read"),
        ("t.xlsx", b"PK", "cannot be read"),
        ("t.dta", b"no", "cannot be read"),
        ("t.feather", b"no", "cannot be read"),
    ],
)
def test_damaged_files_are_refused(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=said) as caught:
        load_data(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_an_archive_with_several_files_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.csv.zip", "w") as archive:
        for name in ("a.csv", "b.csv"):
            archive.writestr(name, "a,b\n1,2\n")
    with pytest.raises(BadInput, match="holds 2 files"):
        load_data(tmp_path / "t.csv.zip")


def test_suffixes() -> None:
    assert all(format_of(Path(f"x{suffix}")) for suffix in SUFFIXES)
    assert [format_of(Path(name)) for name in ("x.gz", "x.parquet.gz", "x", "x.npy")] == [None] * 4
    path = Path("my.data.CSV.gz")
    assert (suffix_of(path), bare_suffix(path), stem_of(path)) == (".csv.gz", ".csv", "my.data")


@pytest.mark.parametrize(("odd", "kind"), [(5, None), (6, "excluded")])
def test_a_few_texts_among_numbers_are_refused(odd: int, kind: str | None, tmp_path: Path) -> None:
    values = [*(row / 3 for row in range(60)), *(f"text {row}" for row in range(odd))]
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{value},{row % 7}\n" for row, value in enumerate(values)))
    if kind:
        assert [column.name for column in load_data(tmp_path / "t.csv").columns] == ["b"]
    else:
        with pytest.raises(BadInput, match=rf"60 numbers and {odd} texts, the first 'text 0' in row 60"):
            load_data(tmp_path / "t.csv")


WRITTEN: dict[str, Any] = {
    "price": lambda row: f"${1000 + row * 37 % 400:,}.50",
    "share": lambda row: f"{row * 7 % 100}.{row % 10}%",
    "mass": lambda row: f"{2500 + row * 37 % 900} g",
    "when": lambda row: f"{1 + row % 12:02d}/{1 + row % 28:02d}/2023 14:05",
    "clock": lambda row: f"{row % 24:02d}:{row * 7 % 60:02d}",
    "plain": lambda row: f"{row / 7:.3f}",
}
ODD = ["12", "1,5", "$12.00", "12%", "99 g", "2023-01-05", "13:61", "14:05", "x", "", "nan", "1e3", "02/30/2023 10:00"]


def test_a_row_is_read_by_the_training_data_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The numbers of a row, and whether it is refused, depend on nothing else in a new file."""
    folder = tmp_path_factory.mktemp("t")

    def written(name: str, lines: list[list[str]]) -> Path:
        (folder / name).write_text(text(",", [list(WRITTEN), *lines]))
        return folder / name

    usual = [[form(row) for form in WRITTEN.values()] for row in range(80)]
    columns = load_data(written("train.csv", usual)).columns
    assert len(columns) == len(WRITTEN)
    fields = st.tuples(*(st.sampled_from([*ODD, *(line[column] for line in usual[:9])]) for column in range(6)))

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(fields.filter(any).map(list), min_size=1, max_size=6))
    def check(lines: list[list[str]]) -> None:
        outside: dict[int, str] = {}
        together = encode_rows(read_columns(written("all.csv", lines)), columns, "all", outside)
        for row, line in enumerate(lines):
            reasons: dict[int, str] = {}
            alone = encode_rows(read_columns(written("one.csv", [line])), columns, "one", reasons)
            assert torch.equal(alone[0].nan_to_num(-1), together[row].nan_to_num(-1))
            assert reasons.get(0) == outside.get(row)

    check()


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-8-sig", "utf-16"])
def test_tables_are_written_in_the_form_of_a_text_file(encoding: str, tmp_path: Path) -> None:
    lines = [
        f"{row % 90},{row % 10} €;{round(row * 0.37 % 1, 2)};{'Zürich' if row % 3 else 'Genf'}" for row in range(90)
    ]
    (tmp_path / "t.csv").write_text("Betrag;x;Größe\n" + "\n".join(lines) + "\n", encoding=encoding)
    dataset = load_data(tmp_path / "t.csv", test=1, validation=1, validate_on="last")
    rows = decode_rows(dataset.columns, dataset.train.all().x.double().numpy())
    for form in (dataset.text_form, DataCard.of(dataset).text_form):
        write_table(tmp_path / "new.csv", rows, dataset.columns, form)
        assert set((tmp_path / "new.csv").read_text(encoding=encoding).splitlines()[1:]) < set(lines)
        assert (tmp_path / "new.csv").read_bytes()[:3] == (tmp_path / "t.csv").read_bytes()[:3]
        write_table(tmp_path / "draws.csv", {"mean": [0.5, None], "column": ["x", "y"]}, form=form)
        assert (tmp_path / "draws.csv").read_text(encoding=encoding) == "mean;column\n0,5;x\n;y\n"
        write_table(tmp_path / "new.tsv", {"mean": [0.5], "column": ["x"]}, form=form)
        assert (tmp_path / "new.tsv").read_text() == "mean\tcolumn\n0.5\tx\n"
        write_table(tmp_path / "other.csv", {"Ω": ["x"], "column": ["x"]}, form=form)
        assert "Ω;column" in (tmp_path / "other.csv").read_text("utf-8" if encoding == "cp1252" else encoding)


def test_other_notations_are_refused_with_an_example(tmp_path: Path) -> None:
    header, lines = ",".join(WRITTEN), [[form(row) for form in WRITTEN.values()] for row in range(80)]
    (tmp_path / "t.csv").write_text(text(",", [list(WRITTEN), *lines]))
    columns = load_data(tmp_path / "t.csv").columns
    (tmp_path / "new.csv").write_text(f"{header}\n12,1%,9 g,05.01.2023 14:05,14:05,1\n")
    with pytest.raises(BadInput, match=r"'price' holds '12' in row 0 .* expected numbers such as '\$1,190.50'"):
        encode_rows(read_columns(tmp_path / "new.csv"), [column for column in columns if column.name == "price"], "t")
    reasons: dict[int, str] = {}
    encode_rows(read_columns(tmp_path / "new.csv"), columns, "new.csv", reasons)
    assert "when is '05.01.2023 14:05': expected dates" in reasons[0]


def command(*words: str) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(list(words))
    assert not stop.value.code


QUICK = shlex.split("--model.hidden 4 --train.epochs 1 --n-importance-samples 2 --no-report --out run")


def test_notations_by_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples and imputed cells are written as the training data are; observed cells stay."""
    monkeypatch.chdir(tmp_path)
    lines = [[form(row) for form in WRITTEN.values()] for row in range(80)]
    for row in range(80):
        lines[row][row % 6] = ""
    content = text(";", [list(WRITTEN), *lines])
    Path("t.csv").write_bytes(content.encode("utf-16"))
    command("train", "t.csv", *QUICK)
    command("sample", "run", "--n-samples", "20", "--out", "new.csv")
    command("impute", "run", "t.csv", "--out", "full.csv", "--n-imputations", "2", "--n-importance-samples", "5")
    kinds = [(column.name, column.notation) for column in load_data("t.csv").columns]
    assert sum(notation is not None for _, notation in kinds) == 5
    with Path("new.csv").open(newline="", encoding="utf-16") as file:
        samples = list(csv.DictReader(file, delimiter=";"))
    forms = {"price": r"\$[\d,]+\.50|\$[\d,]+\.\d\d", "share": r"-?\d+\.\d%", "mass": r"\d+ g", "clock": r"\d\d:\d\d"}
    for name, form in (forms | {"when": r"\d\d/\d\d/\d{4} \d\d:\d\d"}).items():
        assert pandas.Series([row[name] for row in samples]).str.fullmatch(form).all()
    before = list(csv.reader(io.StringIO(content, newline=""), delimiter=";"))
    after = list(csv.reader(io.StringIO(Path("full.csv").read_bytes().decode("utf-16"), newline=""), delimiter=";"))
    for old_row, new_row in zip(before, after, strict=True):
        assert all(new == old if old else new for old, new in zip(old_row, new_row, strict=True))
    assert [(column.name, column.notation) for column in load_data("full.csv").columns] == kinds


def test_dates_by_parquet_and_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pandas.DataFrame({"ts": pandas.date_range("2020", periods=60), "x": np.arange(60) * 0.37 % 1})
    frame.loc[5, "ts"] = pandas.NaT
    frame.to_parquet("t.parquet")
    command("train", "t.parquet", *QUICK)
    for name in ("new.parquet", "new.feather", "new.csv", "new.xlsx"):
        command("sample", "run", "--n-samples", "5", "--out", name)
    command(
        "impute", "run", "t.parquet", "--out", "full.parquet", "--n-imputations", "2", "--n-importance-samples", "5"
    )
    full = pandas.read_parquet("full.parquet")
    assert full.dtypes.equals(frame.dtypes)
    assert full.ts.drop(5).equals(frame.ts.drop(5))
    assert full.ts.dt.normalize().equals(full.ts)
    assert pandas.read_parquet("new.parquet").ts.dtype == pandas.read_feather("new.feather").ts.dtype == frame.ts.dtype
    assert pandas.read_csv("new.csv").ts.str.fullmatch(r"\d{4}-\d\d-\d\d").all()
    assert pandas.read_excel("new.xlsx").ts.dtype.kind == "M"
    (tmp_path / "new.csv").write_text("ts,x\n2020-05-05,0.5\n")
    columns = load_data("t.parquet").columns
    same = frame.iloc[[125 % 60]].assign(ts=pandas.Timestamp("2020-05-05"), x=0.5)
    same.to_parquet("one.parquet")
    rows = [encode_rows(read_columns(Path(name)), columns, name) for name in ("new.csv", "one.parquet")]
    assert torch.equal(*rows)


def test_a_date_column_is_never_an_identifier(tmp_path: Path) -> None:
    days = pandas.date_range("2020", periods=60).strftime("%d.%m.%Y")
    pandas.DataFrame({"day": days, "x": np.arange(60) * 0.37 % 1}).to_csv(tmp_path / "t.csv", index=False)
    dataset = load_data(tmp_path / "t.csv")
    assert {column.name: (column.kind, column.whole) for column in dataset.columns}["day"] == ("integer", True)
    assert "day is read as day.month.year" in dataset.notes


def test_dates_stay_on_disk(tmp_path: Path) -> None:
    """Blocks of a file on disk are read by the notation of the scanned rows, also those of texts."""
    days = pandas.date_range("2020", periods=600)
    frame = pandas.DataFrame({"ts": days, "text": days.strftime("%d.%m.%Y"), "x": np.arange(600) * 0.37 % 1})
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=100)
    on_disk, whole = (load_data(tmp_path / "t.parquet", in_memory=mode) for mode in ("off", "on"))
    assert on_disk.columns == whole.columns
    assert sum(column.notation is not None for column in whole.columns) == 2
    assert torch.equal(on_disk.train[torch.arange(9)].all().x, whole.train[torch.arange(9)].all().x)


@pytest.mark.parametrize(
    ("known", "new", "said"),
    [
        (
            pandas.date_range("2020", periods=60),
            pandas.Timestamp("2020-05-05 03:00"),
            "dates in whole days.*T03:00:00'",
        ),
        (pandas.to_timedelta(np.arange(60) ** 2, "h"), pandas.Timedelta("90min"), "durations in whole hours.* '90'"),
        (np.arange(60) ** 2, 1.5, "whole numbers.* 1.5 in"),
    ],
)
def test_values_between_two_units_are_shown_as_they_are(known: Any, new: Any, said: str) -> None:
    columns = unsplit_table("t", frame_columns(pandas.DataFrame({"x": known})), {}).columns
    with pytest.raises(BadInput, match=f"'x' holds 1 value other than {said}"):
        encode_rows(frame_columns(pandas.DataFrame({"x": [new]})), columns, "t")
    outside: dict[int, str] = {}
    encode_rows(frame_columns(pandas.DataFrame({"x": [known[0], new]})), columns, "t", outside)
    assert list(outside) == [1]


def test_a_text_that_ends_with_nan_is_no_number(tmp_path: Path) -> None:
    columns = unsplit_table("t", [RawColumn("x", np.arange(60) / 7)], {}).columns
    (tmp_path / "t.csv").write_text("x\nFernan\nNaN\n-nan\n1.5\n")
    with pytest.raises(BadInput, match="'x' holds 'Fernan' in row 0 counted from 0: expected numbers"):
        encode_rows(read_columns(tmp_path / "t.csv", [""]), columns, "t")


@pytest.mark.parametrize("name", ["new.xlsx", "new.json", "new.parquet", ""])
def test_texts_are_recognized_where_numbers_stand_for_them(name: str, tmp_path: Path) -> None:
    """A column of codes is one of numbers in a file without other texts, with decimals if a value is missing."""
    known = pandas.DataFrame({"code": ["1", "2", "A", "3"] * 15, "flag": ["true", "false", "unknown"] * 20})
    columns = unsplit_table("t", frame_columns(known), {}).columns
    new = pandas.DataFrame({"code": [1, 2, None, 3], "flag": [True, False, True, False]})
    if name:
        write_table(tmp_path / name, new.astype(object).where(new.notna(), None).to_dict("list"))
    rows = encode_rows(read_columns(tmp_path / name) if name else frame_columns(new), columns, "t")
    assert rows.nan_to_num(-1).tolist() == [[0, 1], [1, 0], [-1, 1], [2, 0]]


def test_negative_zero_is_zero(tmp_path: Path) -> None:
    values = np.tile([-0.0, 0.0, 1.0], 20)
    pandas.DataFrame({"x": values, "y": np.arange(60) / 7}).to_csv(tmp_path / "t.csv", index=False)
    for data in (tmp_path / "t.csv", pandas.DataFrame({"x": values, "y": np.arange(60) / 7})):
        column = next(column for column in load_data(data).columns if column.name == "x")
        assert (column.kind, column.values) == ("binary", (0.0, 1.0))


def test_an_index_in_a_sheet_is_no_column(tmp_path: Path) -> None:
    pandas.DataFrame({"a": [1.5, 2.5]}).to_excel(tmp_path / "t.xlsx")
    assert summary(tmp_path / "t.xlsx") == [("a", [1.5, 2.5])]
