"""Signing: the ledger's head is read again, found to continue what was signed, signed, published.

Takes a ledger, the head store and a signer; hands on the signed head. The tree is grown from the
frontier that was *signed*, by the stored bytes of the entries since, so the new head is consistent
with the one before by construction, whatever the ledger holds. Where the ledger contradicts what
was signed, its origin is frozen: nothing is signed for it any more, by anybody.

The order is: read, sign, remember (compare and swap), publish. Death between any two is mended by
the next run, and signers that race sign one history.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import sqlalchemy as sa

from ledger import tables
from ledger.audit.heads import Forked, HeadMoved, HeadStore, KnownHead, OriginFrozen
from ledger.audit.publishing import Publication
from ledger.errors import CouldNot, LedgerError, shown
from ledger.merkle import (
    EMPTY,
    Frontier,
    extend,
    frontier_from_bytes,
    frontier_to_bytes,
    root,
)
from ledger.store.append import Clock, format_time
from ledger.store.audit_read import OddHead, read_head_row
from ledger.store.connect import reading
from ledger.store.leaves import Damaged, read_entries
from ledger.tlog import head as tlog
from ledger.tlog.note import BadNote, Signer, VerifierKey

PAGE = 1_000
"""Entries that are held in memory at once."""

_events = tables.events.c


class Tampered(LedgerError):
    """The ledger contradicts itself, so no head of it is signed; once mended, it can be."""

    def __init__(self, position: int | None, why: str) -> None:
        self.position, self.why = position, why
        where = "the ledger is damaged" if position is None else f"position {position}"
        super().__init__(f"{where}: {why}")


@dataclass(frozen=True, slots=True)
class Signed:
    """The latest head, after a run of `sign_head`."""

    known: KnownHead
    before: int
    """The size of the head before it; the same size where nothing was new."""

    @property
    def is_new(self) -> bool:
        """Whether this run signed it."""
        return self.known.size > self.before


def sign_head(
    engine: sa.Engine,
    heads: HeadStore,
    signer: Signer,
    clock: Clock,
    publish: Sequence[Publication] = (),
    *,
    full: bool = False,
) -> Signed | None:
    """Sign the ledger's head, remember it, publish it; return it, or None for an empty ledger.

    Where nothing is new, nothing is signed, and the latest head is published again. Reads and
    hashes all entries since the last signed head, in constant memory. An edit of earlier ones
    cannot come into the new head; it is noticed if the tree head was moved along with it, and
    with `full`, which hashes the earlier entries again, in any case.

    Raises Forked, after freezing the origin in the head store; OriginFrozen; HeadsLost; Tampered;
    CouldNot if a store cannot be used, the latest head is of another key, or, once the head is
    signed, if it could not be published.
    """
    while True:
        _refuse_frozen(heads, signer.name)
        known = _latest(heads, signer.key)
        try:
            for place in publish:
                place.check(heads, signer.key)
            frontier = _grown(engine, signer.name, known, full)
        except Forked as fork:
            _freeze(heads, fork, format_time(clock()))
            raise
        before = 0 if known is None else known.size
        if frontier.size > before:
            try:
                known = _signed(frontier, signer, clock)
                heads.add(signer.name, known, before)
            except HeadMoved:
                continue  # another signer was faster: go on from its head, if the ledger does
        if known is None:
            return None
        _publish(publish, heads, signer.key)
        return Signed(known, before)


def _refuse_frozen(heads: HeadStore, origin: str) -> None:
    if (reason := heads.frozen(origin)) is not None:
        raise OriginFrozen(origin, reason)


def _freeze(heads: HeadStore, fork: Forked, at: str) -> None:
    try:
        heads.freeze(fork.origin, fork.reason, at)
    except CouldNot as failure:  # the fork is the greater news of the two
        raise Forked(fork.origin, f"{fork.reason}; and {failure}") from None


def _latest(heads: HeadStore, key: VerifierKey) -> KnownHead | None:
    """Return the latest head, whose own signature was verified."""
    known = heads.latest(key.name)
    if known is None:
        return None
    doing = f"go on from the latest head of {key.name}"
    try:
        head = tlog.open_head(known.note, key)
        frontier = frontier_from_bytes(known.size, known.frontier)
    except (BadNote, ValueError) as refusal:
        why = f"{refusal}; a new key signs under a new name, this one may be of another key"
        raise CouldNot(doing, why) from None
    if (head.size, head.root) != (known.size, known.root) or root(frontier) != known.root:
        raise CouldNot(doing, f"the head store {heads.place} was altered")
    return known


def _signed(frontier: Frontier, signer: Signer, clock: Clock) -> KnownHead:
    head = tlog.Head(signer.name, frontier.size, root(frontier))
    note = tlog.sign_head(head, signer)
    blob = frontier_to_bytes(frontier)
    return KnownHead(head.size, head.root, blob, format_time(clock()), note)


# Reading the ledger.


def _grown(engine: sa.Engine, origin: str, known: KnownHead | None, full: bool) -> Frontier:
    """Return the signed frontier, grown by the entries since; the tree head must be that of it."""
    with reading(engine) as connection:
        start, last = EMPTY, _last(connection)
        if known is not None:
            _refuse_shrunk(origin, known, last)
            start = frontier_from_bytes(known.size, known.frontier)
            if full:
                _refuse_rewritten(connection, origin, known)
        try:
            tree = read_head_row(connection)
        except OddHead as odd:
            raise Tampered(None, str(odd)) from None
        if last > tree.size:
            raise Tampered(tree.size + 1, f"tree_head covers {tree.size:,} of {last:,} events")
        grown = extend(start, _leaves(connection, start.size, tree.size))
        if (tree.root, tree.frontier) != (root(grown), frontier_to_bytes(grown)):
            _refuse_tree(connection, origin, known)
        return grown


def _last(connection: sa.Connection) -> int:
    last = connection.scalar(sa.select(sa.func.max(_events.position))) or 0
    if type(last) is not int:
        raise Tampered(None, f"an event is at position {shown(last)}")
    return last


def _leaves(connection: sa.Connection, after: int, up_to: int) -> Iterator[bytes]:
    """Yield the hash of each stored entry at the positions; raises Tampered for one that is off."""
    try:
        for start in range(after, up_to, PAGE):
            for _, leaf in read_entries(connection, start, min(start + PAGE, up_to)):
                yield leaf
    except Damaged as damage:
        raise Tampered(damage.position, damage.why) from None


def _refuse_shrunk(origin: str, known: KnownHead, size: int) -> None:
    if size < known.size:
        raise Forked(
            origin,
            f"{known.size:,} events were signed at {known.signed_at}, and the ledger has {size:,};"
            " it was cut off or restored from an older copy",
        )


def _refuse_rewritten(connection: sa.Connection, origin: str, known: KnownHead) -> None:
    """Hash every entry that was signed again: the whole cost, for the whole certainty."""
    if root(extend(EMPTY, _leaves(connection, 0, known.size))) != known.root:
        raise Forked(
            origin,
            f"the first {known.size:,} events are not those that were signed at"
            f" {known.signed_at}; they were rewritten",
        )


def _refuse_tree(connection: sa.Connection, origin: str, known: KnownHead | None) -> NoReturn:
    """Say what contradicts what, once it is known that something does; worth the whole cost."""
    if known is not None:
        _refuse_rewritten(connection, origin, known)
    raise Tampered(None, "the tree head is not that of the entries")


def _publish(places: Sequence[Publication], heads: HeadStore, key: VerifierKey) -> None:
    """Publish in every place, also where one before it fails; the first failure is raised."""
    failures: list[Exception] = []
    for place in places:
        try:
            place.publish(heads, key)
        except (CouldNot, OSError) as failure:
            failures.append(failure)
    if failures:
        why = f"{failures[0]}; it is signed and remembered, the next run publishes it again"
        raise CouldNot("publish the head", why) from None
