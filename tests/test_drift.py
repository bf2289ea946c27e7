"""Drift: whatever somebody does to an answer table is found by a check and gone after a rebuild."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from recording import SOURCE, record_example, recorded
from tampering import run

from ledger.book import now
from ledger.errors import CouldNot
from ledger.projections.answer_tables import AnswerTables
from ledger.projections.projection import columns_of
from ledger.projections.releases import RELEASES, releases
from ledger.rebuild import rebuild
from ledger.store.connect import connect, reading

STREAM = "development/by-release-2025-12-13"
STANDS = f"stream = '{STREAM}' AND position_until IS NULL"
NAMES = ", ".join(columns_of(releases))
OTHERS = ", ".join(columns_of(releases)[1:])


def rows(engine: sa.Engine) -> Counter[Any]:
    """Return the rows of the answer table, each as often as it is there."""
    with reading(engine) as connection:
        found = connection.execute(sa.select(*(releases.c[c] for c in columns_of(releases))))
        return Counter(map(tuple, found))


@pytest.fixture
def built(engine: sa.Engine) -> sa.Engine:
    """A ledger whose releases are built."""
    record_example(engine, "article")
    record_example(engine, "wider")
    rebuild(engine, RELEASES, now)
    return engine


def loose(*statements: str) -> Callable[[sa.Engine], None]:
    """Return what makes the table one without any constraint, and runs the statements then."""
    return lambda engine: run(
        engine,
        "CREATE TABLE loose AS SELECT * FROM releases",
        "DROP TABLE releases",
        "ALTER TABLE loose RENAME TO releases",
        *statements,
    )


def with_stream(value: str) -> str:
    """Return the copy of a row under another stream."""
    return f"INSERT INTO releases ({NAMES}) SELECT {value}, {OTHERS} FROM releases WHERE {STANDS}"


MEDDLING: dict[str, Callable[[sa.Engine], None]] = {
    "number": lambda engine: run(engine, f"UPDATE releases SET low = 1000 WHERE {STANDS}"),
    "row gone": lambda engine: run(engine, f"DELETE FROM releases WHERE {STANDS}"),
    "stream without a name": lambda engine: run(engine, with_stream("''")),
    "stream of another category": lambda engine: run(engine, with_stream("'tally/x'")),
    "stream before every name": lambda engine: run(engine, with_stream("' '")),
    "stream behind every name": lambda engine: run(engine, with_stream("'~'")),
    "no stream": loose(with_stream("NULL")),
    "rows twice": loose(f"INSERT INTO releases SELECT * FROM releases WHERE {STANDS}"),
    "another one beside it": loose(
        f"INSERT INTO releases SELECT * FROM releases WHERE {STANDS}",
        f"UPDATE releases SET low = 1000 WHERE {STANDS}",
    ),
}


@pytest.mark.parametrize("meddle", MEDDLING.values(), ids=MEDDLING)
def test_whatever_is_in_a_table_is_compared(
    built: sa.Engine, meddle: Callable[[sa.Engine], None]
) -> None:
    """Rows that no event leads to are drift, whatever they are called, and go."""
    right = rows(built)
    meddle(built)
    assert rows(built) != right

    assert rebuild(built, RELEASES, now, check=True).outcome == "drift"
    assert rebuild(built, RELEASES, now).outcome == "drift"
    assert rows(built) == right
    assert rebuild(built, RELEASES, now).outcome == "ok"
    with reading(built) as connection:
        assert AnswerTables(RELEASES).have_keys(connection)


def test_drift_is_named_where_something_new_was_recorded(built: sa.Engine) -> None:
    """A row that was changed is drift also where its stream has had another report since."""
    run(built, f"UPDATE releases SET low = 1000 WHERE {STANDS}")
    recorded(built, f"""
kind: PrisonersReleased
development: by-release-2025-12-13
when: 2025-12-13
by: Belarus
total: 123
provenance: {SOURCE}
""")
    done = rebuild(built, RELEASES, now)
    assert (done.outcome, done.drift) == ("drift", 1)
    (drift,) = done.drifts
    assert (drift.key["stream"], drift.live is not None and drift.live["low"]) == (STREAM, 1000)
    assert rebuild(built, RELEASES, now, check=True).outcome == "ok"


def test_lost_keys_and_indexes_are_made_again(built: sa.Engine) -> None:
    """Tables with the right rows and without their keys or indexes are made anew."""
    right = rows(built)
    for meddle in (loose(), lambda engine: run(engine, "DROP INDEX releases_by_state")):
        meddle(built)
        assert rebuild(built, RELEASES, now, check=True).outcome == "ok"
        assert rebuild(built, RELEASES, now).outcome == "ok"
        with reading(built) as connection:
            assert AnswerTables(RELEASES).have_keys(connection)
        assert rows(built) == right


def test_lost_columns_are_made_again(built: sa.Engine) -> None:
    """A table without one of its columns cannot be compared, and a rebuild makes it anew."""
    right = rows(built)
    run(built, "ALTER TABLE releases DROP COLUMN reports")
    with pytest.raises(CouldNot, match="not all there"):
        rebuild(built, RELEASES, now, check=True)
    assert rebuild(built, RELEASES, now).outcome == "ok"
    assert rows(built) == right


@pytest.mark.parametrize(("meddle", "held", "wanted"), [
    (f"UPDATE releases SET disputed = 2 WHERE {STANDS}", 2, False),
    (with_stream("x'00ff'"), False, None),
    (with_stream("x''"), False, None),
])
def test_what_only_sqlite_holds_is_drift(
    sqlite_database: str, meddle: str, held: object, wanted: object
) -> None:
    """On SQLite a flag may be any number, and a stream may be bytes; the drift says which."""
    engine = connect(sqlite_database)
    record_example(engine, "article")
    rebuild(engine, RELEASES, now)
    right = rows(engine)
    run(engine, meddle)
    (drift,) = rebuild(engine, RELEASES, now).drifts
    assert (drift.live or {}).get("disputed") == held
    assert (drift.rebuilt or {}).get("disputed") == wanted
    assert rows(engine) == right
    engine.dispose()
