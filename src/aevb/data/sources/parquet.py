"""Tables in Parquet and Arrow files, one file or a folder of them.

Rows are read by the row groups of Parquet and the record batches of Arrow. These are the blocks of
`aevb.data.out_of_core`, so they should be small compared with its buffers (100,000 rows are fine). All files of a
folder have the same columns; they are read in the order of their names, and files with other suffixes are ignored.
The row index that pandas writes is no column.

Column types are inferred from the scanned rows, which takes one pass. A second pass, over the columns that list their
values, have bounds or have a single scanned value, collects every value, so that training meets no unknown one.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from typing_extensions import TypeIs

from aevb.columns import CODED, Column, ColumnKind, Value, modelled
from aevb.data.dataset import UnsplitData
from aevb.data.examples import Examples
from aevb.data.out_of_core import InMemory, OutOfCoreExamples, Rows, scan_rows, stays_on_disk
from aevb.data.rounding import narrowed
from aevb.data.sources.filesystem import LocalLocation, Location, RemoteLocation
from aevb.data.sources.registry import Option, ReadOptions, register_source
from aevb.data.tables.arrow import arrow_column, arrow_columns
from aevb.data.tables.encode import encode_column, encode_rows
from aevb.data.tables.infer import ColumnTypes, unsplit_table
from aevb.data.tables.raw import MAX_CATEGORIES, PANDAS_INDEX, RawColumn, coded_texts, require_distinct
from aevb.data.tables.read import read_columns
from aevb.errors import BadInput, option

SUFFIXES = (".parquet", ".arrow", ".feather")
EXPANSION = 8
"""Ratio of the memory that reading a table takes to the size of its file."""


@register_source
class ParquetSource:
    """Parquet and Arrow files, and folders of them, local or remote."""

    description = "a .parquet, .arrow or .feather file, or a folder of such files"
    options: frozenset[Option] = frozenset({"column_types"})
    priority = 10
    in_memory = False

    def accepts(self, data: object) -> bool:
        if isinstance(data, LocalLocation) and not (data.is_file() or data.is_folder()):
            return False
        return isinstance(data, LocalLocation | RemoteLocation) and bool(table_files(data))

    def read(self, data: object, options: ReadOptions) -> UnsplitData:
        assert isinstance(data, LocalLocation | RemoteLocation)
        if not _is_local_parquet(data):
            return read_row_groups(data, options.column_types, options.split_seed, options.in_memory)
        if stays_on_disk(options.in_memory, EXPANSION * data.size()):
            return read_row_groups(data, options.column_types, options.split_seed, "off")
        return unsplit_table(data.path.resolve().name, read_columns(data.path), options.column_types)

    def columns(self, data: object, options: ReadOptions) -> list[RawColumn] | None:
        assert isinstance(data, LocalLocation | RemoteLocation)
        if _is_local_parquet(data):
            return read_columns(data.path)
        row_groups = RowGroups(data)
        return row_groups.raw_columns(np.arange(row_groups.bounds[-1]))


def _is_local_parquet(location: LocalLocation | RemoteLocation) -> TypeIs[LocalLocation]:
    return isinstance(location, LocalLocation) and location.suffix == ".parquet" and location.is_file()


def table_files(location: Location) -> list[Location]:
    """Return the Parquet and Arrow files at a location."""
    return [file for file in location.files() if file.suffix in SUFFIXES]


class RowGroup(NamedTuple):
    """Consecutive rows of a file.

    Attributes:
        file: the file.
        number: number of the row group or record batch in it.
        metadata: metadata of a Parquet file.
        rows: number of rows.
    """

    file: Location
    number: int
    metadata: pq.FileMetaData | None
    rows: int

    def __str__(self) -> str:
        return f"{self.file}, row group {self.number}"

    def table(self, names: Sequence[str] | None = None) -> pa.Table:
        """Return the columns with these names, by default all, as an Arrow table."""
        with _described(self.file), self.file.open() as file:
            if self.file.suffix == ".parquet":
                table = pq.ParquetFile(file, metadata=self.metadata).read_row_group(self.number, names)
            else:
                table = pa.Table.from_batches([pa.ipc.open_file(file).get_batch(self.number)])
                table = table if names is None else table.select(names)
            table = table.cast(_uniform(table.schema))
        if len(table) != self.rows:
            raise BadInput(f"{self} has {len(table)} rows and had {self.rows}: it must not change while it is read")
        return table


class RowGroups:
    """Reads the rows of a file or a folder of files as encoded rows of a table.

    Args:
        location: the file or folder.

    Attributes:
        columns: columns of the encoded rows; to be set before `read`.
        dtype: type of the encoded rows.

    Raises:
        BadInput: a file is damaged or has other columns than the first, or there are no rows.
    """

    def __init__(self, location: Location) -> None:
        files = table_files(location)
        self.name, self.size = str(location), sum(file.size() for file in files)
        self.columns: Sequence[Column] = ()
        self.dtype: np.dtype[np.floating] = np.dtype(np.float64)
        opened = [_open(file) for file in files]
        self.schema = _without_index(opened[0][0])
        for file, (schema, _) in zip(files, opened, strict=True):
            _require_same_schema(file, schema, files[0], self.schema)
        self.groups = [group for _, groups in opened for group in groups if group.rows]
        self.bounds = np.cumsum([0, *(group.rows for group in self.groups)])

    def read(self, rows: Rows) -> Examples:
        """Read the rows with these ascending numbers."""
        names = [column.name for column in modelled(self.columns)]
        chunks = [self._encode(group, group.table(names))[indices] for group, indices in self._groups_of(rows)]
        return Examples(torch.from_numpy(np.concatenate(chunks)))

    def raw_columns(self, rows: Rows) -> list[RawColumn]:
        """Read the rows with these ascending numbers as raw columns."""
        names = self.schema.names
        chunks = (group.table(names).take(indices) for group, indices in self._groups_of(rows))
        return arrow_columns(pa.concat_tables([self.schema.empty_table(), *chunks]))

    def _groups_of(self, rows: Rows) -> Iterator[tuple[RowGroup, Rows]]:
        """Yield the groups that contain some of the rows, and the indices of these rows in the group."""
        edges = np.searchsorted(rows, self.bounds)
        for number in np.flatnonzero(np.diff(edges)):
            yield self.groups[number], rows[edges[number] : edges[number + 1]] - self.bounds[number]

    def _encode(self, group: RowGroup, table: pa.Table) -> NDArray[np.floating]:
        columns = modelled(self.columns)
        values = np.empty((len(table), len(columns)), dtype=self.dtype)
        for position, column in enumerate(columns):
            values[:, position] = _encode_column(table.column(column.name), column, str(group))
        return values


def read_row_groups(location: Location, column_types: ColumnTypes, seed: int, in_memory: InMemory) -> UnsplitData:
    """Read the rows of a file, or of all files in a folder.

    Args:
        location: the file or folder.
        column_types: declared types of columns, by name.
        seed: seed of the rows to scan.
        in_memory: whether to read all rows into memory.

    Raises:
        BadInput: a file cannot be read, or a column holds values that no model supports.
    """
    row_groups = RowGroups(location)
    on_disk = stays_on_disk(in_memory, EXPANSION * row_groups.size)
    total = int(row_groups.bounds[-1])
    scanned = scan_rows(total, 4 * len(row_groups.schema.names), seed) if on_disk else np.arange(total)
    raw_columns = row_groups.raw_columns(scanned)
    data = unsplit_table(location.name, raw_columns, column_types)
    if not on_disk:
        return data
    columns = [_with_all_values(column, row_groups, column_types) for column in data.columns]
    row_groups.columns = columns
    examples = narrowed(Examples(encode_rows(raw_columns, columns, location.name), data.examples.labels))
    row_groups.dtype = examples.values.numpy().dtype
    out_of_core = OutOfCoreExamples(row_groups, examples, scanned)
    return replace(data, examples=examples, columns=tuple(columns), out_of_core=out_of_core)


# Files.


def _open(file: Location) -> tuple[pa.Schema, list[RowGroup]]:
    """Return the schema of a file and its row groups."""
    with _described(file), file.open() as stream:
        if file.suffix == ".parquet":
            reader = pq.ParquetFile(stream)
            metadata = reader.metadata
            sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
            return _uniform(reader.schema_arrow), [
                RowGroup(file, number, metadata, rows) for number, rows in enumerate(sizes)
            ]
        reader = pa.ipc.open_file(stream)
        sizes = [reader.get_batch(number).num_rows for number in range(reader.num_record_batches)]
        return _uniform(reader.schema), [RowGroup(file, number, None, rows) for number, rows in enumerate(sizes)]


def _uniform(schema: pa.Schema) -> pa.Schema:
    """Return a schema in which any value may be null, with plain strings in place of string views.

    Files of one folder may differ in both: polars writes string views, which Arrow does not select.
    """
    return pa.schema([_uniform_field(field) for field in schema], schema.metadata)


def _uniform_field(field: pa.Field) -> pa.Field:
    plain = field.with_type(pa.string()) if str(field.type) == "string_view" else field
    return plain.with_nullable(True)


def _without_index(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field for field in schema if not PANDAS_INDEX.fullmatch(field.name)], schema.metadata)


@contextmanager
def _described(file: Location) -> Iterator[None]:
    """Convert errors of Arrow and of the file system into `BadInput`."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:120]
        raise BadInput(
            f"{file} cannot be read ({reason}): expected a file in Parquet or Arrow's file format (not a stream) that"
            " does not change while it is read; write it again"
        ) from error


