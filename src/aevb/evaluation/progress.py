"""Progress of long evaluations: estimators report the examples that are done to whoever watches.

    with watched(lambda done, total: print(f"{done} of {total} examples")):
        run.evaluate(n_importance_samples=5000)

Without a watcher nothing is reported.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Watcher = Callable[[int, int], object]
"""A function of the number of examples that are done, and of all examples."""

_WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Call `watcher` as the examples of an estimate are done."""
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def report(done: int, total: int) -> None:
    """Report to the watcher, if there is one, that `done` of `total` examples are done."""
    watcher = _WATCHER.get()
    if watcher:
        watcher(done, total)
