"""Numbers, times and verdicts as a reader wants them."""

from collections.abc import Sequence
from math import floor, isfinite, log10

from aevb.recipes.recipe import Verdict

MARKS = {"holds": "✓", "fails": "✗", "not judged": "–"}
"""Outcomes differ in form, not by colour alone."""
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


def reported(value: str | float | None) -> str:
    """What the report has, in words."""
    return "–" if value is None else value if isinstance(value, str) else f"{value:g}"


def reason(verdict: Verdict) -> str:
    """What stands behind an outcome: how many seeds agree, or why nobody judged."""
    if not verdict.judged:
        return f"needs the scale {verdict.claim.scale}"
    if verdict.outcome == "not judged":
        return "no number"
    return f"{verdict.agree} of {counted(len(verdict.values), 'seed')}"


def summary(verdicts: Sequence[Verdict]) -> str:
    """How many claims hold, in one sentence without its full stop."""
    holds, fails = (sum(verdict.outcome == outcome for verdict in verdicts) for outcome in ("holds", "fails"))
    small = sum(not verdict.judged for verdict in verdicts)
    without = len(verdicts) - holds - fails - small
    parts = [
        f"{holds} of {counted(len(verdicts), 'claim')} {'holds' if holds == 1 else 'hold'}",
        f"{fails} {'fails' if fails == 1 else 'fail'}" if fails else "",
        f"{small} {'is' if small == 1 else 'are'} not judged at this scale" if small else "",
        f"{without} {'has' if without == 1 else 'have'} no number" if without else "",
    ]
    return ", ".join(filter(None, parts))
