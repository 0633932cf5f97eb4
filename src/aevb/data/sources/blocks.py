"""Consecutive rows of a file as a source, so that a file larger than memory is read block by block.

Blocks have up to BLOCK rows and end with the row groups of Parquet and the record batches of Arrow, so that each of
these is read once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pyarrow as pa

from aevb.data.dataset import UnsplitData
from aevb.data.sources.arrays import Array, as_rows, from_arrays
from aevb.data.sources.filesystem import LocalLocation, RemoteLocation
from aevb.data.sources.npy import NpyReader, NpySource, read_header
from aevb.data.sources.parquet import ParquetSource, RowGroups
from aevb.data.sources.registry import Option, ReadOptions, register_source
from aevb.data.tables.arrow import arrow_columns
from aevb.data.tables.infer import unsplit_table
from aevb.data.tables.raw import RawColumn, array_columns

BLOCK = 2**16
"""Largest number of rows of a block."""


@dataclass(frozen=True, eq=False)
class ArrayBlock:
    """Consecutive rows of a .npy file.

    Attributes:
        reader: reads the file.
        start, stop: the first row, and the row after the last one.
    """

    reader: NpyReader
    start: int
    stop: int

    def __str__(self) -> str:
        return f"{self.reader.name} from row {self.start}"

    def array(self) -> Array:
        """Return the rows as the file has them."""
        return self.reader.array(np.arange(self.start, self.stop))


@dataclass(frozen=True, eq=False)
class TableBlock:
    """Consecutive rows of a Parquet or Arrow file, or of a folder of such files.

    Attributes:
        row_groups: reads the files.
        number: number of the row group.
        start, stop: the first row, and the row after the last one, counted over all files.
    """

    row_groups: RowGroups
    number: int
    start: int
    stop: int

    def __str__(self) -> str:
        return f"{self.row_groups.name} from row {self.start}"

    def table(self) -> pa.Table:
        """Return the rows with all columns."""
        first = int(self.row_groups.bounds[self.number])
        return _row_group(self.row_groups, self.number).slice(self.start - first, self.stop - self.start)

    def columns(self) -> list[RawColumn]:
        """Return the rows as raw columns."""
        return arrow_columns(self.table())


Block = ArrayBlock | TableBlock


@register_source
class BlockSource:
    """Blocks of files."""

    description = "a block of a file"
    options: frozenset[Option] = frozenset()
    priority = 0
    in_memory = True

    def accepts(self, data: object) -> bool:
        return isinstance(data, Block)

    def read(self, data: object, options: ReadOptions) -> UnsplitData:
        assert isinstance(data, Block)
        if isinstance(data, TableBlock):
            return unsplit_table(str(data), data.columns(), options.column_types)
        return from_arrays(str(data), {"x": data.array()})

    def columns(self, data: object, options: ReadOptions) -> list[RawColumn] | None:
        assert isinstance(data, Block)
        return data.columns() if isinstance(data, TableBlock) else array_columns(as_rows(data.array(), str(data)))


def blocks_at(location: LocalLocation | RemoteLocation) -> list[Block]:
    """Return the blocks of a .npy, Parquet or Arrow file, or of a folder of Parquet and Arrow files, in order.

    Args:
        location: the file or folder; no blocks for any other, nor for arrays in Fortran order.

    Raises:
        BadInput: a file is damaged.
    """
    if location.suffix == ".npy" and NpySource().accepts(location):
        if read_header(location).fortran:
            return []
        reader = NpyReader(location)
        return [ArrayBlock(reader, start, stop) for start, stop in _spans(0, reader.header.shape[0])]
    if not ParquetSource().accepts(location):
        return []
    row_groups = RowGroups(location)
    return [
        TableBlock(row_groups, number, start, stop)
        for number, (first, last) in enumerate(pairwise(row_groups.bounds.tolist()))
        for start, stop in _spans(first, last)
    ]


def _spans(first: int, last: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + BLOCK, last)) for start in range(first, last, BLOCK))


@lru_cache(maxsize=1)
def _row_group(row_groups: RowGroups, number: int) -> pa.Table:
    """Return a row group, which is read once for all of its blocks."""
    return row_groups.groups[number].table()
