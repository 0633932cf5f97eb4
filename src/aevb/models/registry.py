"""The registry: each kind of piece by name.

    @register.likelihood("von-mises")
    class VonMises(Likelihood): ...

A piece registers where it is defined, under one name, and is used by this name in commands, configuration files and run
folders. The pieces of this package are found by importing every module of the home of their kind, on the first lookup;
a new file there is enough. At the same time the plugins are loaded: the entry points of the group `aevb`, and the
modules (or the paths of .py files) that the environment variable AEVB_PLUGINS names, separated by `os.pathsep`. The
option --plugin adds to this variable, so that worker processes load the same plugins.

The options of a piece are the fields of its class attribute `Options` (`aevb.models.options`), and arrive as keyword
arguments of its constructor.
"""

import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache, partial
from importlib.metadata import EntryPoints, entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from aevb.errors import IN_COMMAND, BadInput, option

if TYPE_CHECKING:
    from aevb.models.likelihoods import Likelihood
    from aevb.models.networks import Network
    from aevb.models.objectives import Objective
    from aevb.models.posteriors import Posterior
    from aevb.models.priors import Prior

T = TypeVar("T")
Registered = TypeVar("Registered")
PLUGINS = "AEVB_PLUGINS"
"""The environment variable that names plugins."""
GROUP = "aevb"
"""The group of entry points that name plugins."""
PACKAGE = __name__.split(".")[0]


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A registered piece.

    Attributes:
        piece: the class or function.
        module: the name of the module that defines it.
        facts: further facts, as passed to the decorator.
    """

    piece: T
    module: str
    facts: Mapping[str, Any] = field(default_factory=dict)


class Registry(Generic[T]):
    """The pieces of one kind, by name.

    Args:
        kind: the noun for messages, such as "likelihood".
        home: the module or package whose modules register the pieces of this package.
    """

    def __init__(self, kind: str, home: str) -> None:
        self.kind, self.home = kind, home
        self._entries: dict[str, Entry[T]] = {}
        self._loaded = False

    def __call__(self, name: str, **facts: object) -> Callable[[Registered], Registered]:
        """Return a decorator that registers a class or function.

        Args:
            name: the name of the piece.
            facts: further facts, returned by `facts`.

        Raises:
            BadInput: another piece of this kind has this name.
        """

        def decorate(piece: Registered) -> Registered:
            self._add(name, piece, facts)
            return piece

        return decorate

    def __getitem__(self, name: str) -> T:
        """Return the piece of this name.

        Raises:
            BadInput: no piece of this kind has this name, or a plugin cannot be imported.
        """
        return self._entry(name).piece

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def names(self) -> list[str]:
        """Return all names: those of this package in the order of its modules, then those of plugins."""
        self._load()
        return sorted(self._entries, key=self._position)

    def _position(self, name: str) -> tuple[bool, str]:
        module = self._entries[name].module
        return is_plugin(module), module

    def items(self) -> list[tuple[str, T]]:
        """Return names and pieces."""
        return [(name, self._entries[name].piece) for name in self.names()]

    def facts(self, name: str) -> Mapping[str, Any]:
        """Return the facts that a piece was registered with."""
        return self._entry(name).facts

    def module(self, name: str) -> str:
        """Return the name of the module that registered a piece."""
        return self._entry(name).module

    def summary(self, name: str) -> str:
        """Return the first sentence of the docstring of a piece, without its period."""
        paragraph = (getattr(self[name], "__doc__", None) or "").strip().split("\n\n")[0]
        return " ".join(paragraph.split()).split(". ")[0].rstrip(".")

    def plugins(self) -> list[str]:
        """Return the modules outside this package that registered pieces of this kind."""
        self._load()
        return sorted({entry.module for entry in self._entries.values() if is_plugin(entry.module)})

    def _entry(self, name: str) -> Entry[T]:
        self._load()
        if name not in self._entries:
            raise BadInput(self._unknown(name))
        return self._entries[name]

    def _unknown(self, name: str) -> str:
        names = self.names()
        close = get_close_matches(str(name), names, 1)
        meant = f" did you mean {close[0]}?" if close else ""
        return (
            f"no {self.kind} is named {name!r}:{meant} expected one of {', '.join(names)}; if it is defined in another"
            f" package, {_advice('MODULE')}"
        )

    def _add(self, name: str, piece: Any, facts: Mapping[str, Any]) -> None:
        previous = self._entries.get(name)
        if previous is not None and previous.piece is not piece and _path(previous.piece) != _path(piece):
            raise BadInput(
                f"the {self.kind} {name!r} is registered twice, by {_path(previous.piece)} and by {_path(piece)}:"
                " rename one of them"
            )
        self._entries[name] = Entry(piece, _path(piece).partition(":")[0], facts)

    def _load(self) -> None:
        """Import the modules of the home and the plugins, once."""
        if self._loaded:
            return
        self._loaded = True  # modules that are being imported may look names up
        try:
            import_all(self.home)
            load_plugins()
        except BaseException:
            self._loaded = False
            raise


class Kinds:
    """One registry for each kind of piece; the decorators are its attributes."""

    def __init__(self) -> None:
        self.likelihood: Registry[type[Likelihood]] = Registry("likelihood", "aevb.models.likelihoods")
        self.posterior: Registry[type[Posterior]] = Registry("posterior", "aevb.models.posteriors")
        self.prior: Registry[Callable[..., Prior]] = Registry("prior", "aevb.models.priors")
        self.network: Registry[Callable[..., Network]] = Registry("network", "aevb.models.networks")
        self.objective: Registry[Callable[..., Objective]] = Registry("objective", "aevb.models.objectives")
        self.dataset: Registry[Any] = Registry("data set", "aevb.data.sources")
        self.measure: Registry[Any] = Registry("measure", "aevb.evaluation")
        self.plot: Registry[Any] = Registry("plot", "aevb.plots")

    def __iter__(self) -> Iterator[Registry[Any]]:
        return iter(vars(self).values())


register = Kinds()


def plugins() -> list[str]:
    """Return the modules outside this package that registered pieces of any kind, without importing any."""
    modules = {entry.module for registry in register for entry in registry._entries.values()}
    return sorted(module for module in modules if is_plugin(module))


def is_plugin(module: str) -> bool:
    """Return whether a module is outside this package."""
    return module.split(".")[0] != PACKAGE


def require_plugins(modules: Iterable[str], user: object) -> None:
    """Check that plugins are loaded. This loads the installed plugins and those of the environment, and no others.

    Args:
        modules: the names of the modules that registered the pieces.
        user: the object that needs them, for the message.

    Raises:
        BadInput: a plugin is not loaded.
    """
    load_plugins()
    missing = [module for module in modules if module not in plugins()]
    if missing:
        raise BadInput(f"{user} needs the plugin {missing[0]}, which is not loaded: {_advice(missing[0])}")


def _advice(module: str) -> str:
    if IN_COMMAND in os.environ:
        return f"pass {option('plugin', module)} (a module, or the path of its .py file)"
    return f"import {module}" if module.isidentifier() else "import it"


def import_all(home: str) -> None:
    """Import a module and, of a package, all modules in it."""
    module = importlib.import_module(home)
    for info in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{home}."):
        importlib.import_module(info.name)


_plugins_loaded: set[str] = set()


def load_plugins() -> None:
    """Import the installed plugins and those that the environment names, each once.

    Raises:
        BadInput: a plugin cannot be imported.
    """
    for entry in _installed():
        _load_once(entry.value, entry.load)
    for name in filter(None, os.environ.get(PLUGINS, "").split(os.pathsep)):
        _load_once(name, partial(import_plugin, name))


@cache
def _installed() -> EntryPoints:
    """Return the entry points of installed plugins; the metadata of all installed packages are read once."""
    return entry_points(group=GROUP)


def _load_once(name: str, load: Callable[[], object]) -> None:
    if name in _plugins_loaded:
        return
    _plugins_loaded.add(name)
    try:
        load()
    except BadInput:
        _plugins_loaded.discard(name)
        raise
    except Exception as error:
        _plugins_loaded.discard(name)
        raise BadInput(f"the plugin {name} cannot be imported: {type(error).__name__}: {error}") from error


def import_plugin(name: str) -> ModuleType:
    """Import a plugin.

    Args:
        name: a module, or the path of a .py file, whose module is then named as the file.
    """
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name).resolve()
    present = sys.modules.get(path.stem)
    if present is not None and getattr(present, "__file__", None) == str(path):
        return present
    if present is not None or not path.is_file():
        raise BadInput(f"{name} {'has the name of another module' if present else 'does not exist'}: use another path")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module


def _path(piece: Any) -> str:
    """Return where a piece is defined, module:name."""
    owner = piece if hasattr(piece, "__qualname__") else type(piece)
    return f"{owner.__module__}:{owner.__qualname__}"
