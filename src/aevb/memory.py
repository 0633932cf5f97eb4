"""What takes more memory than there is, is refused before it takes any."""

import math
import os
import sys

from aevb.errors import BadInput

_GIB = 2**30


def most() -> float:
    """Bytes of memory that this machine has, or that this process may take; infinite where the system does not say."""
    if sys.platform == "win32":
        return math.inf
    import resource

    allowed = resource.getrlimit(resource.RLIMIT_AS)[0]
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return whole if allowed == resource.RLIM_INFINITY else min(whole, allowed)


def require(size: float, what: str, advice: str) -> None:
    """Refuse what takes so many bytes of memory if there are fewer in all.

    Raises:
        BadInput: there are.
    """
    if size > most():
        raise BadInput(f"{what} takes {size / _GIB:,.1f} GiB of memory, and there are {most() / _GIB:,.1f}: {advice}")
