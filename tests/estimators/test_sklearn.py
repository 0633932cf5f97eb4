"""The scikit-learn estimators: scikit-learn's own checks, and what its tools do with them."""

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import aevb
from aevb import VAEImputer, VAEOutlierDetector, VariationalAutoencoder
from aevb.errors import BadInput
from aevb.estimators import outliers
from tests.data.test_tables import people

QUICK: dict[str, Any] = {"epochs": 5, "hidden": (8,), "n_importance_samples": 5, "random_state": 0}


def quick(**options: Any) -> VariationalAutoencoder:
    return VariationalAutoencoder(**QUICK | options)


@parametrize_with_checks([quick()])
def test_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [
        VAEOutlierDetector(quick(), false_alarm_rate=0.4, held_out=0.5),
        VAEImputer(quick(), n_imputations=5, n_importance_samples=20),
    ]
)
def test_checks_of_scikit_learn_of_wrappers(estimator: Any, check: Any) -> None:
    check(estimator)


def wine(gaps: float = 0.0) -> NDArray[np.float64]:
    x: NDArray[np.float64] = load_wine().data.copy()
    x[np.random.default_rng(0).random(x.shape) < gaps] = np.nan
    return x


def test_images_are_for_another_function() -> None:
    with pytest.raises(BadInput, match=r"expected rows .* use aevb.train for images"):
        VariationalAutoencoder().fit(np.zeros((20, 8, 8, 3)))


@pytest.mark.slow
def test_in_pipelines_and_searches() -> None:
    x, y = load_wine(return_X_y=True)
    pipeline = make_pipeline(quick(epochs=200, n_components=4, learning_rate=1e-2), LogisticRegression())
    assert pipeline.fit(x, y).score(x, y) > 0.8
    search = GridSearchCV(quick(), {"n_components": [1, 2]}, n_jobs=2, cv=2).fit(x)
    assert search.best_params_["n_components"] in (1, 2)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_clones_and_dumps_are_equal(tmp_path: Any) -> None:
    x = wine()
    fitted = quick().fit(x)
    joblib.dump(fitted, tmp_path / "fitted")
    for other in (clone(fitted).fit(x), joblib.load(tmp_path / "fitted")):
        assert np.array_equal(other.transform(x), fitted.transform(x))
        assert np.array_equal(other.score_samples(x), fitted.score_samples(x))
        assert np.array_equal(other.sample(5), fitted.sample(5))


def test_the_global_random_state_is_unchanged() -> None:
    def states() -> tuple[list[int], list[int]]:
        return np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]  # noqa: NPY002

    before = states()
    for state in (None, 0, np.random.RandomState(0), np.random.default_rng(0)):
        fitted = quick(random_state=state).fit(wine())
        fitted.sample(3)
        fitted.score(wine())
    assert states() == before


def test_partial_fit_continues_training() -> None:
    x = wine()
    model = quick(n_components=2, learning_rate=1e-2, batch_size=20)
    scores = [model.partial_fit(x).score(x) for _ in range(30)]
    assert scores[-1] > scores[0] + 0.5
    assert model.partial_fit(x[:5]).transform(x).shape == (178, 2)


def test_log_density_without_observed_values_is_zero() -> None:
    x = wine(0.2)
    model = quick(epochs=50, n_importance_samples=20_000).fit(x)
    none = np.full((1, x.shape[1]), np.nan)
    assert abs(model.score_samples(none)[0]) < 0.05


@pytest.mark.slow
def test_an_imputer_beats_the_means() -> None:
    """By root mean square in units of the columns, on entries that were removed at random."""
    x, gaps = wine(), wine(0.3)
    model = VAEImputer(quick(epochs=300, n_components=4, hidden=(64,)), n_imputations=50, n_importance_samples=100).fit(
        gaps
    )
    filled, spread, lost = model.transform(gaps), x.std(0), np.isnan(gaps)
    assert np.array_equal(filled[~lost], x[~lost])
    means = np.broadcast_to(np.nanmean(gaps, 0), x.shape)
    error, of_means = (np.sqrt((((found - x) / spread)[lost] ** 2).mean()) for found in (filled, means))
    assert error < 0.9 * of_means
    draws = np.array(model.sample(gaps, 20))
    assert np.array_equal(draws[:, ~lost], np.broadcast_to(x[~lost], (20, (~lost).sum())))
    assert (draws.std(0)[lost] > 0).all()


