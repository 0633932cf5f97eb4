"""Dates and times in text and in Arrow's types, as whole numbers of a unit.

Directives of a pattern; parsing accepts one or two digits for each of d, m, H, I and two for M, S:

    %Y %y          year of four or two digits        %H %I %p     hour, hour of twelve, AM or PM
    %m %b %B       month: number, name               %M %S        minute, second
    %d             day                               %3f          fraction with three digits; %.f optional, with its dot
    %-d %-m ...    number without leading zero       %z           UTC offset

A number counts days, hours, ... from 1970-01-01 in UTC, or from midnight for a time of day. The unit is the coarsest
one in which all values of the training data are whole. A fraction follows a dot. Where day and month are ambiguous,
the month comes first between slashes and the day first otherwise.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from aevb.columns import DateNotation, TimeUnit
from aevb.data.tables.numerals import SOME

NANOSECONDS: Mapping[TimeUnit, int] = {
    "D": 86_400 * 10**9,
    "h": 3600 * 10**9,
    "m": 60 * 10**9,
    "s": 10**9,
    "ms": 10**6,
    "us": 10**3,
    "ns": 1,
}
"""Nanoseconds in each unit, from the coarsest one."""
DAY = NANOSECONDS["D"]
_EPOCH = date(1970, 1, 1).toordinal()
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November"),
    "December",
)
_SHORT = tuple(month[:3] for month in _MONTHS)
_TWO, _NAME = "[0-9]{1,2}", "[A-Z][a-z]{2,8}"
_DIRECTIVE = re.compile(r"%-?[YymbBdHIpMSz]|%[1-9]f|%\.f")
_GROUPS = {
    **{"Y": "[0-9]{4}", "y": "[0-9]{2}", "m": _TWO, "b": _NAME, "B": _NAME, "d": _TWO, "H": _TWO, "I": _TWO},
    **{"M": "[0-9]{2}", "S": "[0-9]{2}", "p": "[AaPp][Mm]", "z": "Z|[+-][0-9]{2}(?::?[0-9]{2})?"},
}
_WORDS = {
    **{"Y": "year", "y": "year", "m": "month", "b": "month", "B": "month", "d": "day", "H": "hour", "I": "hour"},
    **{"M": "minute", "S": "second", "p": "AM or PM", "z": "UTC offset"},
}
_DATES = (
    (re.compile(r"\d{4}([-/.])\d{1,2}\1\d{1,2}"), ("%Y{0}%m{0}%d",)),
    (re.compile(r"\d{1,2}(/)\d{1,2}/\d{4}"), ("%m{0}%d{0}%Y", "%d{0}%m{0}%Y")),
    (re.compile(r"\d{1,2}([-.])\d{1,2}\1\d{4}"), ("%d{0}%m{0}%Y", "%m{0}%d{0}%Y")),
    (re.compile(r"\d{1,2}(/)\d{1,2}/\d{2}"), ("%m{0}%d{0}%y", "%d{0}%m{0}%y")),
    (re.compile(r"\d{2}([-.])\d{2}\1\d{2}"), ("%d{0}%m{0}%y", "%m{0}%d{0}%y")),
    (re.compile(r"\d{1,2}([- ])[A-Z][a-z]+\1\d{4}"), ("%d{0}%b{0}%Y", "%d{0}%B{0}%Y")),
    (re.compile(r"[A-Z][a-z]+( )\d{1,2}, \d{4}"), ("%b{0}%d, %Y", "%B{0}%d, %Y")),
)
_TIME = re.compile(r"\d{1,2}:\d{2}(?P<second>:\d{2}(?:\.\d{1,9})?)?(?:(?P<space> ?)(?P<half>[AaPp][Mm]))?")
_ZONE = re.compile(r"(?P<space> ?)(?P<zone>Z|UTC|[+-]\d{2}(?::?\d{2})?)?")
_LONGEST = 60


# Recognition.


def recognize(texts: pa.Array) -> DateNotation | None:
    """Return the notation of all strings, None if they have none in common."""
    for notation in candidates(texts[0].as_py() if len(texts) else ""):
        if all(not np.isnan(parse(some, notation)).any() for some in (texts[:SOME], texts)):
            return _with_details(notation, texts)
    return None


def candidates(text: str) -> Iterator[DateNotation]:
    """Yield the notations that a text may have, the preferred ones first."""
    for pattern in _patterns(text) if len(text) <= _LONGEST else ():
        yield DateNotation(pattern=pattern, unit="ns")


def _patterns(text: str) -> Iterator[str]:
    """Yield the patterns that a text may have, the preferred ones first."""
    for form, patterns in _DATES:
        if match := form.match(text):
            rest = [_rest(text[match.end() :])]
            yield from (pattern.format(match[1]) + end for end in rest if end is not None for pattern in patterns)
    if (time := _time(text)) is not None:
        yield time


def _rest(text: str) -> str | None:
    """Return the pattern of what follows a date, None if it is no time."""
    separator = re.match(r"T|,? |", text)
    assert separator
    time = _time(text[separator.end() :])
    return "" if not text else separator[0] + time if separator[0] and time else None


def _time(text: str) -> str | None:
    match = _TIME.match(text)
    zone = _ZONE.fullmatch(text[match.end() :]) if match else None
    if not match or not zone or (zone["space"] and not zone["zone"]):
        return None
    half = match["half"]
    pattern = ("%I:%M" if half else "%H:%M") + ":%S%.f" * bool(match["second"])
    pattern += f"{match['space']}%p" if half else ""
    return pattern + zone["space"] + {"Z": "Z", "UTC": "UTC", None: ""}.get(zone["zone"], "%z")


def _with_details(notation: DateNotation, texts: pa.Array) -> DateNotation:
    """Return a notation with the padding, the digits of seconds, the offset and the unit that occur."""
    parts, pattern = _split(texts, notation), notation.pattern
    for directive in "mdHI":
        if f"%{directive}" in pattern and pc.min(pc.utf8_length(parts.field(directive))).as_py() == 1:
            pattern = pattern.replace(f"%{directive}", f"%-{directive}")
    if "%.f" in pattern:
        low, high = pc.min_max(pc.utf8_length(parts.field("f"))).as_py().values()
        pattern = pattern.replace("%.f", f".%{low}f" if low == high > 0 else "%.f" if high else "")
    offsets = pc.unique(parts.field("z")).to_pylist() if "%z" in pattern else []
    offset = offsets[0] if len(offsets) == 1 else "+00:00" if offsets else ""
    _, rest = _instants(parts)
    unit = coarsest(rest)
    return DateNotation(pattern=pattern, unit=unit, offset=offset)


def coarsest(nanoseconds: NDArray[np.int64]) -> TimeUnit:
    """Return the coarsest unit in which all times of day are whole."""
    return next(unit for unit, size in NANOSECONDS.items() if not (nanoseconds % size).any())


# Parsing.


def parse(texts: pa.Array, notation: DateNotation) -> NDArray[np.float64]:
    """Return the numbers of strings, ``(N,)``, NaN for strings that the notation does not allow."""
    if not notation.pattern:
        return _floats(pc.if_else(pc.match_substring_regex(texts, "^-?[0-9]{1,18}$"), texts, None))
    parts = _split(texts, notation)
    days, rest = _instants(parts)
    return np.where(_valid(parts), _count(days, rest, notation.unit), np.nan)


def parse_stated(text: str, notation: DateNotation) -> tuple[float, TimeUnit] | None:
    """Return the number of a date or time that a user states, in the unit of a notation, and the unit stated.

    Besides the notation, it may have the form 2024-12-31, 2024-12-31 14:05 or that of the dates in the notation without
    their times; a time of day may be without seconds. Returns None for other texts.
    """
    if not np.isnan(number := parse(pa.array([text]), notation)[0]):
        return float(number), notation.unit
    day = re.split(r"\W*(?:T|, ?)?%-?[HI]", notation.pattern)[0]
    clock: dict[str, TimeUnit] = {"%H:%M": "m", "%H:%M:%S": "s"}
    dated: dict[str, TimeUnit] = {day: "D", "%Y-%m-%d": "D"}
    dated |= {f"%Y-%m-%d {time}": unit for time, unit in clock.items()}
    for pattern, unit in (clock if is_time_of_day(notation) else dated if notation.pattern else {}).items():
        if not np.isnan(number := parse(pa.array([text]), DateNotation(pattern=pattern, unit=unit))[0]):
            return float(number) * NANOSECONDS[unit] / NANOSECONDS[notation.unit] - _offset_in(notation), unit
    return None


def coarser(one: TimeUnit, other: TimeUnit) -> TimeUnit:
    """Return the coarser of two units."""
    return next(unit for unit in NANOSECONDS if unit in (one, other))


def to_unit(numbers: NDArray[np.float64], notation: DateNotation, unit: TimeUnit) -> NDArray[np.float64]:
    """Return numbers of a notation in a coarser unit, rounded down; days are those of its UTC offset."""
    if unit == notation.unit:
        return numbers
    shifted = numbers + _offset_in(notation)
    return np.asarray(np.floor(shifted / (NANOSECONDS[unit] // NANOSECONDS[notation.unit])))


def _offset_in(notation: DateNotation) -> float:
    """Return the UTC offset of a notation in its unit."""
    return _minutes_of(notation.offset) * NANOSECONDS["m"] / NANOSECONDS[notation.unit]


def _split(texts: pa.Array, notation: DateNotation) -> pa.StructArray:
    """Return the fields of strings by directive; null where a string does not match."""
    return pc.extract_regex(texts, f"^{_regex(notation.pattern)}$")


def _regex(pattern: str) -> str:
    expression, end = "", 0
    for match in _DIRECTIVE.finditer(pattern):
        directive = match[0]
        group = r"(?:\.(?P<f>[0-9]{1,9}))?" if directive == "%.f" else "(?P<f>[0-9]{1,9})"
        if not directive.endswith("f"):
            group = f"(?P<{directive[-1]}>{_GROUPS[directive[-1]]})"
        expression += re.escape(pattern[end : match.start()]) + group
        end = match.end()
    return expression + re.escape(pattern[end:])


def _instants(parts: pa.StructArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return days since 1970-01-01 and nanoseconds since midnight, both of UTC."""
    days = _days(parts) if _has(parts, "d") else np.zeros(len(parts), dtype=np.int64)
    rest = _clock(parts) - _offset_minutes(parts) * NANOSECONDS["m"]
    return (days + rest // DAY, rest % DAY) if _has(parts, "d") else (days, rest)


def _has(parts: pa.StructArray, name: str) -> bool:
    return any(field.name == name for field in parts.type)


def _days(parts: pa.StructArray) -> NDArray[np.int64]:
    month = _months(parts)
    first: NDArray[np.int64] = month.astype("M8[M]").astype("M8[D]").astype(np.int64)
    return np.asarray(first + _integers(parts, "d") - 1)


def _months(parts: pa.StructArray) -> NDArray[np.int64]:
    """Return months since January 1970."""
    year = _integers(parts, "Y") if _has(parts, "Y") else _century(_integers(parts, "y"))
    return np.asarray((year - 1970) * 12 + _month(parts) - 1)


def _century(year: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the years from 1969 to 2068 that two digits stand for."""
    return np.where(year < 69, year + 2000, year + 1900)


def _month(parts: pa.StructArray) -> NDArray[np.int64]:
    """Return the number of the month, 0 for an unknown name."""
    if _has(parts, "m"):
        return _integers(parts, "m")
    part, names = ("b", _SHORT) if _has(parts, "b") else ("B", _MONTHS)
    found = pc.index_in(parts.field(part), value_set=pa.array(names)).fill_null(-1)
    return np.asarray(found.to_numpy() + 1, dtype=np.int64)


def _clock(parts: pa.StructArray) -> NDArray[np.int64]:
    """Return the nanoseconds since midnight."""
    hour = _integers(parts, "H")
    if _has(parts, "I"):
        afternoon = pc.equal(pc.utf8_upper(parts.field("p")), "PM").fill_null(False).to_numpy(zero_copy_only=False)
        hour = _integers(parts, "I") % 12 + 12 * afternoon
    seconds = hour * 3600 + _integers(parts, "M") * 60 + _integers(parts, "S")
    return np.asarray(seconds * 10**9 + _fraction(parts))


def _fraction(parts: pa.StructArray) -> NDArray[np.int64]:
    """Return the nanoseconds of the fractions of seconds."""
    if not _has(parts, "f"):
        return np.zeros(len(parts), dtype=np.int64)
    return np.asarray(pc.utf8_rpad(parts.field("f"), 9, "0").cast("int64"))


def _offset_minutes(parts: pa.StructArray) -> NDArray[np.int64]:
    if not _has(parts, "z"):
        return np.zeros(len(parts), dtype=np.int64)
    digits = pc.extract_regex(parts.field("z"), r"^(?P<sign>[+-])(?P<H>[0-9]{2})(?::?(?P<M>[0-9]{2}))?$")
    minutes = _integers(digits, "H") * 60 + _integers(digits, "M")
    negative = pc.equal(digits.field("sign"), "-").fill_null(False).to_numpy(zero_copy_only=False)
    return np.where(negative, -minutes, minutes)


def _integers(parts: pa.StructArray, name: str) -> NDArray[np.int64]:
    """Return a field as integers, 0 where it is empty or absent."""
    if not _has(parts, name):
        return np.zeros(len(parts), dtype=np.int64)
    field = parts.field(name)
    filled = pc.if_else(pc.equal(field, ""), "0", field).fill_null("0")
    integers: NDArray[np.int64] = filled.cast("int64").to_numpy(zero_copy_only=False)
    return integers


def _valid(parts: pa.StructArray) -> NDArray[np.bool_]:
    """Return whether strings match and their fields are a date and a time."""
    valid: NDArray[np.bool_] = parts.is_valid().to_numpy(zero_copy_only=False)
    valid &= (_integers(parts, "H") < 24) & (_integers(parts, "M") < 60) & (_integers(parts, "S") < 60)
    if _has(parts, "I"):
        valid &= (_integers(parts, "I") > 0) & (_integers(parts, "I") <= 12)
    if not _has(parts, "d"):
        return valid
    month, local = _month(parts), _days(parts)
    in_month = local.astype("M8[D]").astype("M8[M]").astype(np.int64) == _months(parts)
    known_year = _integers(parts, "Y") > 0 if _has(parts, "Y") else True
    valid &= (month >= 1) & (month <= 12) & in_month & (_integers(parts, "d") >= 1) & known_year
    return valid


def _count(days: NDArray[np.int64], rest: NDArray[np.int64], unit: TimeUnit) -> NDArray[np.float64]:
    size = NANOSECONDS[unit]
    return days.astype(np.float64) * (DAY // size) + rest / size


def _floats(array: pa.Array) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = array.cast("float64").fill_null(np.nan).to_numpy(zero_copy_only=False)
    return numbers


# Writing.


def write(number: float, notation: DateNotation) -> str:
    """Return the text of a date, moved into the years 1 to 9999, or into the day for a time of day."""
    if not notation.pattern:
        return str(round(number))
    time = _nanoseconds(number, notation.unit)
    if not is_time_of_day(notation):
        low, high = (1 - _EPOCH) * DAY, (date.max.toordinal() - _EPOCH + 1) * DAY - NANOSECONDS[notation.unit]
        time = min(max(time, low), high) + _minutes_of(notation.offset) * NANOSECONDS["m"]
    else:
        time = min(max(time, 0), DAY - NANOSECONDS[notation.unit])
    fields = _fields(*divmod(time, DAY), notation.offset)
    return _DIRECTIVE.sub(lambda match: _formatted(match[0], fields), notation.pattern)


def is_time_of_day(notation: DateNotation) -> bool:
    """Return whether the numbers count from midnight."""
    return notation.content == "time"


def _nanoseconds(number: float, unit: TimeUnit) -> int:
    """Return nanoseconds without rounding whole numbers."""
    size = NANOSECONDS[unit]
    return int(number) * size + round((number - int(number)) * size)


def _minutes_of(offset: str) -> int:
    match = re.fullmatch(r"([+-])(\d{2})(?::?(\d{2}))?", offset)
    return (-1 if match[1] == "-" else 1) * (60 * int(match[2]) + int(match[3] or 0)) if match else 0


def _fields(days: int, time: int, offset: str) -> dict[str, int | str]:
    """Return the value of each directive."""
    day = date.fromordinal(min(max(days + _EPOCH, 1), date.max.toordinal()))
    hour, minute, second = time // (3600 * 10**9), time // (60 * 10**9) % 60, time // 10**9 % 60
    fields: dict[str, int | str] = {"Y": f"{day.year:04}", "y": day.year % 100, "m": day.month, "d": day.day}
    fields |= {"b": _SHORT[day.month - 1], "B": _MONTHS[day.month - 1], "z": offset, "f": f"{time % 10**9:09}"}
    return fields | {"H": hour, "I": hour % 12 or 12, "M": minute, "S": second, "p": "PM" if hour >= 12 else "AM"}


def _formatted(directive: str, fields: Mapping[str, int | str]) -> str:
    value = fields[directive[-1]]
    if directive == "%.f":
        return f".{value}".rstrip("0").rstrip(".")
    if directive[-1] == "f":
        return str(value)[: int(directive[1])]
    return str(value) if isinstance(value, str) or directive[1] == "-" else f"{value:02}"


def words(notation: DateNotation) -> str:
    """Return a pattern in words, such as month/day/year; empty for types of dates."""
    if notation.arrow_type:
        return ""
    without_fraction = re.sub(r"%\.f|\.%\df", "", notation.pattern)
    return _DIRECTIVE.sub(lambda match: _WORDS[match[0][-1]], without_fraction)
