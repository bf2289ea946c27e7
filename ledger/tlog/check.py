"""Checking by an outsider: proof files and exported logs, without a database.

Takes bytes, a verifier key and, from whoever has one, the head that he was given earlier; hands on
what they show, in one sentence. The shape of every proof follows from index and size alone. What is
no proof at all is refused with BadProof or BadNote. Opens no file and knows no SQLAlchemy.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NoReturn

from ledger.errors import LedgerError
from ledger.merkle import check_consistency, check_inclusion, extend, leaf_hash, root
from ledger.tlog.head import Head, open_head
from ledger.tlog.note import VerifierKey
from ledger.tlog.proof import (
    CONSISTENCY,
    INCLUSION,
    BadProof,
    decode_consistency,
    decode_proof,
)
from ledger.tlog.tiles import (
    CHECKPOINT,
    ENTRIES,
    WIDTH,
    BadTile,
    Edge,
    Tile,
    decode_entries,
    decode_hashes,
    encode_hashes,
    read_tile,
    tile_at,
    width_of,
)

Status = Literal["ok", "tampered", "fork", "could_not"]

Read = Callable[[str], bytes | None]
"""Returns the bytes of a file of an export by its path, or None where there is no such file."""

OnProgress = Callable[[int, int], object]
"""Is told how many entries of how many were checked."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check showed."""

    status: Status
    """ok; tampered: something was altered; fork: two histories, or one that ends too early;
    could_not: nothing was shown either way."""
    message: str
    """One sentence."""
    head: Head | None = None
    """The head whose signature was verified."""
    position: int | None = None
    """Of the entry that the message is about."""
    entry: bytes | None = None
    """Its bytes, where a proof shows them to be in the log."""