@pytest.mark.slow
def test_intervals_of_an_imputer_have_nominal_coverage() -> None:
    """Of eight columns with three common causes: on fresh rows 90 % intervals cover 85 to 95 %, and the error is within
    a tenth of that of the true conditional means."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(3, 8))
    x = rng.normal(size=(1500, 3)) @ weight + 0.5 * rng.normal(size=(1500, 8))
    lost = rng.random(x.shape) < 0.3
    gaps = np.where(lost, np.nan, x)
    model = VariationalAutoencoder(3, hidden=(16,), epochs=20, random_state=0)
    imputer = VAEImputer(model, n_imputations=100, n_importance_samples=200).fit(gaps[:1000])
    truth, known, missing = x[1000:], gaps[1000:], lost[1000:]
    low, high = np.quantile(np.array(imputer.sample(known, 100)), [0.05, 0.95], axis=0)
    assert 0.85 < ((low <= truth) & (truth <= high))[missing].mean() < 0.95
    best = _conditional_means(weight.T @ weight + 0.25 * np.eye(8), known)
    error, least = (np.sqrt(np.square(found - truth)[missing].mean()) for found in (imputer.transform(known), best))
    assert error < 1.1 * least


def test_an_imputer_fills_in_means_or_medians() -> None:
    """The mean is that of many samples, up to their noise, and depends on nothing but the row."""
    gaps = wine(0.3)
    imputer = VAEImputer(quick(), n_imputations=100, n_importance_samples=50).fit(gaps)
    samples, missing = np.array(imputer.sample(gaps, 100)), np.isnan(gaps)
    errors = samples.std(0)[missing] / 10
    filled = imputer.transform(gaps)
    assert (np.abs(filled - samples.mean(0))[missing] < 6 * errors).all()
    np.testing.assert_allclose(imputer.transform(gaps[:3]), filled[:3])
    medians = imputer.set_params(strategy="median").transform(gaps)
    np.testing.assert_allclose(medians[missing], np.median(samples, 0)[missing], atol=6 * errors.max())


def test_several_models_fill_in_the_mean_of_their_means() -> None:
    """They hold out different rows, and the samples are theirs in turn."""
    gaps = wine(0.3) * np.pi  # without decimals that imputations would be rounded to
    imputer = VAEImputer(quick(random_state=5), n_models=3, n_imputations=6, n_importance_samples=20).fit(gaps)
    options = {"n_imputations": 2, "n_importance_samples": 20}
    alone = [VAEImputer(quick(random_state=5 + number)).set_params(**options).fit(gaps) for number in range(3)]
    filled = np.mean([one.transform(gaps) for one in alone], 0)
    np.testing.assert_allclose(imputer.transform(gaps), filled, rtol=1e-5)
    samples = imputer.sample(gaps, 4)
    assert len(samples) == 4
    np.testing.assert_array_equal(samples[3], alone[0].sample(gaps, 2)[1])
    np.testing.assert_array_equal(samples[2], alone[2].sample(gaps, 2)[0])


def test_the_default_model_of_an_imputer() -> None:
    """200 passes over few rows; twice as many steps for four times as many rows as that number holds for."""
    assert [VAEImputer.default_estimator(rows).epochs for rows in (2, 90, 2000, 8000)] == [200, 200, 200, 100]


def _conditional_means(covariance: NDArray[np.float64], gaps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of a normal of mean 0, gaps filled with their means given the rest."""
    filled: NDArray[np.float64] = gaps.copy()
    for row in filled:
        there = ~np.isnan(row)
        known = np.linalg.solve(covariance[np.ix_(there, there)], row[there])
        row[~there] = covariance[np.ix_(~there, there)] @ known
    return filled


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_without_rows_are_refused(library: str) -> None:
    frame = pytest.importorskip(library).DataFrame({"a": [0.5, 1.5] * 10, "b": [*"xyz", "x"] * 5})
    model = quick().fit(frame)
    for refused in (model.transform, model.score_samples):
        with pytest.raises(BadInput, match="X has 0 rows: expected at least 1"):
            refused(frame[:0])
    with pytest.raises(BadInput, match="X has 1 row: expected at least 2"):
        quick().fit(frame[:1])


