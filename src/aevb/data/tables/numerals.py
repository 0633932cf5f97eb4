"""Numbers in text: decimal marks, separators of thousands, currencies, percent signs and units.

    plain      -12.5e3, +7, .5, inf
    written    [sign] [prefix] [sign] digits [decimal mark digits] [suffix], or in parentheses if negative

A prefix is a currency. A suffix is a percent sign, a currency, a unit, or any word after a space. All values of a
column have the same. Digits after a leading zero, as in a postcode, are no number. A zero is never followed by a
separator of thousands: 0,125 has a decimal comma.
"""

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from aevb.columns import NumberNotation

PLAIN = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
_NOT_FINITE = r"^[+-]?(?i:inf|infinity|nan)$"
_SPACES = " \u00a0\u202f"
_SYMBOLS = "$€£¥₹₽₩₺₪₫₱₴฿¢"
_CODES = (
    "USD|EUR|GBP|CHF|JPY|CNY|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RON|INR|BRL|ZAR|MXN|KRW|SGD|HKD|TWD|TRY|RUB|UAH|ILS"
    "|THB|Fr\\.|kr\\.?|zł"
)
_UNITS = (
    "%|‰|°C|°F|°|kg|mg|µg|ug|g|lbs?|oz|km|cm|mm|µm|nm|m|ft|in|mi|ml|mL|cl|dl|l|ms|µs|us|ns|s|min|h|hrs?|yrs?|Hz|kHz"
    "|MHz|GHz|kW|MW|kWh|MWh|W|Wh|kV|mV|V|mA|kJ|kcal|cal|Pa|hPa|kPa|MPa|bar|kB|KB|MB|GB|TB|px|pt|mph|km/h|m/s|km2"
    "|km²|m2|m²|m3|m³|ha|mol|ppm|ppb|dB|rpm"
)
_PREFIX = rf"(?:[A-Z]{{0,3}}[{_SYMBOLS}]|{_CODES})[{_SPACES}]?"
_SUFFIX = rf"[{_SPACES}]?(?:[{_SYMBOLS}]|{_CODES}|{_UNITS})|[{_SPACES}][^\d\s]\S{{0,11}}"
_DIGITS = rf"\d(?:[\d.,'’{_SPACES}]*\d)?(?:[eE][+-]?\d+)?"
_FRAME = re.compile(rf"\(?[+−-]?(?P<prefix>{_PREFIX})?[+−-]?{_DIGITS}(?P<suffix>{_SUFFIX})?\)?")
_MARKS = ((",", "."), (".", ","), *((mark, point) for mark in f"'’{_SPACES}" for point in ".,"))
"""Separators of thousands with the decimal mark."""
_LONGEST = 60
SOME = 50
"""Number of texts that rule out most notations."""


def is_plain(texts: pa.Array) -> NDArray[np.bool_]:
    """Return whether strings are plain numbers, ``(N,)``."""
    plain = pc.or_(pc.match_substring_regex(texts, PLAIN), pc.match_substring_regex(texts, _NOT_FINITE))
    flags: NDArray[np.bool_] = plain.fill_null(False).to_numpy(zero_copy_only=False)
    return flags


def are_whole(texts: pa.Array) -> bool:
    """Return whether all strings are digits with an optional sign."""
    return bool(pc.all(pc.match_substring_regex(texts, r"^[+-]?[0-9]+$")).as_py())


def have_leading_zeros(texts: pa.Array) -> bool:
    """Return whether a string has a digit after a leading zero."""
    return bool(pc.any(pc.match_substring_regex(texts, r"^0[0-9]")).as_py())


def recognize(texts: pa.Array, decimal_comma: bool) -> NumberNotation | None:
    """Return the notation of all strings, None if they have none in common."""
    for notation in candidates(texts[0].as_py() if len(texts) else "", decimal_comma):
        if _split(texts[:SOME], notation).null_count:
            continue
        parts = _split(texts, notation)
        if not parts.null_count and (not notation.thousands or _occurs(parts, notation.thousands)):
            return None if _begin_with_zero(parts) else _with_details(notation, parts)
    return None


def candidates(text: str, decimal_comma: bool) -> Iterator[NumberNotation]:
    """Yield the notations that a text may have, the preferred ones first."""
    frame = _FRAME.fullmatch(text) if len(text) <= _LONGEST else None
    if frame is None:
        return
    for thousands, decimal in _marks(decimal_comma):
        affixes = {"prefix": frame["prefix"] or "", "suffix": frame["suffix"] or ""}
        yield NumberNotation(**affixes, decimal=decimal, thousands=thousands)


