"""What is wrong with a configuration, as one line for the command line."""

from difflib import get_close_matches

from pydantic import BaseModel, ValidationError

from aevb.config.pieces import UNKNOWN_PIECE, owners
from aevb.config.schema import Config, WithPieces
from aevb.errors import option


def describe(error: ValidationError) -> str:
    """Return the first problem of a configuration: the option and what is expected of it."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    if first["type"] == UNKNOWN_PIECE:
        return f"{option_name(path)}: {first['msg']}"
    if first["type"] == "extra_forbidden":
        return f"unknown option {option_name(path)}{_nearest(path)}"
    expected = first["msg"][0].lower() + first["msg"][1:]
    return f"{option_name(path)}: {expected}, got {first['input']!r}"


def option_name(path: list[str]) -> str:
    """Return the name of an option, as the user writes it, from its path in a configuration."""
    return option(".".join(part.replace("_", "-") for part in path[:2]))


def _nearest(path: list[str]) -> str:
    section: type[BaseModel] = Config
    for part in path[:-1]:
        annotation = section.model_fields[part].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return ""
        section = annotation
    names = list(section.model_fields)
    if issubclass(section, WithPieces):
        names += owners(section.PIECES, {})
    match = get_close_matches(path[-1], names, n=1)
    return f": did you mean {option_name([*path[:-1], *match])}?" if match else ""
