"""Each measure of synthetic rows has the value computed by hand, and reveals the fault that it is for."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy.stats import ks_2samp

import aevb
from aevb import plots
from aevb.cli.app import main
from aevb.columns import Column
from aevb.evaluation.quality import Quality, Tables, compare, comparison
from aevb.evaluation.quality.classifiers import detection_scores, macro_auc
from aevb.evaluation.quality.columns import (
    boundary_adherence,
    category_adherence,
    category_coverage,
    ks_complement,
    range_coverage,
    tv_complement,
)
from aevb.evaluation.quality.distances import Scale, closest, overfitting_protection, share_closer
from aevb.evaluation.quality.pairs import (
    binned,
    contingency_similarity,
    correlation_similarity,
    pair_qualities,
    predictability,
)
from aevb.evaluation.quality.record import PairQuality
from aevb.evaluation.quality.summary import summaries
from aevb.evaluation.quality.tables import compared_rows
from aevb.runs.quality import load_quality
from aevb.workflow.run import Run
from tests.conftest import mostly_slow

NAN = float("nan")
NUMBER = Column(name="size", kind="real", position=0)
LETTER = Column(name="letter", kind="categorical", position=1, values=("a", "b", "c"))


@pytest.mark.parametrize(
    ("measure", "real", "synthetic", "value"),
    [
        (ks_complement, [1, 2, 3, 4], [3, 4, 5, 6], 0.5),  # at 2, F is 2/4 and 0
        (ks_complement, [1, 2], [1, 1, 2, 2], 1.0),
        (ks_complement, [1, 2, NAN], [1, 2, NAN, NAN], 1.0),
        (tv_complement, [0, 0, 1, 1], [0, 1, 1, 2], 0.75),  # (1/2, 1/2, 0) and (1/4, 1/2, 1/4)
        (tv_complement, [0, 0], [1, 1], 0.0),
        (boundary_adherence, [0, 10], [-1, 0, 5, 11], 0.5),
        (category_adherence, [0, 1, NAN], [0, 1, 2, 3, NAN], 0.5),
        (range_coverage, [0, 10], [2, 7], 0.5),  # 2 below and 3 above are missing
        (range_coverage, [0, 10], [-5, 15], 1.0),
        (range_coverage, [0, 10], [20, 30], 0.0),
        (range_coverage, [1, 1], [1, 2], NAN),
        (category_coverage, [0, 1, 2, 3], [1, 1, 3], 0.5),
        (ks_complement, [NAN], [1], NAN),
        (category_adherence, [0], [], NAN),
    ],
)
def test_measures_of_columns(
    measure: Callable[..., float], real: list[float], synthetic: list[float], value: float
) -> None:
    found = measure(np.array(real, dtype=float), np.array(synthetic, dtype=float))
    assert found == pytest.approx(value, nan_ok=True)


def test_ks_complement_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    real, synthetic = rng.normal(size=70).round(1), rng.normal(0.3, 1.5, size=45).round(1)
    assert ks_complement(real, synthetic) == pytest.approx(1 - ks_2samp(real, synthetic).statistic)


def test_correlation_similarity() -> None:
    rising, falling = np.array([[0.0, 1], [1, 2], [2, 3]]), np.array([[0.0, 3], [1, 2], [2, 1], [NAN, 9]])
    assert correlation_similarity(rising, falling) == pytest.approx(0.0)
    some = np.random.default_rng(1).normal(size=(50, 2))
    assert correlation_similarity(rising, some) == pytest.approx(0.5 + np.corrcoef(some.T)[0, 1] / 2)
    assert np.isnan(correlation_similarity(rising, np.ones((3, 2))))


def test_contingency_similarity() -> None:
    """Each of four cells has 1/4, against two with 1/2."""
    independent, equal = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0.0, 0], [1, 1], [0, NAN]])
    assert contingency_similarity(independent, equal) == pytest.approx(0.5)
    assert contingency_similarity(independent, independent[[2, 0, 1, 3]]) == 1


def test_bins_have_equal_width_over_real_numbers_and_no_outer_limits() -> None:
    codes = binned(NUMBER, np.array([0.0, 100.0]), np.array([-50.0, 0, 9, 11, 99, 500, NAN]))
    assert codes.tolist()[:6] == [0, 0, 0, 1, 9, 9]
    assert np.isnan(codes[6])


def test_predictability_is_the_explained_share_of_entropy() -> None:
    rng = np.random.default_rng(0)
    letter = rng.integers(0, 3, 3000).astype(float)
    rows = np.stack([letter > 0, letter, rng.integers(0, 2, 3000)], 1).astype(float)
    columns = [Column(name=str(j), kind="categorical", position=j, values=("a", "b", "c")) for j in range(3)]
    shares = predictability(Tables(columns, rows, rows, rows, rows))
    entropy = np.log(3) - 2 / 3 * np.log(2)  # of (1/3, 2/3), which is all that the letter shares
    assert shares == pytest.approx([1, entropy / np.log(3), 0], abs=0.01)


def test_roc_auc_is_the_mean_over_classes() -> None:
    """Three of four pairs of the second class are in order, by both columns: 3/4."""
    second = np.array([0.1, 0.4, 0.35, 0.8])
    assert macro_auc(np.array([0.0, 0, 1, 1]), np.stack([1 - second, second], 1)) == 0.75
    third = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
    assert macro_auc(np.array([0.0, 1, 2]), third) == 1
    assert macro_auc(np.array([0.0, 1, 2]), np.full((3, 3), 1 / 3)) == 0.5


def test_detection_score() -> None:
    assert detection_scores(np.array([0.4, 0.5, 0.75, 1])).tolist() == [1, 1, 0.5, 0]


def test_distance_to_the_closest_record() -> None:
    train = np.array([[0.0, 0], [10, 1]])
    rows = np.array([[5.0, 0], [10, 1], [30, 2], [NAN, 0], [9.95, 1]])
    found = closest(train, rows, Scale.of([NUMBER, LETTER], train))
    assert found.distance == pytest.approx([0.25, 0, 1, 0.5, 0.0025])
    assert found.matched.tolist() == [0, 1, 0, 0, 1]
    gaps = np.array([[NAN, 1], [10, NAN]])
    assert closest(gaps, gaps, Scale.of([NUMBER, LETTER], train)).distance.tolist() == [0, 0]


def test_share_of_rows_closer_to_training_rows() -> None:
    """Distances 1, 5, 0.1, 2 and 3, 1, 3.9, 2: two rows are closer, and a tie counts half."""
    train, test, rows = (np.array(values)[:, None] for values in ([0.0, 10], [4.0, 6], [1, 5, 9.9, 2]))
    share = share_closer(train, test, rows, Scale.of([NUMBER], train))
    assert share == 0.625
    assert overfitting_protection(share) == 0.75
    assert overfitting_protection(0.3) == 1


def real_rows(count: int, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Rows of two columns that depend on each other."""
    rng = np.random.default_rng(seed)
    letter = rng.integers(0, 3, count)
    return np.stack([4.0 * letter + rng.normal(size=count), letter], 1)


