"""Configurations as text, and the versions of the software."""

import json
import platform
from importlib.metadata import version
from typing import Any

from aevb.config.schema import Config


def differences(config: Config) -> list[str]:
    """Return the settings that differ from the defaults, as `model.latent=2`."""
    return [
        f"{section}.{field}={_text(value)}"
        for section, values in _sections(config, exclude_defaults=True).items()
        for field, value in values.items()
    ]


def whole(config: Config) -> str:
    """Return a configuration without its seed and data folder, as JSON that `--config` reads, one line per section."""
    sections = (f"  {json.dumps(name)}: {json.dumps(values)}" for name, values in _sections(config).items())
    return "{\n" + ",\n".join(sections) + "\n}"


def versions() -> dict[str, str]:
    """Return the versions of aevb, PyTorch and Python."""
    return {"aevb": version("aevb"), "torch": version("torch"), "Python": platform.python_version()}


def _sections(config: Config, *, exclude_defaults: bool = False) -> dict[str, dict[str, Any]]:
    return config.model_dump(
        mode="json", exclude={"seed": True, "data": {"data_dir"}}, exclude_defaults=exclude_defaults
    )


def _text(value: object) -> str:
    return (",".join(map(str, value)) or "none") if isinstance(value, list) else str(value)
