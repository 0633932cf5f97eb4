"""Presets: options that serve one purpose together. Options of the user override them."""

from typing import Any, Literal

Preset = Literal["density"]

PRESETS: dict[str, dict[str, Any]] = {
    "density": {
        "model": {"hidden": [128, 128], "prior": "mixture"},
        "objective": {"kind": "dreg", "n_samples": 8, "warmup": 0.3},
        "train": {"lr": 2e-3, "lr_decay": 0.5},
    }
}
"""Options by section.

density: points in few dimensions with several modes or a curved shape, whose density is wanted. The warm-up keeps z
from being given up early, the importance-weighted bound lets the posterior have several modes, and the prior can have
as many as the data.
"""


def with_preset(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a configuration with the options of its preset below its own."""
    chosen = PRESETS.get(str(content.get("preset")), {})
    return content | {name: {**options, **_options(content.get(name))} for name, options in chosen.items()}


def _options(section: Any) -> dict[str, Any]:
    """Return the options of a section that are set."""
    if section is None:
        return {}
    return section if isinstance(section, dict) else section.model_dump(exclude_unset=True)
