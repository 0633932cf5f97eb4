"""Sources: the formats and objects that examples are read from.

A source is a module of this package with one function under `register_source`; nothing else lists it. Sources are
tried in the order of their priority, and the first one that accepts the data reads them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Literal, Protocol

from aevb.data.dataset import UnsplitData
from aevb.data.out_of_core import InMemory
from aevb.data.tables.infer import ColumnTypes
from aevb.data.tables.raw import RawColumn
from aevb.models.registry import import_all

Option = Literal["image_size", "variant", "column_types", "missing"]
"""Options that only some sources have."""


@dataclass(frozen=True)
class ReadOptions:
    """Options for reading examples, as in `aevb.load_data`."""

    image_size: int | None = None
    variant: str | None = None
    column_types: ColumnTypes = field(default_factory=dict)
    missing: tuple[str, ...] | None = None
    in_memory: InMemory = "auto"
    split_seed: int = 0
    data_dir: str | Path | None = None

    def given(self) -> Mapping[str, object]:
        """Return the options that differ from their defaults."""
        default = ReadOptions()
        values = {option.name: getattr(self, option.name) for option in fields(self)}
        return {name: value for name, value in values.items() if value != getattr(default, name)}


class Source(Protocol):
    """A format or a kind of object.

    Attributes:
        description: noun phrase for error messages, such as "a folder of images".
        options: options that the source has beyond those of all sources.
        priority: sources with smaller numbers are tried first.
        in_memory: whether the source reads objects in memory, and not names, paths and addresses.
    """

    description: str
    options: frozenset[Option]
    priority: int
    in_memory: bool

    def accepts(self, data: object) -> bool:
        """Return whether this source reads such data: a `Location`, the name of a data set, or an object in memory."""

    def read(self, data: object, options: ReadOptions) -> UnsplitData:
        """Read the examples.

        Raises:
            BadInput: the data cannot be read or hold values that no model supports.
        """

    def columns(self, data: object, options: ReadOptions) -> list[RawColumn] | None:
        """Return the columns of a table; None if the data are not a table.

        Raises:
            BadInput: the data cannot be read.
        """


_sources: list[Source] = []


def register_source(source: Callable[[], Source]) -> Callable[[], Source]:
    """Register a class of sources."""
    _sources.append(source())
    return source


@cache
def sources() -> tuple[Source, ...]:
    """Return all sources in the order in which they are tried."""
    import_all("aevb.data.sources")
    return tuple(sorted(_sources, key=lambda source: source.priority))
