"""Damage to PostgreSQL's files, and a database that was put back from before."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
import tampering as t
from recording import record_example

from ledger.audit.findings import Verdict
from ledger.audit.verifying import verify
from ledger.store.connect import connect

TAIL = 24
"""Bytes at the end of a value by which it is found in a file."""


@contextmanager
def copied(admin: sa.Engine, url: str, more: str = "") -> Iterator[sa.Engine]:
    """Copy the files of a database as they are on disk; yield an engine on the copy."""
    source = sa.make_url(url).database
    name = f"{source}_copy"
    with admin.connect() as connection:
        connection.exec_driver_sql(
            f"CREATE DATABASE {name} TEMPLATE {source} STRATEGY file_copy")
    engine = connect(f"{sa.make_url(url).set(database=name).render_as_string(False)}{more}")
    try:
        yield engine
    finally:
        engine.dispose()
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


def file_of_events(engine: sa.Engine) -> Path:
    """Return the file that holds the events, after everything was written to it."""
    with engine.connect() as connection:
        folder = connection.exec_driver_sql("SHOW data_directory").scalar_one()
        path = connection.exec_driver_sql("SELECT pg_relation_filepath('events')").scalar_one()
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("CHECKPOINT")
    return Path(str(folder)) / str(path)


def test_flipped_bits_in_the_files_of_a_server(
    postgres_database: str, postgres_admin: sa.Engine
) -> None:
    """A bit that flips in an entry or a leaf hash is no ok: the server's checksums find it, and
    where these are passed over, the hashes do."""
    engine = connect(postgres_database)
    record_example(engine, "article")
    head = t.head_of(engine)
    with engine.connect() as connection:
        kept = [bytes(value) for row in connection.execute(sa.select(t.E.entry, t.E.leaf_hash))
                for value in row]
    file = file_of_events(engine)
    engine.dispose()
    if not file.exists():
        pytest.skip("the server's files are not here")
    whole, rng = file.read_bytes(), random.Random(7)
    places = [at for value in kept if (at := whole.find(value[-TAIL:])) >= 0]
    assert len(places) >= 20
    for at in rng.sample(places, 4):
        inside = at + rng.randrange(TAIL)
        with file.open("r+b") as opened:
            opened.seek(inside)
            opened.write(bytes((whole[inside] ^ 1 << rng.randrange(8),)))
        with copied(postgres_admin, postgres_database) as copy:
            assert verify(copy, against=[head]).verdict in (Verdict.COULD_NOT, Verdict.TAMPERED)
        joint = "&" if "?" in postgres_database else "?"
        past = f"{joint}options=-c%20ignore_checksum_failure%3Don"
        with copied(postgres_admin, postgres_database, past) as copy:
            assert verify(copy, against=[head]).verdict is Verdict.TAMPERED
        file.write_bytes(whole)
    with copied(postgres_admin, postgres_database) as copy:
        assert verify(copy, against=[head]).verdict is Verdict.OK


def test_a_restored_database_is_a_rollback(
    postgres_database: str, postgres_admin: sa.Engine
) -> None:
    """A database that is put back from before is a rollback, though nothing is wrong in it."""
    engine = connect(postgres_database)
    record_example(engine, "article")
    heads = [t.head_of(engine)]
    engine.dispose()
    with copied(postgres_admin, postgres_database) as backup:
        record_example(engine, "wider")
        heads.append(t.head_of(engine))
        done = verify(backup, against=heads)
    assert (done.verdict, done.position) == (Verdict.FORK, 14)
    assert verify(engine, against=heads).verdict is Verdict.OK
    engine.dispose()
