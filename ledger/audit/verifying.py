"""Verifying: the whole history is read and hashed again, and compared with what was signed.

Takes a ledger and the heads that were signed over it; hands on a Verification: the verdict, how far
it reaches, and the findings. The stored entries are believed in nothing: the tree is built from
their bytes, and every root that was signed must be on its way. See docs/format.md for what is
compared. Two processes take half the time of one, and what is asked of whole indexes is asked at
the same time; the memory does not grow with the log.

Not caught: a change to events that no signed head covers, made consistently; an event whose content
was false from the start; a history that was replaced whole where nobody kept a head.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import sqlalchemy as sa
from sqlalchemy import exc

from ledger.audit.against import Against, in_order
from ledger.audit.chunks import CHUNK, Part, check, tasks
from ledger.audit.entries import check_order, span
from ledger.audit.findings import Finding, Findings, Rule, Verdict, verdict_on
from ledger.audit.sealed import check_strays
from ledger.errors import BadValue, shown
from ledger.merkle import EMPTY, Frontier, extend, frontier_to_bytes, root
from ledger.processes import aside
from ledger.store.audit_read import (
    HeadRow,
    OddHead,
    read_beyond,
    read_count,
    read_ends,
    read_faults,
    read_gaps,
    read_head_row,
    read_indexed,
    read_repeated,
    read_rows,
    read_whole_ends,
)
from ledger.store.connect import reading, scanning
from ledger.store.leaves import Damaged, read_leaf_hashes

CLOCKS_APART = timedelta(minutes=5)
"""What the clocks of recorder and signer may differ by, with the time it takes to read and sign."""
NAMED = 100
"""Findings of one pass over an index that are named."""
WORTH_IT = 50_000
"""Events below which further processes would take longer to start than they save."""

OnProgress = Callable[[int, int], object]
"""Is told how many events are checked, and of how many."""


@dataclass(slots=True)
class Verification:
    """What was verified, and what was found."""

    first: int
    """The first position that was hashed again."""
    size: int
    """Events that are verified: all up to this position were read."""
    events: int
    """Events in the ledger."""
    heads: int = 0
    """Signed heads whose size lies among the events verified."""
    signed: int = 0
    """The size of the largest of them that the events add up to."""
    known: int = 0
    """The size of the largest signed head that was given; nobody vouches for what comes after."""
    findings: Findings = field(default_factory=Findings)
    failure: str | None = None
    """Why the rest could not be read, or why nothing signed was compared."""

    @property
    def verdict(self) -> Verdict:
        """What it adds up to."""
        return verdict_on(self.findings, self.failure)

    @property
    def newer(self) -> int:
        """Verified events that no signed head covers yet."""
        return max(0, self.size - self.known)

    @property
    def position(self) -> int | None:
        """The first position that is wrong; where only a range is known, the first of it."""
        place = self.findings.place()
        return None if place is None else place[0]

    @property
    def found(self) -> list[Finding]:
        """The first findings, in order of position."""
        return self.findings.first()


def verify(
    engine: sa.Engine,
    *,
    from_position: int = 1,
    to: int | None = None,
    against: Sequence[Against] = (),
    findings: Findings | None = None,
    deep: bool = False,
    workers: int = 1,
    on_progress: OnProgress = lambda done, of: None,
) -> Verification:
    """Verify the events from a position to another against the heads; the default is all of them.

    From a later position on, what comes before is not hashed again: the tree begins with the
    frontier of the largest signed head before it, and with the stored leaf hashes in between. So
    what is read is anchored in what was signed, and costs what is new. Findings about the heads
    themselves may be handed in. Entries that no signed head covers are parsed in full; with `deep`
    all are. Raises BadValue for positions that are no range of the log.
    """
    verification = Verification(from_position, from_position - 1, 0)
    found = verification.findings
    if findings is not None:
        found.take(findings)
    heads = in_order(against, found)
    try:
        with reading(engine) as connection:
            verification.known = heads[-1].size if heads else 0
            last = _last(connection, from_position, to, verification)
            head_row = _head_row(connection, verification)
            base = _base(connection, from_position, heads)
            _check_times(connection, heads, from_position, last, found)
    except (exc.DBAPIError, exc.TimeoutError) as failure:
        verification.failure = _words(failure)
        return verification
    stops = [*(head.size for head in heads), last]
    work = tasks(from_position, last, base, stops, 1 if deep else verification.known + 1)
    workers = workers if last - from_position >= WORTH_IT else 1
    tree = _Tree(base, heads, found)
    tree.at(base.size, base)
    across = partial(_across, first=from_position, last=last, of=verification.events, deep=deep)
    with aside(engine, across, workers) as checked_across:
        for part in check(engine, work, workers):
            tree.take(part)
            verification.size = part.reached
            on_progress(part.reached - from_position + 1, last - from_position + 1)
            if part.failure is not None:
                verification.failure = part.failure
                break
        else:
            more, verification.failure = checked_across()
            found.take(more)
    verification.heads, verification.signed = tree.matched, tree.signed
    _check_rollback(verification, heads)
    if head_row is not None and verification.failure is None and last == verification.events:
        _check_head_row(head_row, tree, found)
    verification.failure = verification.failure or _uncompared(verification, heads, last)
    return verification


@dataclass(slots=True)
class _Tree:
    """The tree over the parts so far, compared with every head on its way."""

    base: Frontier
    heads: Sequence[Against]
    found: Findings
    frontier: Frontier = field(init=False)
    _by_size: dict[int, Against] = field(init=False)
    matched: int = 0
    signed: int = 0
    last_at: bytes = b""
    last: int = 0

    def __post_init__(self) -> None:
        self.frontier = self.base
        self._by_size = {head.size: head for head in self.heads}

    def take(self, part: Part) -> None:
        """Put a part on the right, and compare where a head was signed."""
        self.found.take(part.findings)
        for size, hashes in part.frontiers:
            # The chunk before is whole, so its hashes and those of this chunk are the frontier.
            self.at(size, _joined(self.frontier, size, hashes))
        if self.last_at and part.first_at:
            check_order(self.last_at, self.last + 1, part.first_at, self.found)
        self.last_at, self.last = part.last_at or self.last_at, part.reached
        if part.frontiers and part.reached == part.frontiers[-1][0]:
            self.frontier = _joined(self.frontier, *part.frontiers[-1])

    def at(self, size: int, frontier: Frontier) -> None:
        """Compare the tree of that size with the head that was signed for it, if one was."""
        head = self._by_size.get(size)
        if head is None or not size:
            return
        if root(frontier) == head.root:
            self.matched, self.signed = self.matched + 1, size
            return
        where = span(self.signed + 1, size)
        self.found.add(self.signed + 1, Rule.FORK,
                       f"{where}: not what was signed for size {size:,} ({head.kept})", size)


def _joined(before: Frontier, size: int, hashes: tuple[bytes, ...]) -> Frontier:
    """Return the frontier of `size` leaves: all chunks before, and the frontier inside of one."""
    start = (size - 1) // CHUNK * CHUNK
    whole = before.size // CHUNK
    chunks = before.hashes[: whole.bit_count()]
    if size - start < CHUNK:
        return Frontier(size, chunks + hashes)
    # A tree over the roots of whole chunks has the same nodes.
    return Frontier(size, extend(Frontier(whole, chunks), hashes).hashes)


def _last(
    connection: sa.Connection, first: int, to: int | None, verification: Verification
) -> int:
    """Return the last position to verify; note what the ends of the log say by themselves.

    No position is behind the number of events, or of those that were signed: whoever moves an event
    far away makes nobody look at all positions up to there.
    """
    if first < 1 or (to is not None and to < first):
        raise BadValue(first, "a first position from 1 up to the last one")
    found, signed = verification.findings, verification.known
    lowest, highest = ends = read_ends(connection)
    if odd := [end for end in ends if type(end) is not int]:
        found.add(None, Rule.POSITION, f"an event is at position {shown(odd[0])}")
        lowest, highest = read_whole_ends(connection)
    count = read_count(connection, 0)
    there = verification.events = max(highest, 0)
    if there > signed and there - signed != read_count(connection, signed):
        there = verification.events = min(there, max(count, signed))
        for position in read_beyond(connection, there, NAMED):
            where = f"{position:,}" if type(position) is int else shown(position)
            found.add(position if type(position) is int else None, Rule.POSITION,
                      f"an event is at position {where}, behind {there:,} events")
    if count > there:
        found.add(None, Rule.POSITION, f"{count:,} events stand at {there:,} positions")
    if lowest < 1:
        found.add(lowest, Rule.POSITION, f"an event is at position {lowest:,}")
    if to is not None and to > max(there, signed):
        raise BadValue(to, f"a last position up to {there:,}, the size of the log")
    return there if to is None else min(to, there)


def _head_row(connection: sa.Connection, verification: Verification) -> HeadRow | None:
    """Return the row of tree_head if it is one; note what its size says by itself."""
    found, there = verification.findings, verification.events
    try:
        head = read_head_row(connection)
    except OddHead as odd:
        found.add(None, Rule.TREE, str(odd))
        return None
    if there < head.size:
        found.add(there + 1, Rule.POSITION,
                  f"no event is at {span(there + 1, head.size)}, which tree_head covers",
                  head.size)
    elif there > head.size:
        found.add(head.size + 1, Rule.TREE,
                  f"tree_head covers {head.size:,} events, there are {there:,}", there)
    return head


def _check_rollback(verification: Verification, heads: Sequence[Against]) -> None:
    """Add a finding where a head is larger than the log: it was cut, or something was taken out."""
    there = verification.events
    larger = next((head for head in heads if head.size > there), None)
    if larger is not None:
        first = min(verification.signed, there) + 1
        verification.findings.add(
            first, Rule.ROLLBACK,
            f"{larger.size:,} events were signed, {there:,} are there ({larger.kept});"
            f" what is gone is not among the first {first - 1:,}", larger.size)


def _uncompared(
    verification: Verification, heads: Sequence[Against], last: int
) -> str | None:
    """Return what was missed where a signed head covers the events and none of them ends here."""
    first = verification.first
    over = [head.size for head in heads if head.size > last]
    compared = max((head.size for head in heads if first <= head.size <= last), default=first - 1)
    if compared >= last or last == verification.events:
        return None  # what is newer than every head, or cut off, is said elsewhere
    if not over and (first == 1 or compared >= first):
        return None  # nothing was signed over them yet
    return (f"no signed head ends in {span(compared + 1, last)}, so nothing signed was compared;"
            f" verify up to {over[0] if over else verification.events:,}")


def _base(connection: sa.Connection, first: int, heads: Sequence[Against]) -> Frontier:
    """Return the frontier before a position: of a signed head, grown by stored leaf hashes."""
    known = [h.frontier for h in heads if h.frontier is not None and h.frontier.size < first]
    frontier = known[-1] if known else EMPTY
    try:
        for leaves in read_leaf_hashes(connection, frontier.size, first - 1):
            frontier = extend(frontier, leaves)
    except Damaged:
        wanted = "a position within the log, all events before it in place"
        raise BadValue(first, wanted) from None
    return frontier


def _check_head_row(row: HeadRow, tree: _Tree, found: Findings) -> None:
    """Compare the row of tree_head with the tree over the stored entries."""
    size = tree.frontier.size
    if row.size != size:
        return  # a finding already
    if (row.root, row.frontier) != (root(tree.frontier), frontier_to_bytes(tree.frontier)):
        first, last = _differing(row.frontier, tree.frontier)
        first = max(first, tree.signed + 1)
        if tree.base.size:
            found.add(None, Rule.TREE, "tree_head is not what the signed head and the events since"
                                       " add up to; verify from position 1 to see where")
        elif first > last:
            found.add(None, Rule.TREE, "tree_head is not that of the events, which were signed")
        else:
            found.add(first, Rule.TREE, f"{span(first, last)}: not what tree_head commits to",
                      last)
    elif size and tree.last_at and row.recorded_at.encode() != tree.last_at:
        found.add(size, Rule.TREE, "tree_head has another recorded_at than the last event")


def _differing(stored: bytes, mine: Frontier) -> tuple[int, int]:
    """Return the positions under the first hash of the frontier that differs."""
    start = 0
    sizes = [1 << bit for bit in range(mine.size.bit_length()) if mine.size >> bit & 1]
    for index, (width, own) in enumerate(zip(reversed(sizes), mine.hashes, strict=True)):
        if stored[32 * index : 32 * index + 32] != own:
            return start + 1, start + width
        start += width
    return 1, max(mine.size, 1)


def _check_times(
    connection: sa.Connection, heads: Sequence[Against], first: int, last: int, found: Findings
) -> None:
    """Compare the events around each head with the time it was signed.

    Times do not go back, so the first and the last event between two heads speak for the others.
    """
    for head in heads:
        if head.signed_at is None:
            continue
        signed = datetime.fromisoformat(head.signed_at)
        for position in (head.size, head.size + 1):
            at = _time(connection, position) if first <= position <= last else None
            if at is None:
                continue
            if position == head.size and at - signed > CLOCKS_APART:
                found.add(position, Rule.TIME,
                          f"recorded at {at}, after the head that covers it was signed ({signed})")
            if position > head.size and signed - at > CLOCKS_APART:
                found.add(position, Rule.TIME,
                          f"recorded at {at}, before the head it is not in was signed ({signed})")


def _time(connection: sa.Connection, position: int) -> datetime | None:
    rows = read_rows(connection, position, position)
    try:
        at = datetime.fromisoformat(rows[0].recorded_at.decode())
    except (IndexError, AttributeError, ValueError):
        return None  # whatever is wrong with it is found where the event itself is checked
    return at if at.tzinfo else None


def _across(
    engine: sa.Engine, first: int, last: int, of: int, deep: bool
) -> tuple[Findings, str | None]:
    """Check what no chunk can see by itself; return also why it could not be read, or None."""
    found = Findings()
    try:
        with scanning(engine) as connection:
            whole = first == 1 and last == of
            held, gaps = read_indexed(connection) if whole else (of, NAMED)
            for position, stream, version in (
                read_gaps(connection, first, last, NAMED) if gaps else ()
            ):
                found.add(position, Rule.STREAM,
                          f"stream_version {shown(version)} of {stream} does not follow the last")
            for rule, columns in ((Rule.ID, ["id"]), (Rule.STREAM, ["stream", "stream_version"])):
                for once, again in read_repeated(connection, columns, last, NAMED):
                    found.add(again, rule, f"it shares {' and '.join(columns)} with {once:,}")
            check_strays(connection, last, found)
            if held < of:
                found.add(None, Rule.DATABASE, f"the index on streams holds {held:,} of {of:,}"
                                               " events; no stream has the others")
            for fault in read_faults(connection, NAMED) if deep else ():
                found.add(None, Rule.DATABASE, fault)
    except (exc.DBAPIError, exc.TimeoutError) as failure:
        return found, _words(failure)
    return found, None


def _words(failure: Exception) -> str:
    return str(getattr(failure, "orig", None) or failure).strip()