def measured(synthetic: np.ndarray[Any, np.dtype[np.float64]], missing: float = 0.0) -> Quality:
    splits = [real_rows(count, seed) for seed, count in enumerate((400, 100, 200))]
    for rows in splits:
        rows[np.random.default_rng(len(rows)).random(rows.shape) < missing] = NAN
    return compare(Tables([NUMBER, LETTER], synthetic, *splits))


def test_fresh_rows_are_as_good_as_real_rows() -> None:
    quality = measured(real_rows(400, 9))
    for measure in (quality.column_shapes, quality.pair_trends, *(one.score for one in quality.efficacy)):
        assert measure.synthetic == pytest.approx(measure.real, abs=0.05)
    assert all(one.auc.synthetic == pytest.approx(0.5, abs=0.1) for one in quality.detection)
    assert quality.memorization.closer.synthetic == pytest.approx(0.5, abs=0.1)


def test_copies_of_training_rows_are_revealed() -> None:
    found = measured(real_rows(400, 0)).memorization
    assert found.distance.synthetic == 0
    assert found.distance.real > 0
    assert found.new.synthetic == 0
    assert found.closer.synthetic == pytest.approx(0.75, abs=0.07)  # half of the copies, and half of the others
    assert found.closer.real == pytest.approx(0.5, abs=0.1)
    assert found.protection.synthetic < 0.6


