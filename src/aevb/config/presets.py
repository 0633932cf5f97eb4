"""Presets: options that serve one purpose together. Options of the user override them."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel

Preset = Literal["density", "anomalies"]

PRESETS: Mapping[str, Mapping[str, Mapping[str, object]]] = {
    "density": {
        "model": {"hidden": [128, 128], "prior": "mixture"},
        "objective": {"kind": "dreg", "n_samples": 8, "warmup": 0.3},
        "train": {"lr_decay": 0.5},
    },
    "anomalies": {
        "model": {"prior": "mixture", "min_stddev": 0.5},
        "train": {"batch_size": 200, "lr": 5e-3},
    },
}
"""Options by section.

density: points in few dimensions with several modes or a curved shape, whose density is wanted. The warm-up keeps z
from being given up early, the importance-weighted bound lets the posterior have several modes, and the prior can have
as many as the data.

anomalies: tables and other rows whose densities are compared to find anomalies. The prior follows groups of rows. With
a minimum standard deviation of half of that of each column, finer structure, such as repeated values, is not learned:
it has little to do with anomalies. `benchmarks.adbench` measures these choices, and `VAEOutlierDetector` has the same.
"""


def with_preset(content: object) -> object:
    """Return the content of a configuration in which its preset is replaced by options below its own."""
    if not isinstance(content, dict) or content.get("preset") not in list(PRESETS):
        return content
    chosen = PRESETS[content["preset"]]
    others = {name: value for name, value in content.items() if name != "preset"}
    return others | {name: {**options, **_options(content.get(name))} for name, options in chosen.items()}


def replaced(preset: Preset, sections: Mapping[str, BaseModel]) -> list[str]:
    """Return the dotted names of chosen options of a configuration that the preset would set to another value.

    Options that have their default value count as not chosen: the record of a run contains them as well.
    """
    return [
        f"{name}.{key.replace('_', '-')}"
        for name, options in PRESETS[preset].items()
        for key, value in sections[name].model_dump(exclude_defaults=True).items()
        if key in options and value != options[key]
    ]


def _options(section: object) -> Mapping[str, object]:
    """Return the options of a section that are set."""
    if isinstance(section, BaseModel):
        return section.model_dump(exclude_unset=True)
    return section if isinstance(section, Mapping) else {}
