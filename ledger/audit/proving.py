"""Proving: that an entry is in the log, and that the log only grew.

Takes a connection (from `connect.reading`) or the tiles of an export, and heads that were signed;
hands on proofs for outsiders, each checked before it is handed on. The database keeps leaf hashes
and no inner nodes: a proof from there reads every leaf hash once, about 1.5 seconds a million. One
from tiles reads six files at a million entries.
"""

from collections.abc import Callable

import sqlalchemy as sa

from ledger.errors import BadValue, CouldNot, LedgerError
from ledger.merkle import (
    EMPTY,
    Subtree,
    check_consistency,
    check_inclusion,
    extend,
    leaf_hash,
    prove_inclusion,
    root,
)
from ledger.merkle import prove_consistency as consistency_hashes
from ledger.store.leaves import read_entries, read_leaf_hashes
from ledger.tlog.proof import ConsistencyProof, InclusionProof, stated_head
from ledger.tlog.tiles import (
    ENTRIES,
    WIDTH,
    BadTile,
    Tile,
    decode_entries,
    decode_hashes,
    read_tile,
    subtree_of_tiles,
    width_of,
)

ReadTile = Callable[[str], bytes | None]
"""Returns the bytes of a file of an export by its path, or None where there is no such file."""


class NotAsSigned(LedgerError):
    """What is stored is not what was signed."""


def prove(connection: sa.Connection, position: int, note: str) -> InclusionProof:
    """Return the proof that the event at the position is in the log under the signed head.

    The entry is hashed again from its stored bytes and stands in the proof as `extra`. Reads every
    leaf hash under the head. Raises BadValue for a position that the head does not cover, Damaged
    for an entry that is not its leaf's, NotAsSigned if the leaves do not give the signed root.
    """
    _check_covered(position, note)
    [(entry, _)] = read_entries(connection, position - 1, position)
    return _inclusion(position, entry, note, subtree_in(connection))


def prove_from_tiles(read: ReadTile, position: int, note: str) -> InclusionProof:
    """Return the same proof from an export under this very head; reads six files at a million.

    Raises BadValue, NotAsSigned, and CouldNot for a file that is missing.
    """
    _check_covered(position, note)
    size = stated_head(note).size
    number, place = divmod(position - 1, WIDTH)
    bundle = Tile(ENTRIES, number, width_of(ENTRIES, number, size))
    try:
        entry = list(decode_entries(_file(read, bundle), bundle.width))[place]
    except BadTile as refusal:
        raise NotAsSigned(f"{bundle.path} was altered: {refusal}") from None
    return _inclusion(position, entry, note, tree_in(read, size))


def prove_consistency(connection: sa.Connection, old: str, new: str) -> ConsistencyProof:
    """Return the proof that the log under the older signed head begins the log under the newer.

    Reads every leaf hash under the newer. Raises BadValue unless the older head is the smaller and
    has entries, NotAsSigned if the stored leaves do not give both roots.
    """
    return _consistency(old, new, subtree_in(connection))


def prove_consistency_from_tiles(read: ReadTile, old: str, new: str) -> ConsistencyProof:
    """Return the same proof from an export under the newer head."""
    return _consistency(old, new, tree_in(read, stated_head(new).size))


def subtree_in(connection: sa.Connection) -> Subtree:
    """Return the tree over the leaf hashes that the database holds; reads each leaf asked for."""

    def subtree(start: int, end: int) -> bytes:
        frontier = EMPTY
        for leaves in read_leaf_hashes(connection, start, end):
            frontier = extend(frontier, leaves)
        return root(frontier)

    return subtree


def tree_in(read: ReadTile, size: int) -> Subtree:
    """Return the tree of an export of `size` entries, whose tiles are read when asked for."""
    seen: dict[Tile, list[bytes]] = {}

    def hashes(tile: Tile) -> list[bytes]:
        if tile not in seen:
            try:
                seen[tile] = decode_hashes(_file(read, tile), tile.width)
            except BadTile as refusal:
                raise NotAsSigned(f"{tile.path} was altered: {refusal}") from None
        return seen[tile]

    return subtree_of_tiles(hashes, size)


def _inclusion(position: int, entry: bytes, note: str, subtree: Subtree) -> InclusionProof:
    head, index = stated_head(note), position - 1
    hashes = prove_inclusion(index, head.size, subtree)
    if not check_inclusion(index, head.size, leaf_hash(entry), hashes, head.root):
        raise NotAsSigned(
            f"the {head.size:,} entries do not have the root hash that {head.origin} signed: "
            "verify this ledger"
        )
    return InclusionProof(index, tuple(hashes), note, entry)


def _consistency(old_note: str, new_note: str, subtree: Subtree) -> ConsistencyProof:
    old, new = stated_head(old_note), stated_head(new_note)
    if old.origin != new.origin:
        raise BadValue(old.origin, f"two heads of one log, {new.origin}")
    if not 0 < old.size <= new.size:
        raise BadValue(old.size, f"an older head, of 1 to {new.size} entries")
    hashes = consistency_hashes(old.size, new.size, subtree)
    if not check_consistency(old.size, old.root, new.size, new.root, hashes):
        raise NotAsSigned(
            f"the entries do not give both root hashes that {new.origin} signed, of {old.size:,} "
            f"and of {new.size:,}: verify this ledger"
        )
    return ConsistencyProof(old.size, tuple(hashes), old_note, new_note)


def _check_covered(position: int, note: str) -> None:
    size = stated_head(note).size
    if not 1 <= position <= size:
        raise BadValue(position, f"a position under the signed head, 1 to {size}")


def _file(read: ReadTile, tile: Tile) -> bytes:
    raw = read_tile(read, tile)
    if raw is None:
        raise CouldNot("prove from the export", f"{tile.path} is missing")
    return raw
