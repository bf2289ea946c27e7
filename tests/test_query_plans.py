"""What an answer about one state or development reads: its own rows, and what they are merged with.

The first half looks at SQLite's query plans: a question about one state or one development searches
answer tables by an index and never scans one. The second half holds the answer that follows merges
from one state's rows against the one that is worked out for all states.
"""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from recording import question_named, record_example, recorded

from ledger.answers.answer import position_at
from ledger.answers.coded_events import coded_events
from ledger.answers.disputes import disputes
from ledger.answers.exchanges import exchanges
from ledger.answers.explaining import READS as EXPLAINED
from ledger.answers.explaining import explain_releases
from ledger.answers.people import people
from ledger.answers.releases import releases
from ledger.answers.sanctions import sanctions
from ledger.answers.talks import talks
from ledger.answers.tallies import tallies
from ledger.book import now
from ledger.projections.merges import MERGES, merges
from ledger.projections.projection import metadata
from ledger.projections.registry import PROJECTIONS
from ledger.projections.release_totals import Scope, totals_of
from ledger.projections.releases import RELEASES, release_citizenships
from ledger.projections.releases import releases as releases_table
from ledger.rebuild import rebuild
from ledger.store.connect import connect, reading

ALIASES = ("same", "row", "listed")
"""Names that questions give to answer tables where they read one twice."""
TABLES = frozenset((*metadata.tables, *ALIASES, "events", "disclosures"))
Ask = Callable[..., Any]
QUESTIONS: tuple[tuple[Ask, dict[str, Any]], ...] = (
    (releases, {"state": "BY"}),
    (releases, {"state": "BY", "by": "day", "since": "2025-01-01", "until": "2025-12-31"}),
    (releases, {"state": "BY", "by": "state"}),
    (releases, {"state": "BY", "count": "persons", "reversals": "net"}),
    (explain_releases, {"state": "BY", "reversals": "net"}),
    (explain_releases, {"state": "BY"}),
    (explain_releases, {"state": "BY", "citizenship": "PL"}),
    (tallies, {"state": "BY"}),
    (disputes, {"state": "BY"}),
    (sanctions, {"state": "BY"}),
    (talks, {"state": "BY"}),
    (people, {"state": "BY"}),
    *(
        (ask, {"development": "by-release-2025-12-13"})
        for ask in (releases, disputes, sanctions, talks, people, exchanges, coded_events)
    ),
)

MERGED = (
    "- {kind: PersonIdentified, person: p-6j9b, name: A. Name,"
    " provenance: {publisher: A, locator: p 1}}\n"
) + "".join(
    f"- {{kind: {kind}, {what}: {one}, same_as: {other}, reason: x}}\n"
    for kind, what, one, other in (
        ("DevelopmentsMerged", "development", "by-release-2025-12-13", "by-release-2025-06-21"),
        ("DevelopmentsMerged", "development", "by-us-talks-2025-12-13", "by-us-talks-2025-09-11"),
        ("PersonsMerged", "person", "p-2c6r", "p-6j9b"),
    )
)


@pytest.fixture(scope="module")
def filled(sqlite_template: Any, tmp_path_factory: pytest.TempPathFactory) -> sa.Engine:
    """A SQLite ledger with both examples, some of it merged, and every answer table."""
    path = tmp_path_factory.mktemp("plans") / "ledger.db"
    path.write_bytes(sqlite_template.read_bytes())
    engine = connect(str(path))
    record_example(engine, "article")
    record_example(engine, "wider")
    recorded(engine, MERGED)
    for projection in PROJECTIONS:
        rebuild(engine, projection, now)
    return engine


def plan_of(engine: sa.Engine, ask: Ask, **question: Any) -> list[str]:
    """Return every step of the plans of all statements that a question runs."""
    ran: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *rest: Any) -> None:
        ran.append((statement, parameters))

    with reading(engine) as connection:
        sa.event.listen(engine, "before_cursor_execute", note)
        try:
            ask(connection, **question)
        finally:
            sa.event.remove(engine, "before_cursor_execute", note)
        return [
            str(row[3])
            for statement, parameters in ran
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]


def scanned(plan: list[str]) -> list[str]:
    """Return the steps that read a whole table of the ledger, or a whole index of one."""
    words = [step.split() for step in plan]
    return [" ".join(step) for step in words if step[0] == "SCAN" and step[1] in TABLES]


