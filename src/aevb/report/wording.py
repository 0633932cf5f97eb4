"""Numbers and times as a reader wants them."""

from math import floor, isfinite, log10

TINY = 1e-4
"""Numbers below it are written with powers of ten."""


def with_spread(mean: float, spread: float = float("nan")) -> str:
    """A mean and, where there is one, its deviation: to two digits of the deviation, else to four of the mean."""
    if not isfinite(mean):
        return "–"
    known = isfinite(spread)
    if 0 < max(abs(mean), spread if known else 0.0) < TINY:
        style = ".2g"
    elif mean.is_integer() and not (known and spread):
        style = ".0f"
    else:
        style = f".{_decimals(spread, 2) if known else _decimals(mean, 4)}f"
    return f"{mean:{style}} ± {spread:{style}}" if known else f"{mean:{style}}"


def _decimals(value: float, digits: int) -> int:
    """So many that a number shows this many digits; at least two, at most four."""
    return min(4, max(2, digits - 1 - floor(log10(abs(value))))) if value else 2


def duration(seconds: float) -> str:
    """Seconds in the two largest units that they fill."""
    if not isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def counted(count: int, one: str) -> str:
    """ "1 seed", "3 seeds"."""
    return f"{count} {one}" if count == 1 else f"{count} {one}s"
