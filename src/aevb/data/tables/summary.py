"""What was found in the columns of a table: their types, and a reason for each."""

from typing import NamedTuple

import numpy as np

from aevb.columns import OTHER, Column, DeclaredType
from aevb.data.tables.raw import RawColumn

SHOWN = 6
"""The largest number of values that are listed."""


IDENTIFIER = "an identifier"
TITLES = ("column", "type", "missing", "distinct", "values")
"""The titles of the cells of a summary."""


class ColumnSummary(NamedTuple):
    """A column as it was found.

    Attributes:
        name: name of the column.
        kind: its type; constant, label or excluded for columns that are not part of the model.
        missing: number of missing values.
        distinct: number of different values.
        reason: its values, and why it has this type.
    """

    name: str
    kind: str
    missing: int
    distinct: int
    reason: str

    @property
    def is_identifier(self) -> bool:
        """Whether the column was excluded because its values name the rows."""
        return self.kind == "excluded" and self.reason.startswith(IDENTIFIER)

    def cells(self, is_condition: bool = False) -> tuple[str, ...]:
        """Return the summary as texts below `TITLES`.

        Args:
            is_condition: whether a conditional model receives the column.
        """
        kind = self.kind + ", condition" * is_condition
        return self.name, kind, str(self.missing or ""), str(self.distinct), self.reason


def summarize(raw: RawColumn, column: Column | None, declared: DeclaredType | None) -> ColumnSummary:
    """Return the summary of a column.

    Args:
        raw: the column as it is stored.
        column: the column of the model; None if it is excluded or the label.
        declared: its declared type; None if the type was inferred.
    """
    missing, distinct = (0, 0) if raw.unsupported else (len(raw) - raw.count, len(raw.distinct()))
    kind = column.type_name if column else "label" if declared == "label" else "excluded"
    reason = _values(raw, column) if column else _without_model(raw, declared, distinct)
    return ColumnSummary(raw.name, kind, missing, distinct, f"declared; {reason}" if column and declared else reason)


def _without_model(raw: RawColumn, declared: DeclaredType | None, distinct: int) -> str:
    if declared == "label":
        return f"declared; {distinct} classes"
    if declared:
        return "declared"
    return f"{IDENTIFIER}: {'all' if distinct == raw.count else 'most'} values differ"


def _values(raw: RawColumn, column: Column) -> str:
    """Return the values of a column in words."""
    if column.kind == "constant":
        return f"always {column.values[0]}" if column.values else "empty"
    if column.values:
        listed = ", ".join(map(str, column.values[:SHOWN])) + ", …" * (len(column.values) > SHOWN)
        listed += f"; {rare_values(raw, column)}" if column.other else ""
        return f"only {listed}" if column.kind == "discrete" else listed
    reason = {"positive": ", skewed", "count": ", skewed", "nonnegative": f", {np.mean(raw.present == 0):.0%} are 0"}
    low, high = (_written(raw, end) for end in (raw.present.min(), raw.present.max()))
    often = ", ".join(f"{_written(raw, spike)} in {np.mean(raw.present == spike):.0%}" for spike in column.spikes)
    return f"{low} to {high}{reason.get(column.kind, _bounds(column))}{', ' * bool(often)}{often}"


def rare_values(raw: RawColumn, column: Column) -> str:
    """Return how many values of a column are merged, and in which share of its rows."""
    is_rare = ~np.isin(raw.present, column.values[:-1])
    count = len(np.unique(raw.present[is_rare]))
    return f"{count:,} rare values in {np.mean(is_rare):.0%} of the rows as {OTHER!r}"


def _bounds(column: Column) -> str:
    if column.low is not None and column.high is not None:
        return f", within [{column.low:g}, {column.high:g}]"
    low = "" if column.low is None else f", at least {column.low:g}"
    return low if column.high is None else f", at most {column.high:g}"


def _written(raw: RawColumn, number: float) -> str:
    value = raw.plain(np.array([number]))[0]
    return f"{value:.6g}" if isinstance(value, float) else str(value)
