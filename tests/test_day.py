"""Days: what EDTF texts mean, what is flagged, what is refused and with which words."""

import re
from dataclasses import FrozenInstanceError
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import BadValue
from ledger.values.day import read_day

MEANINGS = [
    # level 0: days, months, years, moments
    ("2025-12-13", "2025-12-13", "2025-12-13"),
    ("2024-02-29", "2024-02-29", "2024-02-29"),
    ("2025-11", "2025-11-01", "2025-11-30"),
    ("2024-02", "2024-02-01", "2024-02-29"),
    ("1900-02", "1900-02-01", "1900-02-28"),
    ("2025", "2025-01-01", "2025-12-31"),
    ("2025-12-13T09:30:00Z", "2025-12-13", "2025-12-13"),
    ("2025-12-13T09:30:00", "2025-12-13", "2025-12-13"),
    ("2025-12-13T23:30:00-11:00", "2025-12-13", "2025-12-13"),
    ("2025-12-13T00:10:00+03", "2025-12-13", "2025-12-13"),
    # level 1: qualifiers do not widen
    ("2025-12-13?", "2025-12-13", "2025-12-13"),
    ("2025-12~", "2025-12-01", "2025-12-31"),
    ("2025%", "2025-01-01", "2025-12-31"),
    ("202X~", "2020-01-01", "2029-12-31"),
    # level 1: unspecified digits
    ("202X", "2020-01-01", "2029-12-31"),
    ("20XX", "2000-01-01", "2099-12-31"),
    ("2025-XX", "2025-01-01", "2025-12-31"),
    ("2025-12-XX", "2025-12-01", "2025-12-31"),
    ("2025-02-XX", "2025-02-01", "2025-02-28"),
    ("2025-XX-XX", "2025-01-01", "2025-12-31"),
    # level 1: seasons
    ("2025-21", "2025-03-01", "2025-05-31"),
    ("2025-22", "2025-06-01", "2025-08-31"),
    ("2025-23", "2025-09-01", "2025-11-30"),
    ("2025-24", "2025-12-01", "2026-02-28"),
    ("2023-24~", "2023-12-01", "2024-02-29"),
    # intervals
    ("2025-11-20/2025-11-22", "2025-11-20", "2025-11-22"),
    ("2025-11-20/2025-11-20", "2025-11-20", "2025-11-20"),
    ("2025-11/2025-12-13", "2025-11-01", "2025-12-13"),
    ("2025-12-13/2025-12", "2025-12-13", "2025-12-31"),
    ("2019/2021", "2019-01-01", "2021-12-31"),
    ("2025-06-XX/2025-07-03", "2025-06-01", "2025-07-03"),
    ("2025-21/2025-24", "2025-03-01", "2026-02-28"),
    ("2025-11-20?/2025-11-22~", "2025-11-20", "2025-11-22"),
    ("../2025-12-13", None, "2025-12-13"),
    ("/2025-12-13", None, "2025-12-13"),
    ("../202X", None, "2029-12-31"),
    ("2025-11/..", "2025-11-01", None),
    ("2025-11/", "2025-11-01", None),
    # the ends of the calendar
    ("0001", "0001-01-01", "0001-12-31"),
    ("9999-12-31", "9999-12-31", "9999-12-31"),
    ("9999-12", "9999-12-01", "9999-12-31"),
    ("99XX", "9900-01-01", "9999-12-31"),
]

FORM = "year first: 2025-12-13"
YEARS = "a year from 0001 to 9999"
MONTHS = "a month from 01 to 12"
PLACES = "X only for whole places"

REFUSALS = [
    # how people write days
    ("13.12.2025", FORM),
    ("12/13/2025", FORM),
    ("13/12", FORM),
    ("2025/12/13", FORM),
    ("13-12-2025", FORM),
    ("December 2025", FORM),
    ("13 Dec 2025", FORM),
    ("since November", FORM),
    ("yesterday", FORM),
    ("unknown", FORM),
    ("", FORM),
    (" ", "without spaces"),
    (" 2025-12-13", "without spaces"),
    ("2025-12-13 ", "without spaces"),
    ("2025-12-13\n", "without spaces"),
    ("2025-12-13 09:30:00", FORM),
    # other notations
    ("20251213", FORM),
    ("2025-347", FORM),
    ("2025-W50-6", FORM),
    ("2025-1-3", FORM),
    ("2025–12–13", FORM),  # noqa: RUF001 - dashes as a word processor writes them
    ("٢٠٢٥-12-13", FORM),
    ("2025-12-13?~", FORM),
    ("?2025-12-13", FORM),
    ("0000-00-0d", FORM),
    # moments
    ("2025-12-13T24:01:00Z", FORM),
    ("2025-12-13T09:60:00Z", FORM),
    ("2025-12-13T09:30", FORM),
    ("2025-12T09:30:00Z", FORM),
    ("2025-12-13T09:30:00Z/2025-12-14", FORM),
    ("2025-02-30T09:30:00Z", "from 2025-02-01 to 2025-02-28"),
    # days that do not exist
    ("2025-02-30", "from 2025-02-01 to 2025-02-28"),
    ("2025-02-29", "from 2025-02-01 to 2025-02-28"),
    ("2024-02-30", "from 2024-02-01 to 2024-02-29"),
    ("2025-11-31", "from 2025-11-01 to 2025-11-30"),
    ("2025-12-00", "from 2025-12-01 to 2025-12-31"),
    ("2025-13", MONTHS),
    ("2025-00", MONTHS),
    ("2025-25", MONTHS),
    ("2025-13-01", MONTHS),
    ("2025-21-03", MONTHS),
    ("2025-21-XX", MONTHS),
    # years out of reach
    ("0000", YEARS),
    ("0000-01-01", YEARS),
    ("000X", YEARS),
    ("00XX", YEARS),
    ("-0044-03-15", YEARS),
    ("-2025", YEARS),
    ("+2025", YEARS),
    ("Y17000", YEARS),
    ("Y-17000", YEARS),
    ("12025-12-13", YEARS),
    ("9999-24", YEARS),
    # unspecified digits that level 1 does not have
    ("XXXX", PLACES),
    ("2XXX", PLACES),
    ("2X25", PLACES),
    ("202X-12", PLACES),
    ("2025-1X", PLACES),
    ("2025-12-1X", PLACES),
    ("2025-XX-13", PLACES),
    ("XXXX-11/", PLACES),
    # intervals
    ("2025-11-22/2025-11-20", "starts before it ends"),
    ("2025/2024-12", "starts before it ends"),
    ("../..", "at least one known end"),
    ("/", "at least one known end"),
    ("/..", "at least one known end"),
    ("2025/2026/2027", FORM),
    ("2025-02-30/..", "from 2025-02-01 to 2025-02-28"),
    ("../Y17000", YEARS),
    ("[2025-12-13..2025-12-14]", FORM),
    # no text at all
    (None, FORM),
    (2025, FORM),
    (date(2025, 12, 13), FORM),
]