def test_independent_columns_are_revealed() -> None:
    """Columns are right, pairs are not: nothing can be predicted, and trees see it where a linear boundary cannot."""
    rows = real_rows(400, 9)
    rows[:, 1] = np.random.default_rng(0).permutation(rows[:, 1])
    quality = measured(rows)
    assert quality.column_shapes.synthetic > 0.9
    assert quality.pair_trends.synthetic < 0.6 < 0.8 < quality.pair_trends.real
    assert all(one.score.synthetic < one.score.real - 0.3 for one in quality.efficacy)
    logistic, trees = quality.detection
    assert logistic.auc.synthetic < 0.65 < 0.7 < trees.auc.synthetic
    assert trees.score.synthetic < 0.5


def test_missing_values_alone_do_not_distinguish_real_rows() -> None:
    quality = measured(real_rows(400, 9), missing=0.3)
    assert all(one.auc.synthetic < 0.62 for one in quality.detection)
    assert quality.memorization.distance.synthetic == pytest.approx(quality.memorization.distance.real, abs=0.01)


def test_too_few_rows_leave_measures_undefined() -> None:
    rows = real_rows(2, 0)
    quality = compare(Tables([NUMBER, LETTER], rows, rows, rows[:0], rows[:1]))
    assert np.isnan(quality.detection[0].auc.synthetic)
    content = json.loads(json.dumps(quality.as_json(), allow_nan=False))
    assert content["memorization"]["closer"]["real"] is None
    again = TypeAdapter(Quality).validate_python(content)
    assert summaries(again) == summaries(quality)
    plots.quality(quality)


def test_a_single_column_has_no_pairs_and_no_predictions() -> None:
    rows = real_rows(50, 0)[:, :1]
    quality = compare(Tables([NUMBER], rows, rows, rows, rows))
    assert not quality.pairs
    assert not quality.efficacy
    assert [table.title for table in summaries(quality)][1:] == [
        "Detection of synthetic rows",
        "Memorization of training rows",
    ]
    plots.quality(quality)


@pytest.mark.parametrize("columns", mostly_slow([9, 40]))
def test_many_columns(columns: int) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, columns))
    rows[:, 3] = rows[:, 4]
    named = [Column(name=f"x{j}", kind="real", position=j) for j in range(columns)]
    quality = compare(Tables(named, rng.permuted(rows, axis=1), rows, rows, rows))
    assert len(quality.efficacy) == 8
    assert {"x3", "x4"} <= {one.target for one in quality.efficacy}
    plots.quality(quality)


@pytest.mark.parametrize("columns", [1, 20, 21, 100, 500, 5000])
def test_distances_of_many_columns_compare_fewer_rows(columns: int) -> None:
    rows, records = compared_rows(columns)
    assert 4e9 / 2 < rows * records * max(columns, 20) <= 4e9
    assert (rows, records) == (2000, 100_000) or columns > 20
    assert 500 <= rows <= 2000


