"""The quality of the rows that a model of a table samples, or of any file with the same columns."""

from functools import partial
from os import PathLike, fspath
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aevb.columns import modelled
from aevb.data import IN_MEMORY, Dataset, Examples, read_any_rows
from aevb.data.tables.encode import rounded
from aevb.evaluation.quality import Quality, Tables, compare
from aevb.files import write_atomically
from aevb.rng import RNGStream, seeded
from aevb.runs.quality import save_quality
from aevb.runs.run_folder import RunFolder

FEWEST_SAMPLES, SAMPLES, NUMBERS = 10_000, 100_000, 10**7
"""The largest number of rows that are sampled; fewer, but not fewer than the first, if all have more than `NUMBERS`."""


def table_quality(
    run: RunFolder, dataset: Dataset, synthetic: object = None, *, seed: int = 0, data_dir: str | None = None
) -> Quality:
    """Return the quality of synthetic rows, compared with the test rows of a run.

    Args:
        run: a run of a table.
        dataset: its data.
        synthetic: rows with the columns of the training data; None samples as many rows as there are training rows. The
            samples of a conditional model have the conditions of the training rows.
        seed: of the samples, and of the rows and classifiers that compare them.
        data_dir: as in `load_data`.

    Raises:
        BadInput: the data of the run are not a table, or the rows cannot be read.
    """
    columns = (*modelled(run.data.columns), *modelled(run.data.condition_columns))
    condition = [] if synthetic is not None else [column.name for column in run.data.condition_columns]
    if synthetic is None:
        rows = _rows(sampled_examples(run, dataset, seed))
    else:
        rows = np.asarray(read_any_rows(synthetic, run.data_spec(data_dir)).double())
    tables = Tables(columns, rows, *map(_rows, (dataset.train, dataset.valid, dataset.test)))
    in_order = tables.of(sorted(range(len(columns)), key=lambda j: columns[j].position))
    return compare(in_order, _source(synthetic), condition=condition, seed=seed)


def write_quality(quality: Quality, path: Path) -> None:
    """Write the quality as JSON, and its figure beside it, with the suffix .png.

    Raises:
        BadInput: a file cannot be written.
    """
    from aevb import plots  # which takes a while to import, as matplotlib does

    save_quality(path, quality)
    write_atomically(path.with_suffix(".png"), partial(plots.save, plots.quality(quality)))


def sampled_examples(run: RunFolder, dataset: Dataset, seed: int) -> Examples:
    """Return as many samples as there are training rows, with numbers as a table has them."""
    train = dataset.train.subsample(min(SAMPLES, max(FEWEST_SAMPLES, NUMBERS // dataset.shape[0])))
    with seeded(seed, RNGStream.SAMPLES, device=run.model.device):
        x = run.model.sample(len(train), train.condition, draw=True).cpu()
    for j, column in enumerate(modelled(run.data.columns)):
        if not column.values:
            x[:, j] = x.new_tensor([rounded(column, number) for number in x[:, j].tolist()])
    return Examples(x, condition=train.condition)


def _rows(examples: Examples) -> NDArray[np.float64]:
    """Return rows with the condition of each, ``(N, D + G)``."""
    groups = (examples.values, examples.condition)
    return np.column_stack([group.cpu().double().numpy() for group in groups if group is not None])


def _source(synthetic: object) -> str:
    if synthetic is None:
        return ""
    return Path(fspath(synthetic)).name if isinstance(synthetic, str | PathLike) else IN_MEMORY
