"""What the columns of a table are.

    real          a number                  normal, in units of its own
    positive      a number above 0          the same of its logarithm
    count         0, 1, 2, ...              negative binomial
    binary        one of two values         Bernoulli
    categorical   one of K values           softmax

Inside, a row is D numbers, the columns of one kind side by side in this order: real, positive and count values as they
are, the others as codes 0, 1, ... of their values, NaN where a value is missing. A column that has one value all along
is told apart as constant: it is no part of the rows, and is written again with the others.
"""

import re
from collections.abc import Sequence
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

ColumnKind = Literal["real", "positive", "count", "binary", "categorical"]
KINDS: tuple[ColumnKind, ...] = get_args(ColumnKind)
Value = bool | int | float | str


class Column(BaseModel):
    """One column.

    Attributes:
        name: in the table.
        kind: what its values are; constant where they are all the same.
        place: in the table, counted from 0.
        values: of a binary, categorical or constant column, in the order of their codes; a constant without one is
            empty.
        whole: whether its numbers are whole numbers.
        type: what a frame or a Parquet file calls the type of its values; empty of a text file.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    kind: ColumnKind | Literal["constant"]
    place: int
    values: tuple[Value, ...] = ()
    whole: bool = False
    type: str = ""

    def within(self, number: int) -> int:
        """The nearest whole number that its type can hold."""
        found = re.fullmatch(r"(u?)int(8|16|32|64)", self.type.lower())
        if not found:
            return number
        span: int = 2 ** int(found[2])
        low = 0 if found[1] else -span // 2
        return min(max(number, low), low + span - 1)


def modelled(columns: Sequence[Column]) -> list[Column]:
    """The columns of which rows consist, in the order of their kinds and places."""
    varying = [column for column in columns if column.kind != "constant"]
    return sorted(varying, key=lambda column: (KINDS.index(column.kind), column.place))


def of_kind(columns: Sequence[Column], *kinds: ColumnKind) -> list[Column]:
    """The columns of some kinds, in their order in a row."""
    return [column for column in modelled(columns) if column.kind in kinds]


def widths(columns: Sequence[Column]) -> list[int]:
    """How many columns there are of each kind: a row splits into these."""
    return [len(of_kind(columns, kind)) for kind in KINDS]