def _require_same_schema(file: Location, schema: pa.Schema, first: Location, expected: pa.Schema) -> None:
    require_distinct(schema.names, str(file))
    for field in expected:
        if field.name not in schema.names:
            raise BadInput(
                f"{file} lacks the column {field.name!r} of {first.name}: all files of a folder must have the same"
                " columns"
            )
        if schema.field(field.name).type != field.type:
            raise BadInput(
                f"{file} has {schema.field(field.name).type} in column {field.name!r} and {first.name} has"
                f" {field.type}: write all files with the same types"
            )


# Columns.


def _with_all_values(column: Column, row_groups: RowGroups, column_types: ColumnTypes) -> Column:
    """Return a column of categories, or with a single scanned value, with the values of all rows."""
    if column.low is not None or column.high is not None:
        return _within_all_values(column, row_groups)
    if column.kind not in (*CODED, "constant") or column.other:
        return column
    declared, values = column_types.get(column.name), dict.fromkeys(column.values)
    for group in row_groups.groups:
        distinct = pa.chunked_array([group.table([column.name])[0].unique()])
        raw = arrow_column(column.name, distinct).without_rounding()
        values |= dict.fromkeys(raw.plain(raw.distinct()))
        if len(values) > MAX_CATEGORIES and not declared:
            if column.kind == "categorical" and all(isinstance(value, str) for value in values):
                return column.with_other(column.values[: MAX_CATEGORIES - 1])
            raise BadInput(
                f"{row_groups.name}: column {column.name!r} has more than {MAX_CATEGORIES} values: use"
                f" {option('data.column-types', _type_of_all(column), key=column.name)} to keep them, or none to"
                " exclude the column"
            )
    new = [value for value in values if value not in column.values]
    if new and ((declared and declared not in CODED) or (column.notation and not declared)):
        kind = "integer" if declared == "date" else declared or "real"
        return column.model_copy(update={"kind": kind, "values": ()})
    return _with_new_values(column, new, row_groups.name, declared=bool(declared)) if new else column


