"""Claims and verdicts as text."""

from collections.abc import Sequence

from aevb.errors import counted
from aevb.reproduction.verdicts import CONFIDENCE, Interval, Occurs, Verdict

MARKS = {"holds": "✓", "fails": "✗", "undecided": "?", "not judged": "–"}
"""Symbols of outcomes, which differ in shape as well as in color."""


def reported(value: str | float | None) -> str:
    """Return the reported value as text."""
    return "–" if value is None else value if isinstance(value, str) else f"{value:g}"


def reason(verdict: Verdict) -> str:
    """Return the evidence for an outcome, or the reason for no judgment."""
    if not verdict.judged:
        return f"requires --scale {verdict.claim.scale}"
    if verdict.outcome == "not judged":
        return "no number"
    runs = counted(len(verdict.values), "run")
    if isinstance(verdict.claim.rule, Occurs):
        most = 1 - (1 - CONFIDENCE) ** (1 / len(verdict.values))
        bound = "" if any(verdict.values) else f", so in at most {100 * most:.0f} % of runs"
        return f"in {sum(map(bool, verdict.values))} of {runs}{bound}"
    if verdict.interval is None:
        return "one run, no interval"
    if verdict.claim.exact:
        return "exact"
    return f"{_range(verdict.interval)} from {runs}"


def _range(interval: Interval) -> str:
    decimals = 2 if interval.high - interval.low >= 0.1 else 4
    return f"[{interval.low:.{decimals}f}, {interval.high:.{decimals}f}]"


def summary(verdicts: Sequence[Verdict], noun: str = "claim") -> str:
    """Return the number of claims that hold, as a sentence without period."""
    holds, fails, undecided = (
        sum(verdict.outcome == outcome for verdict in verdicts) for outcome in ("holds", "fails", "undecided")
    )
    small = sum(not verdict.judged for verdict in verdicts)
    without = len(verdicts) - holds - fails - undecided - small
    parts = [
        f"{holds} of {counted(len(verdicts), noun)} {'holds' if 1 in (holds, len(verdicts)) else 'hold'}",
        f"{fails} {'fails' if fails == 1 else 'fail'}" if fails else "",
        f"{undecided} {'is' if undecided == 1 else 'are'} undecided" if undecided else "",
        f"{small} {'is' if small == 1 else 'are'} not judged at this scale" if small else "",
        f"{without} {'has' if without == 1 else 'have'} no number" if without else "",
    ]
    return ", ".join(filter(None, parts))
