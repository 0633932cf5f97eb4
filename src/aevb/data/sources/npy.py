"""A .npy file of which rows are read one block at a time, or at an address.

The shape in the header is checked against the size of the file before anything is read. Rows must be contiguous (C
order): in Fortran order a row is scattered over the whole file. Values are converted as those of arrays in memory:
bytes stay bytes, others become float32 or float64, and all must be finite.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.lib import format as npy

from aevb.data.dataset import UnsplitData
from aevb.data.examples import Examples
from aevb.data.out_of_core import OutOfCoreExamples, Rows, scan_rows, stays_on_disk
from aevb.data.rounding import narrowed
from aevb.data.sources.arrays import Array, read_arrays, read_rows, require_events, stored_type, to_events, value_scale
from aevb.data.sources.filesystem import LocalLocation, Location, RemoteLocation
from aevb.data.sources.registry import Option, ReadOptions, register_source
from aevb.data.tables.raw import RawColumn, array_columns
from aevb.errors import BadInput, option


@register_source
class NpySource:
    """.npy files, local or remote, and local .npz files."""

    description = "a .npy or .npz file"
    options: frozenset[Option] = frozenset()
    priority = 40
    in_memory = False

    def accepts(self, data: object) -> bool:
        if isinstance(data, RemoteLocation):
            return data.suffix == ".npy" and not data.is_folder()
        return isinstance(data, LocalLocation) and data.suffix in (".npy", ".npz") and data.is_file()

    def read(self, data: object, options: ReadOptions) -> UnsplitData:
        assert isinstance(data, LocalLocation | RemoteLocation)
        if data.suffix == ".npy" and stays_on_disk(options.in_memory, data.size()):
            return read_out_of_core(data, options.split_seed)
        return read_arrays(data.path) if isinstance(data, LocalLocation) else _read_remote(data)

    def columns(self, data: object, options: ReadOptions) -> list[RawColumn] | None:
        return array_columns(read_rows(data.path)) if isinstance(data, LocalLocation) else None


class Header(NamedTuple):
    """The header of a .npy file.

    Attributes:
        shape: shape of the array.
        dtype: type of its numbers.
        start: position of the first byte of the data.
        fortran: whether it is in Fortran order.
    """

    shape: tuple[int, ...]
    dtype: "np.dtype[np.generic]"
    start: int
    fortran: bool


class NpyReader:
    """Reads the rows of a .npy file.

    Args:
        location: the file.

    Raises:
        BadInput: the file is damaged, shorter than its header states, in Fortran order, or holds no examples.
    """

    def __init__(self, location: Location) -> None:
        self.name, self.size, self.location = str(location), location.size(), location
        self.header = read_header(location)
        shape, dtype, start, fortran = self.header
        if fortran:
            raise BadInput(
                f"{location} is in Fortran order, in which rows are not contiguous: write it with"
                f" np.save(path, np.ascontiguousarray(array)), or use {option('data.in-memory', 'on')}"
            )
        require_events(shape, self.name)
        self.row_bytes = int(np.prod(shape[1:], dtype=object)) * dtype.itemsize
        if self.size < start + shape[0] * self.row_bytes:
            missing = start + shape[0] * self.row_bytes - self.size
            raise BadInput(f"{location} declares the shape {shape} and is {missing} bytes too short: write it again")
        self.bounds = np.append(np.arange(0, shape[0], max(1, location.block // max(1, self.row_bytes))), shape[0])
        self.scale, self.stored = 1.0, stored_type(dtype)

    @property
    def memory_bytes(self) -> int:
        """Bytes of a row in memory."""
        dtype = self.header.dtype
        return self.row_bytes // dtype.itemsize * self.stored.itemsize

    def read(self, rows: Rows) -> Examples:
        """Read the rows with these ascending numbers."""
        array = to_events(self.array(rows), self.name)
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.ascontiguousarray(array, dtype=self.stored)
            suspect = values.dtype != np.uint8 and not np.isfinite(values.sum())
        if suspect:
            self._require_finite(values, rows)
        return Examples(torch.from_numpy(values), scale=self.scale)

    def array(self, rows: Rows) -> Array:
        """Read the rows with these ascending numbers as they are in the file."""
        shape, dtype, start, _ = self.header
        content = np.empty(len(rows) * self.row_bytes, dtype=np.uint8)
        breaks = np.flatnonzero(np.diff(rows) != 1) + 1
        firsts, lasts = np.append(rows[:1], rows[breaks]), np.append(rows[breaks - 1], rows[-1:])
        edges = (start + firsts * self.row_bytes, start + (lasts + 1) * self.row_bytes)
        self.location.read(list(zip(*(edge.tolist() for edge in edges), strict=True)), content)
        return content.view(dtype).reshape(len(rows), *shape[1:])

    def _require_finite(self, values: Array, rows: Rows) -> None:
        numbers = values.reshape(len(rows), -1).astype(np.float32)
        missing, infinite = np.isnan(numbers).any(1), np.isinf(numbers).any(1)
        if missing.any() and values.ndim == 2:
            raise BadInput(
                f"{self.name} has a missing value (NaN) in row {rows[missing.argmax()]} counted from 0: use"
                f" {option('data.in-memory', 'on')} or a Parquet file, which may have missing values, or drop the row"
            )
        if (missing | infinite).any():
            row, fault = (infinite, "infinite or too large for float32") if infinite.any() else (missing, "NaN")
            raise BadInput(
                f"{self.name} has a value in row {rows[row.argmax()]} counted from 0 that is {fault}: expected finite"
                " numbers; drop or replace it"
            )


def read_out_of_core(location: Location, seed: int) -> UnsplitData:
    """Return the rows of a file as examples that stay in the file.

    Args:
        location: the file.
        seed: seed of the rows to scan.

    Raises:
        BadInput: the file is damaged, or a scanned row has numbers that are not finite.
    """
    reader = NpyReader(location)
    scanned = scan_rows(reader.header.shape[0], reader.memory_bytes, seed)
    values = reader.read(scanned).values
    reader.scale = value_scale(values.numpy())
    examples = narrowed(Examples(values, scale=reader.scale))
    reader.stored = examples.values.numpy().dtype
    return UnsplitData(location.name, examples, out_of_core=OutOfCoreExamples(reader, examples, scanned))


def _read_remote(location: RemoteLocation) -> UnsplitData:
    """Read all rows of a remote file into memory."""
    reader = NpyReader(location)
    examples = reader.read(np.arange(reader.header.shape[0]))
    return UnsplitData(location.name, replace(examples, scale=value_scale(examples.values.numpy())))


def read_header(location: Location) -> Header:
    """Return the header of a .npy file.

    Raises:
        BadInput: the file is damaged, or its values are not real numbers.
    """
    try:
        with location.open() as file:
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = read(file)
            start = file.tell()
    except (ValueError, OSError, EOFError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(
            f"{location} cannot be read ({' '.join(str(error).split())[:120]}): expected an array of numbers written by"
            " np.save; write it again"
        ) from error
    if dtype.kind not in "buif":
        raise BadInput(f"{location} has values of type {dtype}: expected real numbers; convert them")
    return Header(shape, dtype, start, fortran)
