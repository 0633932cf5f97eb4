"""Optional libraries, imported on first use."""

from importlib import import_module
from types import ModuleType

from aevb.errors import BadInput


def optional_library(name: str, purpose: str, install: str) -> ModuleType:
    """Import a library that an optional feature needs.

    Args:
        name: the module to import.
        purpose: the feature, as the subject of the error message.
        install: the argument of ``pip install`` that provides it.

    Raises:
        BadInput: the library is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise BadInput(f"{purpose} needs {name.split('.')[0]}: pip install {install}") from error
