"""What is written is what was given: observed cells, names, their order, types and rows."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aevb import VAEImputer, VariationalAutoencoder
from aevb.cli import app as cli
from tests.conftest import mostly_slow

COUNT = 40
COLUMNS = (
    "identifier",
    "code",
    "whole",
    "gaps",
    "real",
    "small",
    "flag",
    "when",
    "constant",
    "nullable",
    "size",
    "text",
)


def table(seed: int) -> pandas.DataFrame:
    """A column of every type that people have, most of them with missing values."""
    rng = np.random.default_rng(seed)

    def gaps(values: Any, empty: Any = None) -> Any:
        return np.where(rng.random(COUNT) < 0.2, empty, values)

    sizes = ["s", "m", "l"]
    return pandas.DataFrame(
        {
            "identifier": np.arange(COUNT) * 3 + 2**60,
            "code": [f"{row:05d}" for row in range(COUNT)],
            "whole": rng.integers(0, 4, COUNT) - 100,
            "gaps": gaps(rng.integers(20, 90, COUNT).astype(float), np.nan).astype(float),
            "real": gaps(rng.normal(size=COUNT), np.nan).astype(float),
            "small": rng.normal(size=COUNT).astype("float32"),
            "flag": rng.random(COUNT) < 0.5,
            "when": 1.7e9 + rng.normal(size=COUNT),
            "constant": "a",
            "nullable": pandas.array(gaps(rng.integers(0, 5, COUNT)), dtype="Int64"),
            "size": pandas.Categorical(gaps(rng.choice(sizes, COUNT)), categories=sizes, ordered=True),
            "text": pandas.array(gaps(rng.choice(["0123", "none", 'with "quotes", and ;'], COUNT)), dtype="str"),
        }
    )


NAMES = st.lists(st.sampled_from(COLUMNS), min_size=2, unique=True).filter(lambda names: {*names} & {"gaps", "real"})
TRY = settings(
    max_examples=5, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


def command(*words: str) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(list(words))
    assert not stop.value.code


@pytest.mark.parametrize("library", mostly_slow(["pandas", "polars"]))
def test_a_filled_frame_is_the_same_frame(library: str) -> None:
    @TRY
    @given(NAMES, st.integers(0, 99))
    def check(names: list[str], seed: int) -> None:
        pandas_frame = table(seed)[names]
        frame: Any = pandas_frame if library == "pandas" else polars.from_pandas(pandas_frame)
        model = VariationalAutoencoder(1, hidden=(4,), epochs=1, random_state=0)
        imputer = VAEImputer(model, n_imputations=2, n_importance_samples=4)
        filled, sampled = imputer.fit(frame).transform(frame), imputer.estimator_.sample(3)
        assert list(filled.columns) == names
        assert list(filled.dtypes) == list(frame.dtypes)
        kept = [name for name in names if name in sampled.columns]
        assert list(sampled.columns) == kept
        assert {*names} - {*kept} <= {"identifier", "code"}
        assert [sampled[name].dtype for name in kept] == [frame[name].dtype for name in kept]
        for name in names:
            before, after = frame[name].to_list(), filled[name].to_list()
            missing = pandas_frame[name].isna().tolist()
            assert all(new == old for old, new, gap in zip(before, after, missing, strict=True) if not gap)
            assert not pandas.Series(after).isna().any()
        if "gaps" in names:
            assert all(float(value).is_integer() for value in filled["gaps"].to_list())

    check()


@pytest.mark.parametrize("suffix", mostly_slow([".csv", ".tsv", ".parquet"], 0))
def test_a_filled_file_is_the_same_file(
    suffix: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    @TRY
    @given(NAMES, st.integers(0, 99))
    def check(names: list[str], seed: int) -> None:
        folder = tmp_path_factory.mktemp("written")
        monkeypatch.chdir(folder)
        frame, path = table(seed)[names], Path(f"t{suffix}")
        if suffix == ".parquet":
            frame.to_parquet(path)
        else:
            frame.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
        quick = ("--model.hidden", "4", "--train.epochs", "1", "--n-importance-samples", "2")
        types = ("--data.column-types.real", "real") if "real" in names else ()
        command("train", str(path), "--no-report", *quick, *types, "--out", "run")
        command(
            "impute", "run", str(path), "--out", f"full{suffix}", "--n-imputations", "2", "--n-importance-samples", "4"
        )
        command("encode", "run", str(path), "--out", "codes.csv")
        with Path("codes.csv").open(newline="") as file:
            assert len(list(csv.reader(file))) == COUNT + 1
        if suffix == ".parquet":
            filled = pandas.read_parquet(f"full{suffix}")
            assert filled.dtypes.equals(frame.dtypes)
            assert list(filled.columns) == names
            before, after = ([[*row] for row in part.astype(object).to_numpy()] for part in (frame, filled))
            missing = frame.isna().to_numpy().tolist()
        else:
            before, after = fields(path), fields(Path(f"full{suffix}"))
            assert before.pop(0) == after.pop(0) == names
            missing = [[not field for field in row] for row in before]
        for old_row, new_row, gaps in zip(before, after, missing, strict=True):
            for old, new, gap in zip(old_row, new_row, gaps, strict=True):
                assert (new is not None and new == new and new != "") if gap else new == old

    check()


def fields(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
