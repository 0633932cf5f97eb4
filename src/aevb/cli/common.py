"""Options that several commands share, each declared once."""

import json as json_format
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from aevb.config.schema import Config, DataConfig

Count = Annotated[int, Parameter(validator=Number(gte=1))]
Flag = Annotated[bool, Parameter(show_default=False)]
RunPath = Annotated[Path, Parameter(help="Run folder.")]
ReadPath = Annotated[str | Path, Parameter(help="Run folder, or hub:OWNER/NAME.")]
Source = Annotated[
    str,
    Parameter(help="Data of the same kind as the training data: the name of a data set or a file."),
]
Settings = Annotated[Config, Parameter(name="*")]
"""Options of a configuration; `aevb.cli.settings.declare_options` adds those of registered pieces."""
DataSettings = Annotated[DataConfig, Parameter(name="data")]
ConfigFile = Annotated[
    Path | None,
    Parameter(
        help="JSON file with any of the grouped options below, such as config.json of another run. Options override it."
    ),
]
TrainingData = Annotated[
    str | None,
    Parameter(
        help="Name of a data set: digits (default), mnist, fashion-mnist, static-mnist, gaussian, gaussian-rotated,"
        " figure-8, blobs, mixture; an array (.npy, .npz); a table (.csv, .tsv, .txt, .json, .xlsx, .parquet, .feather,"
        " .dta); or a folder of images."
    ),
]
ImportanceSamples = Annotated[
    Count | None,
    Parameter(
        help="K, importance samples per example for log p(x). Default: quadrature for one or two latent dimensions,"
        " otherwise as many samples as an example needs."
    ),
]
Condition = Annotated[dict[str, str], Parameter(help="Condition of a conditional model, as in --condition.label 7.")]
Given = Annotated[
    dict[str, str],
    Parameter(help="Values that all rows of a table have, as in --given.segment gold; the other columns follow."),
]
Where = Annotated[
    tuple[str, ...],
    Parameter(
        consume_multiple=1,
        negative=(),
        help="Constraints on the rows of a table, as in --where 'age >= 18' 'start <= end': others are rejected.",
    ),
]
Jobs = Annotated[Count, Parameter(help="Number of parallel processes.")]
Seed = Annotated[int, Parameter(validator=Number(gte=0), help="Random seed.")]
DataDir = Annotated[
    str | None,
    Parameter(help="Folder of the published data sets, if it has moved since training."),
]
Device = Annotated[str, Parameter(help="auto (a GPU if there is one), cpu, cuda or mps.")]
Json = Annotated[bool, Parameter(name="--json", help="Print JSON.", show_default=False)]
Plugins = Annotated[
    tuple[str, ...],
    Parameter(
        name="--plugin",
        consume_multiple=1,
        show_default=False,
        help="Modules, or paths of .py files, that register likelihoods, posteriors, priors, networks, objectives, data"
        " sets, measures or plots.",
    ),
]


def print_file(path: Path, json: bool, **facts: object) -> None:
    """Report a file that was written."""
    print(json_format.dumps({"file": str(path), **facts}) if json else f"wrote {path}")


def print_array_file(path: Path, shape: Iterable[int], json: bool) -> None:
    """Report a file with an array or a table that was written."""
    print_file(path, json, shape=list(shape))
