"""Written numbers and dates: what is recognized, and that writing inverts parsing."""

import math
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aevb.columns import Column, DateNotation, Notation, NumberNotation
from aevb.data.tables.arrow import from_temporal, temporal_type, to_temporal
from aevb.data.tables.dates import NANOSECONDS
from aevb.data.tables.frames import frame_columns, to_frame
from aevb.data.tables.infer import unsplit_table
from aevb.data.tables.notation import describe, parse, recognize, write

TRY = settings(max_examples=150, deadline=None, database=None)


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["1,234", "12", "1,000,000"], [1234, 12, 1e6]),
        (["$1,234.50", "$0.99", "-$3.00"], [1234.5, 0.99, -3]),
        (["$1.00", "$-2.00"], [1, -2]),
        (["$1.00", "($2.50)"], [1, -2.5]),
        (["37.5%", "4.0%"], [37.5, 4]),
        (["2700 g", "95 g"], [2700, 95]),
        (["2.5kg", "10.0kg"], [2.5, 10]),
        (["12 m2", "7 m2"], [12, 7]),
        (["12,5", "-3,25", "7"], [12.5, -3.25, 7]),
        (["0,125", "-0,250", "1,500"], [0.125, -0.25, 1.5]),
        (["0,125 kg", "1,500 kg"], [0.125, 1.5]),
        (["0.125 €", "1.500 €"], [0.125, 1.5]),
        (["1.234,50 €", "12,00 €"], [1234.5, 12]),
        (["1'234.50", "CHF 1'234.50"][:1], [1234.5]),
        (["CHF 1'234.50", "CHF 10.00"], [1234.5, 10]),
        (["1 234,5", "12,0"], [1234.5, 12]),
        (["1\u00a0234", "12"], [1234, 12]),
        (["1,5E-03", "2,0"], [0.0015, 2]),
        (["−3 °C", "12 °C"], [-3, 12]),
        (["USD 5", "USD 1,200"], [5, 1200]),
    ],
)
def test_numbers(texts: list[str], numbers: list[float]) -> None:
    recognized = recognize(pa.array(texts))
    assert recognized
    np.testing.assert_array_equal(recognized[0], numbers)


@pytest.mark.parametrize(
    "texts",
    [
        ["A12", "17b"],
        ["17b", "12b"],
        ["A12", "A15"],
        ["08501", "12"],
        ["$08501", "$12"],
        ["12 g", "12 kg"],
        ["$5", "€5"],
        ["1,234", "12.34.5"],
        ["0,125", "1,234.5"],
        ["12,34,567"],
        ["1.2.3", "1.2.4"],
        ["12", "14:05"],
        ["25:10", "14:05"],
        ["30.02.2023", "01.02.2023"],
        ["13/13/2023"],
        ["2023-01-05", "2023-01-05 10:00"],
        ["abc"],
        ["1", "2"],  # plain
    ],
)
def test_texts_without_a_common_notation(texts: list[str]) -> None:
    assert recognize(pa.array(texts)) is None


def test_a_comma_before_three_digits_depends_on_the_delimiter() -> None:
    texts = pa.array(["1,234", "2,500"])
    assert [recognize(texts, decimal_comma=flag)[0].tolist() for flag in (False, True)] == [  # type: ignore[index]
        [1234, 2500],
        [1.234, 2.5],
    ]


