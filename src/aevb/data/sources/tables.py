"""Tables in .csv and .tsv files (`aevb.data.tables`)."""

from aevb.data.dataset import UnsplitData
from aevb.data.sources.filesystem import LocalLocation
from aevb.data.sources.registry import Option, ReadOptions, register_source
from aevb.data.tables.infer import unsplit_table
from aevb.data.tables.read import RawColumn, read_columns


@register_source
class TextTableSource:
    """.csv and .tsv files."""

    description = "a .csv or .tsv file"
    options: frozenset[Option] = frozenset({"column_types", "missing"})
    priority = 30
    in_memory = False

    def accepts(self, data: object) -> bool:
        return isinstance(data, LocalLocation) and data.suffix in (".csv", ".tsv") and data.is_file()

    def read(self, data: object, options: ReadOptions) -> UnsplitData:
        assert isinstance(data, LocalLocation)
        return unsplit_table(data.path.resolve().name, read_columns(data.path, options.missing), options.column_types)

    def columns(self, data: object, options: ReadOptions) -> list[RawColumn] | None:
        assert isinstance(data, LocalLocation)
        return read_columns(data.path, options.missing)
