"""Columns of text with the numbers, truth values or dates that all their texts denote."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from aevb.columns import NumberNotation
from aevb.data.tables import numerals
from aevb.data.tables.notation import parse, recognize
from aevb.data.tables.raw import RawColumn

TRUTH = {"true": True, "false": False}


def recognize_column(raw: RawColumn) -> RawColumn:
    """Return a column with its numbers if all its texts denote some, otherwise the column as it is.

    Plain numbers and truth values are recognized in text files only, where all types are written. Digits after a
    leading zero, as in a postcode, are a text.
    """
    if raw.texts is None or raw.numbers is not None or raw.levels or not len(raw.texts.dictionary):
        return raw
    texts = raw.texts.dictionary
    if not raw.dtype and numerals.is_plain(texts).all():
        if numerals.have_leading_zeros(texts):
            return raw
        plain = as_numbers(raw)
        return plain.with_digits(lambda: _integers(raw)) if plain.whole else plain
    if not raw.dtype and is_truth(texts):
        truth = pc.equal(pc.utf8_lower(texts), "true").cast("float64").to_numpy(zero_copy_only=False)
        return replace(raw, numbers=by_row(raw, truth), logical=True)
    recognized = recognize(texts, decimal_comma=raw.decimal_comma)
    if recognized is None:
        return raw
    numbers, notation = recognized
    whole = notation.decimals == (0, 0) if isinstance(notation, NumberNotation) else True
    return replace(raw, numbers=by_row(raw, numbers), notation=notation, whole=whole)


def as_numbers(raw: RawColumn) -> RawColumn:
    """Return a column of texts that are all plain numbers as one of numbers, others as they are."""
    if raw.texts is None or raw.numbers is not None or not numerals.is_plain(raw.texts.dictionary).all():
        return raw
    texts = raw.texts.dictionary
    return replace(raw, numbers=by_row(raw, parse(texts, None)), whole=numerals.are_whole(texts), levels=())


def _integers(raw: RawColumn) -> list[int | None]:
    assert raw.texts is not None
    return [None if text is None else int(text) for text in raw.texts.to_pylist()]


def is_truth(texts: pa.Array) -> bool:
    """Return whether all strings are true or false."""
    return len(texts) <= 8 and all(text.lower() in TRUTH for text in texts.to_pylist())


def truth_texts(raw: RawColumn) -> tuple[str, str]:
    """Return how a recognized column of a text file has false and true, such as False and True."""
    texts = raw.texts.dictionary.to_pylist() if raw.logical and raw.texts is not None else []
    false, true = (next((text for text in texts if text.lower() == word), word) for word in ("false", "true"))
    return false, true


def by_row(raw: RawColumn, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the value of each row from those of the distinct texts, NaN where missing."""
    assert raw.texts is not None
    indices = raw.texts.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    rows: NDArray[np.float64] = np.append(values, np.nan)[indices]
    return rows
