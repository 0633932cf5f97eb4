"""Ctrl-C and SIGTERM as a flag, so that training ends after a step."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aevb.training import environment


@contextmanager
def interruption() -> Iterator[Callable[[], bool]]:
    """Turn the first SIGINT, and the first SIGTERM where the program handles it, into a flag.

    The handlers are replaced in the main thread only, and restored after the first signal and at the end of the
    context. A second signal therefore has its usual effect, unless there are several processes: launchers send the
    signals of a job more than once.

    Yields:
        A function that returns whether a signal arrived.
    """
    flag = threading.Event()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    previous = {number: handler for number, handler in handlers.items() if callable(handler)}
    if threading.current_thread() is not threading.main_thread():
        previous = {}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def set_flag(*_: object) -> None:
        flag.set()
        if environment.world_size() == 1:
            restore()

    for number in previous:
        signal.signal(number, set_flag)
    try:
        yield flag.is_set
    finally:
        restore()
