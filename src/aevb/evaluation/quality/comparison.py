"""The comparison of synthetic with real rows."""

from collections.abc import Collection

import numpy as np

from aevb.evaluation.quality.columns import column_qualities
from aevb.evaluation.quality.distances import memorization
from aevb.evaluation.quality.pairs import pair_qualities
from aevb.evaluation.quality.record import Quality
from aevb.evaluation.quality.tables import Tables

ROWS, RECORDS = 2000, 100_000
"""The largest numbers of rows of each table: for classifiers and distances, and as records to which distances refer."""
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
    some = tables.limited(ROWS, seed).with_missing_values(seed)
    return Quality(
        source=source,
        n_synthetic=len(tables.synthetic),
        n_train=len(tables.train),
        n_valid=len(tables.valid),
        n_test=len(tables.test),
        columns=column_qualities(tables),
        pairs=pair_qualities(tables.of(few)),
        efficacy=efficacy(some.of(few), seed),
        detection=detection(some, seed),
        memorization=memorization(some.of(modelled), tables.limited(RECORDS, seed).of(modelled), seed),
    )
