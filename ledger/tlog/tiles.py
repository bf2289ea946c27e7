"""Tiles: the tree and its entries as files that never change, 256 hashes or entries in each.

Takes places in the tree and hashes and hands on paths, the bytes of tiles and bundles, and trees
that are read from tiles. The layout is C2SP tlog-tiles: `tile/<level>/<n>` holds 256 hashes of
subtrees of 256**level leaves, `tile/entries/<n>` 256 entries; the last of each is partial. Opens no
file.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ledger.errors import LedgerError
from ledger.merkle import (
    EMPTY,
    EMPTY_ROOT,
    HASH_SIZE,
    Frontier,
    Subtree,
    extend,
    node_hash,
    root,
)

WIDTH = 256
"""Hashes of a full tile, entries of a full bundle."""
HEIGHT = 8
"""Levels of the tree that a full tile spans: 2**HEIGHT == WIDTH."""
ENTRIES = -1
"""The level that stands for bundles of entries."""
LENGTH_SIZE = 2
"""Bytes before each entry of a bundle that give its length, the highest first."""
CHECKPOINT = "checkpoint"
"""The path of the signed head."""

_PATH = re.compile(
    r"tile/(entries|0|[1-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?",
    re.ASCII,
)


class BadTile(LedgerError):
    """Bytes are not the tile or bundle that they should be; `at` is the first bad place in it."""

    def __init__(self, why: str, at: int) -> None:
        self.at = at
        super().__init__(why)


class Tile(NamedTuple):
    """One file of the layout."""

    level: int
    """0 for leaf hashes and upwards; ENTRIES for a bundle."""
    number: int
    width: int = WIDTH
    """Hashes or entries in it, 1 to WIDTH."""

    @property
    def path(self) -> str:
        """Where the tile stands under the log's folder."""
        level = "entries" if self.level == ENTRIES else str(self.level)
        rest, last = divmod(self.number, 1000)
        path = f"{last:03d}"
        while rest:
            rest, next_one = divmod(rest, 1000)
            path = f"x{next_one:03d}/{path}"
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{path}{partial}"


def tile_at(path: str) -> Tile | None:
    """Return the tile that the path names, the inverse of `Tile.path`; None where it names none."""
    if (found := _PATH.fullmatch(path)) is None:
        return None
    level, number, width = found.groups()
    tile = Tile(
        ENTRIES if level == "entries" else int(level),
        int(number.replace("/", "").replace("x", "")),
        WIDTH if width is None else int(width),
    )
    return tile if tile.path == path else None


def width_of(level: int, number: int, size: int) -> int:
    """Return how many hashes or entries that tile has in a log of `size` entries: 0 to WIDTH."""
    held = size >> HEIGHT * max(level, 0)
    return min(max(held - number * WIDTH, 0), WIDTH)


