"""Claims and verdicts as text."""

from collections.abc import Sequence

from aevb.report.wording import counted
from aevb.reproduction.recipe import Verdict

MARKS = {"holds": "✓", "fails": "✗", "not judged": "–"}
"""Symbols of outcomes, which differ in shape as well as in color."""


def reported(value: str | float | None) -> str:
    """Return the reported value as text."""
    return "–" if value is None else value if isinstance(value, str) else f"{value:g}"


def reason(verdict: Verdict) -> str:
    """Return the reason of an outcome: the number of seeds that agree, or the reason for no judgment."""
    if not verdict.judged:
        return f"requires --scale {verdict.claim.scale}"
    if verdict.outcome == "not judged":
        return "no number"
    return f"{verdict.agree} of {counted(len(verdict.values), 'seed')}"


def summary(verdicts: Sequence[Verdict]) -> str:
    """Return the number of claims that hold, as a sentence without period."""
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