@pytest.mark.parametrize("as_of", [None, 5])
@pytest.mark.parametrize(("ask", "question"), QUESTIONS)
def test_searches_by_an_index(
    filled: sa.Engine, ask: Ask, question: dict[str, Any], as_of: int | None
) -> None:
    """A question about one state or one development scans no table and searches by an index."""
    plan = plan_of(filled, ask, **question, as_of=as_of)
    assert scanned(plan) == []
    assert any(step.startswith("SEARCH") and "INDEX" in step for step in plan)


@pytest.mark.parametrize("as_of", [None, 13])
def test_no_merge_of_others_is_read(filled: sa.Engine, as_of: int | None) -> None:
    """A question about a state looks up its own developments and persons among what is merged, and
    about a development that one; where none is merged, once."""
    for ask, question in QUESTIONS:
        plan = plan_of(filled, ask, **question, as_of=as_of)
        looked_up = [step for step in plan if " merges " in step or " person_merges " in step]
        assert looked_up, ask
        assert all(step.startswith("SEARCH") and "_by_" in step for step in looked_up)
    alone = plan_of(filled, talks, development="by-us-talks-2025-06-21", as_of=as_of)
    assert sum(" merges " in step for step in alone) == 1


@pytest.mark.parametrize(("ask", "question"), QUESTIONS)
def test_a_question_names_all_that_it_reads(
    filled: sa.Engine, ask: Ask, question: dict[str, Any]
) -> None:
    """Every answer table in the plans is one of a projection that the question names."""
    words = {word for step in plan_of(filled, ask, **question) for word in step.split()}
    named = EXPLAINED if ask is explain_releases else question_named(ask.__name__).reads(question)
    own = {table.name for projection in named for table in projection.tables}
    assert own & words
    assert words & {*metadata.tables} <= own


def test_a_scan_is_seen(filled: sa.Engine) -> None:
    """A question about all states scans a table, which the test before would see."""
    plan = plan_of(filled, people)
    assert "SCAN people USING COVERING INDEX people_by_holder" in scanned(plan)


def test_a_time_is_found_by_position(filled: sa.Engine) -> None:
    """The position that a time means is found by looking up positions, never by a scan."""

    def ask(connection: sa.Connection) -> int | None:
        return position_at(connection, "2025-12-13T18:00:00Z")

    plan = plan_of(filled, ask)
    assert "SEARCH events USING INTEGER PRIMARY KEY (rowid=?)" in plan
    assert scanned(plan) == []


def test_indexes_are_made(filled: sa.Engine) -> None:
    """A rebuild makes every index that an answer table declares."""
    with filled.connect() as connection:
        inspector = sa.inspect(connection)
        for table in metadata.tables.values():
            made = {index["name"] for index in inspector.get_indexes(table.name)}
            assert {index.name for index in table.indexes} <= made


# One state against all of them.

FILLED = (*RELEASES.tables, *MERGES.tables)
STATES, STREAMS = ("AA", "BB", "CC"), ("a", "b", "c", "d", "e", "f")
NUMBER = st.one_of(st.none(), st.integers(0, 3))
DAY = st.sampled_from([None, "2025-01-01", "2025-01-02", "2025-01-03"])
SPAN = st.tuples(st.integers(1, 4), st.sampled_from([None, 3, 5]))
"""The positions from and until which a row stands."""
RELEASE = st.tuples(
    SPAN, st.sampled_from(STATES), DAY, DAY, st.integers(0, 2), NUMBER, NUMBER, st.booleans()
)
CELL = st.tuples(SPAN, st.sampled_from(["PL", "UA"]), st.integers(0, 2), NUMBER,
                 st.integers(0, 2))
WORLDS = st.fixed_dictionaries({
    "releases": st.dictionaries(st.sampled_from(STREAMS), RELEASE, min_size=1),
    "cells": st.dictionaries(st.sampled_from(STREAMS), CELL),
    "merges": st.dictionaries(
        st.tuples(st.sampled_from(STREAMS), st.sampled_from(STREAMS)), SPAN, max_size=5
    ),
})


@pytest.fixture(scope="module")
def tables() -> sa.Engine:
    """The answer tables of releases, in memory."""
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine, FILLED)
    return engine


