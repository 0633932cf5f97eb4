"""A .npy file of which rows are read where they lie: what `aevb.data.sources.arrays` reads at once, a little at a time.

The shape that the file states is held against its size before anything is read. Rows must lie one behind the other (C
order); in Fortran order one of them is scattered over the whole file. Numbers of any type and byte order become what
they would in memory: bytes stay bytes, the others become float32, and all must be finite.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.lib import format as npy

from aevb.data.dataset import UnsplitData
from aevb.data.examples import Examples
from aevb.data.out_of_core import Rows, Stored, spread
from aevb.data.sources.arrays import laid_out, scale_of, small
from aevb.data.sources.filesystem import Place
from aevb.errors import BadInput


class Header(NamedTuple):
    """What a file states.

    Attributes:
        shape: of the array.
        dtype: of its numbers.
        start: the byte where they begin.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int


class Map:
    """The rows of a .npy file.

    Args:
        place: of the file.

    Raises:
        BadInput: it is damaged, shorter than its shape wants, in Fortran order, or holds no examples.
    """

    def __init__(self, place: Place) -> None:
        self.name, self.size, self.place = str(place), place.size(), place
        self.header = _header(place)
        shape, dtype, start = self.header
        self.row = int(np.prod(shape[1:], dtype=object)) * dtype.itemsize
        if self.size < start + shape[0] * self.row:
            raise BadInput(
                f"{place} states the shape {shape}, for which it is {start + shape[0] * self.row - self.size} bytes too"
                " short: write it again"
            )
        self.event = laid_out(np.empty((0, *shape[1:]), dtype), self.name).shape[1:]
        self.bounds = np.append(np.arange(0, shape[0], max(1, place.block // max(1, self.row))), shape[0])
        self.scale = 1.0

    @property
    def held(self) -> int:
        """Bytes of a row in memory."""
        return self.row // self.header.dtype.itemsize * (1 if self.header.dtype in (np.bool_, np.uint8) else 4)

    def read(self, rows: Rows) -> Examples:
        """Some rows, whose numbers ascend."""
        shape, dtype, start = self.header
        content = np.empty(len(rows) * self.row, dtype=np.uint8)
        breaks = np.flatnonzero(np.diff(rows) != 1) + 1
        firsts, lasts = np.append(rows[:1], rows[breaks]), np.append(rows[breaks - 1], rows[-1:])
        edges = (start + firsts * self.row, start + (lasts + 1) * self.row)
        self.place.read(list(zip(*(edge.tolist() for edge in edges), strict=True)), content)
        array = laid_out(content.view(dtype).reshape(len(rows), *shape[1:]), self.name)
        with np.errstate(over="ignore", invalid="ignore"):
            values = small(array)
            suspect = values.dtype == np.float32 and not np.isfinite(values.sum())
        if suspect:
            self._require_finite(values, rows)
        return Examples(torch.from_numpy(values), scale=self.scale)

    def _require_finite(self, values: np.ndarray[Any, Any], rows: Rows) -> None:
        usable = np.isfinite(values.reshape(len(rows), -1)).all(1)
        if not usable.all():
            raise BadInput(
                f"{self.name} has in row {rows[usable.argmin()]} counted from 0 a value that is NaN, infinite or too"
                " large for float32: expected finite numbers; drop or replace it"
            )


def stored_array(place: Place, seed: int) -> UnsplitData:
    """The rows of a file that stay in it.

    Args:
        place: of the file.
        seed: of the rows that are looked at.

    Raises:
        BadInput: as in `Map`, or a row that is looked at has numbers that are not finite.
    """
    source = Map(place)
    looked = spread(source.header.shape[0], source.held, seed)
    values = source.read(looked).values
    source.scale = scale_of(values.numpy())
    examples = Examples(values, scale=source.scale)
    return UnsplitData(place.name, examples, stored=Stored(source, examples, looked))


def whole_array(place: Place) -> UnsplitData:
    """All rows of a file, which may be remote, in memory."""
    source = Map(place)
    examples = source.read(np.arange(source.header.shape[0]))
    return UnsplitData(place.name, replace(examples, scale=scale_of(examples.values.numpy())))


def _header(place: Place) -> Header:
    try:
        with place.opened() as file:
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = read(file)
            start = file.tell()
    except (ValueError, OSError, EOFError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(
            f"{place} cannot be read ({' '.join(str(error).split())[:120]}): expected an array of numbers written by"
            " np.save; write it again"
        ) from error
    if dtype.kind not in "buif":
        raise BadInput(f"{place} holds values of type {dtype}: expected real numbers; convert them")
    if fortran:
        raise BadInput(
            f"{place} is in Fortran order, in which its rows cannot be read one by one: write it with"
            " np.save(path, np.ascontiguousarray(array)), or give --data.in-memory on"
        )
    return Header(shape, dtype, start)