FLAGS = [
    ("0025-11-03", ("the year 0025 is before 1800, perhaps a slip",)),
    ("3016-08-25", ("the year 3016 is after 2200, perhaps a slip",)),
    ("1799", ("the year 1799 is before 1800, perhaps a slip",)),
    ("1800", ()),
    ("2200-12-31", ()),
    ("22XX", ("the year 2299 is after 2200, perhaps a slip",)),
    ("../0025-11", ("the year 0025 is before 1800, perhaps a slip",)),
    ("3016/..", ("the year 3016 is after 2200, perhaps a slip",)),
    ("0025-11-03/0025-11-05", ("the year 0025 is before 1800, perhaps a slip",)),
    (
        "0025-11-03/3016",
        (
            "the year 0025 is before 1800, perhaps a slip",
            "the year 3016 is after 2200, perhaps a slip",
        ),
    ),
    ("2025-11/..", ()),
]

SPANS = st.tuples(st.dates(), st.dates()).map(sorted)
ALPHABET = st.text("0123456789X-/.?~%TZ:+ Y", max_size=24)


@pytest.mark.parametrize(("text", "earliest", "latest"), MEANINGS)
def test_meaning(text: str, earliest: str | None, latest: str | None) -> None:
    """A text of level 0 or 1 is kept as written beside its earliest and latest day."""
    day = read_day(text)

    assert day.edtf == text
    assert _iso(day.earliest) == earliest
    assert _iso(day.latest) == latest


@pytest.mark.parametrize(("text", "wanted"), REFUSALS)
def test_refusal(text: str, wanted: str) -> None:
    """Every other text is refused with words that show what to write instead."""
    with pytest.raises(BadValue) as refused:
        read_day(text)

    assert wanted in refused.value.wanted
    assert re.search(r"\d{4}-\d\d", refused.value.wanted)


@pytest.mark.parametrize(("text", "flags"), FLAGS)
def test_flags(text: str, flags: tuple[str, ...]) -> None:
    """A year that looks like a slip is accepted and flagged, once for each such year."""
    assert read_day(text).flags == flags


def test_refusal_names_the_faulty_end() -> None:
    """An interval with one impossible end is refused with that end in the message."""
    with pytest.raises(BadValue, match=r"got '2025-11-31', wanted a day that exists"):
        read_day("2025-11-20/2025-11-31")


def test_frozen() -> None:
    """A day cannot be changed, so that one may stand for every text that is the same."""
    day = read_day("2025-12-13")

    with pytest.raises(FrozenInstanceError):
        day.edtf = "2025-12-14"  # type: ignore[misc]
    assert read_day("2025-12-13") == day


@given(st.dates())
def test_every_real_date_reads_back_as_itself(day: date) -> None:
    """Every date of the calendar reads back as exactly that day."""
    read = read_day(day.isoformat())

    assert (read.edtf, read.earliest, read.latest) == (day.isoformat(), day, day)


@given(SPANS)
def test_every_span_reads_back_as_itself(span: list[date]) -> None:
    """Two dates in order, joined by a slash, read back as those two dates."""
    start, end = span
    read = read_day(f"{start}/{end}")

    assert (read.earliest, read.latest) == (start, end)


@given(SPANS.filter(lambda span: span[0] != span[1]))
def test_every_reversed_span_is_refused(span: list[date]) -> None:
    """An interval that ends before it starts is refused whatever its days."""
    start, end = span
    with pytest.raises(BadValue, match="starts before it ends"):
        read_day(f"{end}/{start}")


@given(st.one_of(ALPHABET, st.text(max_size=12)))
def test_any_text_is_a_day_or_a_refusal(text: str) -> None:
    """Whatever the text, it is refused or its earliest day is not after its latest."""
    try:
        day = read_day(text)
    except BadValue:
        return
    assert day.edtf == text
    assert day.earliest or day.latest
    assert not (day.earliest and day.latest) or day.earliest <= day.latest


@given(st.dates(), st.sampled_from(["", "?", "~", "%"]), st.sampled_from([4, 7, 10]))
def test_less_precise_is_wider(day: date, qualifier: str, length: int) -> None:
    """Leaving out the day or the month gives bounds that hold the day, qualified or not."""
    read = read_day(day.isoformat()[:length] + qualifier)

    assert read.earliest is not None
    assert read.latest is not None
    assert read.earliest <= day <= read.latest


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
