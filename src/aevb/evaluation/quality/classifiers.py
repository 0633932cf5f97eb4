"""What models learn from synthetic rows, and whether they distinguish them from real ones.

    efficacy     a model that was trained on synthetic rows, or on training rows, predicts a column of test rows from
                 the others; R² of numbers, and ROC AUC of categories, the mean over each class against all others
    detection    ROC AUC of a classifier of test rows and equally many synthetic rows, mean of 3 folds, and
                 1 - mean max(2 AUC - 1, 0); the reference is that of training rows in place of synthetic ones

The models are boosted trees, which accept missing values and need no scaling. Detection also uses logistic regression,
of categories as indicators and numbers in robust standard units (LogisticDetection).
"""

import warnings
from collections.abc import Callable, Sequence
from math import nan

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, RobustScaler

from aevb.columns import Column
from aevb.evaluation.quality.pairs import predictability
from aevb.evaluation.quality.record import Detection, Efficacy, Measure
from aevb.evaluation.quality.tables import Array, Tables, chosen

TARGETS = 8
"""The largest number of columns that are predicted: those that another column explains best."""
FOLDS = 3
_TREES, _LEAVES = 100, 8
_MOST_CODES = 254
"""The largest number of categories that trees treat as such; beyond it they are ordered by their codes."""
MakeClassifier = Callable[[Sequence[Column], int], "ClassifierMixin | Pipeline"]


def efficacy(tables: Tables, seed: int = 0) -> tuple[Efficacy, ...]:
    """Return how well models trained on synthetic rows predict columns of test rows; none for a single column."""
    return tuple(
        Efficacy(
            tables.columns[target].name,
            Measure(
                "ROC AUC" if tables.columns[target].values else "R²",
                *(prediction_score(rows, tables.test, tables.columns, target, seed) for rows in tables[1:3]),
            ),
        )
        for target in _targets(tables)
    )


def _targets(tables: Tables) -> list[int]:
    count = len(tables.columns)
    if count <= TARGETS:
        return list(range(count)) if count > 1 else []
    return sorted(np.argsort(-predictability(tables), kind="stable")[:TARGETS].tolist())


def prediction_score(train: Array, test: Array, columns: Sequence[Column], target: int, seed: int = 0) -> float:
    """Return R² or ROC AUC of trees that predict a column from the others; NaN if the target does not vary.

    Args:
        train: rows to train on, ``(N, D)``.
        test: rows to test on, ``(M, D)``.
        columns: D columns.
        target: the index of the column to predict.
        seed: of the trees.
    """
    train, test = (rows[~np.isnan(rows[:, target])] for rows in (train, test))
    if len(train) < 2 or len(test) < 2 or len(np.unique(test[:, target])) < 2:
        return nan
    x, x_test = _observed(*(np.delete(rows, target, 1) for rows in (train, test)))
    y, y_test = train[:, target], test[:, target]
    others = [column for j, column in enumerate(columns) if j != target]
    if columns[target].values:
        return macro_auc(y_test, _class_probabilities(x, y, x_test, others, len(columns[target].values) + 1, seed))
    return _r_squared(x, y, x_test, y_test, others, seed)


def _r_squared(x: Array, y: Array, x_test: Array, y_test: Array, columns: Sequence[Column], seed: int) -> float:
    """Return R² of trees, in standard units of the target: they compute in float32."""
    center, width = y.mean(), y.std() or 1.0
    trees = HistGradientBoostingRegressor(
        max_leaf_nodes=_LEAVES, categorical_features=_categorical(columns), early_stopping=False, random_state=seed
    )
    predicted = trees.fit(x, (y - center) / width).predict(x_test)
    return float(r2_score((y_test - center) / width, predicted))


def _observed(train: Array, test: Array) -> tuple[Array, Array]:
    """Return features with 0 in columns without any value in training rows, which trees do not accept."""
    empty = np.isnan(train).all(0)
    return np.where(empty, 0.0, train), np.where(empty, 0.0, test)


