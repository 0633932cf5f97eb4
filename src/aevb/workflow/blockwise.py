"""Files larger than memory: blocks of rows are encoded, scored or imputed one after another.

The results of each block are a file of their own, and these parts are joined at the end. Under torchrun every process
takes consecutive blocks of its own; the result is the same for any number of processes.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from typing_extensions import Unpack

from aevb.columns import Value
from aevb.data import Examples
from aevb.data.loading import blocks_of
from aevb.data.sources.blocks import BLOCK, Block, TableBlock
from aevb.data.tables.encode import Table, decode_rows
from aevb.data.tables.fill import Cells, fill_arrow, without_types
from aevb.data.tables.formats import format_of, suffix_of
from aevb.data.tables.parts import STREAMED, join_parts
from aevb.evaluation.imputation import imputation_table, imputed_cells
from aevb.files import os_errors_as_bad_input, require_local, write_atomically
from aevb.training.environment import is_first, rank, run_on_all, run_on_first, world_size
from aevb.workflow.run import AnomalySummary, ImputeOptions, Run, ScoreOptions

Tables = Sequence[pa.Table]
Result = TypeVar("Result")
ROWS = 4096
"""Rows that are imputed at once."""
OnBlock = Callable[[], object]


def large_blocks(data: str, *outs: Path) -> list[Block]:
    """Return the blocks of a file or folder with more rows than one has; none if the results need another format.

    Args:
        data: path or address of the data.
        outs: files of the results.

    Raises:
        BadInput: the data are damaged.
    """
    if not all(suffix_of(out) in STREAMED for out in outs):
        return []
    blocks = blocks_of(data)
    return blocks if blocks and blocks[-1].stop > BLOCK else []


def latent_columns(means: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return latent means ``(N, Z)`` as the columns z1, z2, ..."""
    return {f"z{number}": column for number, column in enumerate(means.T, 1)}


def encode_blocks(run: Run, blocks: Sequence[Block], out: Path, on_block: OnBlock) -> tuple[int, int]:
    """Write the latent means of the rows of a file, and return their shape.

    Args:
        run: the run.
        blocks: of the file.
        out: array (.npy), or table with columns z1, z2, ...
        on_block: called after each block of this process.
    """

    def encode(block: Block) -> tuple[Tables, int]:
        means = run.encode(block).double().numpy()
        return [pa.table(latent_columns(means))], means.shape[1]

    return blocks[-1].stop, _blockwise(blocks, [out], encode, on_block)[0]


def score_blocks(
    run: Run,
    blocks: Sequence[Block],
    out: Path,
    on_block: OnBlock,
    **options: Unpack[ScoreOptions],
) -> AnomalySummary:
    """Write the scores of the rows of a file, and return how many are anomalies.

    Args:
        run, blocks, on_block: as in `encode_blocks`.
        out: table, see `Anomalies.table`.
        options: of `Run.score`.
    """
    run_on_first(lambda: run.reference_scores(options["n_importance_samples"], options["seed"]))

    def score(block: Block) -> tuple[Tables, AnomalySummary]:
        scored = run.score(block, **options)
        return [pa.table(scored.table(block.start))], scored.summary

    summaries = _blockwise(blocks, [out], score, on_block)
    anomalies = [summary.anomalies for summary in summaries if summary.anomalies is not None]
    outside = sum(summary.outside for summary in summaries)
    total = sum(anomalies) if anomalies else None
    return summaries[0]._replace(examples=blocks[-1].stop, anomalies=total, outside=outside)


def impute_blocks(
    run: Run,
    blocks: Sequence[Block],
    out: Path,
    draws: Path,
    on_block: OnBlock,
    **options: Unpack[ImputeOptions],
) -> int:
    """Write the rows of a file with their missing values imputed, and return how many were missing.

    Args:
        run, blocks, on_block: as in `encode_blocks`.
        out: table with typical imputations in place of missing values.
        draws: table with a line for each missing value, see `aevb.evaluation.imputation.imputation_table`.
        options: of `Run.impute`, which has other samples for the same seed.
    """

    def impute(block: Block) -> tuple[Tables, int]:
        examples = run.table_examples(block)
        cells, lines = _imputed(run, examples, block.start, options)
        return [_filled(run, block, examples, cells, out), pa.table(lines)], len(lines["row"])

    return sum(_blockwise(blocks, [out, draws], impute, on_block))


