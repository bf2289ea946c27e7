"""Copies of an export that were made while it grew."""

from pathlib import Path

from signed_logs import VKEY, fill, offline, sign
from test_export import checked, exported

from ledger.audit.exporting import reader_of
from ledger.audit.proving import prove_from_tiles
from ledger.store.connect import connect


def test_a_checkpoint_older_than_its_tiles(sqlite_database: str, tmp_path: Path) -> None:
    """A copy whose head is older than its full tiles is checked, proved from and grown again."""
    engine, folder = connect(sqlite_database), tmp_path / "copy"
    fill(engine, 600)
    exported(engine, folder, 300)
    old = (folder / "checkpoint").read_bytes()
    whole = exported(engine, folder, 600, before=(300,))
    (folder / "checkpoint").write_bytes(old)
    assert not (folder / "tile/0/001.p").exists()

    assert checked(folder).status == "ok"
    assert offline.main([str(folder), "--key", VKEY]) == 0
    proof = prove_from_tiles(reader_of(folder), 290, sign(engine, 300))
    assert len(proof.hashes) > 0
    assert exported(engine, folder, 600, before=(300,)) == whole

    (folder / "checkpoint").write_bytes(old)
    bundle = folder / "tile/entries/001"
    raw = bytearray(bundle.read_bytes())
    raw[200] ^= 1
    bundle.write_bytes(bytes(raw))
    assert checked(folder).status == "tampered"
    assert offline.main([str(folder), "--key", VKEY]) == 1
    engine.dispose()
