"""The lock that one worker a name holds: who has it is told, and losing it ends the work."""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from recording import record_example

import ledger
from ledger.answers.answer import Replaced
from ledger.answers.asking import ask
from ledger.answers.registry import QUESTIONS
from ledger.book import now
from ledger.errors import CouldNot
from ledger.projections import answer_tables
from ledger.projections.answer_tables import AnswerTables, put_in_place
from ledger.projections.merges import MERGES
from ledger.projections.projection import Projection
from ledger.projections.releases import RELEASES
from ledger.rebuild import rebuild
from ledger.store.checkpoints import read_filled
from ledger.store.connect import changing, connect, file_of, reading
from ledger.store.locks import alone

RELEASES_ASKED = next(question for question in QUESTIONS if question.name == "releases")
HOLDER = "process 12 on desk"
END_SESSIONS = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name LIKE 'process%'"
)


def lose_locks(engine: sa.Engine) -> None:
    """End the sessions that hold locks; or put a copy in the place of the file beside theirs."""
    file = file_of(engine)
    if file is None:
        with reading(engine) as connection:
            connection.execute(END_SESSIONS)
    else:
        copy = shutil.copy(file, file.with_name("copy.db"))
        os.replace(copy, file)


def test_a_lost_lock_is_noticed(engine: sa.Engine) -> None:
    """Whoever holds a lock finds out that it was lost, and can let go of it all the same."""
    with alone(engine, "releases", HOLDER) as check:
        check()
        lose_locks(engine)
        with pytest.raises(CouldNot, match="go on with releases: its lock was lost: "):
            check()
    with alone(engine, "releases", HOLDER) as check:
        check()


def test_a_lock_file_that_is_removed_is_a_lost_lock(sqlite_database: str) -> None:
    """Who tidies up the lock files takes the lock away, and its holder finds out."""
    engine = connect(sqlite_database)
    file = file_of(engine)
    assert file is not None
    with alone(engine, "releases", HOLDER) as check:
        file.with_name(f"{file.name}.releases.lock").unlink()
        with alone(engine, "releases", "another"), pytest.raises(CouldNot, match="removed"):
            check()


def test_every_name_of_a_file_is_one_lock(sqlite_database: str) -> None:
    """By a link to the file, or a URL with parameters, the same ledger has the same lock."""
    file = Path(sqlite_database.removeprefix("sqlite:///"))
    link = file.with_name("link.db")
    link.symlink_to(file)
    names = (str(link), f"sqlite:///{file}?timeout=30", f"sqlite:///file:{file}?uri=true")
    with alone(connect(sqlite_database), "releases", HOLDER):
        for name in names:
            with pytest.raises(CouldNot, match=HOLDER), alone(connect(name), "releases", "b"):
                pass


def test_nothing_is_put_in_place_without_the_lock(engine: sa.Engine) -> None:
    """A rebuild that lost its lock ends before it changes what is served."""
    record_example(engine, "article")
    rebuild(engine, RELEASES, now)
    anew = replace(RELEASES, version=RELEASES.version + 1)

    with pytest.raises(CouldNot, match="lock was lost"):
        rebuild(engine, anew, now, holder=HOLDER, on_progress=lambda *_: lose_locks(engine))

    with reading(engine) as connection:
        versions = connection.exec_driver_sql("SELECT projection_version FROM checkpoints")
        assert versions.scalars().all() == [RELEASES.version]


def test_a_lock_file_belongs_to_who_owns_the_ledger(
    sqlite_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After root has worked on a ledger, its owner can: SQLite's own files are given so, too."""
    engine = connect(sqlite_database)
    file = file_of(engine)
    assert file is not None
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda _, user, group: given.append((user, group)))
    with alone(engine, "releases", HOLDER):
        pass
    assert given == [(file.stat().st_uid, file.stat().st_gid)]


def test_a_reader_who_does_not_let_go(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rebuild ends, naming who reads the tables that it would replace; nobody waits behind it."""
    monkeypatch.setattr(answer_tables, "TRIES", 2)
    engine, other = connect(postgres_database), connect(postgres_database)
    record_example(engine, "article")
    rebuild(engine, RELEASES, now)
    anew = replace(RELEASES, version=RELEASES.version + 1)
    ask = "SELECT count(*) FROM releases"
    with reading(other) as connection:
        connection.exec_driver_sql(ask)
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with pytest.raises(CouldNot, match=f"read, now by backend {pid} .*idle in transaction"):
            rebuild(engine, anew, now)
    with reading(other) as connection:
        assert connection.exec_driver_sql(ask).scalar_one() > 0
    assert rebuild(engine, anew, now).outcome == "ok"
    engine.dispose()
    other.dispose()


@pytest.mark.parametrize("replaced", [RELEASES, MERGES])
def test_a_reader_who_began_before_tables_were_replaced(
    postgres_database: str, replaced: Projection
) -> None:
    """It is told so, whichever tables of those that it reads they are, and not that there is
    nothing: what is put in place it cannot see."""
    engine, other = connect(postgres_database), connect(postgres_database)
    record_example(engine, "article")
    for projection in (RELEASES, MERGES):
        rebuild(engine, projection, now)
    with reading(other) as connection:
        connection.execute(sa.text("SELECT count(*) FROM events"))
        put_anew(engine, replaced)
        with pytest.raises(Replaced, match="releases, merges: tables were replaced"):
            ask(connection, RELEASES_ASKED)
    engine.dispose()
    other.dispose()


def test_a_question_is_asked_again_where_tables_were_replaced(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks a Book does not notice; and whoever had asked before keeps the tables."""
    book = ledger.connect(postgres_database)
    record_example(book.engine, "article")
    book.rebuild()
    tries: list[str] = []

    def read_and_replace(connection: sa.Connection) -> dict[tuple[str, int], int]:
        found = read_filled(connection)
        if not tries:
            tries.append("replaced")
            put_anew(connect(postgres_database))
        return found

    monkeypatch.setattr("ledger.answers.answer.read_filled", read_and_replace)

    assert book.answers.releases().total["low"] == 123
    assert len(tries) == 1
    book.engine.dispose()


def put_anew(engine: sa.Engine, projection: Projection = RELEASES) -> None:
    """Replace a projection's tables by others with the same rows, as a rebuild does."""
    live, side = AnswerTables(projection), AnswerTables(projection, side=True)
    with changing(engine) as connection:
        side.make(connection)
    with changing(engine) as connection:
        side.write(connection, live.read(connection, "", None))
    with changing(engine) as connection:
        put_in_place(connection, live, side)
    engine.dispose()


def test_whoever_reads_meanwhile_is_not_kept_waiting(postgres_database: str) -> None:
    """While a rebuild waits for one reader, others read; when that one is done, it goes on."""
    engine, other = connect(postgres_database), connect(postgres_database)
    record_example(engine, "article")
    rebuild(engine, RELEASES, now)
    anew = replace(RELEASES, version=RELEASES.version + 1)
    ask = "SELECT count(*) FROM releases"
    with ThreadPoolExecutor(1) as pool:
        with reading(other) as connection:
            connection.exec_driver_sql(ask)
            rebuilding = pool.submit(rebuild, engine, anew, now)
            end = time.monotonic() + 2
            while time.monotonic() < end:
                with reading(other) as another:
                    another.exec_driver_sql("SET LOCAL statement_timeout = 5000")
                    another.exec_driver_sql(ask)
            assert not rebuilding.done()
        assert rebuilding.result(60).outcome == "ok"
    engine.dispose()
    other.dispose()
