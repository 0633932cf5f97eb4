"""Tables in Parquet and Arrow files, one or a folder of them: what `aevb.data.tables.encode` reads at once, group by
group.

Rows are read by the row groups of Parquet and the record batches of Arrow: these are the blocks of `aevb.data.out_of_core`,
so they should be small beside its buffers (100,000 rows are fine). All files of a folder have the same columns; files
are taken in the order of their names, and others that lie there are passed over.

What columns are is inferred from the rows that are looked at, which takes one pass. A second one, over the columns of
categories and those that did not vary, finds every value there is, so that none comes as a surprise later.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from aevb.columns import Column, Value, modelled
from aevb.data.dataset import UnsplitData
from aevb.data.examples import Examples
from aevb.data.out_of_core import InMemory, Rows, Stored, spread, stays
from aevb.data.sources.filesystem import Place
from aevb.data.tables import encode as tables
from aevb.data.tables.encode import Kinds, Raw
from aevb.errors import BadInput

SUFFIXES = (".parquet", ".arrow", ".feather")
LARGER = 8
"""How many times more bytes a table takes while it is read at once than its file."""


class Group(NamedTuple):
    """Some rows of a file.

    Attributes:
        place: of the file.
        number: of the group in it.
        metadata: of the file, where it is Parquet.
        rows: how many.
    """

    place: Place
    number: int
    metadata: Any
    rows: int

    def __str__(self) -> str:
        return f"{self.place}, row group {self.number}"

    def table(self, names: Sequence[str]) -> Any:
        """Its columns of these names, as an Arrow table."""
        arrow = tables.arrow_library()
        with _mendable(self.place), self.place.opened() as file:
            if self.place.suffix == ".parquet":
                found = arrow.parquet.ParquetFile(file, metadata=self.metadata).read_row_group(self.number, list(names))
            else:
                batch = arrow.ipc.open_file(file).get_batch(self.number)
                found = arrow.Table.from_batches([batch]).select(list(names))
        if len(found) != self.rows:
            raise BadInput(f"{self} has {len(found)} rows, and had {self.rows}: it must not change while it is read")
        return found


class Groups:
    """The rows of a file or a folder of files, coded as those of a table.

    Args:
        place: of it.
        files: which are read.

    Raises:
        BadInput: a file is damaged or has other columns than the first, or there are no rows.
    """

    def __init__(self, place: Place, files: Sequence[Place]) -> None:
        self.name, self.size = str(place), sum(file.size() for file in files)
        self.columns: Sequence[Column] = ()
        opened = [_opened(file) for file in files]
        self.schema = opened[0][0]
        for file, (schema, _) in zip(files, opened, strict=True):
            _require_alike(file, schema, files[0], self.schema)
        self.groups = [group for _, groups in opened for group in groups if group.rows]
        self.bounds = np.cumsum([0, *(group.rows for group in self.groups)])

    def read(self, rows: Rows) -> Examples:
        """Some rows, whose numbers ascend."""
        names = [column.name for column in modelled(self.columns)]
        parts = [self._coded(group, group.table(names))[places] for group, places in self.within(rows)]
        return Examples(torch.from_numpy(np.concatenate(parts)))

    def within(self, rows: Rows) -> Iterator[tuple[Group, Rows]]:
        """The groups that have some rows, and where these are in them."""
        edges = np.searchsorted(rows, self.bounds)
        for number in np.flatnonzero(np.diff(edges)):
            yield self.groups[number], rows[edges[number] : edges[number + 1]] - self.bounds[number]

    def _coded(self, group: Group, table: Any) -> NDArray[np.float32]:
        columns = modelled(self.columns)
        values = np.empty((len(table), len(columns)), dtype=np.float32)
        for place, column in enumerate(columns):
            values[:, place] = _codes(table.column(column.name), column, str(group))
        return values


def tables_in(files: Sequence[Place]) -> list[Place]:
    """The files that are tables."""
    return [file for file in files if file.suffix in SUFFIXES]


def read_groups(place: Place, kinds: Kinds, seed: int, in_memory: InMemory) -> UnsplitData:
    """The rows of a file or of all files in a folder.

    Args:
        place: of it.
        kinds: of columns, by name, where they are not to be inferred.
        seed: of the rows that are looked at.
        in_memory: whether all of them are read at once.

    Raises:
        BadInput: a file cannot be read, or a column holds what no model can use.
    """
    inside = place.files()
    groups = Groups(place, [place] if inside is None else tables_in(inside))
    stay = stays(in_memory, LARGER * groups.size)
    total = int(groups.bounds[-1])
    looked = spread(total, 4 * len(groups.schema.names), seed) if stay else np.arange(total)
    arrow, names = tables.arrow_library(), groups.schema.names
    parts = (group.table(names).take(places) for group, places in groups.within(looked))
    sample = arrow.concat_tables([groups.schema.empty_table(), *parts])
    raws = [tables.of_arrow(name, sample.column(name)) for name in names]
    pool = tables.pool(place.name, raws, kinds)
    if not stay:
        return pool
    columns = [_completed(column, groups, kinds) for column in pool.columns]
    groups.columns = columns
    examples = Examples(tables.coded(raws, columns, place.name), pool.examples.labels)
    return replace(pool, examples=examples, columns=tuple(columns), stored=Stored(groups, examples, looked))


# Files.


def _opened(place: Place) -> tuple[Any, list[Group]]:
    """The schema of a file, and its groups."""
    arrow = tables.arrow_library()
    with _mendable(place), place.opened() as file:
        if place.suffix == ".parquet":
            found = arrow.parquet.ParquetFile(file)
            known = found.metadata
            sizes = [known.row_group(number).num_rows for number in range(known.num_row_groups)]
            return found.schema_arrow, [Group(place, number, known, rows) for number, rows in enumerate(sizes)]
        reader = arrow.ipc.open_file(file)
        sizes = [reader.get_batch(number).num_rows for number in range(reader.num_record_batches)]
        return reader.schema, [Group(place, number, None, rows) for number, rows in enumerate(sizes)]


@contextmanager
def _mendable(place: Place) -> Iterator[None]:
    try:
        yield
    except (OSError, tables.arrow_library().ArrowException) as error:
        reason = " ".join(str(error).split())[:120]
        raise BadInput(
            f"{place} cannot be read ({reason}): expected Parquet, or Arrow's file format (no stream), that does not"
            " change while it is read; write it again"
        ) from error


def _require_alike(place: Place, schema: Any, first: Place, expected: Any) -> None:
    tables.require_different(schema.names, str(place))
    for field in expected:
        if field.name not in schema.names:
            raise BadInput(
                f"{place} lacks the column {field.name!r} of {first.name}: all files of a folder have the same"
            )
        if schema.field(field.name).type != field.type:
            raise BadInput(
                f"{place} has {schema.field(field.name).type} in column {field.name!r} and {first.name} has"
                f" {field.type}: write all files with the same types"
            )


# Columns.


def _completed(column: Column, groups: Groups, kinds: Kinds) -> Column:
    """The column with every value that it has in any row, where it is one of categories or did not vary."""
    if column.kind not in ("binary", "categorical", "constant"):
        return column
    asked, values = column.name in kinds, dict.fromkeys(column.values)
    for group in groups.groups:
        found = tables.of_arrow(
            column.name, tables.arrow_library().chunked_array([group.table([column.name])[0].unique()])
        )
        values |= dict.fromkeys(tables.plain(found, np.unique(found.present)))
        if len(values) > tables.MOST_VALUES and not asked:
            raise BadInput(
                f"{groups.name}: column {column.name!r} has more than {tables.MOST_VALUES} values:"
                f" --data.column-types.{column.name} categorical takes them all, none leaves them out"
            )
    new = [value for value in values if value not in column.values]
    if new and asked and kinds[column.name] in ("real", "positive", "count"):
        return column.model_copy(update={"kind": kinds[column.name], "values": ()})
    return _grown(column, new, groups.name, asked=asked) if new else column


def _grown(column: Column, new: list[Value], name: str, *, asked: bool) -> Column:
    """The column with values that were not among those looked at."""
    numbers = any(isinstance(value, int | float) and not isinstance(value, bool) for value in new)
    if (numbers and column.kind != "categorical") or (asked and column.kind == "binary"):
        raise BadInput(
            f"{name}: column {column.name!r} was taken to be {column.kind} and holds {new[0]!r} as well: say what it"
            f" is, as in --data.column-types.{column.name} {'real' if numbers else 'categorical'}"
        )
    ordered = list(column.values) == sorted(column.values, key=str)
    values = sorted((*column.values, *new), key=str) if ordered else [*column.values, *new]
    return column.model_copy(update={"kind": "binary" if len(values) == 2 else "categorical", "values": tuple(values)})


def _codes(array: Any, column: Column, name: str) -> NDArray[np.float32]:
    """An Arrow column as numbers, NaN where missing; categories are looked up once for each value there is."""
    if column.kind not in ("binary", "categorical"):
        return tables.codes(tables.of_arrow(column.name, array), column, name)
    types = tables.arrow_library().types
    flat = array.combine_chunks()
    encoded = flat if types.is_dictionary(flat.type) else flat.dictionary_encode()
    raw = tables.of_arrow(column.name, tables.arrow_library().chunked_array([encoded.dictionary]))
    places = encoded.indices.cast("int64").fill_null(len(raw)).to_numpy(zero_copy_only=False)
    try:
        known = tables.codes(_used(raw, places), column, name)
    except BadInput:
        return tables.codes(tables.of_arrow(column.name, array), column, name)  # which names the row as well
    coded: NDArray[np.float32] = np.append(known, np.float32(np.nan))[places]
    return coded


def _used(raw: Raw, places: NDArray[np.int64]) -> Raw:
    """Values of a dictionary, missing where no row has them."""
    used = np.isin(np.arange(len(raw)), places)
    if raw.numbers is not None:
        return replace(raw, numbers=np.where(used, raw.numbers, np.nan))
    return replace(raw, texts=[text if there else None for text, there in zip(raw.texts, used, strict=True)])
