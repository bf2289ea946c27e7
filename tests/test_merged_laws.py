"""What is merged, in every answer and whatever is recorded: held against a plain reference."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import history_strategies as past
import merged_reference as plain
import pytest
import sqlalchemy as sa
from folding_process import folded_rows
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from ledger import tables
from ledger.answers.coded_events import coded_events
from ledger.answers.disputes import disputes
from ledger.answers.exchanges import exchanges
from ledger.answers.people import people
from ledger.answers.sanctions import sanctions
from ledger.answers.talks import talks
from ledger.projections.projection import metadata
from ledger.projections.registry import PROJECTIONS

EXAMPLES = int(os.environ.get("LEDGER_EXAMPLES", "0"))
"""How many histories each test tries; 0: as few as are enough for every day."""
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def memory() -> sa.Engine:
    """A ledger without events in memory, with all answer tables."""
    engine = sa.create_engine("sqlite://")
    tables.metadata.create_all(engine)
    metadata.create_all(engine)
    return engine


@contextmanager
def filled(memory: sa.Engine, rows: plain.Tables, size: int) -> Iterator[sa.Connection]:
    """Put the rows into the answer tables as if so many events had been taken in."""
    with memory.begin() as connection:
        for table in (*metadata.tables.values(), tables.checkpoints, tables.tree_head):
            connection.execute(sa.delete(table))
        for name, of_table in rows.items():
            if of_table:
                connection.execute(sa.insert(metadata.tables[name]), of_table)
        connection.execute(sa.insert(tables.tree_head).values(
            id=1, size=size, root=b"", frontier=b"", recorded_at=""))
        connection.execute(sa.insert(tables.checkpoints), [
            {"projection": projection.name, "projection_version": projection.version,
             "position": size, "rebuilt_at": ""}
            for projection in PROJECTIONS
        ])
        yield connection


def rows_of(said: tuple[past.Said, ...]) -> plain.Tables:
    """Return all rows of all answer tables after the events, by table."""
    found: dict[str, Rows] = {name: [] for name in metadata.tables}
    for category in {projection.category for projection in PROJECTIONS}:
        together = [one for one in PROJECTIONS if one.category == category]
        for (name, *_), row in folded_rows(together, past.as_recorded(said)).items():
            found[name].append(row)
    return found


def standing(rows: plain.Tables, at: int) -> plain.Tables:
    """Return the rows that stood at a position, as if they had come to stand by it."""
    return {
        name: [
            {**row, "position_until": None} for row in of_table
            if row["position_from"] <= at < (row["position_until"] or at + 1)
        ]
        for name, of_table in rows.items()
    }


CASES = st.tuples(past.histories(10, 40), st.integers(0, 40)).map(
    lambda drawn: (drawn[0], min(drawn[1], len(drawn[0])))
)
"""A history and a position in it."""
Case = tuple[tuple[past.Said, ...], int]
Pairs = Iterator[tuple[Rows, Rows]]
"""What is answered, and what the reference says."""
Both = Callable[[sa.Connection, int, plain.Tables, plain.Names], Pairs]


def in_order(rows: Rows) -> list[str]:
    """Return the rows in an order of their own."""
    return sorted(repr(sorted(row.items())) for row in rows)


def both_talks(connection: sa.Connection, at: int, rows: plain.Tables, names: plain.Names) -> Pairs:
    """Yield both answers, of all and of one party."""
    for party in (None, "US", "EU"):
        yield talks(connection, state=party, as_of=at).rows, plain.talks_of(rows, names, party)


def both_disputes(
    connection: sa.Connection, at: int, rows: plain.Tables, names: plain.Names
) -> Pairs:
    """Yield both answers, of all and of one state."""
    for state in (None, "BY", "RU"):
        found = disputes(connection, state=state, as_of=at).rows
        yield found, plain.disputes_of(rows, names, state)


def both_coded(connection: sa.Connection, at: int, rows: plain.Tables, names: plain.Names) -> Pairs:
    """Yield both answers, for ever and between days."""
    for since, until in ((None, None), ("2025-12-13",) * 2, ("2025-12-01", "2025-12-20")):
        found = coded_events(connection, since=since, until=until, as_of=at).rows
        yield found, plain.coded_of(rows, names, "done", since or "", until or plain.OPEN)


@pytest.mark.parametrize("both", [both_talks, both_disputes, both_coded])
@settings(max_examples=EXAMPLES or 25)
@given(CASES)
def test_an_answer_unites_what_is_merged(memory: sa.Engine, both: Both, case: Case) -> None:
    """Talks, disputes and coded events of a group are those of all its developments together, as
    of any position."""
    said, at = case
    every, names = rows_of(said), plain.names_at(past.as_recorded(said)[:at])
    with filled(memory, every, len(said)) as connection:
        for found, wanted in both(connection, at, standing(every, at), names):
            assert in_order(found) == in_order(wanted)


ASKED: Mapping[Callable[..., Any], tuple[dict[str, Any], ...]] = {
    people: ({}, {"state": "BY"}, {"valid_at": "2025-12-13"}),
    sanctions: ({"valid_at": "9999-12-31"}, {"state": "BY", "valid_at": "2025-12-13"}),
    exchanges: ({}, {"valid_at": "2025-12-12"}),
}


def nameless(rows: Rows, names: plain.Names) -> Rows:
    """Return the rows with the first name of whatever they name, and nothing about the others."""
    aside = ("same_as", "to_same_as")
    return [
        {column: names.get(value, (value,))[0] if column in ("development", "to", "person")
         else value for column, value in row.items() if column not in aside}
        for row in rows
    ]


@pytest.mark.parametrize("ask", ASKED)
@settings(max_examples=EXAMPLES or 25)
@given(CASES)
def test_what_is_merged_is_as_if_it_never_had_two_names(
    memory: sa.Engine, ask: Callable[..., Any], case: Case
) -> None:
    """People, sanctions and exchanges are those of a record in which every development and every
    person has one name, as of any position."""
    said, at = case
    every, names = rows_of(said), plain.names_at(past.as_recorded(said)[:at])
    with filled(memory, every, len(said)) as connection:
        found = [ask(connection, as_of=at, **asked).rows for asked in ASKED[ask]]
    one_name = {**plain.renamed(standing(every, at), names), "merges": [], "person_merges": []}
    with filled(memory, one_name, len(said)) as connection:
        wanted = [ask(connection, **asked).rows for asked in ASKED[ask]]
    assert [in_order(nameless(rows, names)) for rows in found] == [
        in_order(nameless(rows, names)) for rows in wanted
    ]
    for row in (row for rows in found for row in rows):
        for column, same_as in (("development", "same_as"), ("person", "same_as"),
                                ("to", "to_same_as")):
            if column in row:
                assert {row[column], *row[same_as]} == {*names.get(row[column], [row[column]])}


@pytest.mark.parametrize("type", ["DevelopmentsMerged", "PersonsMerged"])
def test_histories_merge_and_take_it_back(type: str) -> None:
    """Developments and persons are merged in histories, and such merges withdrawn."""
    category = "person/" if type == "PersonsMerged" else "development/"

    def both(said: tuple[past.Said, ...]) -> bool:
        ended = [one.data["position"] for one in said if one.type == "MergeWithdrawn"
                 and one.stream.startswith(category)]
        return any(said[position - 1].type == type for position in ended)

    any_one = settings(max_examples=5_000, phases=[Phase.generate])
    assert both(find(past.histories(10, 40), both, settings=any_one))
