"""IDX, the file format of MNIST: two zero bytes, a type, the number of dimensions, the dimensions, then the values.

Numbers are big-endian; a file may be compressed by gzip, which its ending .gz tells. The dimensions are the file's own
claim, so the values are read first, never more than claimed, and memory is taken only for what is really there. A small
compressed file may hold a lot, so that claims of more than `MOST` are refused.
"""

import gzip
import struct
import zlib
from io import BufferedIOBase
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aevb.errors import BadInput

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_BLOCK = 1 << 20  # bytes read at a time
MOST = 1 << 30
"""Bytes of values."""


def read_idx(path: Path, dimensions: int) -> NDArray[Any]:
    """Read the array, of `dimensions` dimensions, in an IDX file.

    Raises:
        BadInput: the file cannot be read, is no IDX file or no gzip file, has another number of dimensions, or holds
            fewer or more values than its header declares.
    """
    try:
        with _open(path) as stream:
            return _read(stream, path, dimensions)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(
            f"{path} cannot be read to its end ({error}): expected a whole IDX file; get it again"
        ) from error


def _open(path: Path) -> BufferedIOBase:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _read(stream: BufferedIOBase, path: Path, dimensions: int) -> NDArray[Any]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES:
        raise BadInput(f"{path} is no IDX file: its first bytes are {magic.hex(' ') or 'missing'}; get it again")
    if magic[3] != dimensions:
        raise BadInput(f"{path} has {magic[3]} dimensions: expected {dimensions}; is it another file of the set?")
    head = stream.read(4 * dimensions)
    if len(head) < 4 * dimensions:
        raise BadInput(f"{path} ends within its header: expected a whole IDX file; get it again")
    shape = struct.unpack(f">{dimensions}I", head)
    dtype = np.dtype(_TYPES[magic[2]])
    values = _read_values(stream, path, prod(shape) * dtype.itemsize)
    return np.frombuffer(values, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _read_values(stream: BufferedIOBase, path: Path, declared: int) -> bytearray:
    if declared > MOST:
        raise BadInput(f"{path} declares {declared} bytes of values: expected at most {MOST}; get it again")
    values = bytearray()
    while len(values) <= declared and (block := stream.read(_BLOCK)):
        values += block
    if len(values) != declared:
        found = f"only {len(values)}" if len(values) < declared else "more"
        raise BadInput(f"{path} declares {declared} bytes of values and holds {found}: get it again")
    return values
