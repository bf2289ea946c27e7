"""Somebody else's code accepts what this ledger writes, and refuses what was altered.

The library is tlog-scales 0.0.3 (Apache-2.0, by Florian Larysch), which reads C2SP tlog-tiles,
checkpoints and verifier keys and checks proofs as RFC 9162 words it. Nothing of it is used outside
of this test.
"""

import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from signed_logs import (
    LEAVES,
    SMALL_WORLD,
    SUBTREE,
    VKEY,
    fill,
    fill_bare,
    growth_of,
    no_root,
    proof_of,
    sign,
    stored,
)
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tiles import leaf_hash
from tlog_scales.tlog import (
    Checkpoint,
    ConsistencyProof,
    ConsistencyProofInvalid,
    InclusionProof,
    InclusionProofInvalid,
)

from ledger.audit.exporting import export, reader_of
from ledger.audit.proving import prove_from_tiles
from ledger.store.connect import connect, reading
from ledger.tlog.proof import decode_consistency, decode_proof, encode_consistency, encode_proof

KEY: Any = Vkey.from_string(VKEY)
SIZES = (300, 66_000)
"""Of recorded events; of bare rows, so many that their tiles stand on three levels."""

Log = tuple[Path, list[bytes]]


@pytest.fixture(scope="module", params=SIZES)
def log(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Log:
    """An export of a ledger, and the entries in it."""
    size = request.param
    folder = tmp_path_factory.mktemp("independent")
    engine = connect(f"sqlite:///{shutil.copy(sqlite_template, folder / 'ledger.db')}")
    (fill if size == SIZES[0] else fill_bare)(engine, size)
    with reading(engine) as connection:
        export(connection, folder / "out", sign(engine, size), no_root)
    entries = stored(engine, size)
    engine.dispose()
    return folder / "out", entries


def edges_of(size: int) -> list[int]:
    """Return indexes at both sides of where tiles end."""
    return [index for index in (0, 1, 255, 256, 65_535, 65_536, size - 1) if index < size]


def checked_head(note: str) -> Any:
    """Return the head as the library reads it, once it has verified the signature."""
    head = Checkpoint.from_text(note)
    head.verify(KEY)
    return head


def test_proofs_are_accepted() -> None:
    """Proof files of every entry in trees of many sizes hold for the library."""
    for size in (*range(1, 20), 63, 64, 65, SMALL_WORLD):
        for index in range(size):
            proof = decode_proof(encode_proof(proof_of(index, size)))
            head = checked_head(proof.note)
            assert proof.extra is not None
            theirs = InclusionProof(proof.index, head.size, list(proof.hashes))
            theirs.check(leaf_hash(proof.extra), head.root_hash)


def test_growth_is_accepted() -> None:
    """Proofs of growth between trees of many sizes hold for the library."""
    for new in (*range(1, 20), 63, 64, 65, SMALL_WORLD):
        for old in range(1, new + 1):
            proof = decode_consistency(encode_consistency(growth_of(old, new)))
            older, newer = checked_head(proof.old_note), checked_head(proof.new_note)
            theirs = ConsistencyProof(older.size, newer.size, list(proof.hashes))
            theirs.check(older.root_hash, newer.root_hash)


def test_library_tells_right_from_wrong() -> None:
    """The library refuses the same artefacts once they are altered."""
    proof, growth = proof_of(6, 11), growth_of(6, 11)
    with pytest.raises(InclusionProofInvalid):
        InclusionProof(5, 11, list(proof.hashes)).check(LEAVES[6], SUBTREE(0, 11))
    with pytest.raises(ConsistencyProofInvalid):
        ConsistencyProof(6, 11, list(growth.hashes)).check(SUBTREE(0, 5), SUBTREE(0, 11))
    with pytest.raises(InvalidSignature):
        checked_head(proof.note.replace("\n11\n", "\n12\n"))


def test_export_is_read_by_the_library(log: Log) -> None:
    """The library verifies the head, finds its root in the tiles, and every entry recorded."""
    folder, entries = log
    size = len(entries)
    reader = TilesReader(LocalBackend(folder))
    head = reader.get_checkpoint()
    head.verify(KEY)
    assert (head.origin, head.size) == ("example.org/ledger", size)
    assert reader.calculate_root_hash() == head.root_hash
    for index in {*range(0, size, 509), *edges_of(size)}:
        assert reader.get_entry(index) == entries[index]
        reader.get_inclusion_proof(index, size).check(leaf_hash(entries[index]), head.root_hash)


def test_library_and_ledger_make_the_same_proofs(log: Log) -> None:
    """Proofs that the library makes of the tiles are those that the ledger makes."""
    folder, size = log[0], len(log[1])
    reader = TilesReader(LocalBackend(folder))
    note = (folder / "checkpoint").read_text("utf-8")
    reader.get_checkpoint()
    for index in edges_of(size):
        ours = prove_from_tiles(reader_of(folder), index + 1, note)
        assert list(ours.hashes) == reader.get_inclusion_proof(index, size).node_hashes