@pytest.mark.parametrize(
    ("texts", "first", "unit", "said"),
    [
        (["2023-01-05", "2024-12-31"], 19362, "D", "year-month-day"),
        (["31.12.2023", "01.02.2023"], 19722, "D", "day.month.year"),
        (["02.01.2023", "03.01.2023"], 19359, "D", "day.month.year"),
        (["01/02/2023", "03/04/2023"], 19359, "D", "month/day/year"),
        (["01/02/2023", "13/04/2023"], 19389, "D", "day/month/year"),
        (["02-01-2023", "03-13-2023"], 19389, "D", "month-day-year"),
        (["1/5/2023 9:05", "12/31/2023 14:05"], 19362 * 1440 + 545, "m", "month/day/year hour:minute"),
        (["2023-01-05T10:00:00Z", "2023-01-05T11:00:00Z"], 19362 * 24 + 10, "h", "year-month-dayThour:minute:secondZ"),
        (["2023-01-05 10:00:00+02:00", "2023-07-05 10:00:00+03:00"], 19362 * 24 + 8, "h", None),
        (["2023-01-05 10:00:00.250", "2023-01-05 10:00:00.500"], (19362 * 86400 + 36000) * 1000 + 250, "ms", None),
        (["2023-01-05 10:00:00", "2023-01-05 10:00:00.5"], (19362 * 86400 + 36000) * 1000, "ms", None),
        (["14:05", "00:00"], 845, "m", "hour:minute"),
        (["14:05:33", "23:59:59"], 50733, "s", "hour:minute:second"),
        (["2:05 PM", "12:00 AM"], 845, "m", "hour:minute AM or PM"),
        (["5 Jan 2023", "31 Dec 2023"], 19362, "D", "day month year"),
        (["May 5, 2023", "January 31, 2023"], 19482, "D", "month day, year"),
        (["31.12.23", "01.02.23"], 19722, "D", "day.month.year"),
    ],
)
def test_dates(texts: list[str], first: int, unit: str, said: str | None) -> None:
    recognized = recognize(pa.array(texts))
    assert recognized
    numbers, notation = recognized
    assert isinstance(notation, DateNotation)
    assert (numbers[0], notation.unit) == (first, unit)
    assert (numbers == numbers.round()).all()
    if said:
        assert describe("ts", notation) == f"ts is read as {said}"
    if len({text[-6:] for text in texts if "+" in text}) < 2:  # one offset
        assert [write(number, notation) for number in numbers] == texts


MARKS = [("", "."), ("", ","), (",", "."), (".", ","), ("'", "."), (" ", ","), ("\u00a0", ",")]
AFFIXES = [("", ""), ("$", ""), ("CHF ", ""), ("", "%"), ("", " g"), ("", " €"), ("US$", "")]
PATTERNS = [
    *("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y %H:%M", "%-m/%-d/%Y %-H:%M", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S.%3f"),
    *("%Y-%m-%d %H:%M:%S%.f", "%d %b %Y", "%B %-d, %Y", "%I:%M %p", "%H:%M:%S", "%Y-%m-%d %H:%M:%S%z"),
]


@st.composite
def number_notations(draw: st.DrawFn) -> NumberNotation:
    thousands, decimal = draw(st.sampled_from(MARKS))
    prefix, suffix = draw(st.sampled_from(AFFIXES))
    least, more = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    negative = draw(st.sampled_from(["-$", "$-", "($)"]))
    return NumberNotation(
        prefix=prefix,
        suffix=suffix,
        thousands=thousands,
        decimal=decimal,
        negative=negative,
        decimals=(least, least + more),
    )


@TRY
@given(number_notations(), st.integers(-(10**12), 10**12))
def test_writing_inverts_parsing_of_numbers(notation: NumberNotation, digits: int) -> None:
    number = digits / 10 ** notation.decimals[1]
    text = write(number, notation)
    assert parse(pa.array([text]), notation)[0] == number
    assert write(parse(pa.array([text]), notation)[0], notation) == text
    assert len(text.removeprefix("(")) >= len(notation.prefix) + len(notation.suffix) + 1


@st.composite
def date_notations(draw: st.DrawFn) -> tuple[DateNotation, int]:
    """A notation, and a number that its pattern can write."""
    pattern = draw(st.sampled_from(PATTERNS))
    unit = "D" if "H" not in pattern and "I" not in pattern else "s" if "S" in pattern else "m"
    unit = "ms" if "%3f" in pattern else "us" if "%.f" in pattern else unit
    days = draw(st.integers(-700_000, 2_900_000)) if unit == "D" else draw(st.integers(-30_000, 30_000))
    per_day = NANOSECONDS["D"] // NANOSECONDS[unit]  # type: ignore[index]
    rest = draw(st.integers(0, per_day - 1))
    offset = draw(st.sampled_from(["+02:00", "-05:30"])) if "%z" in pattern else ""
    notation = DateNotation(pattern=pattern, unit=unit, offset=offset)
    return notation, (days if "d" in pattern else 0) * per_day + rest


@TRY
@given(date_notations())
def test_writing_inverts_parsing_of_dates(drawn: tuple[DateNotation, int]) -> None:
    notation, number = drawn
    text = write(number, notation)
    assert parse(pa.array([text]), notation)[0] == number
    assert write(parse(pa.array([text]), notation)[0], notation) == text


@TRY
@given(st.lists(st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)), min_size=1, max_size=5))
def test_dates_are_those_of_python(dates: list[datetime]) -> None:
    recognized = recognize(pa.array([f"{date:%Y-%m-%d %H:%M:%S.%f}" for date in dates]))
    assert recognized
    numbers, notation = recognized
    assert isinstance(notation, DateNotation)
    size = NANOSECONDS[notation.unit] / 1000
    expected = [(date - datetime(1970, 1, 1)) / timedelta(microseconds=1) / size for date in dates]
    np.testing.assert_allclose(numbers, expected, rtol=1e-15)