def levels_of(size: int) -> range:
    """Return the levels that have hash tiles in a log of `size` entries."""
    return range((size.bit_length() + HEIGHT - 1) // HEIGHT)


def right_edge(size: int) -> list[Tile]:
    """Return the last hash tile of each level, if it is partial: what a log must have to grow."""
    edge = []
    for level in levels_of(size):
        number, width = divmod(size >> HEIGHT * level, WIDTH)
        if width:
            edge.append(Tile(level, number, width))
    return edge


def encode_hashes(hashes: Iterable[bytes]) -> bytes:
    """Return the bytes of a hash tile."""
    return b"".join(hashes)


def decode_hashes(raw: bytes, width: int) -> list[bytes]:
    """Return the hashes in a tile of that width; raises BadTile if there are more or fewer."""
    if len(raw) != width * HASH_SIZE:
        why = f"it has {len(raw):,} bytes, wanted {width * HASH_SIZE:,}"
        raise BadTile(why, min(len(raw) // HASH_SIZE, width - 1))
    return [raw[at : at + HASH_SIZE] for at in range(0, len(raw), HASH_SIZE)]


def encode_entries(entries: Iterable[bytes]) -> bytes:
    """Return the bytes of a bundle; raises OverflowError for an entry over 65,535 bytes."""
    return b"".join(len(one).to_bytes(LENGTH_SIZE, "big") + one for one in entries)


def decode_entries(raw: bytes, width: int) -> Iterator[bytes]:
    """Yield the entries of a bundle of that width.

    Raises BadTile where the bytes end too early, and after the last entry if they go on.
    """
    at = 0
    for place in range(width):
        start = at + LENGTH_SIZE
        at = start + int.from_bytes(raw[at:start], "big")
        if start > len(raw) or at > len(raw):
            raise BadTile("the bundle ends inside the entry", place)
        yield raw[start:at]
    if at != len(raw):
        raise BadTile("the bundle goes on after the last entry", width - 1)


def read_tile(read: Callable[[str], bytes | None], tile: Tile) -> bytes | None:
    """Return the bytes of a tile, None where there are none.

    Of a partial one that is gone, the beginning of the full one that took its place (C2SP
    tlog-tiles, "Partial Tiles"): the log may have grown since the head that asks for it.
    """
    raw = read(tile.path)
    if raw is not None or tile.width == WIDTH:
        return raw
    full = read(tile._replace(width=WIDTH).path)
    if full is None or tile.level != ENTRIES:
        return None if full is None else full[: tile.width * HASH_SIZE]
    at = 0
    for _ in range(tile.width):
        at += LENGTH_SIZE + int.from_bytes(full[at : at + LENGTH_SIZE], "big")
    return full[:at]


class Edge:
    """The right edge of the tiles: the hashes of each level that fill no tile yet.

    Grows by leaf hashes and hands out the tiles that become full. Holds at most WIDTH - 1 hashes a
    level, however large the log is.
    """

    def __init__(self, size: int = 0, held: Mapping[Tile, Sequence[bytes]] | None = None) -> None:
        """Take the edge of a log of `size` entries: the hashes of each of `right_edge(size)`."""
        self.size = size
        self._rows: list[list[bytes]] = [[] for _ in levels_of(size)]
        for tile in right_edge(size):
            self._rows[tile.level] += (held or {})[tile]

    @property
    def room(self) -> int:
        """How many leaves are missing in the last tile of leaf hashes: 1 to WIDTH."""
        return WIDTH - self.size % WIDTH

    @property
    def frontier(self) -> Frontier:
        """The frontier of the tree, whose root is the log's."""
        rows = (extend(EMPTY, row).hashes for row in reversed(self._rows))
        return Frontier(self.size, tuple(one for row in rows for one in row))

    def add(self, leaf_hashes: Sequence[bytes]) -> list[tuple[Tile, list[bytes]]]:
        """Add leaves, no more than there is room for; return the tiles that are full now."""
        if len(leaf_hashes) > self.room:
            raise ValueError(f"got {len(leaf_hashes)} leaves, wanted at most {self.room}")
        self.size += len(leaf_hashes)
        full: list[tuple[Tile, list[bytes]]] = []
        level, added = 0, list(leaf_hashes)
        while added:
            if level == len(self._rows):
                self._rows.append([])
            row = self._rows[level]
            row += added
            added = []
            if len(row) == WIDTH:
                number = (self.size >> HEIGHT * (level + 1)) - 1
                full.append((Tile(level, number), row))
                added, self._rows[level] = [root(extend(EMPTY, row))], []
            level += 1
        return full

    def partial(self) -> list[tuple[Tile, list[bytes]]]:
        """Return the tiles of the edge, which are not full."""
        return [(tile, self._rows[tile.level]) for tile in right_edge(self.size)]


def subtree_of_tiles(read: Callable[[Tile], Sequence[bytes]], size: int) -> Subtree:
    """Return the tree of `size` leaves that is in hash tiles; `read` returns the hashes of one.

    A proof reads at most two tiles a level, one on its path and one at the right edge: five at a
    million leaves, as both paths meet in the topmost.
    """

    def subtree(start: int, end: int) -> bytes:
        if start == end:
            return EMPTY_ROOT
        span = end - start
        if span & span - 1 == 0 and start % span == 0:
            return perfect(start, span)
        half = 1 << (span - 1).bit_length() - 1
        return node_hash(subtree(start, start + half), subtree(start + half, end))

    def perfect(start: int, span: int) -> bytes:
        level = (span.bit_length() - 1) // HEIGHT
        unit = HEIGHT * level
        number, first = divmod(start >> unit, WIDTH)
        hashes = read(Tile(level, number, width_of(level, number, size)))
        return root(extend(EMPTY, hashes[first : first + (span >> unit)]))

    return subtree
