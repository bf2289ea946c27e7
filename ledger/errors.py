"""Every refusal of the ledger, worded from facts.

Takes facts (what, got, wanted, where) and hands on one sentence. Opens nothing.

    LedgerError                 anything the ledger says no to
    ├── BadValue                one value: what was got, what was wanted
    ├── BadReport               one report: every field of it that was refused
    ├── NotRecorded             reports of which none was recorded, because some were refused
    ├── BadFile                 a file that cannot be read as reports at all
    ├── EntryTooLarge           an entry over the size that the format allows
    ├── MayNotFollow            an event that the history of its stream forbids
    ├── WrongExpectedVersion    the stream is not where the writer believed it to be
    ├── IdConflict              one event id, two contents
    ├── NotFound                a position, stream or name that is not in the ledger
    ├── BadEntry                stored bytes that cannot be read as an entry
    └── CouldNot                the work could not be done (no database, wrong revision, …)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

REFUSALS_SHOWN = 3
"""Refused reports that a message names; all of them stand in the error."""


class LedgerError(Exception):
    """Anything the ledger says no to; its text is one sentence for a person."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process raise it with the same words: they are not worded twice."""
        return type(self).__new__, (type(self), *self.args), self.__dict__


class BadValue(LedgerError):
    """One value is refused: says what was got and what was wanted."""

    def __init__(self, got: object, wanted: str) -> None:
        self.got = got
        self.wanted = wanted
        super().__init__(f"got {shown(got)}, wanted {wanted}")


@dataclass(frozen=True)
class Complaint:
    """One refused field: where it stands and what is wrong with it."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class BadReport(LedgerError):
    """One report is refused: every complaint about it, in the order of its fields."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("; ".join(str(complaint) for complaint in self.complaints))


class NotRecorded(LedgerError):
    """None of the reports was recorded, because of `refusals`: as they stand in an Outcome."""

    def __init__(self, seen: int, refusals: Sequence[Any]) -> None:
        self.seen, self.refusals = seen, tuple(refusals)
        first = "; ".join(map(str, self.refusals[:REFUSALS_SHOWN]))
        more = len(self.refusals) - REFUSALS_SHOWN
        rest = f"; and {more:,} more" if more > 0 else ""
        refused = f"{len(self.refusals):,} of {seen:,} refused"
        super().__init__(f"nothing was recorded, {refused}: {first}{rest}")


class BadFile(LedgerError):
    """A file cannot be read as reports: says where reading stopped and why."""

    def __init__(self, why: str, line: int | None = None) -> None:
        self.why = why
        self.line = line
        super().__init__(why if line is None else f"line {line}: {why}")


class EntryTooLarge(LedgerError):
    """An entry is over the size limit of the format."""

    def __init__(self, stream: str, size: int, limit: int) -> None:
        self.stream, self.size, self.limit = stream, size, limit
        super().__init__(
            f"the entry for {stream} has {size:,} bytes, wanted at most {limit:,}: "
            "put the long text in a document and record its url or sha256"
        )


class MayNotFollow(LedgerError):
    """An event may not follow the history of its stream."""

    def __init__(self, stream: str, why: str) -> None:
        self.stream, self.why = stream, why
        super().__init__(f"{stream}: {why}")


class WrongExpectedVersion(LedgerError):
    """The stream is not at the version that the writer believed it to be at."""

    def __init__(self, stream: str, actual: int, expected: int) -> None:
        self.stream, self.actual, self.expected = stream, actual, expected
        super().__init__(f"{stream} is at stream_version {actual}, expected {expected}")


class IdConflict(LedgerError):
    """An event id is taken by an event with other content."""

    def __init__(self, event_id: str, position: int | None = None) -> None:
        self.event_id, self.position = event_id, position
        where = "twice in this batch" if position is None else f"at position {position}"
        super().__init__(f"event id {event_id} stands {where} with other content")


class NotFound(LedgerError):
    """Something that was named is not in the ledger."""

    def __init__(self, what: str, hint: str = "") -> None:
        self.what = what
        super().__init__(f"{what} is not in this ledger" + (f": {hint}" if hint else ""))


class NoStream(NotFound):
    """A stream that was named has no event."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        super().__init__(f"stream {stream}", "`ledger show POSITION` names the stream of an event")


class BadEntry(LedgerError):
    """Stored bytes are no entry of this format, or one of a later version."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"unreadable entry: {why}")


class UnreadableEvent(BadEntry):
    """What stands at a position is no event that this version can read."""

    def __init__(self, position: int, why: str) -> None:
        self.position = position
        super().__init__(f"position {position}: {why}")


class CouldNot(LedgerError):
    """The work could not be done: says what was tried and what stood in the way."""

    def __init__(self, what: str, why: str) -> None:
        self.what, self.why = what, why
        super().__init__(f"could not {what}: {why}")


def shown(value: object, limit: int = 60) -> str:
    """Return the value as a person can read it in one line, cut at the limit."""
    text = ascii(value) if _is_unprintable(value) else repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _is_unprintable(value: object) -> bool:
    return isinstance(value, str) and not value.isprintable()
