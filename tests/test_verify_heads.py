"""What `ledger audit verify` compares with, and what it says where there is nothing to compare."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from command_line import data_of, run, signed_folder
from tampering import rehash, rewrite, unguard
from tampering import run as execute

from ledger.cli.audit.verifying import PASSED_OVER
from ledger.examples import shipped
from ledger.store.connect import connect

SIZE = 52
VERIFY = ("audit", "verify", "--vkey", "vkey")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a ledger, a key, and a signed head over its first 13 events."""
    return signed_folder(tmp_path, monkeypatch)


def grow() -> None:
    """Record the other example and sign it, without publishing."""
    run("record", "-", "--by", "ben", given=shipped.example("wider"))
    run("audit", "head", "--key", "key")


def another_key(origin: str, name: str) -> None:
    """Make a key, and write its public half beside it."""
    Path(f"{name}.vkey").write_text(
        run("audit", "keygen", "--origin", origin, "-o", name).stdout)


# Nothing to compare with.


def test_lost_heads_are_no_ok(here: Path) -> None:
    """A forged history without any head left could not be verified; its findings count first."""
    engine = connect("ledger.db")
    unguard(engine)
    rewrite(engine, 5, {"recorded_by": "x"})
    rehash(engine)
    (here / "ledger.db.heads").unlink()
    assert "no head that example.org/log" in run(*VERIFY, code=4).stdout
    assert "nobody outside vouches for it" in run("audit", "verify").stdout
    rewrite(engine, 5, {"recorded_by": "y"})
    engine.dispose()
    assert run(*VERIFY, code=1).stdout.startswith("TAMPERED at position 5")


