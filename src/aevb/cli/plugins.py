"""The option --plugin, which every command accepts."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from aevb.models.registry import PLUGINS, load_plugins


def load(words: Sequence[str]) -> None:
    """Load the plugins on a command line, before the options of its command are built. Worker processes inherit them.

    Raises:
        BadInput: a plugin cannot be imported.
    """
    existing = os.environ.get(PLUGINS, "").split(os.pathsep)
    names = [_absolute(name) for name in _values(words)]
    os.environ[PLUGINS] = os.pathsep.join(dict.fromkeys(filter(None, [*existing, *names])))
    load_plugins()


def _absolute(name: str) -> str:
    return str(Path(name).resolve()) if name.endswith(".py") else name


def _values(words: Sequence[str]) -> Iterator[str]:
    """Yield the values of --plugin."""
    collecting = False
    for word in words:
        if word.startswith("--"):
            option, _, value = word.partition("=")
            collecting = option == "--plugin"
            if collecting and value:
                yield value
        elif collecting:
            yield word
