"""Erasing: what the database lets nobody do, what files keep, deaths in between, the command."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from command_line import data_of, run
from erasing_world import LEFT, NAME, WHY, WORLD, disclosures, entries, erased, sealed_left
from recording import recorded, release

from ledger import tables
from ledger.answers.registry import QUESTIONS
from ledger.audit.erasing import by_field, by_person
from ledger.book import now
from ledger.encoding import compose
from ledger.store.append import append
from ledger.store.connect import connect, file_of, reading, writing
from ledger.store.erase import scrub
from ledger.store.read import read_events


@pytest.fixture
def world(engine: sa.Engine) -> sa.Engine:
    """A ledger in which a person is named in five ways."""
    recorded(engine, WORLD)
    return engine


# What the database refuses.

GONE = "DELETE FROM disclosures WHERE position = 2"


def test_nothing_is_deleted_in_silence(world: sa.Engine) -> None:
    """The database lets no disclosure go that no event names, by whomever it is deleted."""
    before = disclosures(world)
    for statement in ("DELETE FROM disclosures", GONE):
        with pytest.raises(sa.exc.IntegrityError, match="PersonalDataErased"), writing(world) as c:
            c.exec_driver_sql(statement)
    assert disclosures(world) == before


def test_an_erasure_frees_what_it_names_only(world: sa.Engine) -> None:
    """An event frees its digests at its position: no other digest, position or stream."""
    (_, first, _), (_, second, _), *_ = [row for row in disclosures(world) if row[0] == 2]
    for stream, position, digest in (
        ("development/by-release", 2, second),
        ("development/by-release", 6, first),
        ("development/by-talks", 2, first),
    ):
        data = {"position": position, "digests": [digest], "fields_erased": ["/note"], **WHY}
        event = compose("PersonalDataErased", stream, data, id=stream + digest + str(position),
                        salts=lambda: bytes(16))
        delete = f"{GONE} AND digest = '{first}'"
        with writing(world) as connection:
            append(connection, [event], recorded_by="x", clock=now)
        with pytest.raises(sa.exc.IntegrityError, match="Personal"), writing(world) as connection:
            connection.exec_driver_sql(delete)


def test_what_was_erased_does_not_come_back(world: sa.Engine) -> None:
    """The database refuses an erased disclosure, and an update of one that is there."""
    kept = disclosures(world)
    erased(world, by_person("p-1"))
    gone = [row for row in kept if row not in disclosures(world)]
    assert gone
    for position, digest, text in gone:
        row = {"position": position, "digest": digest, "disclosure": text}
        with pytest.raises(sa.exc.IntegrityError, match="stay erased"), writing(world) as c:
            c.execute(sa.insert(tables.disclosures), [row])
    with pytest.raises(sa.exc.IntegrityError, match="UPDATE"), writing(world) as c:
        c.execute(sa.update(tables.disclosures).values(disclosure="x"))


ERASER_MAY = ("SELECT * FROM events", "SELECT * FROM disclosures", "UPDATE tree_head SET size = 9")
MAY_NOT = {
    "ledger_recorder": ("DELETE FROM disclosures",),
    "ledger_analyst": ("DELETE FROM disclosures", "SELECT * FROM disclosures"),
    "ledger_auditor": ("DELETE FROM disclosures",),
    "ledger_eraser": (
        "UPDATE events SET type = 'X'", "DELETE FROM events", "TRUNCATE disclosures",
        "UPDATE disclosures SET disclosure = 'x'", "INSERT INTO disclosures VALUES (1, 'd', 'x')",
        "DELETE FROM tree_head", "ALTER TABLE disclosures DISABLE TRIGGER ALL",
    ),
}


@pytest.mark.parametrize("role", MAY_NOT)
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_who_may_not_erase(world: sa.Engine, role: str) -> None:
    """No role but the eraser may delete a disclosure, and the eraser may do little else."""
    for statement in MAY_NOT[role]:
        with world.connect() as connection:
            connection.exec_driver_sql(f"SET LOCAL ROLE {role}")
            with pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner"):
                connection.exec_driver_sql(statement)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_the_eraser_may_erase(world: sa.Engine, database: str) -> None:
    """The role ledger_eraser is enough for an erasure; vacuuming is its owner's."""
    engine = connect(database)

    def become(connection: Any, _: Any) -> None:
        connection.execute("SET ROLE ledger_eraser")

    sa.event.listen(engine, "connect", become)
    erased(engine, by_person("p-1"))
    assert sealed_left(world) == LEFT
    assert not scrub(engine, vacuum=True, patience_ms=100).clean
    assert scrub(world, vacuum=True, patience_ms=100).clean
    engine.dispose()


# What is left in the files.


def traces(folder: Path, texts: list[str]) -> list[str]:
    """Return the pieces of the texts that any file of the folder holds."""
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    pieces = [text[at : at + 20] for text in texts for at in range(0, max(1, len(text) - 20), 20)]
    return [piece for piece in pieces if any(piece.encode() in raw for raw in files)]


@pytest.fixture
def crowd(sqlite_database: str) -> Iterator[sa.Engine]:
    """A SQLite ledger with many notes of different lengths, so that pages are shared and split."""
    engine = connect(sqlite_database)
    for number in range(300):
        note = f"note {number} " + "lorem ipsum " * (number * 7 % 90)
        recorded(engine, release(f"r-{number}", note=note))
    yield engine
    engine.dispose()