def _class_probabilities(
    x: Array, y: Array, x_test: Array, columns: Sequence[Column], classes: int, seed: int
) -> Array:
    """Return the predicted probabilities of all classes, ``(M, classes)``."""
    probabilities, known = np.zeros((len(x_test), classes)), np.unique(y).astype(int)
    if len(known) == 1:
        probabilities[:, known] = 1.0
    else:
        probabilities[:, known] = _trees(columns, seed, classes).fit(x, y).predict_proba(x_test)
    return probabilities


def macro_auc(codes: Array, probabilities: Array) -> float:
    """Return the mean ROC AUC of each class against all others, of the classes that occur.

    Args:
        codes: the classes, ``(N,)``, at least two different ones.
        probabilities: of the classes 0, 1, ..., ``(N, C)``.
    """
    return float(np.mean([roc_auc_score(codes == c, probabilities[:, int(c)]) for c in np.unique(codes)]))


def detection(tables: Tables, seed: int = 0) -> tuple[Detection, ...]:
    """Return how well classifiers distinguish synthetic rows, and training rows, from test rows."""
    found = []
    for name, (make, score) in _CLASSIFIERS.items():
        folds = [fold_aucs(tables.test, rows, tables.columns, make, seed) for rows in tables[1:3]]
        auc, scores = (tuple(map(float, map(np.mean, values))) for values in (folds, map(detection_scores, folds)))
        found.append(Detection(name, Measure("ROC AUC", *auc), Measure(score, *scores)))
    return tuple(found)


def detection_scores(aucs: Array) -> Array:
    """Return 1 - max(2 AUC - 1, 0)."""
    return 1 - np.maximum(2 * aucs - 1, 0)


def fold_aucs(real: Array, other: Array, columns: Sequence[Column], make: MakeClassifier, seed: int = 0) -> Array:
    """Return the ROC AUC of a classifier of two tables in each fold, ``(FOLDS,)``; NaN for fewer rows than folds."""
    size = min(len(real), len(other))
    if size < FOLDS:
        return np.full(FOLDS, nan)
    x = np.concatenate([chosen(real, size, seed), chosen(other, size, seed)])
    y = np.arange(2 * size) >= size
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(x, y)
    return np.array([_auc(make(columns, seed), x[a], y[a], x[b], y[b]) for a, b in folds])


def _auc(model: "ClassifierMixin | Pipeline", x: Array, y: Array, x_test: Array, y_test: Array) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        x, x_test = _observed(x, x_test)
        return float(roc_auc_score(y_test, model.fit(x, y).predict_proba(x_test)[:, 1]))


def _logistic(columns: Sequence[Column], seed: int) -> Pipeline:
    numbers = [j for j, column in enumerate(columns) if not column.values]
    categories = [j for j, column in enumerate(columns) if column.values]
    features = make_column_transformer(
        (make_pipeline(SimpleImputer(keep_empty_features=True), RobustScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore"), categories),
    )
    return make_pipeline(features, LogisticRegression(max_iter=1000, random_state=seed))


def _trees(columns: Sequence[Column], seed: int, classes: int = 2) -> HistGradientBoostingClassifier:
    """Return trees; fewer for each of many classes."""
    return HistGradientBoostingClassifier(
        max_iter=max(10, min(_TREES, 10 * _TREES // classes)),
        max_leaf_nodes=_LEAVES,
        categorical_features=_categorical(columns),
        early_stopping=False,
        random_state=seed,
    )


def _categorical(columns: Sequence[Column]) -> list[bool]:
    return [0 < len(column.values) <= _MOST_CODES for column in columns]


_CLASSIFIERS: dict[str, tuple[MakeClassifier, str]] = {
    "logistic regression": (_logistic, "LogisticDetection"),
    "gradient boosting": (_trees, "1 - max(2 AUC - 1, 0)"),
}
