"""Tables in JSON: records, as an array or one per line, or one object of columns."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from aevb.data.tables.compression import read_content, write_content
from aevb.data.tables.formats import bare_suffix
from aevb.errors import BadInput

JsonTable = dict[str, list[object]]


def read_json(path: Path) -> JsonTable:
    """Return the columns of a JSON file; a key that a record lacks is None.

    Raises:
        BadInput: the file cannot be read, or is no table.
    """
    content = load_json(path)
    columns = _of_columns(content) if isinstance(content, dict) else _of_records(content)
    if not columns or not next(iter(columns.values())):
        raise BadInput(
            f"{path} is not a table: expected an array of records, a record in each line, or an object of columns of"
            " equal length"
        )
    return columns


def load_json(path: Path) -> object:
    """Return the content of a JSON file, of a file with one value in each line as a list.

    Raises:
        BadInput: the file cannot be read.
    """
    content = read_content(path)
    try:
        text = content.decode("utf-8-sig")
        if has_lines(path):
            return [json.loads(line) for line in re.split("[\r\n]", text) if line.strip()]
        return cast("object", json.loads(text))
    except (ValueError, RecursionError) as error:
        raise BadInput(
            f"{path} cannot be read ({' '.join(str(error).split())[:120]}): expected JSON in UTF-8"
        ) from error


def has_lines(path: Path) -> bool:
    """Return whether a JSON file has one record in each line."""
    return bare_suffix(path) != ".json"


def _of_records(content: object) -> JsonTable:
    if not isinstance(content, list) or not all(isinstance(record, dict) for record in content):
        return {}
    names = dict.fromkeys(str(name) for record in content for name in record)
    return {name: [record.get(name) for record in content] for name in names}


def _of_columns(content: Mapping[str, object]) -> JsonTable:
    lists = {name: _values(column) for name, column in content.items()}
    return lists if len({len(values) for values in lists.values()}) == 1 else {}


def _values(column: object) -> list[object]:
    """Return the values of a column; pandas writes them as an object with the row as key."""
    return list(column.values()) if isinstance(column, dict) else column if isinstance(column, list) else []


def write_json(path: Path, table: Mapping[str, Sequence[object]]) -> None:
    """Write columns as records."""
    records = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    save_json(path, records)


def save_json(path: Path, content: object) -> None:
    """Write a value as JSON, a list with one value in each line if the suffix says so."""
    if has_lines(path) and isinstance(content, list):
        text = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in content)
    else:
        text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    write_content(path, text.encode())
