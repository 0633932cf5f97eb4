"""The other libraries, in environments of their own in the user's cache."""

import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path

import pooch

TRAINERS = ("torch>=2.9,<2.14", "pythae==0.1.2", "lightning==2.5.5", "jax==0.10.2", "setuptools<81")
SYNTHESIZERS = ("torch>=2.9,<2.14", "sdv==2.0.0")


def python(name: str = "peers", packages: Sequence[str] = TRAINERS) -> str:
    """Return the path of Python in an environment, which is created if it is missing or incomplete.

    Args:
        name: the name of its folder.
        packages: what is installed in it.
    """
    folder = Path(pooch.os_cache("aevb")) / name
    executable, done = folder / "bin" / "python", folder / "installed.txt"
    wanted = "\n".join(packages)
    if not done.is_file() or done.read_text() != wanted:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([executable, "-m", "pip", "install", "--quiet", *packages], check=True)
        done.write_text(wanted)
    return str(executable)
