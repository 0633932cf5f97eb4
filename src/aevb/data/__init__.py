"""A name or a path becomes a data set: `load("mnist")`, `load("cells.npz")`, `load("folder/of/images")`.

What each source may hold stands at the top of its module: `named` (published sets that are known by name),
`synthetic` (points in the plane, drawn from a density that `truth` gives), `arrays` (.npy and .npz), `tables` (.csv,
.tsv and .parquet), `images` (folders). Each returns its examples as one pool; `dataset` says which kind of values they
are, splits them and binarises them, alike for all sources. What is larger than memory stays where it lies: `stored`
says how that is learned from, `maps` reads .npy files so and `groups` Parquet and Arrow, also from afar (`places`).
"""

from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from aevb.columns import Column
from aevb.data.condition import conditioned, labels_given
from aevb.data.dataset import (
    Binarize,
    Dataset,
    Examples,
    Kind,
    UnsplitData,
    ValidateOn,
    made_alike,
    make_dataset,
    require_seed,
)
from aevb.data.out_of_core import InMemory, stays
from aevb.data.sources import named, synthetic
from aevb.data.sources import parquet as groups
from aevb.data.sources.arrays import read_arrays, read_rows
from aevb.data.sources.filesystem import Place, is_remote, place
from aevb.data.sources.images import read_images
from aevb.data.sources.iterable import Streamed, from_iterable
from aevb.data.sources.named import read_named
from aevb.data.sources.npy import stored_array, whole_array
from aevb.data.sources.synthetic import Normals, Truth, Variant, read_synthetic, truth
from aevb.data.tables import encode as tables
from aevb.errors import BadInput

__all__ = [
    "NAMES",
    "Binarize",
    "DataSpec",
    "Dataset",
    "Examples",
    "Kind",
    "Normals",
    "Streamed",
    "Truth",
    "Variant",
    "from_iterable",
    "load",
    "read",
    "truth",
]

NAMES = (*named.NAMES, *synthetic.NAMES)


def load(
    source: str,
    *,
    binarize: Binarize = "none",
    validation: float | None = None,
    test: float | None = None,
    validate_on: ValidateOn = "random",
    split_seed: int = 0,
    image_size: int | None = None,
    variant: Variant | None = None,
    column_types: tables.Kinds | None = None,
    condition: Sequence[str] = (),
    in_memory: InMemory = "auto",
    data_dir: str | Path | None = None,
) -> Dataset:
    """Load a data set and split it into training, validation and test examples.

    Args:
        source: a known name (see `NAMES`), or else the path of a .npy or .npz file, a table or a folder of images, or
            a folder of .parquet or .arrow files, or an address that fsspec knows, such as s3://bucket/cells.npy.
        binarize: what becomes of values in [0, 1]. "none": they stay. "threshold": 1 where the value is >= 0.5, else 0.
            "resampled": every training batch is a fresh Bernoulli draw with the values as probabilities; validation and
            test are drawn once, from `split_seed`. "treat-as-probabilities": they stay, but the set is declared binary.
        validation: a share of the examples if below 1, else a number of examples. Default: 0.1, and 10,000 of the
            60,000 training examples of mnist and fashion-mnist. Where a set has its own test part, a share is one of
            its training part.
        test: likewise, default 0.2; not for sets that have their own test part, which is kept.
        validate_on: "random" draws the validation examples; "last" takes the last ones, of the set's own training part
            where it has one.
        split_seed: seed of the splits, of the binary values drawn once and of the points of synthetic sets.
        image_size: images of a folder are resized to `image_size` x `image_size`.
        variant: which form of figure-8 or mixture, "printed" or "corrected" (default); see `aevb.data.sources.synthetic`.
        column_types: of columns of a table, by name, where they are not to be inferred; see `aevb.data.tables.encode`.
        condition: columns of a table, or `label`, that a model is given and does not explain.
        in_memory: "on" reads everything; "off" leaves the examples of .npy, Parquet and Arrow files where they are, of
            which then shares of those that are looked at are validation and test (`aevb.data.out_of_core`); "auto"
            does so from 2 GiB on, and 256 MiB of tables.
        data_dir: folder that holds a folder of files per named set. Default: the environment variable AEVB_DATA; with
            neither, they are downloaded once and cached. The other sources do not look at it.

    Returns:
        A `Dataset`, whose events are images (C, H, W) or vectors (D,).

    Raises:
        BadInput: the source is unknown, missing, damaged or holds what no model can use, or an option does not fit it.
    """
    if binarize not in get_args(Binarize):
        raise BadInput(f"binarize={binarize!r} is unknown: expected one of {_nearest(binarize, get_args(Binarize))}")
    if validate_on not in get_args(ValidateOn):
        raise BadInput(f"validate_on={validate_on!r} is unknown: expected random or last")
    if in_memory not in get_args(InMemory):
        raise BadInput(f"in_memory={in_memory!r} is unknown: expected auto, on or off")
    require_seed(split_seed)
    pool = conditioned(
        _pool(source, image_size, variant, column_types or {}, split_seed, data_dir, in_memory), condition
    )
    return make_dataset(pool, binarize, validation, test, split_seed, validate_on)


