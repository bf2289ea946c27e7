"""Recording: drafts checked against the history they would join, and appended.

Takes Drafts (from `reading`) and a database; hands on an Outcome that counts what was recorded,
names every refusal, and notes what is odd about what was recorded. By default all reports of a file
are recorded or none; with `keep_going` the good ones are, and the refused ones are named.

A report that stands in its stream already, word for word, is not recorded again: the same file can
be recorded twice. To repeat a report on purpose, give it an `id` of its own.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import NamedTuple

from ledger.errors import BadReport, Complaint, LedgerError
from ledger.intake.composing import Candidate, read_draft
from ledger.intake.desk import Desk
from ledger.intake.oddities import oddities
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


class Remark(NamedTuple):
    """What is wrong with a field, or odd about it, and where it stands."""

    line: int
    field: str
    """Its name, as `persons.1.name`; empty where the remark is about the whole report."""
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {Complaint(self.field, self.message)}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One report that was not recorded."""

    complaints: tuple[Complaint, ...]
    draft: Draft | BadDraft

    @property
    def line(self) -> int:
        """The line that the report begins on."""
        return self.draft.line

    @property
    def remarks(self) -> list[Remark]:
        """Every complaint, with the line of its field, in the order of the lines."""
        return sorted(_remarks(self.draft, self.complaints), key=lambda remark: remark.line)

    def __str__(self) -> str:
        return "; ".join(map(str, self.remarks))


@dataclass(slots=True)
class Outcome:
    """What became of a file of reports."""

    seen: int = 0
    recorded: list[Receipt] = field(default_factory=list)
    already: int = 0
    superseded: list[int] = field(default_factory=list)
    """Positions of those recorded already that were withdrawn, replaced or ranked anew since."""
    refusals: list[Refusal] = field(default_factory=list)
    flags: list[Remark] = field(default_factory=list)
    """What is odd about the reports in `recorded`; nothing of it stands in the ledger."""
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
            outcome.refusals.append(Refusal(refusal.complaints, draft))
    desk.open([candidate for _, candidate in composed])
    taken, again = [], []
    for draft, candidate in composed:
        try:
            position = desk.take(candidate)
        except BadReport as refusal:
            outcome.refusals.append(Refusal(refusal.complaints, draft))
        except LedgerError as refusal:
            outcome.refusals.append(Refusal((Complaint("", str(refusal)),), draft))
        else:
            if position is None:
                taken.append((draft, candidate))
            else:
                outcome.already += 1
                again.append((candidate, position))
    outcome.refusals.sort(key=lambda refusal: refusal.line)
    receipts = desk.close()
    outcome.recorded += receipts
    outcome.superseded += [at for candidate, at in again if not desk.still_holds(candidate, at)]
    for (draft, candidate), receipt in zip(taken, receipts, strict=True):
        odd = oddities(candidate.kind, candidate.data, receipt.recorded_at)
        outcome.flags += _remarks(draft, odd)


def _composed(draft: Draft | BadDraft) -> tuple[Draft, Candidate]:
    if isinstance(draft, BadDraft):
        raise BadReport([Complaint("", draft.why)])
    return draft, read_draft(draft)


def _remarks(draft: Draft | BadDraft, complaints: Iterable[Complaint]) -> list[Remark]:
    return [Remark(draft.line_of(c.field), c.field, c.message) for c in complaints]
