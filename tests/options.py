"""The table of all options in `docs/options.md`, made from the configuration and the registry.

`python -m tests.options` writes it.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from aevb.config.schema import Config, WithPieces, command_config

ROOT = Path(__file__).parents[1]
PAGE = """# Options

Every setting of a training is an option of `aevb train` and `aevb sweep`, a key of a configuration file, and a field of
`aevb.Config`: `--model.latent 20` is `{"model": {"latent": [20]}}` and `ModelConfig(latent=(20,))`. In `aevb.train` the
name of the section may be left out: `aevb.train("digits", latent=20)`. The table is made from the configuration. `aevb
train --help` lists the same options, with those of your own [pieces](own-pieces.md) if they are loaded.

A dash means that the default depends on the data or on another option, as the description says, or that there is none.
"""
OPTION = re.compile(r"(--[a-z][\w.-]*\w)")
TITLES = {
    "data": "Data and their preparation",
    "model": "Model",
    "objective": "Objective",
    "train": "Training",
    "": "Preset and seed",
}


def page() -> str:
    """Return `docs/options.md`."""
    fields = command_config().model_fields
    sections = {name: section(info) for name, info in fields.items()}
    tables = [table(name, found) for name, found in sections.items() if found]
    rest = [row(name, info) for name, info in fields.items() if not sections[name]]
    return "\n".join([PAGE, *tables, heading("") + "".join(rest)])


def section(info: FieldInfo) -> type[BaseModel] | None:
    """Return the class of a field that is a section; None for other fields."""
    found = info.annotation
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def heading(name: str) -> str:
    """Return the heading of a section and the header of its table."""
    title = TITLES[name] + (f" (`--{name}`)" if name else "")
    return f"## {title}\n\n| option | default | description |\n|---|---|---|\n"


def table(name: str, options: type[BaseModel]) -> str:
    """Return the part of the page that lists the options of a section."""
    pieces = options.PIECES if issubclass(options, WithPieces) else {}
    own = getattr(Config(), name).__class__.model_fields
    rows = []
    for field, info in options.model_fields.items():
        path = f"{name}.{field}"
        if field in pieces:
            rows.append(row(path, own[field], f"[Values](pieces.md): {code(pieces[field])}."))
        else:
            rows.append(row(path, info))
    return heading(name) + "".join(rows)


def row(path: str, info: FieldInfo, values: str | None = None) -> str:
    """Return a row of the table.

    Args:
        path: the section and the name of the field, such as model.latent.
        info: the field.
        values: a sentence about its values; by default those of its type.
    """
    option = "--data-dir" if path == "data.data_dir" else f"--{path.replace('_', '-')}"
    listed = list(choices(info.annotation))
    values = values or (f"Values: {code(listed)}." if listed else "")
    text = OPTION.sub(r"`\1`", info.description or "").replace("|", "\\|")
    return f"| `{option}` | {value(info)} | {text} {values}".rstrip() + " |\n"


def code(names: Iterable[str]) -> str:
    """Return names as code, with commas between them."""
    return ", ".join(f"`{name}`" for name in names)


def choices(annotation: object) -> Iterator[str]:
    """Yield the values of a field that has a few texts as values."""
    for argument in get_args(annotation):
        if isinstance(argument, str):
            yield argument
        else:
            yield from choices(argument)


def value(info: FieldInfo) -> str:
    """Return the default of a field as one writes it on the command line; a dash for none."""
    default = info.get_default(call_default_factory=True)
    if default is None or default in ((), {}):
        return "–"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


if __name__ == "__main__":
    (ROOT / "docs" / "options.md").write_text(page(), encoding="utf-8")
