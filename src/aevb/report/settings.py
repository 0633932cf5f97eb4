"""Configurations as a page shows them, and what they were carried out with."""

import json
import platform
from importlib.metadata import version
from typing import Any

from aevb.config.schema import Config


def differences(config: Config) -> list[str]:
    """Where a configuration differs from the defaults, as `model.latent=2`."""
    return [
        f"{section}.{field}={_text(value)}"
        for section, values in _sections(config, exclude_defaults=True).items()
        for field, value in values.items()
    ]


def whole(config: Config) -> str:
    """All of a configuration but its seed and its place, as JSON that --config reads, a section a line."""
    sections = (f"  {json.dumps(name)}: {json.dumps(values)}" for name, values in _sections(config).items())
    return "{\n" + ",\n".join(sections) + "\n}"


def versions() -> dict[str, str]:
    """Of what is at work."""
    return {"aevb": version("aevb"), "torch": version("torch"), "Python": platform.python_version()}


def _sections(config: Config, **options: Any) -> dict[str, Any]:
    content: dict[str, Any] = config.model_dump(mode="json", exclude={"seed": True, "data": {"data_dir"}}, **options)
    return content


def _text(value: Any) -> str:
    return (",".join(map(str, value)) or "none") if isinstance(value, list) else str(value)
