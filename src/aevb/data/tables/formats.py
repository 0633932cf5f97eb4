"""Formats of table files, by suffix.

    text      .csv, .tsv, .txt        fields between delimiters
    json      .json, .jsonl           records, or one object of columns
    parquet   .parquet
    arrow     .arrow, .feather        Arrow's file format
    excel     .xlsx                   first sheet
    stata     .dta

Text and JSON may be compressed: .csv.gz, .csv.zip.
"""

from pathlib import Path
from typing import Literal

Format = Literal["text", "json", "parquet", "arrow", "excel", "stata"]
_FORMATS: dict[str, Format] = {
    ".csv": "text",
    ".tsv": "text",
    ".txt": "text",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".xlsx": "excel",
    ".dta": "stata",
}
SUFFIXES = tuple(_FORMATS)
COMPRESSIONS = (".gz", ".zip")


def suffix_of(path: Path) -> str:
    """Return the suffix of a table file in lower case, with that of its compression, such as .csv.gz."""
    *_, before, last = ("", "", *(suffix.lower() for suffix in path.suffixes))
    return before + last if last in COMPRESSIONS and _FORMATS.get(before) in ("text", "json") else last


def bare_suffix(path: Path) -> str:
    """Return the suffix of a table file without that of its compression."""
    suffix = suffix_of(path)
    for compression in COMPRESSIONS:
        suffix = suffix.removesuffix(compression) or suffix
    return suffix


def format_of(path: Path) -> Format | None:
    """Return the format of a table file, None for another file."""
    return _FORMATS.get(bare_suffix(path))


def stem_of(path: Path) -> str:
    """Return the name of a table file without its suffix."""
    return path.name[: len(path.name) - len(suffix_of(path))]
