"""Configurations from options: nested mappings, keywords of Python and names of the command line."""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TypeGuard

from pydantic import BaseModel, ValidationError

from aevb.config.pieces import owners
from aevb.config.problems import describe
from aevb.config.schema import Config, WithPieces
from aevb.data import IN_MEMORY
from aevb.errors import BadInput
from aevb.models.registry import register
from aevb.runs.hub import is_address

Content = Mapping[str, object]
SECTIONS = ("data", "model", "objective", "train")


def configuration(content: Content, origin: str = "") -> Config:
    """Return the configuration with this content.

    Args:
        content: options by section.
        origin: prefix of messages, such as the file of the content.

    Raises:
        BadInput: an option is unknown, or its value is invalid.
    """
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise BadInput(f"{origin}{describe(error)}") from error


def with_keywords(config: Config | None, keywords: Content) -> Config:
    """Return a configuration with the options that keywords set.

    Args:
        config: to start from; the defaults if None.
        keywords: an option of any section (``latent=2``, ``lr=1e-4``), a section (``model={"latent": 2}`` or
            ``model=ModelConfig(latent=2)``), the objective by name (``objective="iwae"``), ``preset`` or ``seed``.

    Raises:
        BadInput: a keyword is unknown or ambiguous, or its value is invalid.
    """
    content: Content = config.model_dump(exclude_unset=True) if config else {}
    for name, value in keywords.items():
        content = overlay(content, _nested(name, value))
    return configuration(content)


def _nested(name: str, value: object) -> Content:
    if name in ("seed", "preset"):
        return {name: value}
    if name in SECTIONS:
        return {name: _section(name, value)}
    owners = [section for section in SECTIONS if name in option_names(section)]
    if len(owners) != 1:
        raise BadInput(_ambiguous(name, owners) if owners else _unknown(name))
    return {owners[0]: {name: value}}


def _section(name: str, value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True)
    return {"kind": value} if name == "objective" and isinstance(value, str) else value


def option_names(section: str) -> list[str]:
    """Return the names of the options of a section, with those of registered pieces."""
    model = Config.model_fields[section].annotation
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    pieces = owners(model.PIECES, {}) if issubclass(model, WithPieces) else ()
    return [*model.model_fields, *pieces]


def _unknown(name: str) -> str:
    names = [option for section in SECTIONS for option in option_names(section)]
    close = get_close_matches(name, [*names, *SECTIONS, "preset", "seed"], n=1)
    advice = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(names)}"
    return f"unknown option {name}: {advice}"


def _ambiguous(name: str, sections: list[str]) -> str:
    choices = " or ".join(f"{section}={{{name!r}: ...}}" for section in sections)
    return f"option {name} exists in several sections: pass {choices}"


def overlay(below: Content, above: Content) -> dict[str, object]:
    """Return nested options with those of `above` in place of those of `below`."""
    return {**below, **{name: _over(below.get(name), value) for name, value in above.items()}}


def _over(below: object, above: object) -> object:
    return overlay(below, above) if _is_content(below) and _is_content(above) else above


def _is_content(value: object) -> TypeGuard[Content]:
    return isinstance(value, Mapping)


def with_absolute_paths(config: Config) -> Config:
    """Return a configuration whose paths do not depend on the working directory."""
    source, data_dir = config.data.source, absolute_data_dir(config.data.data_dir)
    is_path = source not in register.dataset and source != IN_MEMORY and "://" not in source
    paths = {"source": str(Path(source).resolve())} if is_path else {}
    paths |= {"data_dir": data_dir} if data_dir else {}
    changes: dict[str, object] = {"data": config.data.model_copy(update=paths)}
    init_from = config.train.init_from
    if init_from and not is_address(init_from):
        changes["train"] = config.train.model_copy(update={"init_from": str(Path(init_from).resolve())})
    return config.model_copy(update=changes)


def absolute_data_dir(data_dir: str | None) -> str | None:
    """Return the absolute folder of the published data sets, $AEVB_DATA by default; None if neither is set."""
    folder = data_dir or os.environ.get("AEVB_DATA")
    return str(Path(folder).resolve()) if folder else None
