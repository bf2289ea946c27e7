"""Damage to PostgreSQL's files, and a database that was put back from before."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import postgres
import pytest
import sqlalchemy as sa
import tampering as t
from recording import record_example

from ledger.audit.findings import Verdict
from ledger.audit.verifying import verify
from ledger.store.connect import connect
from ledger.store.migrate import upgrade

TAIL = 24
"""Bytes at the end of a value by which it is found in a file."""


@pytest.fixture(scope="module")
def admin() -> Iterator[sa.Engine]:
    """An engine on a server whose files nobody else needs."""
    with postgres.started() as url:
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        yield engine
        engine.dispose()


@pytest.fixture
def ledger(admin: sa.Engine) -> Iterator[sa.Engine]:
    """A ledger of 13 events there."""
    with postgres.copied(admin) as name:
        engine = connect(postgres.named(admin, name))
        upgrade(engine)
        record_example(engine, "article")
        yield engine
        engine.dispose()


@contextmanager
def copied(ledger: sa.Engine, admin: sa.Engine, **options: str) -> Iterator[sa.Engine]:
    """Copy the ledger's files as they are on disk; yield an engine on the copy."""
    ledger.dispose()
    with postgres.copied(admin, str(ledger.url.database), "file_copy") as name:
        url = ledger.url.set(database=name).update_query_dict(options)
        engine = connect(url.render_as_string(hide_password=False))
        try:
            yield engine
        finally:
            engine.dispose()


def file_of_events(engine: sa.Engine) -> Path:
    """Return the file that holds the events, after everything was written to it."""
    with engine.connect() as connection:
        folder = connection.exec_driver_sql("SHOW data_directory").scalar_one()
        path = connection.exec_driver_sql("SELECT pg_relation_filepath('events')").scalar_one()
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("CHECKPOINT")
    return Path(str(folder)) / str(path)


def test_flipped_bits_in_the_files_of_a_server(ledger: sa.Engine, admin: sa.Engine) -> None:
    """A bit that flips in an entry or a leaf hash is no ok: the server's checksums find it, and
    where these are passed over, the hashes do."""
    head = t.head_of(ledger)
    with ledger.connect() as connection:
        kept = [bytes(value) for row in connection.execute(sa.select(t.E.entry, t.E.leaf_hash))
                for value in row]
    file = file_of_events(ledger)
    whole, rng = file.read_bytes(), random.Random(7)
    places = [at for value in kept if (at := whole.find(value[-TAIL:])) >= 0]
    assert len(places) >= 20
    for at in rng.sample(places, 4):
        inside = at + rng.randrange(TAIL)
        with file.open("r+b") as opened:
            opened.seek(inside)
            opened.write(bytes((whole[inside] ^ 1 << rng.randrange(8),)))
        with copied(ledger, admin) as copy:
            assert verify(copy, against=[head]).verdict is Verdict.COULD_NOT
        with copied(ledger, admin, options="-c ignore_checksum_failure=on") as copy:
            assert verify(copy, against=[head]).verdict is Verdict.TAMPERED
        file.write_bytes(whole)
    with copied(ledger, admin) as copy:
        assert verify(copy, against=[head]).verdict is Verdict.OK


def test_a_restored_database_is_a_rollback(ledger: sa.Engine, admin: sa.Engine) -> None:
    """A database that is put back from before is a rollback, though nothing is wrong in it."""
    heads = [t.head_of(ledger)]
    with copied(ledger, admin) as backup:
        record_example(ledger, "wider")
        heads.append(t.head_of(ledger))
        done = verify(backup, against=heads)
    assert (done.verdict, done.position) == (Verdict.FORK, 14)
    assert verify(ledger, against=heads).verdict is Verdict.OK
