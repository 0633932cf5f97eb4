"""Files and folders: local ones, and those at addresses that fsspec supports, such as s3://bucket/folder.

Bytes are read into memory of the process. A memory map would save the copy, but its pages stay resident for as long as
the operating system likes and count as memory of the process.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from io import RawIOBase
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from aevb.data.optional import optional_library
from aevb.errors import BadInput

if TYPE_CHECKING:
    import fsspec

Span = tuple[int, int]
"""First byte, and the byte after the last one."""
LOCAL_BLOCK, REMOTE_BLOCK = 2**20, 2**23
"""Bytes read at once: for a remote file the latency of a request is longer than the transfer of a small block."""


class Location(Protocol):
    """A file, or a folder of files.

    Attributes:
        name: last part of its path.
        suffix: suffix of a file in lower case, with its dot.
        block: bytes to read at once.
    """

    name: str
    suffix: str
    block: int

    def is_folder(self) -> bool:
        """Return whether this is a folder."""

    def files(self) -> "list[Location]":
        """Return the contents of a folder, sorted by name, without hidden files; of a file, the file itself."""

    def size(self) -> int:
        """Return the size of a file in bytes."""

    def open(self) -> AbstractContextManager[IO[bytes]]:
        """Open a file for reading."""

    def read(self, spans: Sequence[Span], into: NDArray[np.uint8]) -> None:
        """Read spans of a file into consecutive memory."""


def locate(address: str) -> "Location":
    """Return the file or folder at a path or an address.

    Raises:
        BadInput: an address does not exist or cannot be reached, or fsspec is not installed.
    """
    return _remote(address) if "://" in address else LocalLocation(Path(address))


class LocalLocation:
    """A file or folder on this machine, which may not exist."""

    def __init__(self, path: Path) -> None:
        self.path, self.suffix = path, path.suffix.lower()
        self.name = path.name if path.name not in ("", "..") else path.resolve().name
        self.block = LOCAL_BLOCK

    def __str__(self) -> str:
        return str(self.path)

    def is_folder(self) -> bool:
        try:
            return self.path.is_dir()
        except OSError:  # such as a name too long for the file system
            return False

    def is_file(self) -> bool:
        """Return whether this is a regular file."""
        try:
            return self.path.is_file()
        except OSError:
            return False

    def exists(self) -> bool:
        """Return whether this exists, as a file, a folder or something else."""
        try:
            return self.path.exists()
        except OSError:
            return False

    def files(self) -> list[Location]:
        if not self.is_folder():
            return [self]
        with _described(self):
            return [LocalLocation(path) for path in sorted(self.path.iterdir()) if _is_visible(path.name)]

    def size(self) -> int:
        with _described(self):
            return self.path.stat().st_size

    def open(self) -> AbstractContextManager[IO[bytes]]:
        with _described(self):
            return self.path.open("rb")

    def read(self, spans: Sequence[Span], into: NDArray[np.uint8]) -> None:
        with _described(self), self.path.open("rb", buffering=0) as file:
            view, done = into.data, 0
            for start, stop in spans:
                file.seek(start)
                _fill(self, file, view[done : done + stop - start])
                done += stop - start


class RemoteLocation:
    """A file or folder that fsspec reaches."""

    def __init__(self, filesystem: "fsspec.AbstractFileSystem", path: str, address: str) -> None:
        self.filesystem, self.path, self.address = filesystem, path, address
        self.name = path.rstrip("/").rsplit("/", 1)[-1]
        self.suffix = Path(self.name).suffix.lower()
        self.block = REMOTE_BLOCK

    def __str__(self) -> str:
        return self.address

    def is_folder(self) -> bool:
        with _described(self):
            return bool(self.filesystem.isdir(self.path))

    def files(self) -> list[Location]:
        if not self.is_folder():
            return [self]
        with _described(self):
            paths = sorted(self.filesystem.ls(self.path, detail=False))
        protocol = self.address.split("://", 1)[0]
        return [
            RemoteLocation(self.filesystem, path, f"{protocol}://{path.lstrip('/')}")
            for path in paths
            if _is_visible(path)
        ]

    def size(self) -> int:
        with _described(self):
            return int(self.filesystem.size(self.path))

    def open(self) -> AbstractContextManager[IO[bytes]]:
        with _described(self):
            file: AbstractContextManager[IO[bytes]] = self.filesystem.open(self.path, "rb")
            return file

    def read(self, spans: Sequence[Span], into: NDArray[np.uint8]) -> None:
        with _described(self):
            starts, stops = zip(*spans, strict=True)
            blocks = self.filesystem.cat_ranges([self.path] * len(spans), list(starts), list(stops))
        content = np.frombuffer(b"".join(blocks), dtype=np.uint8)
        if len(content) != len(into):
            raise _truncated(self)
        into[:] = content


def _remote(address: str) -> RemoteLocation:
    fsspec = optional_library("fsspec", f"{address} is an address, which", "'aevb[remote]'")
    try:
        filesystem, path = fsspec.core.url_to_fs(address)
        exists = filesystem.exists(path)
    except Exception as error:  # each file system of fsspec has its own errors
        raise _unreadable(address, error) from error
    if not exists:
        raise BadInput(
            f"{address} does not exist: expected a .npy file, a Parquet or Arrow file, or a folder of such files"
        )
    return RemoteLocation(filesystem, path, address)


def _is_visible(name: str) -> bool:
    return not name.rsplit("/", 1)[-1].startswith((".", "_"))


def _fill(location: Location, file: RawIOBase, view: memoryview) -> None:
    done = 0
    while done < len(view):
        count = file.readinto(view[done:])
        if not count:
            raise _truncated(location)
        done += count


def _truncated(location: Location) -> BadInput:
    return BadInput(f"{location} is shorter than before: it must not change while it is read; restore it")


@contextmanager
def _described(location: Location) -> Iterator[None]:
    """Convert errors of a file system into `BadInput`."""
    try:
        yield
    except BadInput:
        raise
    except Exception as error:  # each file system of fsspec has its own errors
        raise _unreadable(str(location), error) from error


def _unreadable(address: str, error: Exception) -> BadInput:
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    return BadInput(f"{address} cannot be read ({reason}): expected a file or folder with read permission")
