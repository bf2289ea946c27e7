"""Recording: drafts checked against the history they would join, and appended.

Takes Drafts (from `reading`) and a database; hands on an Outcome that counts what was recorded and
names every refusal. By default all reports of a file are recorded or none; with `keep_going` the
good ones are, and the refused ones are named.

A report that stands in its stream already, word for word, is not recorded again: the same file can
be recorded twice. To repeat a report on purpose, give it an `id` of its own.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

from ledger.errors import BadReport, Complaint, LedgerError
from ledger.intake.composing import Candidate, read_draft
from ledger.intake.desk import Desk
from ledger.intake.reading import BadDraft, Draft
from ledger.kinds.sealing import Salts
from ledger.store.append import Clock, Receipt
from ledger.store.connect import Connectable, writing

CHUNK = 1_000
"""Reports that are looked up and appended together."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Who records, and where time, ids and salts come from."""

    name: str
    clock: Clock
    new_id: Callable[[], str]
    salts: Salts


@dataclass(frozen=True, slots=True)
class Refusal:
    """One report that was not recorded."""

    line: int
    complaints: tuple[Complaint, ...]
    draft: Draft | BadDraft


@dataclass(slots=True)
class Outcome:
    """What became of a file of reports."""

    seen: int = 0
    recorded: list[Receipt] = field(default_factory=list)
    already: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    flags: list[tuple[int, str]] = field(default_factory=list)
    """Line and remark for values that were recorded but look odd."""
    written: bool = False
    """Whether `recorded` is in the database: not after a dry run or a refusal of the whole file."""


OnProgress = Callable[[Outcome], None]


def record(
    database: Connectable,
    drafts: Iterable[Draft | BadDraft],
    writer: Writer,
    *,
    keep_going: bool = False,
    dry_run: bool = False,
    on_progress: OnProgress = lambda outcome: None,
) -> Outcome:
    """Record the drafts and return what became of each.

    All or none in one transaction; with `keep_going` one transaction per 1,000 reports, which
    leaves out the refused ones. A dry run does the same and rolls back.
    """
    outcome = Outcome()
    chunks = _chunks(iter(drafts))
    chunk_by_chunk = keep_going and not dry_run
    first = next(chunks, None)  # read before the lock is taken: input may be slow
    while first is not None:
        with writing(database) as connection:
            desk = Desk(connection, writer.name, writer.clock, writer.new_id, writer.salts)
            for chunk in [first] if chunk_by_chunk else chain([first], chunks):
                _take_in(desk, chunk, outcome)
                on_progress(outcome)
            outcome.written = not dry_run and (keep_going or not outcome.refusals)
            if not outcome.written:
                connection.rollback()
        first = next(chunks, None)
    return outcome


def _chunks(drafts: Iterator[Draft | BadDraft]) -> Iterator[list[Draft | BadDraft]]:
    while chunk := list(islice(drafts, CHUNK)):
        yield chunk


def _take_in(desk: Desk, chunk: list[Draft | BadDraft], outcome: Outcome) -> None:
    """Compose, check and append one chunk."""
    composed: list[tuple[Draft, Candidate]] = []
    for draft in chunk:
        outcome.seen += 1
        try:
            composed.append(_composed(draft))
        except BadReport as refusal:
            outcome.refusals.append(Refusal(draft.line, refusal.complaints, draft))
    desk.open([candidate for _, candidate in composed])
    for draft, candidate in composed:
        try:
            is_new = desk.take(candidate)
        except BadReport as refusal:
            outcome.refusals.append(Refusal(draft.line, refusal.complaints, draft))
        except LedgerError as refusal:
            complaint = Complaint("", str(refusal))
            outcome.refusals.append(Refusal(draft.line, (complaint,), draft))
        else:
            outcome.already += not is_new
            outcome.flags += [(draft.line, flag) for flag in _flags(candidate.data)]
    outcome.refusals.sort(key=lambda refusal: refusal.line)
    outcome.recorded += desk.close()


def _composed(draft: Draft | BadDraft) -> tuple[Draft, Candidate]:
    if isinstance(draft, BadDraft):
        raise BadReport([Complaint("", draft.why)])
    return draft, read_draft(draft)


def _flags(value: object) -> Iterator[str]:
    """Yield the flags that the values of a report carry, wherever they stand in it."""
    if isinstance(value, dict):
        yield from value.get("flags", ())
        for inner in value.values():
            yield from _flags(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _flags(inner)
