"""Where files lie: in a local folder, or at an address that fsspec knows, such as s3://bucket/folder.

Bytes are read into memory of one's own. A memory map would do without a copy, but its pages stay resident for as long
as the system likes, and count as the process's own.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aevb.errors import BadInput

Span = tuple[int, int]
"""From this byte up to that one."""
NEAR, FAR = 2**20, 2**23
"""Bytes that are read at once: from afar, asking takes longer than reading."""


class Place(Protocol):
    """A file, or a folder of files.

    Attributes:
        name: the last part of its path.
        suffix: of a file's name, in small letters, with its dot.
        block: bytes that are read at once.
    """

    name: str
    suffix: str
    block: int

    def files(self) -> "list[Place] | None":
        """What lies in a folder, by name; None of a file."""

    def size(self) -> int:
        """Bytes of a file."""

    def opened(self) -> Any:
        """A file to be read, as a context."""

    def read(self, spans: Sequence[Span], into: NDArray[np.uint8]) -> None:
        """Read stretches of a file, one behind the other."""


def place(address: str) -> Place:
    """What lies at a path or an address.

    Raises:
        BadInput: there is nothing, it cannot be reached, or a library is missing.
    """
    return _remote(address) if is_remote(address) else Local(Path(address))


def is_remote(address: str) -> bool:
    """Whether it is an address and no path."""
    return "://" in address


class Local:
    """A place in the file system."""

    def __init__(self, path: Path) -> None:
        self.path, self.suffix = path, path.suffix.lower()
        self.name = path.name if path.name not in ("", "..") else path.resolve().name
        self.block = NEAR

    def __str__(self) -> str:
        return str(self.path)

    def files(self) -> "list[Place] | None":
        if not self.path.is_dir():
            return None
        with _told(self):
            return [Local(path) for path in sorted(self.path.iterdir()) if _is_shown(path.name)]

    def size(self) -> int:
        with _told(self):
            return self.path.stat().st_size

    def opened(self) -> Any:
        with _told(self):
            return self.path.open("rb")

    def read(self, spans: Sequence[Span], into: NDArray[np.uint8]) -> None:
        with _told(self), self.path.open("rb", buffering=0) as file:
            view, done = into.data, 0
            for start, stop in spans:
                file.seek(start)
                _filled(self, file, view[done : done + stop - start])
                done += stop - start


class Remote:
    """A place that fsspec reaches."""

    def __init__(self, system: Any, path: str, address: str) -> None:
        self.system, self.path, self.address = system, path, address
        self.name = path.rstrip("/").rsplit("/", 1)[-1]
        self.suffix = Path(self.name).suffix.lower()
        self.block = FAR

    def __str__(self) -> str:
        return self.address

    def files(self) -> "list[Place] | None":
        with _told(self):
            if not self.system.isdir(self.path):
                return None
            found = sorted(self.system.ls(self.path, detail=False))
        head = self.address.split("://", 1)[0]
        return [Remote(self.system, path, f"{head}://{path.lstrip('/')}") for path in found if _is_shown(path)]

    def size(self) -> int:
        with _told(self):
            return int(self.system.size(self.path))

    def opened(self) -> Any:
        with _told(self):
            return self.system.open(self.path, "rb")

    def read(self, spans: Sequence[Span], into: NDArray[np.uint8]) -> None:
        with _told(self):
            starts, stops = zip(*spans, strict=True)
            found = self.system.cat_ranges([self.path] * len(spans), list(starts), list(stops))
        content = np.frombuffer(b"".join(found), dtype=np.uint8)
        if len(content) != len(into):
            raise _shrunk(self)
        into[:] = content


def _remote(address: str) -> Remote:
    try:
        import fsspec
    except ImportError as error:
        raise BadInput(f"{address} is an address, which needs fsspec: pip install 'aevb[remote]'") from error
    try:
        system, path = fsspec.core.url_to_fs(address)
        exists = system.exists(path)
    except Exception as error:  # each of fsspec's systems raises errors of its own
        raise _unread(address, error) from error
    if not exists:
        raise BadInput(
            f"nothing lies at {address}: expected a .npy file, or Parquet or Arrow files or a folder of them"
        )
    return Remote(system, path, address)


def _is_shown(name: str) -> bool:
    return not name.rsplit("/", 1)[-1].startswith((".", "_"))


def _filled(place: Place, file: IO[bytes], view: memoryview) -> None:
    done = 0
    while done < len(view):
        count = file.readinto(view[done:])  # type: ignore[attr-defined]
        if not count:
            raise _shrunk(place)
        done += count


def _shrunk(place: Place) -> BadInput:
    return BadInput(f"{place} has become shorter than it was: it must not change while it is read; bring it back")


@contextmanager
def _told(place: Place) -> Iterator[None]:
    """Turn what goes wrong with a place into a line."""
    try:
        yield
    except BadInput:
        raise
    except Exception as error:  # each of fsspec's systems raises errors of its own
        raise _unread(str(place), error) from error


def _unread(address: str, error: Exception) -> BadInput:
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    return BadInput(f"{address} cannot be read ({reason}): expected a place that one may read")