def test_pairs_of_many_rows_and_columns_use_some_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "PAIRED", 3 * 50)
    monkeypatch.setattr(comparison, "FEWEST_PAIRED", 40)
    compared: list[Tables] = []

    def recorded(tables: Tables) -> tuple[PairQuality, ...]:
        compared.append(tables)
        return pair_qualities(tables)

    monkeypatch.setattr(comparison, "pair_qualities", recorded)
    for columns, count in ((3, 50), (4, 40)):
        named = [Column(name=f"x{j}", kind="real", position=j) for j in range(columns)]
        rows = np.random.default_rng(0).normal(size=(60, columns))
        compare(Tables(named, rows, rows, rows, rows))
        assert [len(table) for table in compared[-1][1:]] == [count] * 4


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(6))
def test_extreme_and_missing_values_are_measured(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def rows(count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        sizes = 10.0 ** rng.integers(-45, 38, count)
        columns = (
            rng.normal(size=count) * sizes,
            rng.choice([-3e38, 3e38], count),
            np.full(count, NAN),
            np.ones(count),
        )
        table = np.stack([*columns, rng.integers(0, 4, count)], 1)
        return np.where(rng.random(table.shape) < rng.choice([0, 0.9]), NAN, table)

    columns = [NUMBER.model_copy(update={"name": f"x{j}"}) for j in range(4)]
    quality = compare(Tables([*columns, LETTER], *(rows(int(count)) for count in rng.integers(1, 60, 4))))
    json.dumps(quality.as_json(), allow_nan=False)
    plots.quality(quality)


# Runs.


def write(path: Path, rows: list[list[object]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["letter", "size", "visits"], *rows])
    return path


def table(count: int, seed: int) -> list[list[object]]:
    rng = np.random.default_rng(seed)
    return [
        ["abc"[code], round(5 + 4 * code + rng.random(), 3), int(rng.poisson(2))] for code in rng.integers(0, 3, count)
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("quality")
    rows = table(200, 0)
    rows[3][1] = rows[7][0] = ""
    return aevb.train(
        str(write(folder / "t.csv", rows)), out=folder / "run", epochs=2, hidden=(8,), n_importance_samples=2
    )


def command(*words: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return int(caught.value.code or 0)


def test_samples_are_measured_in_the_report(run: Run) -> None:
    quality = load_quality(run.folder)
    assert quality == run.quality()
    assert (quality.n_synthetic, quality.n_train, quality.n_test) == (140, 140, 40)
    assert [one.column for one in quality.columns] == ["letter", "size", "visits"]
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert all(
        text in page for text in ("Quality of samples", "KSComplement", "DCROverfittingProtection", "quality.json")
    )


def test_the_command_measures_any_file_with_the_columns(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """New categories, and numbers beyond those of the training rows, count in the adherence."""
    rows = [["d", 5.5, 2], ["a", -1e300, 2.5], *table(18, 1)]
    assert command("quality", run.folder, write(run.folder / "other.csv", rows), "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["source"] == "other.csv"
    adherence = {one["column"]: one["adherence"]["synthetic"] for one in printed["columns"]}
    assert adherence["letter"] == pytest.approx(0.95)
    assert adherence["size"] <= 0.95
    file = run.folder / "quality-other.json"
    assert json.loads(file.read_text()) | {"file": str(file), "figure": printed["figure"]} == printed
    assert Path(printed["figure"]).is_file()


def test_training_rows_as_synthetic_rows_are_the_reference(run: Run) -> None:
    """Except for the rounding of samples, nothing depends on how rows are read."""
    source = Path(run.config.data.source)
    assert run.quality(source).source == "t.csv"
    frame = [line.split(",") for line in source.read_text().split()[1:]]
    assert run.dataset.rows is not None
    train: list[list[object]] = [[*frame[int(row)]] for row in run.dataset.rows[0]]
    quality = run.quality(write(run.folder / "train.csv", train))
    for one in (*(column.similarity for column in quality.columns), *(pair.similarity for pair in quality.pairs)):
        assert one.synthetic == one.real
    assert quality.memorization.distance.synthetic == quality.memorization.new.synthetic == 0


def test_the_command_prints_tables(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("quality", run.folder, "--out", tmp_path / "q.json") == 0
    printed = capsys.readouterr().out
    for words in (
        "140 rows sampled from the model",
        "TVComplement",
        "gradient boosting",
        f"wrote {tmp_path / 'q.json'}",
    ):
        assert words in printed
    assert (tmp_path / "q.png").is_file()


def test_bad_input(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = tmp_path / "few.csv"
    few.write_text("letter,size\na,1\nb,2\n")
    for words, message in (
        (("quality", run.folder, few), "lacks the column 'visits'"),
        (
            ("quality", run.folder, write(tmp_path / "text.csv", [["a", "x", 1], ["b", 1, 1]])),
            "expected numbers from 0 to",
        ),
        (("quality", run.folder, tmp_path / "none.csv"), "none.csv"),
        (("quality", run.folder, "--out", tmp_path / "q.csv"), "expected a name that ends in .json"),
    ):
        assert command(*words) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_a_model_of_images_has_no_quality_of_rows(stripes: aevb.Dataset, tmp_path: Path, capsys: Any) -> None:
    aevb.train(stripes, out=tmp_path / "run", epochs=1, hidden=(4,), n_importance_samples=1)
    assert command("quality", tmp_path / "run") == 2
    needs = "quality needs a model of a table, and"
    assert capsys.readouterr().err.endswith(f"{needs} {tmp_path / 'run'} is a model of unit values\n")


@pytest.mark.slow
def test_a_conditional_model_is_sampled_under_the_conditions_of_training_rows(tmp_path: Path) -> None:
    source = write(tmp_path / "t.csv", table(150, 0))
    options: dict[str, Any] = {"epochs": 1, "hidden": (4,), "n_importance_samples": 1}
    quality = aevb.train(str(source), out=tmp_path / "run", condition=("letter",), **options).quality()
    letter, *_ = quality.columns
    assert letter.column == "letter"
    assert letter.similarity.synthetic == letter.similarity.real
    assert quality.memorization.distance.synthetic > 0
