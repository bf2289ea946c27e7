"""Every projection, whatever is recorded and whatever happens meanwhile: one answer in the end.

Histories come from `history_strategies`, the rows that are right from `naive_fold`. The variable
LEDGER_EXAMPLES asks for more of them than the few of every day.
"""

import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any
from unittest import mock

import history_strategies as past
import pytest
import sqlalchemy as sa
from folding_process import folded_rows, killed_at, spawned
from fresh_ledgers import Fresh
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from naive_fold import Tables, naive_rows

from ledger import rebuild as room
from ledger.answers.answer import Answer
from ledger.answers.explaining import explain_releases
from ledger.answers.registry import QUESTIONS
from ledger.book import now
from ledger.errors import CouldNot
from ledger.events import RecordedEvent
from ledger.projections.projection import Projection
from ledger.projections.registry import PROJECTIONS
from ledger.projections.releases import RELEASES
from ledger.store.append import append
from ledger.store.checkpoints import Checkpoint, read_checkpoint
from ledger.store.connect import reading, writing
from ledger.store.read import Selection, read_events

BY_CATEGORY = [
    [projection for projection in PROJECTIONS if projection.category == category]
    for category in sorted({projection.category for projection in PROJECTIONS})
]
EXAMPLES = int(os.environ.get("LEDGER_EXAMPLES", "0"))
"""How many histories each test tries; 0: as few as are enough for every day.

Where a database has to be made for each, a history that fails is shown as it is: to look for a
shorter one would take minutes.
"""


def recorded(engine: sa.Engine, said: tuple[past.Said, ...], start: int = 1) -> int:
    """Append the events and return the position after the last one."""
    if said:
        with writing(engine) as connection:
            append(connection, past.as_new(said, start), recorded_by="a tester", clock=now)
    return start + len(said)


def live(engine: sa.Engine, projection: Projection) -> Tables:
    """Return every row that the projection's tables hold."""
    with reading(engine) as connection:
        return {
            table.name: {tuple(row) for row in connection.execute(sa.select(table))}
            for table in projection.tables
        }


def right(engine: sa.Engine, projection: Projection) -> Tables:
    """Return every row that the recorded events make."""
    with reading(engine) as connection:
        return naive_rows([projection], read_events(connection))


def checkpoint_of(engine: sa.Engine, projection: Projection) -> Checkpoint | None:
    """Return how far the projection has come; None where it was never built."""
    with reading(engine) as connection:
        return read_checkpoint(connection, projection.name, projection.version)


def right_at_checkpoint(engine: sa.Engine, projection: Projection) -> Tables:
    """Return every row that the events make up to the checkpoint."""
    checkpoint = checkpoint_of(engine, projection)
    assert checkpoint is not None
    with reading(engine) as connection:
        known = Selection(up_to=checkpoint.position)
        return naive_rows([projection], read_events(connection, known))


def leftovers(engine: sa.Engine) -> list[str]:
    """Return the tables on the side that are still there."""
    with engine.connect() as connection:
        return [name for name in sa.inspect(connection).get_table_names() if "__new" in name]


@contextmanager
def batches_of(size: int) -> Iterator[None]:
    """Let everything that is done batch by batch be done in batches of this size."""
    found = [
        f"{name}.{constant}"
        for name in sorted(sys.modules)
        if name.startswith(("ledger.rebuild", "ledger.folding", "ledger.projections."))
        for constant in ("STREAMS", "EVENTS", "PIECE")
        if hasattr(sys.modules[name], constant)
    ]
    assert found, "nothing is done batch by batch any more"
    with ExitStack() as stack:
        for target in found:
            stack.enter_context(mock.patch(target, size))
        yield


carelessly = pytest.mark.filterwarnings("ignore::ResourceWarning")
"""Whoever crashes closes nothing. A test that is marked so collects what it left lying about."""


class Crash(BaseException):
    """What a process would not survive."""


@contextmanager
def crashing(engine: sa.Engine, step: int | None) -> Iterator[None]:
    """Crash before the statement or commit of that number, counted from 0; None: not at all."""
    steps = iter(range(sys.maxsize))

    def count(*_: Any) -> None:
        if next(steps) == step:
            raise Crash

    sa.event.listen(engine, "before_cursor_execute", count)
    sa.event.listen(engine, "commit", count)
    try:
        yield
    finally:
        sa.event.remove(engine, "before_cursor_execute", count)
        sa.event.remove(engine, "commit", count)


def crashes(engine: sa.Engine, step: int | None, work: Callable[[], object]) -> bool:
    """Do the work and say whether it crashed on the way."""
    try:
        with crashing(engine, step):
            work()
    except Crash:
        return True
    return False


def rows_of(events: Sequence[RecordedEvent]) -> Tables:
    """Return the rows that the shared fold makes of the events for every projection, by table."""
    found: Tables = {table.name: set() for projection in PROJECTIONS for table in projection.tables}
    for together in BY_CATEGORY:
        columns = {table.name: table.c.keys() for p in together for table in p.tables}
        for (name, *_), row in folded_rows(together, events).items():
            found[name].add(tuple(row[column] for column in columns[name]))
    return found


