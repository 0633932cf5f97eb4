"""IDX, the file format of MNIST: two zero bytes, a type, the number of dimensions, the dimensions, then the values.

Numbers are big-endian; a file with the suffix .gz is compressed by gzip. The declared dimensions are not trusted:
values are read first, never more than declared, and memory is allocated only for those that exist. Since a small
compressed file may expand to a large one, declarations of more than `MAX_BYTES` are refused.
"""

import gzip
import struct
import zlib
from io import BufferedIOBase
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aevb.errors import BadInput

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_BLOCK = 1 << 20  # bytes read at a time
MAX_BYTES = 1 << 30
"""Largest number of bytes of values."""


def read_idx(path: Path, dimensions: int) -> NDArray[np.generic]:
    """Read the array of an IDX file.

    Args:
        path: the file.
        dimensions: expected number of dimensions.

    Raises:
        BadInput: the file cannot be read, is not an IDX or gzip file, has another number of dimensions, or holds fewer
            or more values than its header declares.
    """
    try:
        with _open(path) as stream:
            return _read(stream, path, dimensions)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(
            f"{path} cannot be read completely ({error}): expected a complete IDX file; replace it"
        ) from error


def _open(path: Path) -> BufferedIOBase:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _read(stream: BufferedIOBase, path: Path, dimensions: int) -> NDArray[np.generic]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES:
        raise BadInput(f"{path} is not an IDX file: its first bytes are {magic.hex(' ') or 'missing'}; replace it")
    if magic[3] != dimensions:
        raise BadInput(f"{path} has {magic[3]} dimensions: expected {dimensions}; use the right file of the data set")
    head = stream.read(4 * dimensions)
    if len(head) < 4 * dimensions:
        raise BadInput(f"{path} ends within its header: expected a complete IDX file; replace it")
    shape = struct.unpack(f">{dimensions}I", head)
    dtype = np.dtype(_TYPES[magic[2]])
    values = _read_values(stream, path, prod(shape) * dtype.itemsize)
    return np.frombuffer(values, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _read_values(stream: BufferedIOBase, path: Path, declared: int) -> bytearray:
    if declared > MAX_BYTES:
        raise BadInput(f"{path} declares {declared} bytes of values: expected at most {MAX_BYTES}; replace it")
    values = bytearray()
    while len(values) <= declared and (block := stream.read(_BLOCK)):
        values += block
    if len(values) != declared:
        actual = f"only {len(values)}" if len(values) < declared else "more"
        raise BadInput(f"{path} declares {declared} bytes of values and holds {actual}: replace it")
    return values
