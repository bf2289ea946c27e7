"""A ledger in a folder that cannot be written: an auditor's copy."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import closing, data_of, run, signed_folder

from ledger.errors import CouldNot
from ledger.examples import shipped
from ledger.store.connect import connect, reading
from ledger.store.read import read_head

VERIFY = ("audit", "verify", "--vkey", "vkey")


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A signed ledger in a folder that says that it cannot be written, be it to root."""
    here = signed_folder(tmp_path, monkeypatch)
    here.chmod(0o555)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    yield here
    here.chmod(0o755)


def test_copy_is_verified(copy: Path, tmp_path: Path) -> None:
    """What reads works on the copy and leaves nothing beside it; what writes is told."""
    before = sorted(copy.iterdir())
    assert data_of(*VERIFY)["heads_matched"] == 1
    run("audit", "prove", "2", "--vkey", "vkey", "-o", str(tmp_path / "proof"))
    run("audit", "export", str(tmp_path / "public"), "--vkey", "vkey")
    assert run("show", "2").stdout
    given = shipped.example("wider")
    assert "readonly database" in run("record", "-", "--by", "ben", given=given, code=4).output
    assert sorted(copy.iterdir()) == before


def test_what_is_no_copy_is_found_out(copy: Path) -> None:
    """What was read while somebody wrote is not handed on; asked again, it is read as it is now."""
    copy.chmod(0o755)  # for others it can
    engine = connect("ledger.db")

    def while_written() -> int:
        with reading(engine) as connection, closing("ledger.db") as database:
            database.execute("PRAGMA user_version = 7")
            return read_head(connection).size

    with pytest.raises(CouldNot, match="written to meanwhile"):
        while_written()
    with reading(engine) as connection:
        assert read_head(connection).size == 13


def test_copy_without_its_log_is_not_read(copy: Path) -> None:
    """A log beside the file, without the index that its writer keeps, is not left out silently."""
    copy.chmod(0o755)
    (copy / "ledger.db-wal").write_bytes(bytes(32))
    assert "ledger.db-wal belongs to it" in run(*VERIFY, code=4).output
    (copy / "ledger.db-wal").write_bytes(b"")
    assert data_of(*VERIFY)["size"] == 13