@pytest.mark.parametrize("notation", [NumberNotation(prefix="$"), DateNotation(pattern="%Y-%m-%d", unit="D")])
def test_a_column_keeps_its_notation_in_json(notation: Notation) -> None:
    column = Column(name="x", kind="real", position=0, notation=notation)
    assert Column.model_validate_json(column.model_dump_json()) == column


@pytest.mark.parametrize("number", [-1e9, 1e12, 0.4, -0.4])
def test_any_number_can_be_written(number: float) -> None:
    """Samples of dates stay within the years 1 to 9999, those of clock times within the day."""
    for pattern in ("%Y-%m-%d", "%H:%M"):
        notation = DateNotation(pattern=pattern, unit="D" if "d" in pattern else "m")
        assert not math.isnan(parse(pa.array([write(number, notation)]), notation)[0])
    assert write(-0.001, NumberNotation(prefix="$", decimals=(2, 2))) == "$0.00"


UTC = timezone.utc
TEMPORAL = {
    "timestamp[ns]": [datetime(2020, 1, 2, 3, 4, 5), None, datetime(2021, 1, 1)],
    "timestamp[s]": [datetime(2020, 1, 2), None],
    "timestamp[us, tz=UTC]": [datetime(2020, 1, 2, 3, 4, 5, 678, tzinfo=UTC), None],
    "timestamp[ms, tz=Europe/Berlin]": [datetime(2020, 7, 2, 22, tzinfo=UTC), datetime(1969, 7, 2, 22, tzinfo=UTC)],
    "date32[day]": [date(2020, 1, 2), None, date(1960, 5, 5)],
    "date64[ms]": [date(2020, 1, 2), None],
    "time32[s]": [time(3, 4, 5), None],
    "time64[us]": [time(3, 4, 5, 67), time(0, 0)],
    "duration[ns]": [timedelta(hours=3), None, timedelta(minutes=-5)],
}


@pytest.mark.parametrize("name", TEMPORAL)
def test_arrow_types_of_dates(name: str) -> None:
    array = pa.array(TEMPORAL[name], type=temporal_type(name))
    assert str(array.type) == name
    numbers, notation = from_temporal(array)
    present = [number for number in numbers if number == number]
    assert len(present) == len(array) - array.null_count
    assert all(number.is_integer() for number in present)
    texts = [None if number != number else write(number, notation) for number in numbers]
    assert to_temporal(pa.array(texts, type=pa.string()), notation, array.type).equals(array)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_keep_their_types_of_dates(library: str) -> None:
    days = pandas.date_range("2020-01-01", periods=30)
    frame = pandas.DataFrame(
        {
            "day": days,
            "hour": days + pandas.to_timedelta(np.arange(30) % 24, unit="h"),
            "zoned": days.tz_localize("Europe/Berlin"),
            "lasting": pandas.to_timedelta(np.arange(30) ** 2, unit="s"),
            "clock": [time(hour % 24, 5) for hour in range(30)],
            "x": np.arange(30) / 7,
        }
    )
    frame.loc[3, ["day", "lasting"]] = pandas.NaT
    data: Any = frame if library == "pandas" else polars.from_pandas(frame)
    table = unsplit_table("t", frame_columns(data), {})
    assert {column.name: column.kind for column in table.columns if column.name != "lasting"} == dict.fromkeys(
        ("day", "hour", "zoned", "clock"), "integer"
    ) | {"x": next(column.kind for column in table.columns if column.name == "x")}
    back: Any = to_frame(table.columns, table.examples.values.numpy(), library)  # type: ignore[arg-type]
    for name in frame.columns[:-1]:
        assert back[name].dtype == data[name].dtype
        assert pandas.Series(back[name].to_list()).equals(pandas.Series(data[name].to_list()))
