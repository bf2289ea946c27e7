"""What was folded before: a rebuild does not fold it again, and notices all that a fold would."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest import mock

import history_strategies as past
import pytest
import sqlalchemy as sa
from fresh_ledgers import Fresh
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from naive_fold import Tables, naive_rows
from recording import record_example, recorded, release
from tampering import rewrite, run, unguard

from ledger import folding, tables
from ledger.book import now
from ledger.developments import Live
from ledger.errors import CouldNot
from ledger.events import RecordedEvent
from ledger.projections import code
from ledger.projections.answer_tables import AnswerTables
from ledger.projections.code import code_of, digest_of_files
from ledger.projections.digests import digest_of_rows, sums_of
from ledger.projections.projection import Fold, Projection, Said
from ledger.projections.registry import PROJECTIONS
from ledger.projections.releases import RELEASES, of_step, releases
from ledger.rebuild import catch_up, rebuild, rebuild_all
from ledger.run import Run
from ledger.store.append import append
from ledger.store.connect import changing, connect, reading, writing
from ledger.store.folds import read_marks
from ledger.store.read import read_events, read_head, stream_marks

EXAMPLES = int(os.environ.get("LEDGER_EXAMPLES", "0"))
"""How many histories are tried; 0: as few as are enough for every day."""
STREAM = "development/by-release-2025-12-13"


def folded(runs: list[Run]) -> list[int]:
    """How many events each of them folded."""
    return [done.folded for done in runs]


def all_of(engine: sa.Engine) -> int:
    """How many events the ledger has."""
    with reading(engine) as connection:
        return read_head(connection).size


@pytest.fixture
def built(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> sa.Engine:
    """A ledger in parts of a few events, all of whose tables are built."""
    monkeypatch.setattr(folding, "EVENTS", 3)
    record_example(engine, "wider")
    rebuild_all(engine, PROJECTIONS, now)
    return engine


def test_what_was_folded_is_not_folded_again(built: sa.Engine) -> None:
    """Whether the tables were built or compared, the next rebuild and the next check read all
    events, fold none, and have the digest and number of rows of one that folds all of them."""
    anew = rebuild_all(built, PROJECTIONS, now, check=True, anew=True)
    assert folded(anew) == [done.events for done in anew]
    assert sum(folded(anew)) > all_of(built)
    for check in (False, True):
        again = rebuild_all(built, PROJECTIONS, now, check=check)
        assert folded(again) == [0] * len(PROJECTIONS)
        for one, other in zip(again, anew, strict=True):
            assert one.outcome == "ok"
            assert (one.events, one.rows, one.digest) == (other.events, other.rows, other.digest)


def test_only_the_part_with_news_is_folded(built: sa.Engine) -> None:
    """After something new in one stream its part is folded once, by the first rebuild that has it
    behind its checkpoint; the other parts are not."""
    recorded(built, release("by-release-2025-12-13", total=123))
    catch_up(built, RELEASES, now)

    done = rebuild(built, RELEASES, now)
    assert (done.outcome, done.position) == ("ok", all_of(built))
    assert 0 < done.folded < done.events
    assert rebuild(built, RELEASES, now).folded == 0


def test_parts_stay_where_they_ended(built: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that comes in between two others leaves the ends of the other parts as they were,
    and a part that has grown beyond twice its size is divided."""
    with reading(built) as connection:
        before = list(stream_marks(connection, "development", 3))
    assert len(before) > 3
    for number in range(9):
        recorded(built, release(f"{before[1].removeprefix('development/')}-{number}"))
    with reading(built) as connection:
        after = list(stream_marks(connection, "development", 3, before))

    assert set(before) < set(after)
    assert [mark for mark in after if before[1] < mark < before[2]] == [
        f"{before[1]}-{number}" for number in (2, 5)
    ]


def test_a_changed_row_is_found(built: sa.Engine) -> None:
    """A row that somebody changed, took away or added is drift, and its part alone is folded."""
    columns = ", ".join(column.name for column in releases.c if column.name != "stream")
    copy = f"INSERT INTO releases (stream, {columns}) SELECT 'development/a', {columns}"
    for meddling in (
        f"UPDATE releases SET low = 1000 WHERE stream = '{STREAM}' AND position_until IS NULL",
        f"UPDATE releases SET disputed = NOT disputed WHERE stream = '{STREAM}'",
        f"DELETE FROM releases WHERE stream = '{STREAM}'",
        f"{copy} FROM releases WHERE stream = '{STREAM}' AND position_until IS NULL",
    ):
        run(built, meddling)
        for check in (True, False):
            done = rebuild(built, RELEASES, now, check=check)
            assert (done.outcome, done.drifts[0].table) == ("drift", "releases")
            assert 0 < done.folded < done.events
        assert rebuild(built, RELEASES, now, check=True, anew=True).outcome == "ok"


