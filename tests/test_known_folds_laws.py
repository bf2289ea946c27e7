"""What was folded before, whatever happens in between: as if everything was folded each time."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from unittest import mock

import history_strategies as past
import sqlalchemy as sa
from fresh_ledgers import Fresh
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from naive_fold import Tables, naive_rows

from ledger import folding
from ledger.book import now
from ledger.errors import CouldNot
from ledger.projections.answer_tables import AnswerTables
from ledger.projections.projection import Projection
from ledger.projections.registry import PROJECTIONS
from ledger.rebuild import catch_up, rebuild
from ledger.store.append import append
from ledger.store.connect import changing, reading, writing
from ledger.store.read import read_events

EXAMPLES = int(os.environ.get("LEDGER_EXAMPLES", "0"))
"""How many histories are tried; 0: as few as are enough for every day."""
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
