"""Exporting: the whole log as files that anybody can check, in the layout of C2SP tlog-tiles.

Takes a connection (from `connect.reading`), a folder and a signed head; hands on the folder with
`checkpoint`, `tile/<level>/…` and `tile/entries/…` up to that head. Entries hold personal fields as
digests only; the disclosures, which could be erased later, are never exported. Nothing is written
before the stored leaf hashes were found to give the signed root, and no entry that does not hash to
its leaf. The checkpoint is written last: killed at any point, the next export goes on.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from ledger.audit.proving import NotAsSigned
from ledger.errors import CouldNot, LedgerError
from ledger.merkle import extend, root
from ledger.store.files import holding, write_whole
from ledger.store.leaves import read_entries, read_leaf_hashes
from ledger.tlog.head import Head
from ledger.tlog.proof import stated_head
from ledger.tlog.tiles import (
    CHECKPOINT,
    ENTRIES,
    WIDTH,
    BadTile,
    Edge,
    Tile,
    decode_hashes,
    encode_entries,
    encode_hashes,
    read_tile,
    right_edge,
    width_of,
)

SignedRoot = Callable[[int], bytes | None]
"""Returns the root that was signed for a size, from the head store; None where none was."""
OnProgress = Callable[[int, int], object]
"""Is told how many entries of how many are in the folder."""

WRITING = ".writing"
"""The file that becomes a tile or the checkpoint when it is whole."""


class HoldsAnother(LedgerError):
    """The folder holds another log, or a state of this one that the export does not continue."""

    def __init__(self, folder: Path, why: str) -> None:
        super().__init__(f"{folder} {why}; nothing in it was changed")


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export did."""

    size: int
    """Entries in the folder now."""
    before: int
    """Entries that were there under an earlier head."""
    written: int
    """Tiles and bundles that were written."""


def export(
    connection: sa.Connection,
    folder: Path,
    note: str,
    signed_root: SignedRoot,
    on_progress: OnProgress = lambda done, of: None,
) -> Exported:
    """Bring the folder to the signed head; on disk when it returns.

    Only what was recorded since the folder's own head is read and written; a full tile is never
    written again. Constant memory; some 15 seconds for a first million. Raises HoldsAnother,
    NotAsSigned or Damaged where the ledger is not what was signed, CouldNot beside another export.
    """
    head = stated_head(note)
    if head.size == 0:
        raise CouldNot("export", "the signed head is one of no entries")
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        tree = _Folder(folder)
        before = _head_in(tree, head, signed_root)
        edge = _edge(tree, before)
        _check_stored(connection, edge, head)
        if edge.size < head.size:
            _write_tiles(connection, tree, edge, head.size, on_progress)
        if root(edge.frontier) != head.root:
            raise _other_root(head)
        os.sync()  # once for all tiles: a head on disk before its tiles would promise too much
        tree.write_checkpoint(note)
        tree.drop_outgrown(before, head.size)
        return Exported(head.size, 0 if before is None else before.size, tree.written)