def test_a_changed_entry_is_folded(built: sa.Engine) -> None:
    """Entries that are not what they were, as on a disk that was put back, are folded, and give
    what they say now."""
    with reading(built) as connection:
        event = max(
            (event for event in read_events(connection) if event.stream == STREAM),
            key=lambda event: event.stream_version,
        )
    unguard(built)
    rewrite(built, event.position, {"data": {**event.data, "stage": "ordered"}})

    done = rebuild(built, RELEASES, now)
    assert done.outcome == "drift"
    assert 0 < done.folded < done.events
    stages = {(drift.live or {}).get("stage") for drift in done.drifts}
    assert stages != {(drift.rebuilt or {}).get("stage") for drift in done.drifts}
    assert rebuild(built, RELEASES, now, check=True, anew=True).outcome == "ok"


def test_other_code_folds_everything(built: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another version of the package folded is folded again."""
    monkeypatch.setattr(code, "_CODE", "another")
    code_of.cache_clear()
    done = rebuild(built, RELEASES, now)
    monkeypatch.undo()
    code_of.cache_clear()

    assert done.folded == done.events
    assert rebuild(built, RELEASES, now, check=True).folded == done.events


def of_nobody(live: Live) -> Said:
    """A fold that is in no package."""
    return of_step(live)


@pytest.mark.parametrize("of_step", [of_nobody, partial(of_nobody), lambda live: of_step(live)])
def test_others_folds_are_always_folded(
    built: sa.Engine, of_step: Callable[[Live], Said]
) -> None:
    """Of a function that is not in the package nobody knows what it rests on."""
    theirs = replace(RELEASES, of_step=of_step)
    assert code_of(theirs) is None
    for _ in range(2):
        done = rebuild(built, theirs, now)
        assert (done.outcome, done.folded) == ("ok", done.events)


def test_code_is_all_that_a_fold_rests_on(tmp_path: Path) -> None:
    """Another digest for each projection, for another version, question or table of it, and for
    any other byte or name of a file; compiled files do not count."""
    others = [
        replace(RELEASES, version=99), replace(RELEASES, reports=frozenset({"TalksHeld"})),
        replace(RELEASES, of_ties=PROJECTIONS[-1].of_ties), replace(RELEASES, of_step=None),
        replace(RELEASES, tables=RELEASES.tables[:1]), replace(RELEASES, category="tally"),
    ]
    digests = {code_of(projection) for projection in (*PROJECTIONS, *others)}
    assert None not in digests
    assert len(digests) == len(PROJECTIONS) + len(others)

    (tmp_path / "room").mkdir()
    told = []
    for name, text in (("a.py", "1"), ("a.py", "2"), ("room/b.py", "2"), ("names.tsv", "")):
        (tmp_path / name).write_text(text)
        told.append(digest_of_files(tmp_path))
    (tmp_path / "names.tsv").rename(tmp_path / "name.tsv")
    told.append(digest_of_files(tmp_path))
    assert len(set(told)) == len(told)
    (tmp_path / "room" / "__pycache__").mkdir()
    (tmp_path / "room" / "__pycache__" / "b.pyc").write_bytes(b"3")
    assert digest_of_files(tmp_path) == told[-1]


def test_a_stalled_part_is_not_known(built: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an event could not be applied, its part is folded until it can be."""
    recorded(built, release("by-release-2025-12-13", total=123))
    catch_up(built, RELEASES, now)
    take = Fold.take

    def refuse(fold: Fold, stream: str, events: list[RecordedEvent]) -> None:
        if stream == STREAM:
            fold.stall([RELEASES], events[-1].position, ValueError("no"))
        else:
            take(fold, stream, events)

    with monkeypatch.context() as patch:
        patch.setattr(Fold, "take", refuse)
        for _ in range(2):
            stalled = rebuild(built, RELEASES, now)
            assert (stalled.outcome, stalled.stalled_at) == ("stalled", all_of(built))
            assert 0 < stalled.folded < stalled.events

    mended = rebuild(built, RELEASES, now)
    assert (mended.outcome, mended.folded) == ("ok", stalled.folded)
    assert rebuild(built, RELEASES, now).folded == 0


@pytest.mark.parametrize("meddling", [
    "DELETE FROM folds", *(f"UPDATE folds SET {change}" for change in (
        "sums = 'no sums'", "sums = '7'", "sums = '{}'", """sums = '{"releases": 7}'""",
        """sums = '{"releases": []}'""", "until = 'x' || until", "rows = entries",
        "entries = code", "code = 'mine'",
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
])
def test_what_only_sqlite_holds_is_not_known(sqlite_database: str, meddling: str) -> None:
    """On SQLite whatever is put into what is known, or into rows that are, can be bytes."""
    engine = connect(sqlite_database)
    record_example(engine, "article")
    rebuild_all(engine, PROJECTIONS, now)
    run(engine, meddling)
    assert rebuild(engine, RELEASES, now).outcome == ("drift" if "low" in meddling else "ok")
    assert rebuild(engine, RELEASES, now, check=True, anew=True).outcome == "ok"
    engine.dispose()


def test_who_changes_what_is_known_as_well_is_found_by_folding(built: sa.Engine) -> None:
    """Whoever changes a row, and what is known of its part to match, is not noticed by a rebuild,
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
    with changing(engine) as connection:
        after = ""
        for until in read_marks(connection, ["releases"]):
            live = AnswerTables(RELEASES).read(connection, after, until)
            connection.execute(
                sa.update(tables.folds)
                .where(tables.folds.c.projection == "releases", tables.folds.c.until == until)
                .values(rows=digest_of_rows(RELEASES, live), sums=json.dumps(sums_of(live)))
            )
            after = until


Doing = tuple[int, str, int]
"""How many events are appended, what is done after that, and how many events make a part then."""
DOINGS = st.tuples(
    st.integers(0, 8), st.sampled_from(("catch_up", "meddle", "rebuild", "check")),
    st.sampled_from((1, 2, 7, 500)),
)


@settings(max_examples=EXAMPLES or 5, phases=[Phase.generate])
@given(past.histories(15, 40), st.lists(DOINGS, min_size=4, max_size=7), st.data())
def test_it_is_as_if_everything_was_folded(
    fresh: Fresh, said: tuple[past.Said, ...], plan: list[Doing], data: st.DataObject
) -> None:
    """Whatever was appended, caught up, changed by somebody and rebuilt before, and in whichever
    parts: a rebuild ends in the rows of a naive fold, and has the outcome and the digest that one
    has which folds everything."""
    with fresh() as engine:
        done = 0
        for many, what, size in plan:
            put(engine, said[done : done + many], done + 1)
            done = min(done + many, len(said))
            with mock.patch.object(folding, "EVENTS", size):
                for projection in PROJECTIONS:
                    WORK[what](engine, projection, data)
        for projection in PROJECTIONS:
            rebuild(engine, projection, now)
            with reading(engine) as connection:
                wanted = naive_rows([projection], read_events(connection))
            assert rows_in(engine, projection) == wanted


def put(engine: sa.Engine, said: tuple[past.Said, ...], start: int) -> None:
    """Append the events."""
    if said:
        with writing(engine) as connection:
            append(connection, past.as_new(said, start), recorded_by="a tester", clock=now)


def rows_in(engine: sa.Engine, projection: Projection) -> Tables:
    """Every row that the projection's tables hold."""
    with reading(engine) as connection:
        return {
            table.name: {tuple(row) for row in connection.execute(sa.select(table))}
            for table in projection.tables
        }


def meddle(engine: sa.Engine, projection: Projection, data: st.DataObject) -> None:
    """Take away the rows of one stream, where there are any."""
    with changing(engine) as connection:
        live = AnswerTables(projection)
        if not live.exist(connection):
            return
        tables_of = live.read(connection, "", None).values()
        streams = sorted({row[0] for rows in tables_of for row in rows})
        if streams:
            live.forget(connection, [data.draw(st.sampled_from(streams))])


def compare(engine: sa.Engine, projection: Projection, _: st.DataObject) -> None:
    """Check twice: where it folds everything, and where it does not, the same is found."""
    with suppress(CouldNot):
        anew = rebuild(engine, projection, now, check=True, anew=True)
        known = rebuild(engine, projection, now, check=True)
        assert known.folded <= anew.folded
        assert replace(known, folded=0, started_at="", ended_at="") == replace(
            anew, folded=0, started_at="", ended_at="")


WORK: dict[str, Callable[[sa.Engine, Projection, st.DataObject], object]] = {
    "catch_up": lambda engine, projection, _: catch_up(engine, projection, now),
    "rebuild": lambda engine, projection, _: rebuild(engine, projection, now),
    "check": compare,
    "meddle": meddle,
}
