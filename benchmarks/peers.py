"""The other libraries, in an environment of their own in the user's cache."""

import subprocess
import venv
from pathlib import Path

import pooch

PACKAGES = ("torch>=2.9,<2.14", "pythae==0.1.2", "lightning==2.5.5", "setuptools<81")


def python() -> str:
    """Return the path of Python in the environment, which is created if it is missing or incomplete."""
    folder = Path(pooch.os_cache("aevb")) / "peers"
    executable, done = folder / "bin" / "python", folder / "installed.txt"
    wanted = "\n".join(PACKAGES)
    if not done.is_file() or done.read_text() != wanted:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([executable, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        done.write_text(wanted)
    return str(executable)
