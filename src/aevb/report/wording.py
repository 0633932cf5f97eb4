"""Numbers and durations as text."""

from math import floor, isfinite, log10

TINY = 1e-4
"""Numbers below it are written in scientific notation."""


def with_spread(mean: float, spread: float = float("nan")) -> str:
    """Return mean ± spread with two digits of the spread; without a spread, the mean with four digits."""
    if not isfinite(mean):
        return "–"
    has_spread = isfinite(spread)
    if 0 < max(abs(mean), spread if has_spread else 0.0) < TINY:
        style = ".2g"
    elif mean.is_integer() and not (has_spread and spread):
        style = ".0f"
    else:
        style = f".{_decimals(spread, 2) if has_spread else _decimals(mean, 4)}f"
    return f"{mean:{style}} ± {spread:{style}}" if has_spread else f"{mean:{style}}"


def _decimals(value: float, digits: int) -> int:
    """Return the number of decimals that shows this many digits of a value, between two and four."""
    return min(4, max(2, digits - 1 - floor(log10(abs(value))))) if value else 2


def duration(seconds: float) -> str:
    """Return seconds in their one or two largest units."""
    if not isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
