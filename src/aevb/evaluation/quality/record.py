"""What the comparison of synthetic and real rows returns. A number is NaN where a measure is not defined."""

from dataclasses import asdict, dataclass
from math import isfinite, nan
from typing import Annotated

import numpy as np
from pydantic import BeforeValidator

Number = Annotated[float, BeforeValidator(lambda value: nan if value is None else value)]
"""A number, NaN where a file has none."""


@dataclass(frozen=True)
class Measure:
    """A measure of synthetic rows and its reference.

    Attributes:
        name: its name in SDMetrics, or its usual name.
        synthetic: its value for synthetic rows.
        real: its value for real rows in place of the synthetic ones.
    """

    name: str
    synthetic: Number
    real: Number


@dataclass(frozen=True)
class ColumnQuality:
    """One column.

    Attributes:
        column: its name.
        similarity: KSComplement or TVComplement; 1 for equal distributions.
        adherence: BoundaryAdherence or CategoryAdherence, the share of values that the training rows could have.
        coverage: RangeCoverage or CategoryCoverage, the share of the real range or of the real categories that occurs.
    """

    column: str
    similarity: Measure
    adherence: Measure
    coverage: Measure


@dataclass(frozen=True)
class PairQuality:
    """Two columns.

    Attributes:
        columns: their names.
        similarity: CorrelationSimilarity or ContingencySimilarity; 1 for equal associations.
    """

    columns: tuple[str, str]
    similarity: Measure


@dataclass(frozen=True)
class Efficacy:
    """A model that predicts one column from the others, tested on real rows.

    Attributes:
        target: the name of the column.
        score: R² of numbers, or ROC AUC of categories, after training on synthetic and on real rows.
    """

    target: str
    score: Measure


@dataclass(frozen=True)
class Detection:
    """A classifier of real and synthetic rows.

    Attributes:
        classifier: its name.
        auc: ROC AUC; 0.5 if the rows are indistinguishable.
        score: 1 - max(2 AUC - 1, 0), LogisticDetection for logistic regression; 1 if the rows are indistinguishable.
    """

    classifier: str
    auc: Measure
    score: Measure


@dataclass(frozen=True)
class Memorization:
    """How close synthetic rows are to the training rows.

    Attributes:
        distance: median distance to the closest training row; the reference is that of test rows.
        closer: share of rows that are closer to the training rows than to equally many test rows; 0.5 is ideal, and the
            reference is that of validation rows.
        protection: DCROverfittingProtection, min(2 (1 - share), 1).
        new: NewRowSynthesis, the share of rows that match no training row; the reference is that of test rows.
    """

    distance: Measure
    closer: Measure
    protection: Measure
    new: Measure


@dataclass(frozen=True)
class Quality:
    """The quality of synthetic rows.

    Attributes:
        source: the file of the synthetic rows; empty for samples of the model.
        n_synthetic, n_train, n_valid, n_test: numbers of rows.
        columns: each column.
        pairs: each pair of columns.
        efficacy: columns that were predicted from the others.
        detection: classifiers of real and synthetic rows.
        memorization: distances to the training rows.
    """

    source: str
    n_synthetic: int
    n_train: int
    n_valid: int
    n_test: int
    columns: tuple[ColumnQuality, ...]
    pairs: tuple[PairQuality, ...]
    efficacy: tuple[Efficacy, ...]
    detection: tuple[Detection, ...]
    memorization: Memorization

    def __repr__(self) -> str:
        measures = (self.column_shapes, self.pair_trends)
        texts = (f"{one.name} {one.synthetic:.3f} (real rows {one.real:.3f})" for one in measures)
        return f"Quality({self.n_synthetic} synthetic rows: {', '.join(texts)})"

    @property
    def column_shapes(self) -> Measure:
        """The mean similarity of the columns."""
        return mean("Column Shapes", [column.similarity for column in self.columns])

    @property
    def pair_trends(self) -> Measure:
        """The mean similarity of the pairs of columns."""
        return mean("Column Pair Trends", [pair.similarity for pair in self.pairs])

    def as_json(self) -> dict[str, object]:
        """Return the record for a JSON file, with None for numbers that are not defined."""
        averages = {"column_shapes": asdict(self.column_shapes), "pair_trends": asdict(self.pair_trends)}
        return {name: _finite(value) for name, value in (asdict(self) | averages).items()}


def mean(name: str, measures: list[Measure]) -> Measure:
    """Return the means of the values that are defined."""
    return Measure(name, _mean([one.synthetic for one in measures]), _mean([one.real for one in measures]))


def _mean(values: list[float]) -> float:
    defined = [value for value in values if isfinite(value)]
    return float(np.mean(defined)) if defined else nan


def _finite(content: object) -> object:
    if isinstance(content, dict):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not isfinite(content) else content
