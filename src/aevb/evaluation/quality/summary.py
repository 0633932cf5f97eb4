"""The quality of synthetic rows as tables of text, for the terminal and the page of a run."""

from math import isfinite
from typing import NamedTuple

from aevb.evaluation.quality.record import Measure, PairQuality, Quality, mean
from aevb.evaluation.quality.tables import compared_rows

WORST = 5
"""The number of pairs of columns that are shown."""


class SummaryTable(NamedTuple):
    """A table of text.

    Attributes:
        title: its title.
        header: titles of its columns.
        rows: its cells; a number is followed by its reference in parentheses.
        note: what the numbers mean.
    """

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str


def introduction(quality: Quality) -> str:
    """Return what is compared, in words."""
    rows = f"rows of {quality.source}" if quality.source else "rows sampled from the model"
    return (
        f"{quality.n_synthetic} {rows}, compared with {quality.n_test} test rows. In parentheses: the same measure of"
        " real rows in place of the synthetic ones, the value of a perfect model up to chance."
    )


def summaries(quality: Quality) -> list[SummaryTable]:
    """Return all tables that are not empty."""
    tables = (_columns(quality), _pairs(quality), _efficacy(quality), _detection(quality), _memorization(quality))
    return [table for table in tables if table.rows]


def _columns(quality: Quality) -> SummaryTable:
    rows = [
        (one.column, one.similarity.name, _cell(one.similarity), _cell(one.adherence), _cell(one.coverage))
        for one in quality.columns
    ]
    others = (mean("", [getattr(one, name) for one in quality.columns]) for name in ("adherence", "coverage"))
    average = ("mean", quality.column_shapes.name, _cell(quality.column_shapes), *map(_cell, others))
    return SummaryTable(
        "Columns",
        ("column", "measure", "similarity", "adherence", "coverage"),
        [*rows, average],
        "Similarity: 1 for equal distributions. Adherence: share of the values within the range or the categories of"
        " training rows. Coverage: share of the range or the categories of test rows that occurs.",
    )


def _pairs(quality: Quality) -> SummaryTable:
    worst = sorted(quality.pairs, key=_loss, reverse=True)[:WORST]
    rows = [(" and ".join(pair.columns), pair.similarity.name, _cell(pair.similarity)) for pair in worst]
    average = (f"mean of {len(quality.pairs)} pairs", quality.pair_trends.name, _cell(quality.pair_trends))
    return SummaryTable(
        "Pairs of columns",
        ("pair", "measure", "similarity"),
        [*rows, average] if rows else [],
        "Similarity: 1 for equal associations. The pairs shown are the furthest below real rows.",
    )


def _loss(pair: PairQuality) -> float:
    loss = pair.similarity.real - pair.similarity.synthetic
    return loss if isfinite(loss) else -1.0


def _efficacy(quality: Quality) -> SummaryTable:
    return SummaryTable(
        "Training on synthetic rows",
        ("predicted column", "measure", "score"),
        [(one.target, one.score.name, _cell(one.score)) for one in quality.efficacy],
        "Boosted trees, trained on synthetic rows (training rows), predict a column of test rows from the others."
        " Without any information, R² is 0 and ROC AUC 0.5.",
    )


def _detection(quality: Quality) -> SummaryTable:
    return SummaryTable(
        "Detection of synthetic rows",
        ("classifier", "ROC AUC", "score"),
        [(one.classifier, _cell(one.auc), _cell(one.score)) for one in quality.detection],
        "Cross-validated classifiers of synthetic rows (training rows) and test rows. ROC AUC is 0.5, and the score"
        " 1 - max(2 AUC - 1, 0) is 1, if they are indistinguishable.",
    )


def _memorization(quality: Quality) -> SummaryTable:
    found, (rows, records) = quality.memorization, compared_rows(len(quality.columns))
    return SummaryTable(
        "Memorization of training rows",
        ("measure", "value"),
        [
            ("median distance to the closest training row", _cell(found.distance, 4)),
            ("share closer to training rows than to test rows", _cell(found.closer)),
            (found.protection.name, _cell(found.protection)),
            (f"{found.new.name}: share that matches no training row", _cell(found.new)),
        ],
        f"Distances of at most {rows:,} rows to at most {records:,}. Of copies of these training rows, the distance is"
        f" 0 and the share about {_copied_share(quality):.2f}. In parentheses: test rows, and validation rows for the"
        " share.",
    )


def _copied_share(quality: Quality) -> float:
    """Return the expected share for copies, some of which are copies of the training rows that are compared."""
    _, records = compared_rows(len(quality.columns))
    return 0.5 + 0.5 * min(quality.n_test, quality.n_train, records) / quality.n_train


def _cell(measure: Measure, digits: int = 2) -> str:
    return f"{_number(measure.synthetic, digits)} ({_number(measure.real, digits)})"


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if isfinite(value) else "–"
