"""Days as sources give them: written in EDTF, read into an earliest and a latest day.

Takes the text of one day or interval and hands on a `Day`: the text exactly as written, the bounds
that it supports, and flags for what looks like a slip. Opens nothing.

What is read is EDTF (ISO 8601-2) level 0 and level 1, for years 0001 to 9999:

    2025-12-13              that day
    2025-11, 2025           the whole month, the whole year
    2025-12-13T09:30:00Z    the day as written; an offset never moves it to another day
    2025-12-13?, 2025-12~   uncertain, approximate (% is both): the bounds are those without it
    202X, 20XX              ten years, a hundred years
    2025-12-XX              some day of the month
    2025-XX, 2025-XX-XX     some month, some day of the year
    2025-21 … 2025-24       northern spring (March to May), summer, autumn, and winter, which
                            belongs to the year it starts in (December 2025 to February 2026)
    a/b                     from the earliest day of a to the latest day of b; each end is any
                            form above without a time of day
    a/.., ../b, a/, /b      open (..) or unknown (empty) end: that bound is None

A qualifier widens nothing because no source says by how much; it stays readable in the text.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from ledger.errors import BadValue

YEAR_MIN = 1800
YEAR_MAX = 2200

_WANTED = (
    "a day in EDTF, year first: 2025-12-13, 2025-12 (a month), 2025-12~ (about), "
    "2025-11-20/2025-11-22 (from, until) or 2025-11/.. (since)"
)
_WANTED_YEAR = "a year from 0001 to 9999 in four digits, like 2025-12-13"
_WANTED_BARE = "a day without spaces around it, like 2025-12-13"
_WANTED_X = (
    "X only for whole places from the right (202X, 20XX, 2025-XX, 2025-12-XX, 2025-XX-XX), "
    "or an interval like 2025-12-10/2025-12-19"
)

_SHAPE = str.maketrans("123456789", "000000000")
_SHAPES = frozenset(
    ("0000", "000X", "00XX", "0000-00", "0000-XX", "0000-00-00", "0000-00-XX", "0000-XX-XX")
)
_SEASON_START = {21: 3, 22: 6, 23: 9, 24: 12}
_OFF_YEAR = re.compile(r"[+-]\d{4}|[+-]?Y[+-]?\d+|\d{5}(-|$)", re.ASCII)
_LEVEL_2_X = re.compile(r"[\dX]{4}(-[\dX]{2}){0,2}", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)T([01]\d|2[0-3])(:[0-5]\d){2}(Z|[+-]([01]\d|2[0-3])(:[0-5]\d)?)?", re.ASCII
)

_Bounds = tuple[date | None, date | None]


@dataclass(frozen=True, slots=True)
class Day:
    """A day or span of days: the text as written, its bounds (both inclusive), what looks wrong.

    A bound of None is open or unknown. At least one of the two is always a date.
    """

    edtf: str
    earliest: date | None
    latest: date | None
    flags: tuple[str, ...]


def read_day(text: str) -> Day:
    """Return the day that the EDTF text says; raise BadValue for every other text.

    A year before 1800 or after 2200 is kept and flagged. Days repeat in a record, so the last few
    thousand are remembered; a `Day` cannot be changed, so it may be shared.
    """
    if not isinstance(text, str):
        raise BadValue(text, _WANTED)
    return _read(text)


@lru_cache(maxsize=8192)
def _read(text: str) -> Day:
    earliest, latest = _bounds(text)
    return Day(text, earliest, latest, _flags(earliest, latest))


def _bounds(text: str) -> _Bounds:
    if "/" in text:
        return _interval(text)
    moment = _MOMENT.fullmatch(text)
    return _single(moment[1] if moment else text)


def _interval(text: str) -> _Bounds:
    start, _, end = text.partition("/")
    if "/" in end:
        raise BadValue(text, _WANTED)
    earliest = None if start in ("", "..") else _single(start)[0]
    latest = None if end in ("", "..") else _single(end)[1]
    if earliest is None and latest is None:
        raise BadValue(text, "an interval with at least one known end, like 2025-11/.. (since)")
    if earliest and latest and earliest > latest:
        raise BadValue(text, "an interval that starts before it ends, like 2025-11-20/2025-11-22")
    return earliest, latest


def _single(text: str) -> tuple[date, date]:
    bare = text[:-1] if text.endswith(("?", "~", "%")) else text
    if bare.translate(_SHAPE) not in _SHAPES:
        raise BadValue(text, _wanted_for(text, bare))
    low, high = int(bare[:4].replace("X", "0")), int(bare[:4].replace("X", "9"))
    if low < 1:
        raise BadValue(text, _WANTED_YEAR)
    if len(bare) == 4 or bare[5:7] == "XX":
        return date(low, 1, 1), date(high, 12, 31)
    month = int(bare[5:7])
    if len(bare) == 7 and month in _SEASON_START:
        return _season(text, low, _SEASON_START[month])
    return _in_month(text, low, month, bare[8:])


def _in_month(text: str, year: int, month: int, day: str) -> tuple[date, date]:
    if not 1 <= month <= 12:
        raise BadValue(text, "a month from 01 to 12 (or 21 to 24 for a season), like 2025-12")
    length = calendar.monthrange(year, month)[1]
    if day in ("", "XX"):
        return date(year, month, 1), date(year, month, length)
    if not 1 <= int(day) <= length:
        stem = f"{year:04d}-{month:02d}"
        raise BadValue(text, f"a day that exists, from {stem}-01 to {stem}-{length}")
    only = date(year, month, int(day))
    return only, only


def _season(text: str, year: int, start: int) -> tuple[date, date]:
    end_year, end = (year, start + 2) if start < 12 else (year + 1, 2)
    if end_year > date.max.year:
        raise BadValue(text, _WANTED_YEAR)
    return date(year, start, 1), date(end_year, end, calendar.monthrange(end_year, end)[1])


def _flags(earliest: date | None, latest: date | None) -> tuple[str, ...]:
    """Return a sentence for each bound whose year is more likely a slip than meant."""
    years = sorted({bound.year for bound in (earliest, latest) if bound})
    return tuple(
        f"the year {year:04d} is {side}, perhaps a slip" for year in years if (side := _side(year))
    )


def _side(year: int) -> str:
    if year < YEAR_MIN:
        return f"before {YEAR_MIN}"
    return f"after {YEAR_MAX}" if year > YEAR_MAX else ""


def _wanted_for(text: str, bare: str) -> str:
    """Return what to write instead of a text of no known shape; never a guess at the day meant."""
    if text != text.strip():
        return _WANTED_BARE
    if _OFF_YEAR.match(text):
        return _WANTED_YEAR
    if "X" in bare and _LEVEL_2_X.fullmatch(bare):
        return _WANTED_X
    return _WANTED
