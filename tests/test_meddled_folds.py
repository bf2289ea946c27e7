"""What somebody changed behind the ledger's back, beside what is known of its folds."""

import json
from typing import Any

import pytest
import sqlalchemy as sa
from recording import all_of, record_example
from tampering import rewrite, run, unguard

from ledger import tables
from ledger.book import now
from ledger.projections.answer_tables import AnswerTables
from ledger.projections.code import code_of
from ledger.projections.digests import digest_of_entries, digest_of_fold, sums_of
from ledger.projections.registry import PROJECTIONS
from ledger.projections.releases import RELEASES
from ledger.rebuild import rebuild, rebuild_all
from ledger.store.connect import changing, connect, reading
from ledger.store.folds import read_ends
from ledger.store.read import entries_between, read_events, read_stream

STREAM = "development/by-release-2025-12-13"


@pytest.mark.parametrize("meddling", [
    "DELETE FROM folds", *(f"UPDATE folds SET {change}" for change in (
        "sums = 'no sums'", "sums = '7'", "sums = '{}'", """sums = '{"releases": 7}'""",
        """sums = '{"releases": []}'""", "sums = replace(sums, ': ', ': 2')",
        "sums = replace(sums, '}', '.5}')", f"sums = '{'[' * 9_000}'", "until = 'x' || until",
        """sums = replace(replace(sums, ': ', ': "'), '}', '"}')""",
        f"""sums = '{{"releases": {'[' * 960}{']' * 960}}}'""",
        "digest = 'mine'", "digest = upper(digest)",
    )),
])
def test_what_makes_no_sense_is_not_known(built: sa.Engine, meddling: str) -> None:
    """Whoever changes what is known of the folds makes a rebuild fold, and nothing worse."""
    run(built, meddling)
    done = rebuild(built, RELEASES, now)
    assert (done.outcome, done.folded) == ("ok", done.events)
    assert rebuild(built, RELEASES, now).folded == 0


@pytest.mark.parametrize("meddling", [
    "UPDATE folds SET sums = x'00ff'", "UPDATE releases SET low = x'00'",
    "UPDATE folds SET until = x'00' WHERE until = 'development0'",
    "UPDATE releases SET position_until = 9e999 WHERE position_until IS NULL",
    "UPDATE releases SET low = 'low'", "UPDATE releases SET disputed = 2",
    f"UPDATE releases SET stream = x'00' WHERE stream = '{STREAM}'",
])
def test_what_only_sqlite_holds_is_not_known(sqlite_database: str, meddling: str) -> None:
    """On SQLite whatever is put into what is known, or into rows that are, can be bytes."""
    engine = connect(sqlite_database)
    record_example(engine, "article")
    rebuild_all(engine, PROJECTIONS, now)
    run(engine, meddling)
    is_drift = "UPDATE releases" in meddling
    done = rebuild(engine, RELEASES, now)
    assert (done.outcome, done.folded > 0) == ("drift" if is_drift else "ok", True)
    assert rebuild(engine, RELEASES, now, check=True, anew=True).outcome == "ok"
    engine.dispose()


@pytest.mark.parametrize("entry", ["CAST(entry AS TEXT)", "7", "x'00'", "CAST('' AS BLOB)"])
def test_an_entry_of_another_kind_is_folded(sqlite_database: str, entry: str) -> None:
    """An entry that SQLite holds as text, or as no entry at all, is read as it was before: it is
    folded, or the projection stalls there, also when it was known."""
    engine = connect(sqlite_database)
    record_example(engine, "article")
    rebuild(engine, RELEASES, now)
    unguard(engine)
    run(engine, f"UPDATE events SET entry = {entry} WHERE position = 3")
    for anew in (False, True):
        done = rebuild(engine, RELEASES, now, check=True, anew=anew)
        assert done.folded == done.events
        assert (done.outcome, done.stalled_at) == (
            ("ok", None) if "TEXT" in entry else ("stalled", 3))
    engine.dispose()


