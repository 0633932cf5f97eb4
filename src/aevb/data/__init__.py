"""A name or a path becomes a data set: `load("mnist")`, `load("cells.npz")`, `load("folder/of/images")`.

What each source may hold stands at the top of its module: `named` (published sets that are known by name),
`synthetic` (points in the plane, drawn from a density that `truth` gives), `arrays` (.npy and .npz), `images`
(folders). Each returns its examples as one pool; `dataset` says which kind of values they are, splits them and
binarises them, alike for all sources.
"""

from difflib import SequenceMatcher
from pathlib import Path
from typing import Literal, get_args

from aevb.data import named, synthetic
from aevb.data.arrays import read_arrays
from aevb.data.dataset import Binarize, Dataset, Examples, Kind, Pool, ValidateOn, make_dataset
from aevb.data.images import read_images
from aevb.data.named import read_named
from aevb.data.synthetic import Normals, Truth, Variant, read_synthetic, truth
from aevb.errors import BadInput

__all__ = ["NAMES", "Binarize", "Dataset", "Examples", "Kind", "Normals", "Truth", "Variant", "load", "truth"]

NAMES = (*named.NAMES, *synthetic.NAMES)


def load(
    source: str,
    *,
    binarize: Binarize = "none",
    validation: float | None = None,
    test: float | None = None,
    validate_on: ValidateOn = "random",
    split_seed: int = 0,
    size: int | None = None,
    variant: Variant | None = None,
    data_dir: str | Path | None = None,
) -> Dataset:
    """Load a data set and split it into training, validation and test examples.

    Args:
        source: a known name (see `NAMES`), or else the path of a .npy or .npz file or of a folder of images.
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
        size: images of a folder are resized to `size` x `size`.
        variant: which form of figure-8 or mixture, "printed" or "mended" (default); see `aevb.data.synthetic`.
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
    pool = _pool(source, size, variant, split_seed, data_dir)
    return make_dataset(pool, binarize, validation, test, split_seed, validate_on)


def _pool(source: str, size: int | None, variant: Variant | None, split_seed: int, data_dir: str | Path | None) -> Pool:
    path, found = Path(source), _what_is(source)
    if size is not None and found != "folder":
        raise BadInput(f"size={size} resizes a folder of images, which {source!r} is not: leave it out")
    if found == "nothing":
        raise BadInput(
            f"no data set is named {source!r} and no such file exists: "
            f"expected one of {_nearest(source, NAMES)}, a .npy or .npz file, or a folder of images"
        )
    synthetic.chosen(source, variant)
    if found == "synthetic":
        return read_synthetic(source, variant, split_seed)
    if found == "named":
        return read_named(source, data_dir)
    if found == "folder":
        return read_images(path, size)
    if path.suffix.lower() not in (".npy", ".npz"):
        raise BadInput(f"{path} is of no known kind: expected a .npy or .npz file, or a folder of images")
    return read_arrays(path)


def _what_is(source: str) -> Literal["synthetic", "named", "folder", "file", "nothing"]:
    if source in NAMES:
        return "synthetic" if source in synthetic.NAMES else "named"
    path = Path(source)
    try:
        return "folder" if source and path.is_dir() else "file" if path.is_file() else "nothing"
    except OSError:  # such as a name too long for the file system
        return "nothing"


def _nearest(word: str, known: tuple[str, ...]) -> str:
    """The known words, the most similar first."""
    return ", ".join(sorted(known, key=lambda name: -SequenceMatcher(None, word.lower(), name).ratio()))
