"""The lock that one worker a name holds: who has it is told, and losing it ends the work."""

import os
import shutil
from dataclasses import replace

import pytest
import sqlalchemy as sa
from recording import record_example

from ledger.book import now
from ledger.errors import CouldNot
from ledger.projections.releases import RELEASES
from ledger.rebuild import rebuild
from ledger.store.connect import connect, file_of, reading
from ledger.store.locks import alone

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