def test_what_cannot_be_read_is_mended_by_folding_all(sqlite_database: str) -> None:
    """Where SQLite holds what is no text as the end of a piece, `anew` does not ask for it."""
    engine = connect(sqlite_database)
    record_example(engine, "article")
    rebuild(engine, RELEASES, now)
    run(engine, "UPDATE folds SET until = CAST(x'ff' AS TEXT)")
    with pytest.raises(sa.exc.OperationalError, match="decode"):
        rebuild(engine, RELEASES, now)
    assert rebuild(engine, RELEASES, now, check=True, anew=True).outcome == "ok"
    assert rebuild(engine, RELEASES, now, anew=True).outcome == "ok"
    assert rebuild(engine, RELEASES, now).folded == 0
    engine.dispose()


def test_values_that_no_digest_is_of(postgres_database: str) -> None:
    """Where somebody made a column hold numbers of another kind, its rows are folded each time."""
    engine = connect(postgres_database)
    record_example(engine, "article")
    rebuild(engine, RELEASES, now)
    run(engine, "ALTER TABLE releases ALTER low TYPE numeric")
    for _ in range(2):
        done = rebuild(engine, RELEASES, now)
        assert (done.outcome, done.folded) == ("ok", done.events)
    engine.dispose()


@pytest.mark.parametrize(("type", "change"), [
    ("PrisonersReleased", {"stage": 5}), ("DevelopmentsLinked", {"denied": []}),
])
def test_a_changed_entry_that_gives_no_rows(
    built: sa.Engine, type: str, change: dict[str, Any]
) -> None:
    """An entry that somebody changed to what folds to no row that a table holds stalls there, or at
    the next one that meets it, and stops nobody else."""
    record_example(built, "article")
    rebuild_all(built, PROJECTIONS, now)
    with reading(built) as connection:
        event = next(event for event in read_events(connection) if event.type == type)
        near = [one.position for one in read_stream(connection, event.stream)]
    unguard(built)
    rewrite(built, event.position, {"data": {**event.data, **change}})
    for anew in (False, True):
        runs = rebuild_all(built, PROJECTIONS, now, check=True, anew=anew)
        stalled = {done.projection: done.stalled_at for done in runs if done.outcome == "stalled"}
        assert 0 < len(stalled) < len(PROJECTIONS)
        assert all(at in near and at >= event.position for at in stalled.values())


def test_who_changes_what_is_known_as_well_is_found_by_folding(built: sa.Engine) -> None:
    """Whoever changes a row, and what is known of its piece to match, is not noticed by a rebuild,
    but by one that folds everything, which mends it."""
    run(built, f"UPDATE releases SET low = 1000 WHERE stream = '{STREAM}'")
    forge(built)

    for check in (True, False):
        assert rebuild(built, RELEASES, now, check=check).outcome == "ok"
    assert rebuild(built, RELEASES, now, check=True, anew=True).outcome == "drift"
    assert rebuild(built, RELEASES, now, anew=True).outcome == "drift"
    assert rebuild(built, RELEASES, now, check=True, anew=True).outcome == "ok"


def forge(engine: sa.Engine) -> None:
    """Make what is known of the releases fit the rows that are there."""
    code = code_of(RELEASES)
    assert code is not None
    with changing(engine) as connection:
        after = ""
        for until in read_ends(connection):
            live = AnswerTables(RELEASES).read(connection, after, until)
            entries = entries_between(connection, "development", after, until, all_of(engine))
            sums = sums_of(live)
            digest = digest_of_fold(RELEASES, code, digest_of_entries(entries), live, sums)
            connection.execute(
                sa.update(tables.folds)
                .where(tables.folds.c.projection == "releases", tables.folds.c.until == until)
                .values(digest=digest, sums=json.dumps(sums))
            )
            after = until
