"""Tiles: their paths, their bytes, and that every tree can be read from them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.merkle import (
    EMPTY,
    extend,
    leaf_hash,
    prove_consistency,
    prove_inclusion,
    root,
    subtree_over,
)
from ledger.tlog.tiles import (
    ENTRIES,
    WIDTH,
    BadTile,
    Edge,
    Tile,
    decode_entries,
    decode_hashes,
    encode_entries,
    encode_hashes,
    levels_of,
    right_edge,
    subtree_of_tiles,
    tile_at,
    width_of,
)

PATHS = (
    (Tile(0, 0), "tile/0/000"),
    (Tile(0, 67, 3), "tile/0/067.p/3"),
    (Tile(1, 1234067), "tile/1/x001/x234/067"),
    (Tile(ENTRIES, 1000, 255), "tile/entries/x001/000.p/255"),
    (Tile(63, 999999), "tile/63/x999/999"),
    (Tile(10, 5, 1), "tile/10/005.p/1"),
)
NO_PATHS = (
    "checkpoint", "tile/0", "tile/0/1", "tile/0/0000", "tile/00/000", "tile/64/000", "tile/0/x000",
    "tile/0/x000/001", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p",
    "tile/0/x1/000", "tile/entries/000.p/", "/tile/0/000", "tile/0/000\n", "tile/-1/000",
)
SIZES = (1, 2, 255, 256, 257, 511, 512, 513, 1000, 65_535, 65_536, 65_537, 66_000)


def leaves_of(size: int) -> list[bytes]:
    return [leaf_hash(b"%d" % number) for number in range(size)]


def grown(size: int) -> tuple[Edge, dict[Tile, list[bytes]]]:
    """The edge after so many leaves, and every tile of the log."""
    edge, leaves = Edge(), leaves_of(size)
    tiles: dict[Tile, list[bytes]] = {}
    for start in range(0, size, WIDTH):
        tiles |= dict(edge.add(leaves[start : start + WIDTH]))
    return edge, tiles | dict(edge.partial())


@pytest.mark.parametrize(("tile", "path"), PATHS)
def test_path_has_the_published_form(tile: Tile, path: str) -> None:
    """A tile's path and the tile that a path names are inverse to each other."""
    assert (tile.path, tile_at(path)) == (path, tile)


@pytest.mark.parametrize("path", NO_PATHS)
def test_no_other_path_names_a_tile(path: str) -> None:
    """A path in any other spelling names no tile."""
    assert tile_at(path) is None


def test_widths_are_those_of_the_specification() -> None:
    """A log of 70,000 entries has the tiles that the specification counts for it."""
    assert right_edge(70_000) == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert right_edge(256) == [Tile(1, 0, 1)]
    assert [width_of(0, number, 70_000) for number in (0, 272, 273, 274)] == [256, 256, 112, 0]
    assert [width_of(1, number, 70_000) for number in (0, 1, 2)] == [256, 17, 0]
    assert width_of(ENTRIES, 273, 70_000) == 112
    assert [len(levels_of(size)) for size in (0, 1, 255, 256, 65_535, 65_536)] == [
        0, 1, 1, 2, 2, 3,
    ]


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundle_holds_its_entries(entries: list[bytes]) -> None:
    """Entries come out of a bundle as they went in."""
    assert list(decode_entries(encode_entries(entries), len(entries))) == entries


def test_largest_entry_fits_a_bundle() -> None:
    """An entry of 65,535 bytes fits, and one byte more does not."""
    largest = bytes(65_535)
    assert list(decode_entries(encode_entries([largest]), 1)) == [largest]
    with pytest.raises(OverflowError):
        encode_entries([bytes(65_536)])


@pytest.mark.parametrize(("raw", "width", "at"), [
    (b"", 1, 0),
    (b"\x00", 1, 0),
    (b"\x00\x02a", 1, 0),
    (b"\x00\x01a", 2, 1),
    (b"\x00\x01a\x00", 2, 1),
    (b"\x00\x01ab", 1, 0),
    (b"\x00\x01a\x00\x01b!", 2, 1),
])
def test_damaged_bundle_names_the_place(raw: bytes, width: int, at: int) -> None:
    """A bundle that is too short or too long is refused, at the entry where it goes wrong."""
    with pytest.raises(BadTile) as refusal:
        list(decode_entries(raw, width))
    assert refusal.value.at == at


@pytest.mark.parametrize("length", [0, 31, 33, 63, 65, 96])
def test_hash_tile_has_its_width(length: int) -> None:
    """A hash tile with more or fewer bytes than its width says is refused."""
    with pytest.raises(BadTile, match="wanted 64"):
        decode_hashes(bytes(length), 2)


@pytest.mark.parametrize("size", SIZES)
def test_edge_has_the_root(size: int) -> None:
    """The edge of a log of any size has the root of its tree."""
    assert grown(size)[0].frontier == extend(EMPTY, leaves_of(size))


@pytest.mark.parametrize("size", SIZES)
def test_edge_grows_from_its_tiles(size: int) -> None:
    """A log goes on from its last tiles as if it had never stopped."""
    edge, tiles = grown(size)
    again = Edge(size, {tile: tiles[tile] for tile in right_edge(size)})
    more = leaves_of(again.room)
    assert again.add(more) == edge.add(more)
    assert again.frontier == edge.frontier


def test_edge_takes_no_more_than_there_is_room_for() -> None:
    """Leaves beyond the last tile are refused, and nothing is added."""
    edge = Edge()
    with pytest.raises(ValueError, match="257"):
        edge.add(leaves_of(257))
    assert (edge.size, edge.room) == (0, 256)


@pytest.mark.parametrize("size", [*range(1, 20), 255, 256, 257, 300, 511, 512, 513, 66_000])
def test_proofs_from_tiles_are_those_from_leaves(size: int) -> None:
    """A proof that is read from tiles is the one that is made from all leaves."""
    tiles = grown(size)[1]
    read: list[Tile] = []

    def hashes(tile: Tile) -> list[bytes]:
        read.append(tile)
        return decode_hashes(encode_hashes(tiles[tile]), tile.width)

    subtree, leaves = subtree_of_tiles(hashes, size), subtree_over(leaves_of(size))
    for index in {0, size // 3, size // 2, size - 1}:
        read.clear()
        proof = prove_inclusion(index, size, subtree)
        assert len(set(read)) <= 2 * len(levels_of(size))
        assert proof == prove_inclusion(index, size, leaves)
    for old in {1, size // 2 or 1, size}:
        assert prove_consistency(old, size, subtree) == prove_consistency(old, size, leaves)
    assert subtree(0, size) == root(extend(EMPTY, leaves_of(size)))