def check_file(
    raw: bytes, key: VerifierKey, *, held: Head | None = None, entry: bytes | None = None
) -> Checked:
    """Return what the proof file shows: of one entry, or of growth; its first line says which.

    `held` is a head that the asker had before, `entry` the bytes that he believes to be the entry.
    Raises BadProof, BadNote for a file that is no proof or whose head the key did not sign.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise BadProof("got bytes that are not UTF-8", "a proof file") from None
    first = text.partition("\n")[0]
    if first == INCLUSION:
        return check_proof(text, key, held=held, entry=entry)
    if first == CONSISTENCY:
        if entry is not None:
            raise BadProof("got a proof of growth beside an entry", "the proof of one event")
        return check_growth(text, key, held=held)
    raise BadProof(
        "got another file", f"one that begins with {INCLUSION} or {CONSISTENCY}, or an export"
    )


def check_proof(
    text: str, key: VerifierKey, *, held: Head | None = None, entry: bytes | None = None
) -> Checked:
    """Return whether the tlog proof shows its entry under a head that the key signed.

    The entry is the one in the proof; where the proof has none it must be given. At most 64 hashes.
    Raises BadProof, BadNote.
    """
    proof = decode_proof(text)
    head = open_head(proof.note, key)
    position = proof.index + 1
    shown = proof.extra if entry is None else entry
    if shown is None:
        why = f"the proof of position {position:,} does not hold the entry; give it beside"
        return Checked("could_not", why, head, position)
    if proof.extra is not None and proof.extra != shown:
        why = f"the entry that was given is not the one in the proof of position {position:,}"
        return Checked("tampered", why, head, position)
    leaf = leaf_hash(shown)
    if not check_inclusion(proof.index, head.size, leaf, proof.hashes, head.root):
        why = (
            f"the entry is not shown to stand at position {position:,} of the {head.size:,} that "
            f"{head.origin} signed: entry or proof were altered"
        )
        return Checked("tampered", why, head, position)
    why = f"position {position:,} of {head.origin} holds this entry, under a head of {head.size:,}"
    return _held_against(held, head) or Checked("ok", why, head, position, shown)


def check_growth(text: str, key: VerifierKey, *, held: Head | None = None) -> Checked:
    """Return whether the log under the newer head begins with all of the log under the older.

    Both must be signed by the key; `held` must be one of them to be of use. At most 128 hashes.
    Raises BadProof, BadNote.
    """
    proof = decode_consistency(text)
    old, new = open_head(proof.old_note, key), open_head(proof.new_note, key)
    if old.size != proof.old or old.size > new.size:
        why = f"got a proof from {proof.old:,} between heads of {old.size:,} and {new.size:,}"
        raise BadProof(why, "the older head first, and its size")
    if old.size == 0:
        return Checked("could_not", "a head without entries has nothing to be kept", new)
    if old.size == new.size and old.root != new.root:
        return Checked("fork", _two_roots(old), new)
    if not check_consistency(old.size, old.root, new.size, new.root, proof.hashes):
        why = (
            f"the log of {new.size:,} is not shown to begin with the log of {old.size:,}: "
            "the proof was altered, or what was signed first was"
        )
        return Checked("tampered", why, new)
    why = f"{old.origin} only grew from {old.size:,} to {new.size:,} entries"
    ok = Checked("ok", why, new)
    if held is not None and held.size == old.size:
        return _held_against(held, old) or ok
    return _held_against(held, new) or ok


def check_export(
    read: Read,
    key: VerifierKey,
    *,
    held: Head | None = None,
    others: Iterable[str] = (),
    on_progress: OnProgress = lambda done, of: None,
) -> Checked:
    """Return whether every entry and every tile of an export agrees with its signed head.

    Entry by entry, in constant memory; a second or two for a million. `others` are the paths of all
    files that are there: a tile of an earlier head must be the beginning of the present one. `held`
    is compared with the tree of that size, so no proof is needed. Raises BadNote, OSError.
    """
    note = read(CHECKPOINT)
    if note is None:
        return Checked("could_not", f"there is no signed head: {CHECKPOINT} is missing")
    head = open_head(note, key)
    if head.size == 0:
        return Checked("could_not", "the signed head is one of no entries", head)
    if held is not None and held.origin != head.origin:
        return _not_compared(held, head)
    scan = _Scan(read, head, held, on_progress)
    try:
        scan.entries()
        scan.last_tiles()
        beyond = scan.others(others)
    except _Stop as stop:
        return stop.found
    if scan.edge.size == 0 or root(scan.edge.frontier) != head.root:
        why = (
            f"the {head.size:,} entries have another root hash than the head that {head.origin} "
            "signed: entries were altered together with their tiles"
        )
        return Checked("tampered", why, head)
    why = f"all {head.size:,} entries of {head.origin} are as they were signed"
    if beyond:
        why += f"; {beyond:,} tiles beyond that head were not looked at"
    return _rolled_back(held, head) or scan.forked() or Checked("ok", why, head)


class _Stop(LedgerError):
    """Ends a scan at the first thing that is wrong."""

    def __init__(self, found: Checked) -> None:
        self.found = found
        super().__init__(found.message)


class _Scan:
    """One pass over an export; the tiles of the upper levels are computed from the entries."""

    def __init__(
        self, read: Read, head: Head, held: Head | None, on_progress: OnProgress
    ) -> None:
        self.edge = Edge()
        self._read, self._head, self._held, self._on_progress = read, head, held, on_progress
        self._root_then: bytes | None = None

    def entries(self) -> None:
        """Compare every entry with its leaf hash, and every full tile above."""
        size = self._head.size
        for number in range(-(-size // WIDTH)):
            width = width_of(0, number, size)
            leaves = self._bundle(number, width)
            self._note_held(leaves)
            for tile, hashes in self.edge.add(leaves):
                if tile.level:
                    self._compare(tile, hashes)
            self._on_progress(self.edge.size, size)

    def last_tiles(self) -> None:
        """Compare the tiles at the right edge, which are not full."""
        for tile, hashes in self.edge.partial():
            if tile.level:
                self._compare(tile, hashes)

    def others(self, paths: Iterable[str]) -> int:
        """Compare tiles of earlier heads with the present; return how many go beyond the head."""
        beyond = 0
        for path in paths:
            tile = tile_at(path)
            if tile is None:
                continue
            width = width_of(tile.level, tile.number, self._head.size)
            beyond += tile.width > width
            if tile.width < width:
                self._compare_earlier(tile, width)
        return beyond

    def forked(self) -> Checked | None:
        """Return the fork, where the tree of the held head's size has another root."""
        held = self._held
        if held is None or self._root_then in (None, held.root):
            return None
        why = (
            f"the first {held.size:,} entries have another root hash than the head that you hold: "
            f"{held.origin} signed two histories"
        )
        return Checked("fork", why, self._head)

    def _bundle(self, number: int, width: int) -> list[bytes]:
        hashes = self._tile(Tile(0, number, width))
        first = number * WIDTH + 1
        leaves: list[bytes] = []
        try:
            for entry in decode_entries(self._file(Tile(ENTRIES, number, width)), width):
                leaves.append(leaf_hash(entry))
                if leaves[-1] != hashes[len(leaves) - 1]:
                    self._tampered("entry and leaf hash do not agree", first + len(leaves) - 1)
        except BadTile as refusal:
            self._tampered(str(refusal), first + refusal.at)
        return leaves

    def _tile(self, tile: Tile) -> list[bytes]:
        try:
            return decode_hashes(self._file(tile), tile.width)
        except BadTile as refusal:
            position = tile.number * WIDTH + refusal.at + 1 if tile.level == 0 else None
            self._tampered(f"{tile.path} was altered: {refusal}", position)

    def _compare(self, tile: Tile, hashes: list[bytes]) -> None:
        """Refuse a tile that does not hold the hashes of the tiles below it."""
        for place, (got, wanted) in enumerate(zip(self._tile(tile), hashes, strict=True)):
            if got != wanted:
                span = WIDTH**tile.level
                first = (tile.number * WIDTH + place) * span + 1
                below = f"positions {first:,} to {first + span - 1:,}"
                self._tampered(f"{tile.path} does not agree with {below}", None)

    def _compare_earlier(self, tile: Tile, width: int) -> None:
        now = self._file(tile._replace(width=width))
        raw = self._file(tile)
        if tile.level == ENTRIES:
            good = raw == b"".join(
                len(one).to_bytes(2, "big") + one for one in _first(tile.width, now, width)
            )
        else:
            good = raw == encode_hashes(decode_hashes(now, width)[: tile.width])
        if not good:
            self._tampered(f"{tile.path}, of an earlier head, is not how the present begins", None)

    def _note_held(self, leaves: list[bytes]) -> None:
        held = self._held
        if held is not None and self.edge.size < held.size <= self.edge.size + len(leaves):
            then = extend(self.edge.frontier, leaves[: held.size - self.edge.size])
            self._root_then = root(then)

    def _file(self, tile: Tile) -> bytes:
        raw = read_tile(self._read, tile)
        if raw is None:
            why = f"the export is not whole: {tile.path} is missing"
            raise _Stop(Checked("could_not", why, self._head))
        return raw

    def _tampered(self, why: str, position: int | None) -> NoReturn:
        where = "" if position is None else f"position {position:,}: "
        raise _Stop(Checked("tampered", where + why, self._head, position))


def _first(count: int, raw: bytes, width: int) -> Iterator[bytes]:
    entries = decode_entries(raw, width)
    return (entry for _, entry in zip(range(count), entries, strict=False))


def _held_against(held: Head | None, head: Head) -> Checked | None:
    """Return what speaks against the head, from the head that the asker holds."""
    if held is None or held == head:
        return None
    if held.origin == head.origin and held.size == head.size:
        return Checked("fork", _two_roots(head), head)
    return _not_compared(held, head)


def _not_compared(held: Head, head: Head) -> Checked:
    why = (
        f"the head that you hold, {held.size:,} of {held.origin}, is not compared with one of "
        f"{head.size:,} of {head.origin}: that takes a proof of growth between the two"
    )
    return Checked("could_not", why, head)


def _rolled_back(held: Head | None, head: Head) -> Checked | None:
    if held is None or held.size <= head.size:
        return None
    why = (
        f"you hold a head of {held.size:,} entries and this log ends after {head.size:,}: "
        "it is an older copy, or it was rolled back"
    )
    return Checked("fork", why, head)


def _two_roots(head: Head) -> str:
    return f"{head.origin} signed two heads of {head.size:,} entries with different root hashes"
