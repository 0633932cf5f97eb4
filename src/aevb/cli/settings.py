"""Configurations of commands: a file, the options over it, and resumed runs."""

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from aevb.config.schema import Config, command_config
from aevb.errors import BadInput
from aevb.runs import format as run_format
from aevb.workflow.options import configuration, overlay
from aevb.workflow.train import config_to_resume

LARGEST_FILE = 2**24
"""Maximum number of characters of a configuration file."""


def declare_options(command: str) -> None:
    """Give a command the options of all registered pieces; called before the command line is parsed."""
    function = getattr(import_module(f"aevb.cli.{command}"), command)
    function.__annotations__["settings"] = Annotated[command_config(), Parameter(name="*")]


def from_options(options: Config, file: Path | None, data: str | None) -> Config:
    """Return the configuration in a file, with the options of the command line over it.

    Raises:
        BadInput: the file cannot be read, an option in it is unknown, or its value is invalid.
    """
    content = _read(file) if file else {}
    content = overlay(content, options.model_dump(exclude_unset=True))
    content = overlay(content, {"data": {"source": data}} if data is not None else {})
    return configuration(content, f"{file}: " if file else "")


def from_run(run: Path, options: Config, others: Mapping[str, object]) -> Config:
    """Return the configuration of a run to resume.

    Args:
        run: its folder.
        options: of the command line; only --data-dir is allowed.
        others: arguments that are not allowed, by name.

    Raises:
        BadInput: another option is set, there is no run, or it is finished.
    """
    given = options.model_dump(exclude_unset=True)
    data_dir = given.get("data", {}).pop("data_dir", None)
    if any(others.values()) or any(value != {} for value in given.values()):
        raise BadInput(
            f"--resume {run} continues with the configuration of the run: omit all options but --data-dir,"
            " --n-importance-samples and --device"
        )
    return config_to_resume(run, data_dir)


def axes(over: list[str]) -> dict[str, list[str]]:
    """Return the distinct values of each option in the words of --over, as in model.latent 2 5 or model.latent=2..20.

    Raises:
        BadInput: the first word is not an option, or an option has no values.
    """
    values_of: dict[str, list[str]] = {}
    for word in over:
        name, _, value = word.partition("=")
        section, _, option = name.partition(".")
        if section in Config.model_fields and option and not option.isdigit():
            values = values_of.setdefault(name.replace("-", "_"), [])
            values += [value] * bool(value)
        elif not values_of:
            raise BadInput(f"--over must start with an option such as model.latent, got {word}")
        else:
            values.append(word)
    for name, values in values_of.items():
        if not values:
            raise BadInput(f"--over {name} has no values: use --over {name} VALUE VALUE")
    return {name: list(dict.fromkeys(values)) for name, values in values_of.items()}


def _read(file: Path) -> dict[str, object]:
    try:
        with file.open(encoding="utf-8-sig") as stream:  # a device may have no end
            content = json.loads(stream.read(LARGEST_FILE))
    except OSError as error:
        raise BadInput(f"cannot read --config {file}: {(error.strerror or str(error)).lower()}") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"--config {file} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise BadInput(
            f'--config {file} is a JSON {type(content).__name__}: expected an object such as {{"model": {{}}}}'
        )
    return _with_underscores(run_format.configuration(content, file))


def _with_underscores(content: Mapping[str, object], levels: int = 1) -> dict[str, object]:
    """Return content in which names of sections and options have underscores instead of hyphens."""
    return {
        key.replace("-", "_"): _with_underscores(value, levels - 1) if levels and isinstance(value, dict) else value
        for key, value in content.items()
    }
