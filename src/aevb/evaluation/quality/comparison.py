"""The comparison of synthetic with real rows."""

from collections.abc import Collection

import numpy as np

from aevb.evaluation.quality.columns import column_qualities
from aevb.evaluation.quality.distances import memorization
from aevb.evaluation.quality.pairs import pair_qualities
from aevb.evaluation.quality.record import Quality
from aevb.evaluation.quality.tables import Tables, compared_rows

ROWS = 2000
"""The largest number of rows of each table for classifiers."""
PAIRED, FEWEST_PAIRED = 2 * 10**7, 10_000
"""The largest number of rows of each table for all pairs of columns together, but at least as many rows for each."""
COLUMNS = 100
"""The largest number of columns, evenly spaced, of which pairs are compared and that predict each other."""


def compare(tables: Tables, source: str = "", *, condition: Collection[str] = (), seed: int = 0) -> Quality:
    """Return the quality of synthetic rows.

    Args:
        tables: synthetic and real rows.
        source: the file of the synthetic rows; empty for samples of a model.
        condition: columns whose synthetic values are those of training rows: distances ignore them.
        seed: of the rows and classifiers.
    """
    from aevb.evaluation.quality.classifiers import detection, efficacy  # imports scikit-learn, which takes a while

    modelled = [j for j, column in enumerate(tables.columns) if column.name not in condition]
    count = len(tables.columns)
    few = np.linspace(0, count - 1, min(count, COLUMNS)).astype(int).tolist()
    pairs = max(1, len(few) * (len(few) - 1) // 2)
    paired = tables.of(few).limited(max(FEWEST_PAIRED, PAIRED // pairs), seed)
    some = tables.limited(ROWS, seed).with_missing_values(seed)
    rows, records = compared_rows(count)
    return Quality(
        source=source,
        n_synthetic=len(tables.synthetic),
        n_train=len(tables.train),
        n_valid=len(tables.valid),
        n_test=len(tables.test),
        columns=column_qualities(tables),
        pairs=pair_qualities(paired),
        efficacy=efficacy(some.of(few), seed),
        detection=detection(some, seed),
        memorization=memorization(
            some.limited(rows, seed).of(modelled), tables.limited(records, seed).of(modelled), seed
        ),
    )