def _imputed(run: Run, examples: Examples, start: int, options: ImputeOptions) -> tuple[Cells, Table]:
    """Return the imputed cells of a block, and the table of all imputations.

    Args:
        run: the run.
        examples: the rows of the block.
        start: number of its first row in the file.
        options: of `Run.impute`.
    """
    columns, cells = run.record.data.columns, dict[str, dict[int, Value]]()
    none = examples.values[:0]
    lines = imputation_table(columns, none, none.expand(options["n_imputations"], *none.shape))
    incomplete = examples.values.isnan().any(1).nonzero().squeeze(1)
    for rows in incomplete.split(ROWS) if len(incomplete) else ():
        values, own = examples.values[rows], options.copy()
        own["seed"] = int(np.random.SeedSequence([options["seed"], start + int(rows[0])]).generate_state(1)[0])
        imputations = run.impute(examples[rows], **own).imputations
        for name, imputed in imputed_cells(columns, values, imputations).items():
            cells.setdefault(name, {}).update({int(rows[row]): value for row, value in imputed.items()})
        table = imputation_table(columns, values, imputations)
        table["row"] = [start + int(rows[int(str(row))]) for row in table["row"]]
        for name, some in table.items():
            lines[name].extend(some)
    return cells, lines


def _filled(run: Run, block: Block, examples: Examples, cells: Cells, out: Path) -> pa.Table:
    """Return the rows of a block with imputed cells, for a file."""
    card = run.record.data
    columns = (*card.columns, *card.condition_columns)
    if isinstance(block, TableBlock):
        table = fill_arrow(block.table(), cells, columns)
        return without_types(table, columns) if format_of(out) == "text" else table
    condition = None if examples.condition is None else examples.condition.numpy()
    rows = decode_rows(card.columns, examples.values.numpy(), card.condition_columns, condition)
    for name, imputed in cells.items():
        for row, value in imputed.items():
            rows[name][row] = value
    return pa.table(rows)


def _blockwise(
    blocks: Sequence[Block],
    outs: Sequence[Path],
    compute: Callable[[Block], tuple[Tables, Result]],
    on_block: OnBlock,
) -> list[Result]:
    """Write the tables that are computed of all blocks, and return the other results in order.

    Args:
        blocks: in the order of the file.
        outs: one file for each table.
        compute: returns the tables and the other result of a block.
        on_block: called after each block of this process.

    Raises:
        BadInput: a block cannot be read, or a file cannot be written.
    """
    for out in outs:
        require_local(out)
    with _folder(outs[0]) as folder:

        def write_parts() -> list[Result]:
            results = []
            for number in range(rank() * len(blocks) // world_size(), (rank() + 1) * len(blocks) // world_size()):
                tables, result = compute(blocks[number])
                for position, table in enumerate(tables):
                    with os_errors_as_bad_input(folder):
                        pq.write_table(table, folder / f"{position}-{number}.parquet")
                results.append(result)
                on_block()
            return results

        def join() -> None:
            for position, out in enumerate(outs):
                parts = [folder / f"{position}-{number}.parquet" for number in range(len(blocks))]
                write_atomically(out, partial(join_parts, parts))

        results = run_on_all(write_parts)
        run_on_first(join)
    return list(chain(*results))


@contextmanager
def _folder(out: Path) -> Iterator[Path]:
    """Create a folder for the parts beside the file that they become, and remove it at the end."""
    folder = out.with_name(f".{out.name}.parts")

    def create() -> None:
        with os_errors_as_bad_input(folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)

    run_on_first(create)
    try:
        yield folder
    finally:
        if is_first():
            shutil.rmtree(folder, ignore_errors=True)