def read(source: str, like: "DataSpec") -> Examples:
    """All examples of a source, for a model that learned from others.

    Args:
        source: as in `load`.
        like: what it learned from, and the options of `load` with which it was read.

    Raises:
        BadInput: as in `load`, or the examples are of another kind or shape, or lack columns.
    """
    if like.columns:
        path, suffixes = Path(source), (*tables.SUFFIXES, ".npy", ".npz")
        if _what_is(source) != "file" or path.suffix.lower() not in suffixes:
            raise BadInput(f"{source!r} is no table: expected one of {', '.join(suffixes)}")
        is_table = path.suffix.lower() in tables.SUFFIXES
        raws = tables.read_raw(path) if is_table else tables.rows(read_rows(path))
        condition = tables.coded(raws, like.condition_columns, path.name) if like.condition_columns else None
        return Examples(tables.coded(raws, like.columns, path.name), condition=condition)
    pool = _pool(source, like.image_size, None, {}, like.split_seed, like.data_dir, "on")
    examples = made_alike(pool, like.kind, like.shape, like.binarize, like.split_seed)
    if not like.condition_columns:
        return examples
    return replace(examples, condition=labels_given(pool, like.condition_columns[0]))


class DataSpec(NamedTuple):
    """What a model learned from.

    Attributes:
        kind, shape, columns, condition_columns: of its data set.
        binarize, image_size, split_seed, data_dir: options of `load`.
    """

    kind: Kind
    shape: tuple[int, ...]
    columns: tuple[Column, ...]
    condition_columns: tuple[Column, ...]
    binarize: Binarize
    image_size: int | None
    split_seed: int
    data_dir: str | Path | None


def _pool(
    source: str,
    size: int | None,
    variant: Variant | None,
    kinds: tables.Kinds,
    split_seed: int,
    data_dir: str | Path | None,
    in_memory: InMemory,
) -> UnsplitData:
    path, found = Path(source), _what_is(source)
    grouped = found in ("address", "groups")
    if size is not None and found != "folder":
        raise BadInput(f"image_size={size} resizes a folder of images, which {source!r} is not: leave it out")
    is_table = found == "file" and path.suffix.lower() in tables.SUFFIXES
    if kinds and not (is_table or grouped):
        raise BadInput(f"column_types are of the columns of a table, which {source!r} is not: leave them out")
    if found == "special":
        raise BadInput(f"{path} is no regular file: expected one, such as .npy, .npz or a table, or a folder of images")
    if found == "nothing":
        raise BadInput(
            f"no data set is named {source!r} and no such file exists: "
            f"expected one of {_nearest(source, NAMES)}, a .npy or .npz file, a table, a folder of images or of Parquet"
        )
    synthetic.chosen(source, variant)
    if found == "synthetic":
        return read_synthetic(source, variant, split_seed)
    if found == "named":
        return read_named(source, data_dir)
    if grouped:
        return _placed(place(source), kinds, split_seed, in_memory)
    if found == "folder":
        return read_images(path, size)
    if is_table:
        large = path.suffix.lower() == ".parquet" and stays(in_memory, groups.LARGER * path.stat().st_size)
        return groups.read_groups(place(source), kinds, split_seed, "off") if large else tables.read_table(path, kinds)
    if path.suffix.lower() not in (".npy", ".npz"):
        known = ", ".join((".npy", ".npz", *tables.SUFFIXES))
        raise BadInput(f"{path} is of no known kind: expected one of {known}, or a folder of images")
    if path.suffix.lower() == ".npy" and stays(in_memory, path.stat().st_size):
        return stored_array(place(source), split_seed)
    return read_arrays(path)


def _placed(source: Place, kinds: tables.Kinds, split_seed: int, in_memory: InMemory) -> UnsplitData:
    """What lies at an address, or a local folder or file of Parquet or Arrow."""
    inside = source.files()
    if groups.tables_in([source] if inside is None else inside):
        return groups.read_groups(source, kinds, split_seed, in_memory)
    if inside is not None or source.suffix != ".npy" or kinds:
        raise BadInput(
            f"{source} is of no known kind: expected a .npy file, or {', '.join(groups.SUFFIXES)} or a folder of such"
        )
    return stored_array(source, split_seed) if stays(in_memory, source.size()) else whole_array(source)


def _what_is(
    source: str,
) -> Literal["synthetic", "named", "address", "groups", "folder", "file", "special", "nothing"]:
    if source in NAMES:
        return "synthetic" if source in synthetic.NAMES else "named"
    if is_remote(source):
        return "address"
    path = Path(source)
    try:
        if source and path.is_dir():
            return "groups" if groups.tables_in(place(source).files() or []) else "folder"
        if path.suffix.lower() in (".arrow", ".feather") and path.is_file():
            return "groups"
        return "file" if path.is_file() else "special" if source and path.exists() else "nothing"
    except OSError:  # such as a name too long for the file system
        return "nothing"


def _nearest(word: str, known: tuple[str, ...]) -> str:
    """The known words, the most similar first."""
    return ", ".join(sorted(known, key=lambda name: -SequenceMatcher(None, word.lower(), name).ratio()))
