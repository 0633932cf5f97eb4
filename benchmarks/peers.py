"""The other libraries, in environments of their own in the user's cache."""

import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path

import pooch

TRAINERS = ("torch>=2.9,<2.14", "pythae==0.1.2", "lightning==2.5.5", "jax==0.10.2", "setuptools<81")
SYNTHESIZERS = ("torch>=2.9,<2.14", "sdv==2.0.0")
PYTHON, INSTALLED = "bin/python", "installed.txt"


def python(name: str = "peers", packages: Sequence[str] = TRAINERS) -> str:
    """Return the path of Python in an environment, which is created if it is missing or incomplete.

    Args:
        name: the name of its folder.
        packages: what is installed in it.
    """
    if not (path := existing(name, packages)):
        folder = _folder(name)
        venv.create(folder, with_pip=True, clear=True)
        path = str(folder / PYTHON)
        subprocess.run([path, "-m", "pip", "install", "--quiet", *packages], check=True)
        (folder / INSTALLED).write_text("\n".join(packages))
    return path


def existing(name: str = "peers", packages: Sequence[str] = TRAINERS) -> str | None:
    """Return the path of Python in an environment that is complete; None if there is none."""
    folder = _folder(name)
    done = folder / INSTALLED
    complete = done.is_file() and done.read_text() == "\n".join(packages)
    return str(folder / PYTHON) if complete else None


def _folder(name: str) -> Path:
    return Path(pooch.os_cache("aevb")) / name