def test_an_imputer_refuses_an_empty_column() -> None:
    x = wine()
    x[:, 3] = np.nan
    with pytest.raises(BadInput, match="'x3' is empty"):
        VAEImputer(quick()).fit(x)


def test_false_alarms_are_as_rare_as_stated() -> None:
    """Over splits: a hundred of them have a rate of at most the stated one, within five deviations."""
    rng = np.random.default_rng(0)
    rates = []
    for seed in range(10):
        x = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 3))
        detector = VAEOutlierDetector(quick(random_state=seed), false_alarm_rate=0.1).fit(x[:200])
        rates.append((detector.predict(x[200:]) == -1).mean())
        assert (detector.predict(x[200:] + 20) == -1).all()
    # A rate has the deviation of a limit set by 40 rows and of a count of 100.
    deviation = np.sqrt(0.1 * 0.9 / 42 + 0.1 * 0.9 / 100) / np.sqrt(10)
    assert np.mean(rates) < 0.1 + 5 * deviation


@pytest.mark.slow
def test_false_alarms_over_sixty_splits() -> None:
    """The mean rate of unseen rows of skewed, discrete and dependent columns is at most the stated one."""
    rng = np.random.default_rng(0)
    rates = []
    for seed in range(60):
        x = rng.normal(size=(300, 1)) @ np.ones((1, 4)) + 0.3 * rng.normal(size=(300, 4))
        x[:, 1], x[:, 2] = np.exp(x[:, 1]), x[:, 2].round()
        detector = VAEOutlierDetector(quick(random_state=seed, epochs=20), false_alarm_rate=0.05).fit(x[:200])
        rates.append((detector.predict(x[200:]) == -1).mean())
    assert np.mean(rates) < 0.05 + 3 * np.std(rates) / len(rates) ** 0.5


@pytest.mark.slow
def test_the_default_detector_notices_common_values_that_do_not_fit_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """x0 is 0 or 1 exactly, by the sign of x1: each value is common, and half of their combinations never occur."""
    monkeypatch.setattr(outliers, "STEPS", 300)
    rng = np.random.default_rng(0)
    x1 = rng.normal(size=400)
    rows = np.stack([x1 > 0, x1], 1).astype(float)
    wrong = np.stack([np.zeros(50), np.abs(rng.normal(size=50)) + 0.5], 1)
    detector = VAEOutlierDetector(random_state=0).fit(rows[:300])
    alarms = [(detector.predict(part) == -1).mean() for part in (rows[300:], wrong)]
    assert alarms[0] < 0.15
    assert alarms[1] > 0.8
    detector.save_pretrained(tmp_path / "detector")
    loaded = VAEOutlierDetector.from_pretrained(tmp_path / "detector")
    np.testing.assert_allclose(loaded.score_samples(wrong), detector.score_samples(wrong), rtol=1e-6)
    again = loaded.fit(rows[:300])
    np.testing.assert_allclose(again.score_samples(wrong), detector.score_samples(wrong), rtol=1e-4)


