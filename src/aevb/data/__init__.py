"""Data sets: `load_data` makes one of a name, a path, an address or an object in memory.

sources/           formats and objects that examples are read from
tables/            columns of tables: reading, inference of types, encoding, writing
loading.py         `load_data`, `read_examples` and `read_any_rows`
dataset.py         `Dataset`, training, validation and test examples
examples.py        `Examples`, tensors and the batches built from them
match.py           new examples in the form of the training data
splits.py          training, validation and test splits
binarization.py    binarization of values in [0, 1]
value_kinds.py     binary, unit, counts, real
condition.py       what a conditional model receives and does not model
out_of_core.py     examples that stay on disk
"""

from aevb.data.binarization import Binarize
from aevb.data.dataset import IN_MEMORY, Dataset, UnsplitData
from aevb.data.examples import Examples, ExampleSource
from aevb.data.loading import load_data, read_any_rows, read_examples
from aevb.data.match import DataSpec
from aevb.data.sources.iterable import StreamedExamples, from_iterable
from aevb.data.sources.synthetic import NormalMixture, Truth, Variant, truth
from aevb.data.splits import split_data
from aevb.data.value_kinds import Kind

__all__ = [
    "IN_MEMORY",
    "Binarize",
    "DataSpec",
    "Dataset",
    "ExampleSource",
    "Examples",
    "Kind",
    "NormalMixture",
    "StreamedExamples",
    "Truth",
    "UnsplitData",
    "Variant",
    "from_iterable",
    "load_data",
    "read_any_rows",
    "read_examples",
    "split_data",
    "truth",
]