def _type_of_all(column: Column) -> ColumnKind:
    """Return the type of a column with many values, of which few were scanned."""
    whole = column.kind == "discrete" and all(float(value) == round(float(value)) for value in column.values)
    return "integer" if whole else "real" if column.kind == "discrete" else "categorical"


def _within_all_values(column: Column, row_groups: RowGroups) -> Column:
    """Return a column without the bounds that hold for the scanned rows alone."""
    low, high = math.inf, -math.inf
    for group in row_groups.groups:
        present = arrow_column(column.name, group.table([column.name])[0]).present
        low, high = np.append(present, low).min(), np.append(present, high).max()
    least, most = column.limits
    kept = {"low": column.low if least <= low else None, "high": column.high if most >= high else None}
    unbounded = column.kind == "bounded" and kept["low"] is kept["high"] is None
    return column.model_copy(update={"kind": "real" if unbounded else column.kind, **kept})


def _with_new_values(column: Column, new: list[Value], name: str, *, declared: bool) -> Column:
    """Return the column with values that are not among the scanned ones."""
    numbers = any(isinstance(value, int | float) and not isinstance(value, bool) for value in new)
    if (numbers and column.kind not in ("categorical", "discrete")) or (declared and column.kind == "binary"):
        raise BadInput(
            f"{name}: column {column.name!r} is {column.kind} in the scanned rows and also holds {new[0]!r}: declare"
            f" its type, as in {option('data.column-types', 'real' if numbers else 'categorical', key=column.name)}"
        )
    if column.kind == "discrete":
        return column.model_copy(update={"values": tuple(sorted((*column.values, *new), key=float))})
    ordered = list(column.values) == sorted(column.values, key=str)
    values = sorted((*column.values, *new), key=str) if ordered else [*column.values, *new]
    return column.model_copy(update={"kind": "binary" if len(values) == 2 else "categorical", "values": tuple(values)})


def _encode_column(array: pa.ChunkedArray, column: Column, name: str) -> NDArray[np.float64]:
    """Return an Arrow column as numbers, NaN where missing; categories are looked up once per distinct value."""
    if column.kind not in CODED:
        return encode_column(arrow_column(column.name, array), column, name)
    flat = array.combine_chunks()
    encoded = flat if pa.types.is_dictionary(flat.type) else flat.dictionary_encode()
    raw = arrow_column(column.name, pa.chunked_array([encoded.dictionary]))
    indices = encoded.indices.cast("int64").fill_null(len(raw)).to_numpy(zero_copy_only=False)
    try:
        codes = encode_column(_used_values(raw, indices), column, name)
    except BadInput:
        return encode_column(arrow_column(column.name, array), column, name)  # whose message names the row
    values: NDArray[np.float64] = np.append(codes, np.nan)[indices]
    return values


def _used_values(raw: RawColumn, indices: NDArray[np.int64]) -> RawColumn:
    """Return the values of a dictionary, missing where no row has them."""
    used = np.isin(np.arange(len(raw)), indices)
    if raw.numbers is not None:
        raw = replace(raw, numbers=np.where(used, raw.numbers, np.nan))
    if raw.texts is None:
        return raw
    texts = zip(raw.texts.to_pylist(), used, strict=True)
    return replace(raw, texts=coded_texts([text if is_used else None for text, is_used in texts]))