def test_a_detector_leaves_out_outliers_among_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outliers that lie together are probable, unless they are left out; others stay below the false-alarm rate."""
    monkeypatch.setattr(outliers, "STEPS", 100)
    monkeypatch.setattr(outliers, "COARSE_STEPS", 100)
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 6)) + 0.3 * rng.normal(size=(200, 6))
    rows = np.concatenate([normal, 4 * rng.normal(size=6) + 0.3 * rng.normal(size=(30, 6))])
    is_outlier = np.arange(len(rows)) >= len(normal)
    detectors = [VAEOutlierDetector(outlier_fraction=share, random_state=0).fit(rows) for share in (0.0, 0.2)]
    areas = [roc_auc_score(is_outlier, -detector.score_samples(rows)) for detector in detectors]
    assert areas[0] < 0.95
    assert areas[1] > 0.99
    assert (detectors[1].predict(normal) == -1).mean() < 0.05


@pytest.mark.parametrize(("n_rows", "epochs"), [(50, 1500), (1000, 300), (40_000, 15)])
def test_the_length_of_training_of_the_default_detector(n_rows: int, epochs: int) -> None:
    """1,500 steps of 200 rows, and more from 10,000 rows on."""
    assert VAEOutlierDetector.default_estimator(n_rows).epochs == epochs


def test_too_few_rows_for_a_low_false_alarm_rate() -> None:
    with pytest.raises(BadInput, match=r"too few for a false-alarm rate of 0.001: at least 999"):
        VAEOutlierDetector(quick(), false_alarm_rate=0.001).fit(wine())
    with pytest.raises(BadInput, match=r"^0 held-out examples are too few for a false-alarm rate of 0.05"):
        VAEOutlierDetector(quick(), held_out=0.001).fit(wine())


def test_a_validation_fraction_leaves_a_row_to_train_on() -> None:
    with pytest.raises(BadInput, match=r"validation=0.99 leaves none of 10 rows to train on: use a smaller fraction"):
        quick(validation=0.99).fit(wine()[:10])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_of_mixed_columns(library: str) -> None:
    made = pytest.importorskip(library).DataFrame
    rows = people(200)
    x = made({name: [row[name] for row in rows] for name in rows[0] if name != "id"})
    model = quick(epochs=20).fit(x)
    assert model.transform(x).shape == (200, 5)
    drawn = model.sample(50)
    assert type(drawn) is type(x)
    assert list(drawn.columns) == list(x.columns)
    assert set(drawn["town"]) <= {"Bern", "Basel", "Chur"}
    filled = VAEImputer(quick(epochs=20), n_imputations=5, n_importance_samples=10).fit(x).transform(x)
    assert list(filled.columns) == list(x.columns)
    assert np.isfinite(np.asarray(filled["height"].to_numpy(), dtype=float)).all()
    assert set(filled["town"]) == {"Bern", "Basel", "Chur"}
    assert list(model.set_output(transform=library).transform(x).columns) == [
        f"variationalautoencoder{number}" for number in range(5)
    ]


TOWNS = ("Zug", "Chur", "Bern", "Basel")
"""Of a list that a type names; nobody lives in the first."""


def columns_of(library: str) -> dict[str, Any]:
    """Columns of every type that a frame of a library can have, half of them with gaps."""
    rng, count = np.random.default_rng(0), 200
    whole, small, real = (
        rng.integers(-5, 50, count).tolist(),
        rng.integers(0, 9, count).tolist(),
        rng.normal(size=count),
    )
    truth = (rng.random(count) < 0.3).tolist()
    towns, sizes = rng.choice(TOWNS[1:], count).tolist(), rng.choice(["small", "medium", "large"], count).tolist()

    def gaps(values: list[Any]) -> list[Any]:
        return [None if rng.random() < 0.1 else value for value in values]

    if library == "pandas":
        pandas = pytest.importorskip("pandas")
        listed = {"categories": ["small", "medium", "large"], "ordered": True}
        return {
            "uint8": pandas.array(small, dtype="uint8"),
            "int64": whole,
            "Int16": pandas.array(gaps(whole), dtype="Int16"),
            "float32": np.array(gaps(real.tolist()), dtype="float32"),
            "bool": truth,
            "boolean": pandas.array(gaps(truth), dtype="boolean"),
            "str": gaps(towns),
            "string": pandas.array(gaps(towns), dtype="string"),
            "object": pandas.Series(gaps(towns), dtype=object),
            "category": pandas.Categorical(gaps(towns), categories=TOWNS),
            "ordered": pandas.Categorical(gaps(sizes), **listed),
            "numbers": pandas.Categorical(gaps(small)),
            "constant": pandas.Categorical(["CH"] * count),
        }
    polars = pytest.importorskip("polars")
    return {
        "UInt8": polars.Series(small, dtype=polars.UInt8),
        "Int64": gaps(whole),
        "Float32": polars.Series(gaps(real.tolist()), dtype=polars.Float32),
        "Boolean": gaps(truth),
        "String": gaps(towns),
        "Categorical": polars.Series(gaps(towns), dtype=polars.Categorical),
        "Enum": polars.Series(gaps(towns), dtype=polars.Enum(TOWNS)),
        "constant": polars.Series([7] * count, dtype=polars.Int16),
    }


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_round_trip_of_frames(library: str, tmp_path: Any) -> None:
    """Kinds, categories, types, gaps and the order of the columns survive training, saving, loading and sampling."""
    x = pytest.importorskip(library).DataFrame(columns_of(library))
    fitted = quick().fit(x)
    fitted.save_pretrained(tmp_path / "saved")
    loaded = VariationalAutoencoder.from_pretrained(tmp_path / "saved")
    assert loaded.columns_ == fitted.columns_
    assert np.array_equal(loaded.score_samples(x), fitted.score_samples(x))
    drawn = loaded.sample(300)
    assert drawn.equals(fitted.sample(300))
    assert type(drawn) is type(x)
    assert list(drawn.columns) == list(x.columns)
    assert list(drawn.dtypes) == list(x.dtypes)  # categories and their order with them
    kinds = {column.name: column.kind for column in loaded.columns_}
    for name in x.columns:
        if kinds[name] != "real":
            known = set(x[name].drop_nulls() if library == "polars" else x[name].dropna())
            assert set(drawn[name]) <= known | {"Zug"}  # which the type lists: rare, not impossible


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_filled_frames_keep_their_types(library: str) -> None:
    x = pytest.importorskip(library).DataFrame(columns_of(library))
    filled = VAEImputer(quick(), n_imputations=5, n_importance_samples=10).fit(x).transform(x)
    assert list(filled.dtypes) == list(x.dtypes)
    assert list(filled.columns) == list(x.columns)
    for name in x.columns:
        pairs = list(zip(x[name].to_list(), filled[name].to_list(), strict=True))
        assert all(after is not None and after == after for _, after in pairs)
        assert all(before == after for before, after in pairs if type(before) is type(after) and before == before)


def test_frames_with_integer_column_names(tmp_path: Any) -> None:
    x = pytest.importorskip("pandas").DataFrame(wine(0.1)).set_axis(range(178, 356))
    imputer = VAEImputer(quick(), n_imputations=5, n_importance_samples=10).fit(x)
    imputer.save_pretrained(tmp_path / "saved")
    for one in (imputer, VAEImputer.from_pretrained(tmp_path / "saved")):
        filled = one.transform(x)
        assert filled.columns.equals(x.columns)
        assert filled.index.equals(x.index)
        assert not filled.isna().any(axis=None)
        assert list(one.estimator_.sample(3).columns) == list(range(13))


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"n_components": 0}, "an int in the range"),
        ({"hidden": (0,)}, "a sequence of positive integers"),
        ({"hidden": "500"}, "a sequence of positive integers"),
        ({"posterior": "round"}, "a str among"),
        ({"prior": "round"}, "a str among"),
        ({"objective": "round"}, "a str among"),
        ({"n_samples": 0}, "an int in the range"),
        ({"min_stddev": 0.0}, "a float in the range"),
        ({"beta": -1.0}, "a float in the range"),
        ({"epochs": 0}, "an int in the range"),
        ({"batch_size": 0}, "an int in the range"),
        ({"learning_rate": 0.0}, "a float in the range"),
        ({"validation": 2.0}, "a float in the range"),
        ({"keep": "first"}, "a str among"),
        ({"n_importance_samples": 0}, "an int in the range"),
        ({"random_state": -1}, "an int in the range"),
        ({"device": "abacus"}, "a device of PyTorch"),
    ],
)
def test_wrong_parameters_are_named_as_in_scikit_learn(parameters: dict[str, Any], expected: str) -> None:
    (name,) = parameters
    with pytest.raises(ValueError, match=f"The '{name}' parameter of VariationalAutoencoder must be.* {expected}"):
        quick(**parameters).fit(wine())


def test_wrong_parameters_of_wrappers() -> None:
    with pytest.raises(ValueError, match="The 'false_alarm_rate' parameter of VAEOutlierDetector must be"):
        VAEOutlierDetector(false_alarm_rate=1.5).fit(wine())
    with pytest.raises(ValueError, match="The 'n_imputations' parameter of VAEImputer must be"):
        VAEImputer(n_imputations=0).fit(wine())
    with pytest.raises(ValueError, match="The 'strategy' parameter of VAEImputer must be"):
        VAEImputer(strategy="mode").fit(wine())


@pytest.mark.parametrize("method", ["transform", "score_samples", "inverse_transform", "score"])
def test_an_unfitted_model_says_so(method: str) -> None:
    with pytest.raises(NotFittedError):
        getattr(VariationalAutoencoder(), method)(wine())


def test_an_impossible_row_is_an_outlier() -> None:
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame({"x": rng.normal(size=60), "kind": rng.choice(["a", "b"], 60)})
    detector = VAEOutlierDetector(quick(), false_alarm_rate=0.4, held_out=0.5).fit(frame)
    new = frame.head(3).assign(kind=["a", "z", "b"])
    assert detector.score_samples(new)[1] == -np.inf
    assert detector.predict(new)[1] == -1
    np.testing.assert_allclose(detector.score_samples(new)[0], detector.score_samples(new.head(1))[0], atol=1e-6)


@pytest.mark.parametrize("outlier_fraction", [0.0, 0.2])
def test_a_detector_knows_the_categories_of_all_rows(outlier_fraction: float) -> None:
    """Also those that occur only among the rows that it holds out, or leaves out as outliers."""
    rng = np.random.default_rng(0)
    kinds = rng.choice(["a", "b"], 60).astype(object)
    kinds[::6] = [f"rare {number}" for number in range(10)]
    frame = pandas.DataFrame({"x": rng.normal(size=60), "kind": kinds})
    detector = VAEOutlierDetector(quick(), false_alarm_rate=0.2, outlier_fraction=outlier_fraction).fit(frame)
    assert np.isfinite(detector.score_samples(frame)).all()
    assert np.isfinite(detector.offset_)


def test_a_column_that_varies_among_held_out_rows_alone_counts() -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    held_out = np.random.default_rng(QUICK["random_state"]).permutation(60)[:12]
    x[:, 2] = 0.0
    x[held_out[0], 2] = 1.0
    log_px = VAEOutlierDetector(quick(), false_alarm_rate=0.2).fit(x).score_samples(x)
    assert np.isfinite(log_px).all()
    assert log_px.argmin() == held_out[0]


def test_the_surprise_of_an_impossible_value_is_infinite() -> None:
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame({"kind": rng.choice(["a", "b"], 60), "x": rng.normal(size=60)})
    detector = VAEOutlierDetector(quick(), false_alarm_rate=0.4).fit(frame)
    found = detector.explain(pandas.DataFrame({"kind": ["z", None, "a"], "x": [0.0, 0.0, np.inf]}))
    assert np.isposinf(found).tolist() == [[True, False], [False, False], [False, True]]
    assert np.isnan(found).tolist() == [[False, False], [True, False], [False, False]]


@pytest.mark.parametrize("excluded", ["x0", "x1", "x2"])
def test_excluded_columns_of_an_array_stay_as_they_are(excluded: str) -> None:
    x, column = wine(0.2)[:60, :3], int(excluded[1])
    imputer = VAEImputer(quick(column_types={excluded: "none"}), n_imputations=5, n_importance_samples=10).fit(x)
    filled = imputer.transform(x)
    assert np.array_equal(filled[:, column], x[:, column], equal_nan=True)
    others, known = np.delete(filled, column, 1), np.delete(x, column, 1)
    assert np.isfinite(others).all()
    assert np.array_equal(others[~np.isnan(known)], known[~np.isnan(known)])
    alone = VAEImputer(quick(), n_imputations=5, n_importance_samples=10).fit(known)
    np.testing.assert_allclose(others, alone.transform(known))


@pytest.mark.parametrize(
    "names",
    [
        [400.0, 400.5, 401.0],
        pandas.date_range("2024-01-01", periods=3),
        pandas.MultiIndex.from_product([["a"], [1, 2, 3]]),
    ],
)
def test_filled_frames_keep_their_column_names(names: Any) -> None:
    x = pandas.DataFrame(wine(0.2)[:60, :3], columns=names)
    filled = VAEImputer(quick(), n_imputations=5, n_importance_samples=10).fit(x).transform(x)
    assert filled.columns.equals(x.columns)
    assert not filled.isna().any(axis=None)


def test_an_autoencoder_is_a_transformer_without_a_density(tmp_path: Any) -> None:
    x, point = wine(), quick(posterior="point", n_components=2)
    fitted = point.fit(x)
    assert fitted.transform(x).shape == (178, 2)
    assert fitted.inverse_transform(fitted.transform(x)).shape == x.shape
    fitted.save_pretrained(tmp_path / "saved")
    loaded = VariationalAutoencoder.from_pretrained(tmp_path / "saved")
    np.testing.assert_allclose(loaded.transform(x), fitted.transform(x))
    advice = "needs a posterior with a density: an autoencoder has none"
    with pytest.raises(BadInput, match=advice):
        fitted.score_samples(x)
    for wrapper in (VAEOutlierDetector(point), VAEImputer(point)):
        with pytest.raises(BadInput, match=f"^{type(wrapper).__name__} {advice}"):
            wrapper.fit(x)


def test_parameters_that_are_arrays_are_saved(tmp_path: Any) -> None:
    quick(hidden=np.array([8, 4])).fit(wine()).save_pretrained(tmp_path / "saved")
    assert VariationalAutoencoder.from_pretrained(tmp_path / "saved").hidden == (8, 4)


def test_scores_of_training_say_what_they_are(tmp_path: Any) -> None:
    def scores(estimator: Any, name: str) -> set[tuple[str, int | None, str | None]]:
        estimator.fit(wine()).save_pretrained(tmp_path / name)
        scores = aevb.load_run(tmp_path / name).scores
        return {(score.estimator, score.n_importance_samples, score.note) for score in scores}

    assert scores(quick(), "best") == {("as in training; the weights were chosen by it", 1, None)}
    assert scores(quick(keep="last"), "last") == {("as in training", 1, None)}
    assert scores(quick(beta=2.0), "beta") == {("as in training", 1, None)}
    iwae = VAEImputer(quick(objective="iwae", n_samples=5), n_imputations=5, n_importance_samples=10)
    text, note = "iwae, as in training; the weights were chosen by it", "before the noise was calibrated"
    assert scores(iwae, "iwae") == {(text, 5, note)}


def test_epochs_after_fit_are_counted_on(tmp_path: Any) -> None:
    """The scores are not those of an epoch of `fit`: no rows are held out any longer."""
    model = quick().fit(wine()).partial_fit(wine()).partial_fit(wine())
    model.save_pretrained(tmp_path / "saved")
    run = aevb.load_run(tmp_path / "saved").record
    assert [epoch.number for epoch in run.epochs] == [1, 2, 3, 4, 5, 6, 7]
    assert (run.weights_epoch, run.outcome and run.outcome.kept) == (7, 7)
    assert run.scores == []