def test_nothing_is_left_in_a_file(crowd: sa.Engine) -> None:
    """After erasing by turns, no piece of an erased value is in the database or its log."""
    file = file_of(crowd)
    assert file is not None
    before = disclosures(crowd)
    for start in (1, 2):
        for position in range(start, 300, 3):
            erased(crowd, by_field(position))
        assert traces(file.parent, [row[2] for row in before if row[0] % 3 == start])
        assert scrub(crowd, vacuum=True, patience_ms=1000).clean
    kept = disclosures(crowd)
    gone = [text for _, _, text in before if text not in {row[2] for row in kept}]
    # A disclosure begins with its salt; notes share words.
    assert traces(file.parent, [text[:36] for text in gone]) == []
    assert len(traces(file.parent, [text[:36] for _, _, text in kept])) >= len(kept)


def test_a_reader_keeps_the_log(sqlite_database: str) -> None:
    """While somebody reads the ledger as it was, the log stays, and that is said."""
    engine = connect(sqlite_database)
    recorded(engine, WORLD)
    reader = sqlite3.connect(str(file_of(engine)), isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM disclosures").fetchone()
    erased(engine, by_person("p-1"))
    left = scrub(engine, vacuum=True, patience_ms=10)
    assert (left.clean, "reading" in left.why) == (False, True)
    reader.execute("COMMIT")
    reader.close()
    assert scrub(engine, vacuum=True, patience_ms=1000).clean
    engine.dispose()


# A death between two steps.


def erase_and_die(url: str, at: int) -> None:
    """Erase, and kill this very process after so many statements or at the end of them."""
    calls = count(1)
    engine = connect(url)

    def die(*_: Any) -> None:
        if next(calls) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(engine, "after_cursor_execute", die)
    sa.event.listen(engine, "commit", die)
    erased(engine, by_field(2))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_a_death_leaves_neither_or_both(world: sa.Engine, database: str) -> None:
    """Killed at any step, an erasure is there with its event or not at all."""
    whole = entries(world), disclosures(world)
    world.dispose()
    for at in range(1, 100):
        child = os.fork()
        if child == 0:
            try:
                erase_and_die(database, at)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        if (entries(world), disclosures(world)) != whole:
            break
        assert os.WIFSIGNALED(status)
        world.dispose()
    assert at > 5
    assert 2 not in sealed_left(world)
    with reading(world) as connection:
        (*_, last) = read_events(connection)
    assert last.type == "PersonalDataErased"


# The command.


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a ledger of the world."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEDGER_DATABASE_URL", raising=False)
    run("record", "-", "--by", "anna", given=WORLD)
    return tmp_path


def test_the_command(folder: Path) -> None:
    """The command erases, says what it recorded and what it cannot reach, and is done the once."""
    ask = ("audit", "erase", "--person", "p-1", "--reason", "asked", "--basis", "GDPR")
    tried = data_of("audit", "erase", "--person", "p-1", "--dry-run")
    done = data_of(*ask, "--by", "olga", "--yes")
    assert (tried["erased"], tried["written"]) == (done["erased"], False)
    assert (done["written"], done["files_clean"]) == (True, True)
    assert NAME not in run("history", "by-release").output
    assert "erased /" in run("history", "by-release").stdout
    again = run(*ask, "--yes")
    assert "erased         nothing" in again.stdout
    assert "backups" in again.stderr


def test_a_person_is_nowhere(folder: Path) -> None:
    """After a person is erased no salt or value of it is in the ledger, its log, the export or an
    answer; what others are called still is."""
    (folder / "vkey").write_text(run("audit", "keygen", "--origin", "o/log", "-o", "key").stdout)
    run("audit", "head", "--key", "key")
    run("audit", "export", "tree", "--key", "vkey")
    run("projections", "rebuild")
    engine = connect("ledger.db")
    before = disclosures(engine)
    engine.dispose()
    run("audit", "erase", "--person", "p-1", "--reason", "r", "--basis", "b", "--yes")
    run("audit", "head", "--key", "key")
    run("audit", "export", "tree", "--key", "vkey")
    run("projections", "catch-up")
    kept = disclosures(engine)
    engine.dispose()
    # A disclosure begins with its salt, of 22 characters in base64 of base64.
    gone = [text for _, _, text in before if text not in {text for _, _, text in kept}]
    assert len(gone) >= 8
    assert traces(folder, [text[:36] for text in gone]) == []
    assert len(traces(folder, [text[:36] for _, _, text in kept])) >= len(kept)
    assert traces(folder / "tree", [text[:36] for _, _, text in kept]) == []
    told = " ".join(run("history", "by-release").stdout.split())
    said = "".join(run("answer", question.name).output for question in QUESTIONS)
    assert "Kowalczyk" not in said + told
    assert "persons [erased]" in told


MISUSED = [
    (),
    ("--person", "p-1", "--position", "2"),
    ("--person", "p-1"),
    ("--person", "p-1", "--reason", "r"),
    ("--person", "p-1", "--field", "/note", "--dry-run"),
]


@pytest.mark.parametrize("words", MISUSED)
def test_misuse(folder: Path, words: tuple[str, ...]) -> None:
    """Without one thing to erase, a reason and a basis, nothing is done."""
    run("audit", "erase", *words, code=2)


def test_nothing_is_erased_unasked(folder: Path) -> None:
    """Where no terminal is there to ask, only --yes erases."""
    ask = ("audit", "erase", "--person", "p-1", "--reason", "asked", "--basis", "GDPR")
    assert "wanted --yes" in run(*ask, code=2).stderr
    assert "wanted --yes" in run(*ask, "--format", "json", code=2).stderr
    assert data_of(*ask, "--dry-run")["already_erased"] == 0
    assert data_of(*ask, "--yes")["written"]
