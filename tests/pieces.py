"""The tables of `docs/pieces.md`, made from the registry.

`python -m tests.pieces` writes them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from aevb.config.pieces import options_class
from aevb.models.registry import Registry, register

ROOT = Path(__file__).parents[1]
PREFIX = {"objective": "--objective."}
"""Where the options of a kind are; the others are options of the model."""
CHOSEN_BY: dict[str, Registry[Any]] = {
    "--model.network": register.network,
    "--model.posterior": register.posterior,
    "--model.prior": register.prior,
    "--model.likelihood": register.likelihood,
    "--objective.kind": register.objective,
    "aevb train": register.dataset,
    "--measure": register.measure,
}
PAGE = """# Pieces

A model is made of pieces that are chosen by name. The tables are made from the registry.
[Options](options.md) has the default of each option, and [Your own pieces](own-pieces.md) explains how to add a piece.
"""


def page() -> str:
    """Return `docs/pieces.md`."""
    return "\n".join([PAGE, *_overview(), *(line for kind in register for line in _section(kind))])


def _overview() -> Iterator[str]:
    yield from ("| option | choices | options of the choices |", "|---|---|---|")
    yield from (f"| `{option}` | {_names(kind)} | {_flags(kind)} |" for option, kind in CHOSEN_BY.items())
    yield ""


def _names(kind: Registry[Any]) -> str:
    return ", ".join(f"`{name}`" for name in kind.names())


def _flags(kind: Registry[Any]) -> str:
    options = dict.fromkeys(name for piece in kind.names() for name in _options(kind, piece))
    return ", ".join(f"`{_flag(kind, name)}`" for name in options)


def _section(kind: Registry[Any]) -> Iterator[str]:
    title = {kind: option for option, kind in CHOSEN_BY.items()}.get(kind)
    yield f"## {kind.kind.capitalize()}" + (f" (`{title}`)" if title else "") + "\n"
    yield from ("| name | description |", "|---|---|")
    yield from (f"| `{name}` | {_summary(kind, name)} |" for name in kind.names())
    yield ""
    options = {option: info for name in kind.names() for option, info in _options(kind, name).items()}
    if options:
        yield from ("| option | description | of |", "|---|---|---|")
        yield from (_option(kind, name, info) for name, info in options.items())
        yield ""


def _summary(kind: Registry[Any], name: str) -> str:
    return _cell(str(kind.facts(name).get("caption") or kind.summary(name)))


def _cell(text: str) -> str:
    return text.rstrip(".").replace("|", "\\|")


def _options(kind: Registry[Any], name: str) -> dict[str, FieldInfo]:
    return dict(options_class(kind[name]).model_fields)


def _option(kind: Registry[Any], name: str, info: FieldInfo) -> str:
    owners = ", ".join(f"`{piece}`" for piece in kind.names() if name in _options(kind, piece))
    return f"| `{_flag(kind, name)}` | {_cell(info.description or '')} | {owners} |"


def _flag(kind: Registry[Any], name: str) -> str:
    return PREFIX.get(kind.kind, "--model.") + name.replace("_", "-")


if __name__ == "__main__":
    (ROOT / "docs" / "pieces.md").write_text(page(), encoding="utf-8")
