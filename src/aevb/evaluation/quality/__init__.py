"""The quality of synthetic rows of a table: how close they are to real rows, and how useful, and whether they are new.

Names and definitions are those of SDMetrics (DataCebo, docs.sdv.dev/sdmetrics), unless stated otherwise:

    columns      KSComplement, TVComplement, BoundaryAdherence, CategoryAdherence, RangeCoverage, CategoryCoverage
    pairs        CorrelationSimilarity, ContingencySimilarity
    efficacy     models trained on synthetic rows and tested on real ones (MLEfficacy)
    detection    classifiers of real and synthetic rows (LogisticDetection)
    distances    distance to the closest record (DCROverfittingProtection), NewRowSynthesis

Each measure of synthetic rows has a reference: the same measure of real rows in place of the synthetic ones. The
difference of the two is what the model is responsible for; the rest is the noise of finite samples.

Legend: rows are arrays of N examples and D columns, in float64; the columns with `values` hold codes 0, ..., K - 1 of
these values, and K for all other values; a missing value is NaN, and a measure of columns or pairs ignores it.
"""

from aevb.evaluation.quality.comparison import compare
from aevb.evaluation.quality.record import (
    ColumnQuality,
    Detection,
    Efficacy,
    Measure,
    Memorization,
    PairQuality,
    Quality,
)
from aevb.evaluation.quality.tables import Tables

__all__ = [
    "ColumnQuality",
    "Detection",
    "Efficacy",
    "Measure",
    "Memorization",
    "PairQuality",
    "Quality",
    "Tables",
    "compare",
]
