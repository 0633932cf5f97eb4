"""Atomic writes: a file is written under a temporary name, flushed and renamed: it exists whole or not at all.

Locks: a process that writes to a folder for long holds the lock of one of its files.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from aevb.errors import BadInput, option

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

HUB_PREFIX = "hub:"
"""Prefix of an address on the Hugging Face hub, which is not a path on this machine."""


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` with a temporary path beside `path`, then rename the temporary file to `path`.

    Raises:
        BadInput: the file cannot be written.
    """
    require_local(path)
    temporary = path.with_name(temporary_name(path.name, os.getpid()))
    with os_errors_as_bad_input(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.unlink(missing_ok=True)  # may be a symbolic link to another file
            write(temporary)
            flush(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically.

    Raises:
        BadInput: the file cannot be written.
    """
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def write_text(path: Path, text: str) -> None:
    """Write text atomically, in UTF-8.

    Raises:
        BadInput: the file cannot be written.
    """
    write_bytes(path, text.encode())


def create_folder(folder: Path, files: Mapping[str, bytes], space: int) -> None:
    """Create a folder with files in one step. The files of an existing, empty folder appear in their order instead.

    Args:
        folder: must not exist, or be empty.
        files: contents by name.
        space: bytes that must be free on the disk.

    Raises:
        BadInput: the folder already exists or cannot be written, or the disk is full.
    """
    require_local(folder)
    with os_errors_as_bad_input(folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise BadInput(f"{folder} already exists: choose another {option('out')}, or remove it")
        target = folder.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(target.parent).free < space:
            raise BadInput(f"no space left for {target}: a run of this size takes about {space / 2**20:.0f} MB")
        temporary = Path(tempfile.mkdtemp(prefix=".aevb-", dir=target.parent))
        try:
            for name, content in files.items():
                write_bytes(temporary / name, content)
            _move(temporary, target, files)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def _move(temporary: Path, target: Path, names: Iterable[str]) -> None:
    """Rename the folder; fill an existing one, which may be the working directory."""
    if target.exists():
        for name in names:
            (temporary / name).replace(target / name)
        temporary.rmdir()
    else:
        temporary.chmod(0o755)
        temporary.replace(target)


def require_local(path: Path) -> None:
    """Refuse an address on the hub as a path to write to.

    Raises:
        BadInput: it is one.
    """
    if str(path).startswith(HUB_PREFIX):
        raise BadInput(f"{path} is not on this machine: pass {option('out')}, or download the run first with aevb pull")


def temporary_name(name: str, process: object) -> str:
    """Return the name under which a process writes a file before it is renamed; "*" matches any process."""
    suffixes = "".join(Path(name).suffixes)
    return f".{name[: len(name) - len(suffixes)]}-{process}{suffixes}"


def flush(path: Path) -> None:
    """Flush a file to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which the system releases if the process dies. Without effect on Windows.

    Raises:
        BadInput: another process holds it.
    """
    with os_errors_as_bad_input(path, "read"):
        file = path.open("rb")
    with file:
        if fcntl:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BadInput(f"{path.parent} is in use by another process: wait until it ends") from None
            except OSError:  # a file system without locks
                pass
        yield


@contextmanager
def os_errors_as_bad_input(path: Path, action: Literal["read", "write"] = "write") -> Iterator[None]:
    """Turn an `OSError` into a `BadInput` of one line that names the path."""
    try:
        yield
    except OSError as error:
        obstacle = next((folder for folder in path.parents if folder.is_file()), None)
        reason = f"{obstacle} is a file, expected a folder" if obstacle else (error.strerror or str(error)).lower()
        raise BadInput(f"cannot {action} {path}: {reason}") from error