def _marks(decimal_comma: bool) -> Iterator[tuple[str, str]]:
    """Yield separators of thousands with decimal marks."""
    yield ("", ".")
    if decimal_comma:
        yield ("", ",")
    yield _MARKS[0]
    yield ("", ",")
    yield from _MARKS[1:]


def _split(texts: pa.Array, notation: NumberNotation) -> pa.StructArray:
    """Return the parts of strings: signs, digits, fraction and exponent; null where a string does not match."""
    mark, decimal = re.escape(notation.thousands), re.escape(notation.decimal)
    digits = rf"[0-9]{{1,3}}|[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{3}})+" if mark else "[0-9]+"
    return pc.extract_regex(
        texts,
        rf"^(?P<open>\(?)(?P<sign>[+−-]?){re.escape(notation.prefix)}(?P<inner>[+−-]?)(?P<whole>{digits})"
        rf"(?:{decimal}(?P<fraction>[0-9]*))?(?:[eE](?P<exponent>[+-]?[0-9]{{1,3}}))?{re.escape(notation.suffix)}"
        r"(?P<close>\)?)$",
    )


def _occurs(parts: pa.StructArray, mark: str) -> bool:
    return bool(pc.any(pc.match_substring(parts.field("whole"), mark)).as_py())


def _begin_with_zero(parts: pa.StructArray) -> bool:
    return have_leading_zeros(parts.field("whole"))


def _with_details(notation: NumberNotation, parts: pa.StructArray) -> NumberNotation:
    """Return a notation with the decimals and the negative form that occur."""
    exponents = pc.if_else(pc.equal(parts.field("exponent"), ""), "0", parts.field("exponent")).cast("int64")
    decimals = pc.subtract(pc.utf8_length(parts.field("fraction")).cast("int64"), exponents)
    span = pc.min_max(decimals)
    low, high = (min(max(span[key].as_py(), 0), 340) for key in ("min", "max"))
    forms = (("($)", "open", r"\("), ("$-", "inner", "[−-]"))
    occurring = (
        form for form, part, sign in forms if pc.any(pc.match_substring_regex(parts.field(part), sign)).as_py()
    )
    return notation.model_copy(update={"decimals": (low, high), "negative": next(occurring, "-$")})


def parse(texts: pa.Array, notation: NumberNotation | None) -> NDArray[np.float64]:
    """Return the numbers of strings, ``(N,)``, NaN for strings that the notation does not allow."""
    if notation is None:
        return _to_float(texts, is_plain(texts))
    parts = _split(texts, notation)
    fields = {name: parts.field(name) for name in ("open", "sign", "inner", "whole", "fraction", "exponent", "close")}
    minus = np.zeros(len(texts), dtype=bool)
    for name, sign in (("open", r"\("), ("sign", "[−-]"), ("inner", "[−-]")):
        minus ^= pc.match_substring_regex(fields[name], sign).fill_null(False).to_numpy(zero_copy_only=False)
    whole = pc.replace_substring(fields["whole"], notation.thousands, "") if notation.thousands else fields["whole"]
    exponent = pc.if_else(pc.equal(fields["exponent"], ""), "0", fields["exponent"])
    plain = pc.binary_join_element_wise(whole, ".", fields["fraction"], "e", exponent, "")
    closed = pc.equal(pc.equal(fields["open"], "("), pc.equal(fields["close"], ")"))
    valid = pc.and_(parts.is_valid(), closed.fill_null(False)).to_numpy(zero_copy_only=False)
    numbers = _to_float(plain, valid)
    return np.where(minus, -numbers, numbers)


def _to_float(texts: pa.Array, valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = (
        pc.if_else(pa.array(valid), texts, None).cast("float64").fill_null(np.nan).to_numpy(zero_copy_only=False)
    )
    return numbers


def write(number: float, notation: NumberNotation) -> str:
    """Return the text of a number, rounded to the decimals of its notation."""
    least, most = notation.decimals
    digits, _, fraction = f"{abs(number):,.{most}f}".partition(".")
    fraction = fraction[:least] + fraction[least:].rstrip("0")
    text = digits.replace(",", notation.thousands) + (notation.decimal + fraction if fraction else "")
    if number >= 0 or not re.search("[1-9]", text):
        return f"{notation.prefix}{text}{notation.suffix}"
    sign, inner = ("", "-") if notation.negative == "$-" else ("-", "")
    if notation.negative == "($)":
        return f"({notation.prefix}{text}{notation.suffix})"
    return f"{sign}{notation.prefix}{inner}{text}{notation.suffix}"


def words(notation: NumberNotation) -> str:
    """Return what is special about a notation, in words."""
    special = [notation.prefix.strip(), notation.suffix.strip()]
    special += ["thousands separators"] * bool(notation.thousands) + ["decimal commas"] * (notation.decimal == ",")
    return " and ".join(filter(None, special))
