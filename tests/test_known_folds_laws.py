"""What was folded before, whatever happens in between: as if everything was folded each time."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from unittest import mock

import history_strategies as past
import sqlalchemy as sa
from fresh_ledgers import Fresh
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from test_projection_properties import EXAMPLES, live, recorded, right

from ledger import folding, tables
from ledger.book import now
from ledger.errors import CouldNot
from ledger.projections.answer_tables import AnswerTables
from ledger.projections.projection import Projection
from ledger.projections.registry import PROJECTIONS
from ledger.rebuild import catch_up, rebuild, rebuild_all
from ledger.store.connect import changing

Doing = tuple[int, str, int, int]
"""How many events are appended, what is done after that, and how many make a part and a piece."""
DOINGS = st.tuples(
    st.integers(0, 8), st.sampled_from(("catch_up", "meddle", "rebuild", "check")),
    st.sampled_from((1, 2, 7, 500)), st.sampled_from((1, 2, 7, 500)),
)


@settings(max_examples=EXAMPLES or 5, phases=[Phase.generate])
@given(past.histories(15, 40), st.lists(DOINGS, min_size=4, max_size=7), st.data())
def test_it_is_as_if_everything_was_folded(
    fresh: Fresh, said: tuple[past.Said, ...], plan: list[Doing], data: st.DataObject
) -> None:
    """Whatever was appended, caught up, changed by somebody and rebuilt before, and in whichever
    parts and pieces: a rebuild ends in the rows of a naive fold, and has the outcome and the digest
    that one has which folds everything. Once all have read all, nothing is left to fold."""
    with fresh() as engine:
        done = 0
        for many, what, part, piece in plan:
            done = recorded(engine, said[done : done + many], done + 1) - 1
            with mock.patch.multiple(folding, EVENTS=part, PIECE=piece):
                for projection in PROJECTIONS:
                    WORK[what](engine, projection, data)
        for projection in PROJECTIONS:
            rebuild(engine, projection, now)
            assert live(engine, projection) == right(engine, projection)
        rebuild_all(engine, PROJECTIONS, now)
        assert {run.folded for run in rebuild_all(engine, PROJECTIONS, now)} == {0}


def meddle(engine: sa.Engine, projection: Projection, data: st.DataObject) -> None:
    """Take away the rows of one stream, end them earlier, or say that they are of another stream;
    or mix up what is known of two pieces."""
    with changing(engine) as connection:
        rows = AnswerTables(projection)
        if not rows.exist(connection):
            return
        tables_of = rows.read(connection, "", None).values()
        streams = sorted({row[0] for of_table in tables_of for row in of_table})
        if not streams:
            return
        stream = data.draw(st.sampled_from(streams))
        how = data.draw(st.sampled_from(("forget", "end", "rename", "mix up")))
        if how in ("forget", "rename"):
            rows.forget(connection, [stream] if how == "forget" else [f"{stream}-too"])
        for table in rows.tables.values() if how in ("end", "rename") else ():
            change = {"position_until": 1} if how == "end" else {"stream": f"{stream}-too"}
            connection.execute(sa.update(table).where(table.c.stream == stream).values(change))
        if how == "mix up":
            c = tables.folds.c
            digest = sa.select(sa.func.max(c.digest)).scalar_subquery()
            connection.execute(sa.update(tables.folds).values(digest=digest))


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
