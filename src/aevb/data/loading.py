"""From data to a data set: `load_data("mnist")`, `load_data("cells.npz")`, `load_data(array)`.

The modules of `aevb.data.sources` describe the formats and objects. Each source returns all examples;
`aevb.data.splits` determines the kind of their values, splits and binarizes them, equally for all sources.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher, get_close_matches
from os import PathLike, fspath
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from aevb.data.binarization import Binarize
from aevb.data.condition import label_condition, with_condition
from aevb.data.dataset import IN_MEMORY, Dataset, UnsplitData
from aevb.data.examples import Examples
from aevb.data.match import DataSpec, Outside, match_examples
from aevb.data.out_of_core import InMemory
from aevb.data.sources.blocks import Block, blocks_at
from aevb.data.sources.filesystem import LocalLocation, RemoteLocation, locate
from aevb.data.sources.images import ImageFolderSource, file_names
from aevb.data.sources.registry import Option, ReadOptions, Source, sources
from aevb.data.splits import ValidateOn, require_seed, split_data
from aevb.data.tables.encode import Table, encode_any_rows, encode_rows
from aevb.data.tables.infer import ColumnTypes
from aevb.data.tables.raw import RawColumn
from aevb.errors import BadInput, shorten
from aevb.models.registry import register

_APPLIES_TO: Mapping[Option, str] = {
    "image_size": "a folder of images",
    "column_types": "a table",
    "missing": "a text file such as .csv",
    "variant": "a data set with variants",
}


def load_data(
    source: object,
    *,
    binarize: Binarize = "none",
    validation: float | None = None,
    test: float | None = None,
    validate_on: ValidateOn = "random",
    split_seed: int = 0,
    image_size: int | None = None,
    variant: str | None = None,
    column_types: ColumnTypes | None = None,
    missing: Sequence[str] | None = None,
    condition: Sequence[str] = (),
    in_memory: InMemory = "auto",
    data_dir: str | Path | None = None,
) -> Dataset:
    """Load data and split them into training, validation and test examples.

    Args:
        source: the name of a data set; the path of a .npy or .npz file, a table, a folder of images, or a folder of
            Parquet or Arrow files; an address that fsspec supports, such as s3://bucket/cells.npy; a NumPy array or
            tensor, alone or as (array, labels); a pandas or polars data frame; a torch `Dataset` or `DataLoader`; a
            `Dataset` of Hugging Face; or a `Dataset` of this package, which is returned as it is and takes no options.
        binarize: binarization of values in [0, 1]. "none": they are kept. "threshold": 1 for values >= 0.5, else 0.
            "resampled": every training batch is a new Bernoulli sample with the values as probabilities; validation
            and test examples are sampled once, from `split_seed`. "treat-as-probabilities": they are kept, and the data
            are declared binary.
        validation: share of the examples if below 1, else number of examples. Default: 0.1, and 10,000 of the 60,000
            training examples of mnist and fashion-mnist. For data with their own test split, a share of the others.
        test: likewise, default 0.2; not for data with their own test split, which is kept.
        validate_on: "random" validates on random examples, "last" on the last ones (of the training part for data with
            their own test split).
        split_seed: seed of the splits, of binary values that are sampled once, and of the points of synthetic data.
        image_size: height and width to which the images of a folder are resized.
        variant: form of a data set, "printed" or "corrected" (default) for figure-8 and mixture; see
            `aevb.data.sources.synthetic`.
        column_types: types of columns of a table, by name, that are not to be inferred; see `aevb.data.tables.infer`.
        missing: texts of a text file that mean a missing value, besides empty fields and those of `pandas.read_csv`,
            such as NA and NaN; with an empty text among them, those of pandas are values.
        condition: columns of a table, or `label`, that a conditional model receives and does not model.
        in_memory: "on" reads everything into memory; "off" leaves .npy, Parquet and Arrow files on disk, where shares
            refer to a scan of them (`aevb.data.out_of_core`); "auto" does so above 2 GiB, and 256 MiB for tables.
        data_dir: folder with one folder of files for each published data set. Default: the environment variable
            AEVB_DATA; without either, they are downloaded once and cached. Ignored by other sources.

    Returns:
        A data set of images (C, H, W) or vectors (D,).

    Raises:
        BadInput: the data are unknown, missing, damaged or hold values that no model supports, or an option does not
            apply to them.
    """
    _require_choice("binarize", binarize, get_args(Binarize))
    _require_choice("validate_on", validate_on, get_args(ValidateOn))
    _require_choice("in_memory", in_memory, get_args(InMemory))
    require_seed(split_seed)
    markers = None if missing is None else tuple(missing)
    options = ReadOptions(image_size, variant, column_types or {}, markers, in_memory, split_seed, data_dir)
    if isinstance(source, Dataset):
        splitting = (binarize, validation, test, validate_on, tuple(condition))
        if splitting != ("none", None, None, "random", ()) or options.given():
            raise BadInput(f"{source.name} is already a Dataset: omit the options, or pass them when it is loaded")
        return source
    unsplit = with_condition(_read(source, options), condition)
    return split_data(unsplit, binarize, validation, test, split_seed, validate_on)


def read_examples(source: object, spec: DataSpec, outside: Outside | None = None) -> Examples:
    """Read all examples of data, in the form that a model was trained on.

    Args:
        source: as in `load_data`.
        spec: the form of the training data.
        outside: receives the examples with values that cannot occur in the training data, by index, with the reason;
            these values are replaced. None to refuse them.

    Raises:
        BadInput: as in `load_data`, or there are no examples, or they have another kind or shape, or lack columns.
    """
    if spec.columns:
        return _read_rows(source, spec, outside)
    resized = spec.shape[-1] if len(spec.shape) == 3 and spec.shape[1] == spec.shape[2] else None
    size = resized if _is_folder_of_images(source) else None
    options = ReadOptions(image_size=size, in_memory="on", split_seed=spec.split_seed, data_dir=spec.data_dir)
    unsplit = _read(source, options)
    _require_any(len(unsplit.examples), unsplit.name)
    examples = match_examples(unsplit, spec, outside)
    if not spec.condition_columns:
        return examples
    return replace(examples, condition=label_condition(unsplit, spec.condition_columns[0], outside))


def row_names(source: object, identifiers: Sequence[str], missing: Sequence[str] | None = None) -> Table:
    """Return columns that name the examples of a source: `file` for a folder of images, identifiers for a table.

    Args:
        source: as in `load_data`.
        identifiers: names of columns; those that a table lacks are omitted.
        missing: as in `load_data`.

    Raises:
        BadInput: the source cannot be read.
    """
    subject = _subject(source)
    reader = _source(subject)
    if isinstance(reader, ImageFolderSource) and isinstance(subject, LocalLocation):
        return {"file": list(file_names(subject.path))}
    if reader is None or not identifiers:
        return {}
    columns = reader.columns(subject, ReadOptions(missing=None if missing is None else tuple(missing))) or []
    return {column.name: column.as_written() for column in columns if column.name in identifiers}


def _is_folder_of_images(data: object) -> bool:
    source = _source(_subject(data))
    return source is not None and "image_size" in source.options


def blocks_of(source: object) -> list[Block]:
    """Return the blocks of a .npy, Parquet or Arrow file, or of a folder of Parquet and Arrow files, in order.

    Args:
        source: as in `load_data`; no blocks for any other, nor for arrays in Fortran order.

    Raises:
        BadInput: a file is damaged.
    """
    subject = _subject(source)
    return blocks_at(subject) if isinstance(subject, LocalLocation | RemoteLocation) else []


def read_any_rows(source: object, spec: DataSpec) -> Tensor:
    """Read all rows of a table whatever their values, with the condition of each, ``(N, D + G)``.

    Args:
        source: as in `load_data`.
        spec: the form of the training data, a table.

    Returns:
        Rows as for `aevb.data.tables.encode.encode_any_rows`, rounded as the training data are.

    Raises:
        BadInput: as in `load_data`, a column is missing, or a column of numbers holds texts.
    """
    name, raw_columns = _raw_columns(source, spec)
    groups = (columns for columns in (spec.columns, spec.condition_columns) if columns)
    return torch.cat([encode_any_rows(raw_columns, columns, name) for columns in groups], 1).to(spec.dtype)


def _read_rows(data: object, spec: DataSpec, outside: Outside | None) -> Examples:
    name, raw_columns = _raw_columns(data, spec)
    condition = encode_rows(raw_columns, spec.condition_columns, name, outside) if spec.condition_columns else None
    return Examples(encode_rows(raw_columns, spec.columns, name, outside).to(spec.dtype), condition=condition)


def _raw_columns(data: object, spec: DataSpec) -> tuple[str, list[RawColumn]]:
    """Return the name and the columns of a table."""
    subject = _subject(data)
    source = _source(subject)
    raw_columns = source.columns(subject, ReadOptions(missing=spec.missing)) if source else None
    if raw_columns is None:
        if isinstance(subject, LocalLocation) and not subject.exists():
            raise _absent(subject)
        raise BadInput(f"{_title(data)} is not a table: expected {_expected('column_types')}, or an array of rows")
    name = subject.name if isinstance(subject, LocalLocation | RemoteLocation) else _title(data)
    _require_any(max(map(len, raw_columns), default=0), name)
    return name, raw_columns


def _require_any(count: int, name: str) -> None:
    if not count:
        raise BadInput(f"{name} has no examples: expected at least one")


def _read(data: object, options: ReadOptions) -> UnsplitData:
    subject = _subject(data)
    source = _source(subject)
    if source is None:
        raise BadInput(_unknown(data, subject))
    for option, applies_to in _APPLIES_TO.items():
        if option in options.given() and option not in source.options:
            value = options.given()[option]
            raise BadInput(f"{option}={value!r} applies to {applies_to}, which {_title(data)} is not: omit it")
    return source.read(subject, options)


def _source(subject: object) -> Source | None:
    return next((source for source in sources() if source.accepts(subject)), None)


def _subject(data: object) -> object:
    """Return the name of a data set, the location of a path or address, or the object in memory."""
    if not isinstance(data, str | PathLike):
        return data
    address = fspath(data)
    return address if address in register.dataset or not address else locate(str(address))


def _title(data: object) -> str:
    if isinstance(data, Block):
        return str(data)
    return shorten(repr(fspath(data)), 120) if isinstance(data, str | PathLike) else IN_MEMORY


def _unknown(data: object, subject: object) -> str:
    """Return the message for data that no source accepts."""
    if not isinstance(data, str | PathLike):
        return f"data of type {type(data).__name__} cannot be used: expected {_expected(in_memory=True)}"
    if isinstance(subject, LocalLocation) and not subject.is_file() and subject.exists():
        return f"{subject} is not a regular file: expected {_expected()}"
    if isinstance(subject, RemoteLocation) or (isinstance(subject, LocalLocation) and subject.is_file()):
        return f"{subject} has an unknown format: expected {_expected()}"
    if isinstance(subject, LocalLocation) and (subject.suffix or len(subject.path.parts) > 1):
        raise _absent(subject)  # other words may name a data set
    names = sorted(register.dataset.names())
    similar = get_close_matches(str(data).lower(), names, 1)
    hint = f"did you mean {similar[0]}? Expected" if similar else "expected"
    unknown = f"no data set is named {_title(data)} and no such file exists"
    return f"{unknown}: {hint} one of {', '.join(names)}, or {_expected()}"


def _absent(path: LocalLocation) -> BadInput:
    return BadInput(f"{path} does not exist: pass the path of an existing file or folder")


def _expected(option: Option | None = None, *, in_memory: bool = False) -> str:
    """Return the descriptions of the sources, for messages."""
    described = [
        source.description
        for source in sources()
        if source.in_memory == in_memory and source.priority and (option is None or option in source.options)
    ]
    return ", ".join(described)


def _require_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise BadInput(
            f"{option}={value!r} is unknown: expected one of {', '.join(_most_similar_first(value, choices))}"
        )


def _most_similar_first(word: str, words: Sequence[str]) -> list[str]:
    return sorted(words, key=lambda name: -SequenceMatcher(None, word.lower(), name).ratio())