def test_every_place_that_is_named_has_a_head(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place that was named and holds no head of the key's log is no place to compare with."""
    another_key("example.org/other", "other")
    another_key("example.org/log", "wrong")
    for name in ("other.vkey", "wrong.vkey"):
        for more in ((), ("--against", "public"), ("--against", "ledger.db.heads")):
            run("audit", "verify", "--vkey", name, *more, code=4)
    run("audit", "head", "--key", "other", "--heads", "other.heads")
    (here / "empty.heads").touch()
    (here / "nothing").mkdir()
    for place in ("other.heads", "empty.heads", "nothing", "vkey", "public/README"):
        assert "other.heads" in run(*VERIFY, "--against", "other.heads", code=4).stdout
        run(*VERIFY, "--against", "public", "--against", place, code=4)
    monkeypatch.setenv("LEDGER_HEADS", "mistyped.heads")
    run(*VERIFY, code=4)
    run(*VERIFY, "--against", "public", code=4)


def test_first_head_of_a_new_store_is_remarked(here: Path) -> None:
    """A head that is the first in its store is said to be: the store may have been lost."""
    assert "the first head of this name" not in run("audit", "head", "--key", "key").stderr
    (here / "ledger.db.heads").unlink()
    run("audit", "head", "--key", "key", "--publish", "public", code=5)
    assert "the first head of this name" in run("audit", "head", "--key", "key").stderr


# All that there is to compare with.


def test_own_heads_are_compared_too(here: Path) -> None:
    """A head that was signed and not published speaks, whatever else is named."""
    (here / "backup.db").write_bytes((here / "ledger.db").read_bytes())
    grow()
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (here / name).unlink(missing_ok=True)
    (here / "backup.db").rename(here / "ledger.db")
    for more in ((), ("--against", "public"), ("--against", "public/checkpoint")):
        assert run(*VERIFY, *more, code=5).stdout.startswith("FORK OR ROLLBACK")


def test_frozen_origin_speaks(here: Path) -> None:
    """A frozen log is told of, whatever else is named, when its ledger was put right again."""
    whole = (here / "ledger.db").read_bytes()
    (here / "ledger.db").unlink()
    run("init")
    run("audit", "head", "--key", "key", code=5)
    (here / "ledger.db").write_bytes(whole)
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (here / name).unlink(missing_ok=True)
    assert "was frozen" in run(*VERIFY, "--against", "public", code=1).stdout


def test_own_heads_may_be_unreadable_beside_others(here: Path) -> None:
    """A head store that nobody named and that is none is passed over, and named."""
    (here / "ledger.db.heads").write_bytes(b"SQLite format 3\0 and no more")
    run(*VERIFY, code=4)
    assert "could not use the head store" in run(*VERIFY, "--against", "public").stdout


# What is no head speaks neither for nor against.


def test_folder_with_other_files(here: Path) -> None:
    """A git checkout with a README, the key, and another log's head in it is looked through."""
    another_key("example.org/other", "other")
    run("audit", "head", "--key", "other", "--heads", "other.heads", "--publish", "public/other")
    for name, text in {
        ".git/HEAD": "ref: refs/heads/main\n", ".git/refs/heads/main": "0" * 40,
        "README": "heads\n", "log.vkey": (here / "vkey").read_text(), "heads/.55.new": "",
    }.items():
        (here / "public" / name).parent.mkdir(parents=True, exist_ok=True)
        (here / "public" / name).write_text(text)
    text = run(*VERIFY, "--against", "public").stdout
    assert text.startswith("OK to size 13.\nAgrees with 1 signed head, the largest of 13 events.")
    assert text.count("not a head to compare with") == 4
    assert ".git" not in text
    assert "55" not in text
    for number in range(PASSED_OVER):
        (here / "public" / f"README.{number}").touch()
    assert "4 more" in run(*VERIFY, "--against", "public").stdout


def test_altered_head_is_a_finding(here: Path) -> None:
    """A note that bears the key's signature over another text was altered."""
    note = (here / "public" / "checkpoint").read_text()
    (here / "public" / "heads" / "12").write_text(note.replace("\n13\n", "\n12\n"))
    data = data_of(*VERIFY, "--against", "public", code=1)
    assert data["rules"] == {"head": 1}


# Parts of the log.


def test_part_says_what_it_was_compared_with(here: Path) -> None:
    """Events under a head that ends behind the part are compared with nothing: that is no ok."""
    grow()
    said = run(*VERIFY, "--to", "20", code=4).stdout
    assert "no signed head ends in positions 14 to 20" in " ".join(said.split())
    for part in (("--from", "20", "--to", "30"), ("--to", "12"), ("--from", "5", "--to", "20")):
        said = run(*VERIFY, *part, code=4).stdout.replace("\n", " ")
        assert "nothing signed was compared" in said
    assert data_of(*VERIFY, "--from", "20")["signed_size"] == SIZE
    assert data_of(*VERIFY, "--from", "20", "--to", str(SIZE))["signed_size"] == SIZE


def test_a_head_that_was_made_a_strangers(here: Path) -> None:
    """In the ledger's own head store a note that is nobody's is a finding beside the key's."""
    grow()
    with closing(sqlite3.connect(here / "ledger.db.heads")) as store:
        names = store.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in names:
            store.execute(f"DROP TRIGGER {name}")
        store.execute("UPDATE heads SET note = replace(note, '— e', '— d') WHERE size = ?", (SIZE,))
        store.commit()
    said = run(*VERIFY, code=1).stdout
    assert "size 52" in said
    assert "not signed by example.org/log" in " ".join(said.split())


def test_positions_that_are_not_there(here: Path) -> None:
    """A last position behind the log is a misuse, unless that many events were signed."""
    grow()
    assert "up to 52, the size of the log" in run(*VERIFY, "--to", "60", code=2).output
    engine = connect("ledger.db")
    unguard(engine)
    execute(engine, "DELETE FROM events WHERE position > 40")
    engine.dispose()
    assert run(*VERIFY, "--to", "52", code=5).stdout.startswith("FORK")


def test_tables_of_nobody_are_no_ok(here: Path) -> None:
    """Answer tables whose checkpoint is gone cannot be compared, and that is said."""
    run("projections", "rebuild")
    assert run(*VERIFY, "--projections").stdout.startswith("OK")
    engine = connect("ledger.db")
    execute(engine, "UPDATE checkpoints SET projection_version = 99 WHERE projection = 'releases'")
    engine.dispose()
    said = run(*VERIFY, "--projections", code=4).stdout
    assert "releases has tables of another version" in " ".join(said.split())
