"""Numbers and dates as people write them: recognized, parsed and written.

The notation of a column is recognized once, in the training data. New files are parsed by it, so that the number of a
text depends on nothing else in its file.
"""

from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from aevb.columns import DateNotation, Notation, NumberNotation
from aevb.data.tables import dates, numerals


def recognize(texts: pa.Array, *, decimal_comma: bool = False) -> tuple[NDArray[np.float64], Notation] | None:
    """Return the numbers that distinct texts denote, and their common notation.

    Args:
        texts: distinct strings without null, ``(N,)``.
        decimal_comma: whether a comma before three digits is a decimal mark rather than a separator of thousands.

    Returns:
        The numbers, ``(N,)``, and the notation; None for plain numbers and for texts without a common notation.
    """
    if numerals.is_plain(texts).all():
        return None
    notation = numerals.recognize(texts, decimal_comma) or dates.recognize(texts)
    return (parse(texts, notation), notation) if notation else None


def recognize_most(
    texts: pa.Array, *, decimal_comma: bool = False, max_others: int
) -> tuple[NDArray[np.bool_], Literal["numbers", "dates"]] | None:
    """Return which distinct texts are numbers or dates in a common notation, if nearly all are.

    Args:
        texts: distinct strings without null, ``(N,)``.
        decimal_comma: as for `recognize`.
        max_others: the largest number of other texts.

    Returns:
        Whether each text has the notation, ``(N,)``, and what it denotes; None if more texts have another.
    """
    plain = numerals.is_plain(texts)
    if (~plain).sum() <= max_others:
        return plain, "numbers"
    for text in texts[: max_others + 1].to_pylist():
        notations: list[Notation] = [*numerals.candidates(text, decimal_comma), *dates.candidates(text)]
        for notation in notations:
            if np.isnan(parse(texts[: numerals.SOME], notation)).sum() > max_others:
                continue
            fits = ~np.isnan(parse(texts, notation))
            if (~fits).sum() <= max_others:
                return fits, "dates" if isinstance(notation, DateNotation) else "numbers"
    return None


def parse(texts: pa.Array, notation: Notation | None) -> NDArray[np.float64]:
    """Return the numbers that strings denote, ``(N,)``, NaN for a string that the notation does not allow.

    Args:
        texts: strings, ``(N,)``.
        notation: their notation; None for plain numbers.
    """
    return dates.parse(texts, notation) if isinstance(notation, DateNotation) else numerals.parse(texts, notation)


def write(number: float, notation: Notation) -> str:
    """Return the text of a number or date."""
    return numerals.write(number, notation) if isinstance(notation, NumberNotation) else dates.write(number, notation)


def describe(name: str, notation: Notation) -> str:
    """Return a note on how a column is written; empty for types of dates."""
    words = numerals.words(notation) if isinstance(notation, NumberNotation) else dates.words(notation)
    verb = "written with" if isinstance(notation, NumberNotation) else "read as"
    return f"{name} is {verb} {words}" if words else ""
