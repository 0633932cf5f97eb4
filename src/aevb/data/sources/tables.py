"""Tables in text, JSON, Excel and Stata files (`aevb.data.tables`)."""

from dataclasses import replace

from aevb.data.dataset import UnsplitData
from aevb.data.sources.filesystem import LocalLocation
from aevb.data.sources.registry import Option, ReadOptions, register_source
from aevb.data.tables.formats import Format, format_of
from aevb.data.tables.infer import unsplit_table
from aevb.data.tables.raw import RawColumn
from aevb.data.tables.read import read_columns
from aevb.data.tables.text import open_text


class _TableSource:
    """Files of some formats.

    Attributes:
        formats: formats of the files.
    """

    formats: frozenset[Format]
    priority = 30
    in_memory = False

    def accepts(self, data: object) -> bool:
        return isinstance(data, LocalLocation) and format_of(data.path) in self.formats and data.is_file()

    def read(self, data: object, options: ReadOptions) -> UnsplitData:
        assert isinstance(data, LocalLocation)
        columns = read_columns(data.path, options.missing)
        unsplit = unsplit_table(data.path.resolve().name, columns, options.column_types)
        if format_of(data.path) != "text":
            return unsplit
        return replace(unsplit, text_form=open_text(data.path).form(unsplit.columns))

    def columns(self, data: object, options: ReadOptions) -> list[RawColumn] | None:
        assert isinstance(data, LocalLocation)
        return read_columns(data.path, options.missing)


@register_source
class TextTableSource(_TableSource):
    """Files with delimited fields."""

    description = "a .csv, .tsv or .txt file"
    options: frozenset[Option] = frozenset({"column_types", "missing"})
    formats = frozenset({"text"})


@register_source
class TypedTableSource(_TableSource):
    """Files in which values have types."""

    description = "a .json, .jsonl, .xlsx or .dta file"
    options: frozenset[Option] = frozenset({"column_types"})
    formats = frozenset({"json", "excel", "stata"})
