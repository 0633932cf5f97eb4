"""Parts of a table, written as Parquet files, joined to one file without reading more than one part at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib import format as npy

from aevb.data.tables.formats import suffix_of
from aevb.data.tables.write import write_rows

STREAMED = (".parquet", ".arrow", ".feather", ".csv", ".tsv", ".npy")
"""Suffixes of files that are written part by part."""


def join_parts(parts: Sequence[Path], out: Path) -> None:
    """Write the rows of all parts, in order, as one file.

    Args:
        parts: Parquet files. A column that some of them lack is missing there.
        out: a file with one of the suffixes `STREAMED`; for .npy, the columns become those of an array of float32.
    """
    schema = pa.unify_schemas([pq.read_schema(part) for part in parts], promote_options="permissive")
    tables = (_conformed(pq.read_table(part), schema) for part in parts)
    suffix = suffix_of(out)
    if suffix == ".parquet":
        with pq.ParquetWriter(out, schema) as writer:
            for table in tables:
                writer.write_table(table)
    elif suffix in (".arrow", ".feather"):
        with pa.ipc.new_file(str(out), schema) as stream:
            for table in tables:
                stream.write_table(table)
    elif suffix == ".npy":
        _join_array(tables, sum(pq.read_metadata(part).num_rows for part in parts), len(schema), out)
    else:
        _join_text(tables, out)


def _conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with the columns and types of a schema."""
    names = set(table.column_names)
    arrays = [
        table.column(field.name).cast(field.type) if field.name in names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _join_array(tables: Iterator[pa.Table], rows: int, width: int, out: Path) -> None:
    with out.open("wb") as file:
        npy.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (rows, width)})
        for table in tables:
            file.write(np.stack([column.to_numpy() for column in table.columns], 1).astype("<f4").tobytes())


def _join_text(tables: Iterator[pa.Table], out: Path) -> None:
    with out.open("w", encoding="utf-8", newline="") as file:
        for number, table in enumerate(tables):
            write_rows(file, suffix_of(out), table.to_pydict(), header=number == 0)