@settings(max_examples=EXAMPLES or 40)
@given(past.histories(5, 40))
def test_the_fold_makes_the_rows_of_a_naive_one(said: tuple[past.Said, ...]) -> None:
    """One pass over a stream gives what comparing every two successive states gives."""
    events = past.as_recorded(said)
    assert rows_of(events) == naive_rows(PROJECTIONS, events)


@settings(max_examples=EXAMPLES or 20)
@given(past.histories(5, 30), st.data())
def test_what_was_said_stays(said: tuple[past.Said, ...], data: st.DataObject) -> None:
    """Later events end rows and begin rows, and change nothing else of what earlier ones made."""
    events = past.as_recorded(said)
    cut = data.draw(st.integers(0, len(events)))
    early, late = rows_of(events[:cut]), rows_of(events)
    for table in (table for projection in PROJECTIONS for table in projection.tables):
        end, begin = (table.c.keys().index(name) for name in ("position_until", "position_from"))
        known = [row for row in late[table.name] if row[begin] <= cut]
        then = {
            (*row[:end], row[end] if (row[end] or cut + 1) <= cut else None, *row[end + 1:])
            for row in known
        }
        assert then == early[table.name]


Doing = tuple[str, int, int | None]
"""What is done to all projections, in batches of which size, and at which step it crashes."""
DOINGS = st.tuples(
    st.sampled_from(("catch_up", "catch_up", "rebuild", "check")),
    st.sampled_from((1, 2, 7, 500)),
    st.none() | st.integers(0, 45),
)
PLANS = st.lists(st.tuples(st.integers(1, 8), DOINGS), min_size=2, max_size=3)
"""How many events are appended before each thing that is done."""
WORK: dict[str, Callable[[sa.Engine, Projection], object]] = {
    "catch_up": lambda engine, projection: room.catch_up(engine, projection, now),
    "rebuild": lambda engine, projection: room.rebuild(engine, projection, now),
    "check": lambda engine, projection: check(engine, projection),
}


def check(engine: sa.Engine, projection: Projection) -> None:
    """Compare without mending, where there is something to compare."""
    with suppress(CouldNot):
        room.rebuild(engine, projection, now, check=True)


@carelessly
@settings(max_examples=EXAMPLES or 3, phases=[Phase.generate])
@given(past.histories(15, 40), PLANS)
def test_every_way_leads_to_the_same_rows(
    fresh: Fresh, said: tuple[past.Said, ...], plan: list[tuple[int, Doing]]
) -> None:
    """Appends, catch-ups, rebuilds and crashes in any order end in the rows of a naive fold."""
    with fresh() as engine:
        position = 1
        for many, (what, size, step) in plan:
            position = recorded(engine, said[position - 1:position - 1 + many], position)
            with batches_of(size):
                for projection in PROJECTIONS:
                    crashes(engine, step, partial(WORK[what], engine, projection))
            for projection in PROJECTIONS:
                if checkpoint_of(engine, projection):
                    assert live(engine, projection) == right_at_checkpoint(engine, projection)
        recorded(engine, said[position - 1:], position)
        for projection in PROJECTIONS:
            room.catch_up(engine, projection, now)
            wanted = right(engine, projection)
            assert live(engine, projection) == wanted
            assert room.rebuild(engine, projection, now).outcome == "ok"
            assert live(engine, projection) == wanted
        assert leftovers(engine) == []
    gc.collect()


def story() -> tuple[past.Said, ...]:
    """Return a history in which every event changes a row of `releases`."""
    record = past.Record()
    report = {"when": "2025-12-13", "by": "Belarus", "citizenships": {"Poland": "at least 1"},
              "provenance": {"publisher": "A Newspaper", "url": "https://example.org/a"}}
    a, b = "development/r-a", "development/r-b"
    for stream, total in ((a, 3), (b, 5), (a, 4), (b, 6)):
        record.say("PrisonersReleased", stream, {**report, "total": total})
    record.say("DevelopmentsMerged", b, {"same_as": a, "reason": "one story"})
    record.say("ReportRetracted", a, {"position": 3, "reason": "misread"})
    record.say("ReportCorrected", b, {
        "position": 4, "reason": "misread", "type": "PrisonersReleased", "type_version": 1,
        "report": {**report, "total": 5, "stage": "ordered"},
    })
    return tuple(record.said)


@contextmanager
def half_told(fresh: Fresh) -> Iterator[sa.Engine]:
    """Open a ledger with the story, of which the projection has taken in the first half."""
    said = story()
    with fresh() as engine:
        position = recorded(engine, said[:4])
        room.catch_up(engine, RELEASES, now)
        recorded(engine, said[4:], position)
        assert live(engine, RELEASES) != right(engine, RELEASES)
        yield engine


def finish(engine: sa.Engine) -> None:
    """Rebuild after crashes: nothing is wrong, nothing is missing, nothing is left over."""
    assert room.rebuild(engine, RELEASES, now).outcome == "ok"
    assert live(engine, RELEASES) == right(engine, RELEASES)
    assert leftovers(engine) == []
    gc.collect()