def reader_of(folder: Path) -> Callable[[str], bytes | None]:
    """Return what reads the files of an export: None for one that is not there."""

    def read(path: str) -> bytes | None:
        try:
            return (folder / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    return read


def tiles_in(folder: Path) -> Iterator[str]:
    """Yield the paths of all files under the export's tiles."""
    for place, _, names in os.walk(folder / "tile"):
        within = Path(place).relative_to(folder).as_posix()
        yield from (f"{within}/{name}" for name in names)


class _Folder:
    """An export that is being written, one file at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read = reader_of(folder)
        self.written = 0

    def put(self, tile: Tile, raw: bytes) -> None:
        """Write a tile; one that is there stays, and must be the same."""
        there = self.read(tile.path)
        if there == raw:
            return
        if there is not None and not raw.startswith(there):  # not one that a power failure cut off
            raise HoldsAnother(self.folder, f"holds another {tile.path}")
        self._write(tile.path, raw)
        self.written += 1

    def write_checkpoint(self, note: str) -> None:
        """Publish the head: from here on the tiles up to it stay as they are."""
        if self.read(CHECKPOINT) != note.encode():
            self._write(CHECKPOINT, note.encode(), durable=True)

    def drop_outgrown(self, before: Head | None, size: int) -> None:
        """Remove partial tiles of the earlier head that are full now."""
        edge = [] if before is None else right_edge(before.size)
        for tile in [*edge, *(t._replace(level=ENTRIES) for t in edge if t.level == 0)]:
            if width_of(tile.level, tile.number, size) == WIDTH:
                shutil.rmtree((self.folder / tile.path).parent, ignore_errors=True)

    def _write(self, path: str, raw: bytes, *, durable: bool = False) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, raw, self.folder / WRITING, durable=durable)


def _head_in(tree: _Folder, head: Head, signed_root: SignedRoot) -> Head | None:
    """Return the head that the folder is at; refuse one that the new head does not continue."""
    raw = tree.read(CHECKPOINT)
    if raw is None:
        return None
    there = stated_head(raw.decode(errors="replace"))
    if there.origin != head.origin:
        raise HoldsAnother(tree.folder, f"holds the log {there.origin}, not {head.origin}")
    if there.size > head.size:
        why = f"is at {there.size:,} entries already, and this head is one of {head.size:,}"
        raise HoldsAnother(tree.folder, why)
    wanted = head.root if there.size == head.size else signed_root(there.size)
    if there.root != wanted:
        why = f"is at a head of {there.size:,} entries that the head store does not know"
        raise HoldsAnother(tree.folder, why)
    return there


def _edge(tree: _Folder, before: Head | None) -> Edge:
    """Return the edge from which the folder grows: full bundles only, the last is written anew."""
    if before is None:
        return Edge()
    held = {tile: _hashes(tree, tile) for tile in right_edge(before.size)}
    if root(Edge(before.size, held).frontier) != before.root:
        raise _damaged(tree)
    if before.size % WIDTH == 0:
        return Edge(before.size, held)
    return Edge(before.size - before.size % WIDTH, held)


def _hashes(tree: _Folder, tile: Tile) -> list[bytes]:
    raw = read_tile(tree.read, tile)
    if raw is None:
        raise _damaged(tree)
    try:
        return decode_hashes(raw, tile.width)
    except BadTile:
        raise _damaged(tree) from None


def _check_stored(connection: sa.Connection, edge: Edge, head: Head) -> None:
    frontier = edge.frontier
    for leaves in read_leaf_hashes(connection, edge.size, head.size):
        frontier = extend(frontier, leaves)
    if root(frontier) != head.root:
        raise _other_root(head)


def _write_tiles(
    connection: sa.Connection, tree: _Folder, edge: Edge, size: int, on_progress: OnProgress
) -> None:
    while edge.size < size:
        start, end = edge.size, min(edge.size + WIDTH, size)
        rows = read_entries(connection, start, end)
        bundle = Tile(ENTRIES, start // WIDTH, end - start)
        tree.put(bundle, encode_entries(entry for entry, _ in rows))
        for tile, hashes in edge.add([leaf for _, leaf in rows]):
            tree.put(tile, encode_hashes(hashes))
        on_progress(end, size)
    for tile, hashes in edge.partial():
        tree.put(tile, encode_hashes(hashes))


def _other_root(head: Head) -> NotAsSigned:
    return NotAsSigned(
        f"the {head.size:,} entries do not have the root hash that {head.origin} signed: "
        "verify this ledger"
    )


def _damaged(tree: _Folder) -> HoldsAnother:
    return HoldsAnother(tree.folder, "was damaged: its tiles do not give the head in it")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder against a second export, which would write the same file."""
    try:
        with holding(folder, wait=False):
            yield
    except BlockingIOError:
        raise CouldNot(f"export to {folder}", "another export is writing there") from None
