"""Contents of files that may be compressed: .gz, and .zip with a single file."""

import gzip
import io
import zipfile
import zlib
from pathlib import Path
from typing import IO

from aevb import memory
from aevb.errors import BadInput

_EXPANDED, _RATIO = 2**26, 200
"""Bytes to which any file may expand, and the largest ratio of expanded to stored bytes beyond that."""


def read_content(path: Path) -> bytes:
    """Return the bytes of a file, expanded if it is compressed.

    Raises:
        BadInput: the file is damaged or expands to far more than its size.
    """
    try:
        suffix = path.suffix.lower()
        if suffix == ".zip":
            return _unzipped(path)
        if suffix == ".gz":
            with gzip.open(path) as file:
                return _limited(file, path)
        return path.read_bytes()
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise BadInput(f"{path} cannot be read ({' '.join(str(error).split())[:120]}): write it again") from error


def _unzipped(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.startswith("__MACOSX/") and not name.endswith("/")]
        if len(names) != 1:
            raise BadInput(f"{path} holds {len(names)} files: expected one table")
        with archive.open(names[0]) as file:
            return _limited(file, path)


def _limited(file: IO[bytes] | gzip.GzipFile, path: Path) -> bytes:
    limit = max(_EXPANDED, _RATIO * path.stat().st_size)
    content = file.read(limit + 1)
    if len(content) > limit:
        raise BadInput(f"{path} expands to over {_RATIO} times its own size: write it again")
    memory.require(len(content), str(path), "use fewer rows or columns")
    return content


def write_content(path: Path, content: bytes) -> None:
    """Write bytes, compressed as the suffix of the path says."""
    suffix = path.suffix.lower()
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(path.stem, content)
        return
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=0) as file:
        file.write(content)
    path.write_bytes(packed.getvalue() if suffix == ".gz" else content)