def fill(connection: sa.Connection, world: dict[str, Any]) -> None:
    """Put a world into the tables in place of what is there."""
    for table in FILLED:
        connection.execute(sa.delete(table))
    for stream, (span, by, first, last, low, high, other, odd) in world["releases"].items():
        connection.execute(sa.insert(releases_table).values(
            stream=stream, stage="done", position_from=span[0], position_until=span[1],
            released_by=by, valid_from=first, valid_until=last, low=low, high=high,
            other_high=other, disputed=odd, positions="1" if odd else "", reports=1,
        ))
    for stream, (span, code, low, high, several) in world["cells"].items():
        connection.execute(sa.insert(release_citizenships).values(
            stream=stream, stage="done", position_from=span[0], position_until=span[1],
            citizenship=code, low=low, high=high, several=several,
        ))
    for (stream, other), span in world["merges"].items():
        for one, same_as in {(stream, other), (other, stream)}:  # also a merge with itself
            connection.execute(sa.insert(merges).values(
                stream=stream, development=one, same_as=same_as,
                position_from=span[0], position_until=span[1],
            ))


def groups_of(connection: sa.Connection, scope: Scope) -> dict[str, tuple[Any, ...]]:
    """Return each group by name: itself, its members and its citizenships."""
    totals, values = totals_of(scope)
    member, cell = totals.members, totals.cells
    found: dict[str, tuple[Any, ...]] = {
        row.grp: (tuple(row), set(), set())
        for row in connection.execute(sa.select(totals.groups), values)
    }
    for row in connection.execute(sa.select(member), values):
        if row.grp in found:
            found[row.grp][1].add(tuple(row))
    for row in connection.execute(sa.select(cell), values):
        found[row.grp][2].add(tuple(row))
    return found


@given(
    WORLDS, st.sampled_from(STATES), st.sampled_from([None, 1, 2, 3, 4]), DAY, DAY
)
@settings(max_examples=150)
def test_one_state_as_among_all(
    tables: sa.Engine,
    world: dict[str, Any],
    state: str,
    as_of: int | None,
    since: str | None,
    until: str | None,
) -> None:
    """Following merges from one state's rows finds just the groups, among those of all states, that
    one of its releases belongs to, as of any position and between any days."""
    with tables.begin() as connection:
        fill(connection, world)
        every = groups_of(connection, Scope(None, since, until, as_of=as_of))
        theirs = groups_of(connection, Scope(state, since, until, as_of=as_of))
        by = {stream: row[1] for stream, row in world["releases"].items()}
        wanted = {
            name: group
            for name, group in every.items()
            if any(by[member.stream] == state for member in _named(group[1]))
        }
        assert theirs == wanted


@given(WORLDS, st.sampled_from([None, 1, 2, 3, 4]))
@settings(max_examples=100)
def test_one_development_as_among_all(
    tables: sa.Engine, world: dict[str, Any], as_of: int | None
) -> None:
    """A question about one development is about its whole group and no other."""
    with tables.begin() as connection:
        fill(connection, world)
        every = groups_of(connection, Scope(as_of=as_of))
        for name, group in every.items():
            for member in _named(group[1]):
                one = groups_of(connection, Scope(as_of=as_of, development=member.stream))
                assert one == {name: group}


@given(WORLDS, st.sampled_from([None, 2, 4]))
@settings(max_examples=50)
def test_groups_are_what_is_connected(
    tables: sa.Engine, world: dict[str, Any], as_of: int | None
) -> None:
    """Developments are in one group exactly where merges that stand lead from one to the other."""
    with tables.begin() as connection:
        fill(connection, world)
        every = groups_of(connection, Scope(as_of=as_of))
    found = {member.stream: name for name, group in every.items() for member in _named(group[1])}
    root = {stream: stream for stream in STREAMS}
    for _ in STREAMS:
        for (stream, other), span in world["merges"].items():
            if _stands(span, as_of):
                root[stream] = root[other] = min(root[stream], root[other])
    standing = {s: root[s] for s, row in world["releases"].items() if _stands(row[0], as_of)}
    assert found == standing


def _stands(span: tuple[int, int | None], as_of: int | None) -> bool:
    if as_of is None:
        return span[1] is None
    return span[0] <= as_of and (span[1] is None or span[1] > as_of)


def _named(members: set[Any]) -> list[Any]:
    """Return the members with their stream by name; a member is (grp, stream, …)."""
    return [_Member(member[1]) for member in members]


class _Member:
    def __init__(self, stream: str) -> None:
        self.stream = stream
