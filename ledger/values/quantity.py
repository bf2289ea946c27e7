"""Quantities: a relation with bounds, never an invented number.

Takes a whole number or the field's words for one ("at least 5", "about 30"); hands on a Quantity.
Unknown is not 0: a quantity that nobody stated has no low and no high.
"""

import re
from dataclasses import dataclass

from ledger.errors import BadValue

RELATIONS = ("exact", "at_least", "at_most", "between", "about", "unstated")
LIMIT = 2**53 - 1
"""The largest whole number of the record's format (RFC 8785, section 3.2.2.3)."""

WANTED = (
    'a whole number, or "at least 5", "at most 5", "between 5 and 9", "about 30", '
    '"some", "unstated"'
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """How many, as far as a source says."""

    relation: str
    low: int | None = None
    high: int | None = None
    best: int | None = None
    """The source's own best figure, where it is not a bound."""
    said: str | None = None
    """The source's words, where they were words."""

    @property
    def flags(self) -> tuple[str, ...]:
        """What is odd about it; published data break low <= best <= high (UCDP GED 19.1)."""
        if self.best is None:
            return ()
        below = self.low is not None and self.best < self.low
        above = self.high is not None and self.best > self.high
        return (f"best {self.best} is outside {self.low}..{self.high}",) if below or above else ()


UNSTATED = Quantity("unstated")

_NUMBER = r"(\d[\d,]*)"
_DASH = "[-\u2013]"
"""The hyphen of a keyboard, and the en dash that pages print."""
_WORDS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), relation)
    for pattern, relation in (
        (rf"{_NUMBER}", "exact"),
        (rf"exactly {_NUMBER}", "exact"),
        (rf"(?:at least|no fewer than|no less than) {_NUMBER}", "at_least"),
        (rf"{_NUMBER} or more", "at_least"),
        (rf"(?:more than|over) {_NUMBER}", "more_than"),
        (rf"(?:at most|up to|no more than) {_NUMBER}", "at_most"),
        (rf"(?:fewer than|less than|under) {_NUMBER}", "fewer_than"),
        (rf"between {_NUMBER} and {_NUMBER}", "between"),
        (rf"{_NUMBER} (?:to|{_DASH}) {_NUMBER}", "between"),
        (rf"{_NUMBER}{_DASH}{_NUMBER}", "between"),
        (rf"(?:about|around|some|approximately|~) ?{_NUMBER}", "about"),
    )
)


def read_quantity(given: int | str) -> Quantity:
    """Return the quantity that a number or the words for one state; refuses what it cannot read.

    "more than 430" is at least 431; "some" is at least 1 with no upper bound; "about 30" bounds
    nothing beyond "at least 1", because nobody said how far off it may be.
    """
    if isinstance(given, bool) or not isinstance(given, int | str):
        raise BadValue(given, WANTED)
    if isinstance(given, int):
        return between(given, given)
    words = " ".join(given.casefold().split())
    if words in ("some", "several", "a number of", "at least one"):
        return Quantity("at_least", low=1, said=given)
    if words in ("unstated", "not stated"):
        return Quantity("unstated", said=given)
    for pattern, relation in _WORDS:
        if match := pattern.fullmatch(words):
            numbers = [int(number.replace(",", "")) for number in match.groups()]
            return _from_words(relation, numbers, given)
    raise BadValue(given, WANTED)


def between(low: int, high: int, best: int | None = None, said: str | None = None) -> Quantity:
    """Return the quantity from low to high, both included; refuses low above high."""
    for number in (low, high, best if best is not None else low):
        check_whole(number)
    if low > high:
        raise BadValue(f"low {low}, high {high}", "low at most high")
    relation = "exact" if low == high and best in (None, low) else "between"
    return Quantity(relation, low, high, best, said)


def check_whole(number: object) -> int:
    """Return the number if it is a whole number from 0 to 2^53 - 1; refuse it otherwise."""
    if type(number) is not int or not 0 <= number <= LIMIT:
        raise BadValue(number, "a whole number from 0 to 2^53 - 1")
    return number


def _from_words(relation: str, numbers: list[int], said: str) -> Quantity:
    for number in numbers:
        check_whole(number)
    first = numbers[0]
    match relation:
        case "exact":
            return Quantity("exact", first, first, said=said)
        case "between":
            return between(first, numbers[1], said=said)
        case "at_least":
            return Quantity("at_least", low=first, said=said)
        case "more_than":
            return Quantity("at_least", low=check_whole(first + 1), said=said)
        case "at_most":
            return Quantity("at_most", high=first, said=said)
        case "fewer_than" if first > 0:
            return Quantity("at_most", high=first - 1, said=said)
        case "about":
            return Quantity("about", low=min(first, 1), best=first, said=said)
    raise BadValue(said, WANTED)