@carelessly
@pytest.mark.parametrize("what", ["catch_up", "rebuild"])
def test_a_crash_at_every_single_step(fresh: Fresh, what: str) -> None:
    """Whichever statement is the last one, rows and checkpoint agree, and the next run is clean."""
    with half_told(fresh) as engine, batches_of(2):
        step = 0
        while crashes(engine, step, partial(WORK[what], engine, RELEASES)):
            assert live(engine, RELEASES) == right_at_checkpoint(engine, RELEASES)
            step += 1
        assert step > 5
        finish(engine)


@carelessly
def test_a_crash_at_every_step_of_the_first_build(fresh: Fresh) -> None:
    """Until a projection is there as a whole it is not there at all."""
    with fresh() as engine:
        recorded(engine, story())
        step = 0
        while crashes(engine, step, partial(WORK["rebuild"], engine, RELEASES)):
            if checkpoint_of(engine, RELEASES):
                assert live(engine, RELEASES) == right_at_checkpoint(engine, RELEASES)
                break
            step += 1
        assert step > 5
        finish(engine)


def test_killed_processes_leave_nothing_behind(fresh: Fresh) -> None:
    """After processes that were killed while they folded, the next one does it all."""
    kills = (("catch_up", 4), ("rebuild", 9), ("rebuild", 12), ("catch_up", 6))
    with half_told(fresh) as engine:
        url = engine.url.render_as_string(hide_password=False)
        for what, step, killed in killed_at(url, kills):
            assert killed, f"{what} has no step {step}"
            assert live(engine, RELEASES) == right_at_checkpoint(engine, RELEASES)
        finish(engine)


ASKED: dict[str, tuple[dict[str, Any], ...]] = {
    "releases": (
        {}, {"by": "state"}, {"by": "day", "since": "2025-12-01"}, {"state": "BY", "since": "2025"},
        {"state": "Belarus", "since": "2025-12-01", "until": "2025-12-13"},
        {"stage": "promised"}, {"valid_at": "2025-12-01"}, {"count": "persons", "by": "state"},
        {"reversals": "net", "by": "day"}, {"count": "persons", "citizenships": "one"},
    ),
    "tallies": ({}, {"state": "BY"}, {"valid_at": "2025-12-14"},
                {"count": "persons", "reversals": "net"}),
    "disputes": ({}, {"state": "Belarus"}, {"state": "Wagner"}),
    "coded_events": ({}, {"since": "2025-12", "until": "2025-12-13"}, {"stage": "ordered"}),
    "sanctions": ({}, {"state": "BY"}, {"valid_at": "2025-12-13"}),
    "talks": ({}, {"state": "BY"}, {"state": "EU", "valid_at": "2025-12"}),
    "exchanges": ({}, {"valid_at": "2025-12-12"}),
    "people": ({}, {"state": "BY"}, {"valid_at": "2025-12-13"}),
}


def asked(engine: sa.Engine, as_of: int | None = None) -> list[Any]:
    """Return all answers and explanations, as of a position or by everything that is recorded."""
    with reading(engine) as connection:
        found: list[Any] = [
            without_as_of(question.answer(connection, as_of=as_of, **parameters))
            for question in QUESTIONS
            for parameters in ASKED[question.name]
        ]
        for citizenship in (None, "PL"):
            found.append(explain_releases(connection, citizenship=citizenship, as_of=as_of))
    return found


def without_as_of(answer: Answer) -> Answer:
    """Return all of an answer but the position up to which it was asked for."""
    scope = {name: value for name, value in answer.scope.items() if name != "as_of"}
    return replace(answer, scope=scope)


def test_every_question_is_asked() -> None:
    """No question is left out of what is asked at several points of the record."""
    assert ASKED.keys() == {question.name for question in QUESTIONS}


@settings(max_examples=EXAMPLES or 3, phases=[Phase.generate])
@given(past.histories(20, 40), st.sets(st.integers(1, 30), min_size=2, max_size=3))
def test_as_of_is_what_was_answered_then(
    fresh: Fresh, said: tuple[past.Said, ...], cuts: set[int]
) -> None:
    """Every answer as of p is the one that was given when p was the last position."""
    points = [0, *sorted(cut for cut in cuts if cut < len(said)), len(said)]
    then = {}
    with fresh() as engine:
        for start, end in pairwise(points):
            recorded(engine, said[start:end], start + 1)
            for projection in PROJECTIONS:
                room.catch_up(engine, projection, now)
            then[end] = asked(engine)
        for point, answers in then.items():
            for given_now, given_then in zip(asked(engine, point), answers, strict=True):
                assert given_now == given_then


def test_a_fold_can_be_done_elsewhere() -> None:
    """Every projection travels to another process, which makes the same rows under the same keys.

    So the fold can run in several processes, or on a cluster, without being changed.
    """
    events = past.as_recorded(story())
    jobs = [([projection], events) for projection in PROJECTIONS]

    elsewhere = spawned(folded_rows, jobs)

    assert elsewhere == [folded_rows(*job) for job in jobs]
    assert elsewhere[PROJECTIONS.index(RELEASES)]
