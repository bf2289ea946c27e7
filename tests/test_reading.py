"""Reading the store: selections, categories, names, on SQLite and on PostgreSQL."""

import tracemalloc
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
import sqlalchemy as sa
from appenders import release
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.encoding import decode
from ledger.errors import NotFound
from ledger.events import NewEvent, RecordedEvent
from ledger.store.append import append
from ledger.store.connect import reading, writing
from ledger.store.read import (
    Selection,
    changed_streams,
    entries_between,
    read_entry,
    read_events,
    read_position,
    read_stream,
    read_streams,
    stream_marks,
    streams_at,
    with_ids,
)

NOON = datetime(2025, 12, 13, 12, tzinfo=UTC)


def put(engine: sa.Engine, *events: NewEvent) -> None:
    """Append the events in a transaction of their own."""
    with writing(engine) as connection:
        append(connection, events, recorded_by="anna", clock=lambda: NOON)


def everything(engine: sa.Engine) -> list[RecordedEvent]:
    """Every event, in order of position."""
    with reading(engine) as connection:
        return list(read_events(connection))


STREAMS = (
    "development/x", "development/x/y", "development/x-y", "developments/x", "developmen/t",
    "development/0", "development-s/x", "tally/x", "tally/x.y", "person/p",
)


@pytest.fixture
def log(engine: sa.Engine) -> list[RecordedEvent]:
    """A log of 60 events over streams whose names are hard to tell apart."""
    events = [release(str(n), STREAMS[n * 7 % 10], total=n) for n in range(60)]
    put(engine, *(replace(e, type="PrisonersDetained") if int(e.id) % 3 else e for e in events))
    return everything(engine)


SELECTIONS = st.builds(
    Selection,
    stream=st.none() | st.sampled_from([*STREAMS, "development/never"]),
    category=st.none() | st.sampled_from(["development", "developments", "tally", "devel"]),
    types=st.none() | st.lists(st.sampled_from(["PrisonersReleased", "PrisonersDetained", "No"])),
    after=st.integers(0, 61),
    up_to=st.none() | st.integers(0, 61),
)


def is_selected(event: RecordedEvent, selection: Selection) -> bool:
    """Return whether the event meets every condition that is given."""
    return (
        selection.stream in (None, event.stream)
        and selection.category in (None, event.stream.split("/")[0])
        and (selection.types is None or event.type in selection.types)
        and selection.after < event.position
        and (selection.up_to is None or event.position <= selection.up_to)
    )


def test_every_selection(engine: sa.Engine, log: list[RecordedEvent]) -> None:
    """Every combination of conditions, read in pages of any size and both ways, is a filter."""
    seen = set()

    @given(SELECTIONS, st.booleans(), st.integers(1, 61))
    def check(selection: Selection, backwards: bool, page: int) -> None:
        wanted = [event for event in log if is_selected(event, selection)]
        with reading(engine) as connection:
            got = list(read_events(connection, selection, backwards=backwards, page=page))
        assert got == (wanted[::-1] if backwards else wanted)
        seen.add(len(wanted))

    check()
    assert len(seen) > 3


def between(
    connection: sa.Connection, category: str, after: str, until: str | None, up_to: int
) -> list[RecordedEvent]:
    """The events whose entries lie there."""
    entries = entries_between(connection, category, after, until, up_to)
    return [decode(position, entry, None) for _, position, entry in entries]


def unnamed(event: RecordedEvent) -> RecordedEvent:
    """The event as its entry has it, without personal fields."""
    persons = [{k: v for k, v in p.items() if k != "name"} for p in event.data["persons"]]
    return event._replace(data={**event.data, "persons": persons})


@pytest.mark.parametrize("category", ["development", "developments", "tally", "never"])
def test_a_category_by_stream(engine: sa.Engine, log: list[RecordedEvent], category: str) -> None:
    """A category read by stream has each stream in one piece, in order, and no name in it."""
    wanted = [event for event in log if event.stream.split("/")[0] == category]
    wanted.sort(key=lambda event: (event.stream.encode(), event.stream_version))

    for up_to in (60, 31, 0, 61):
        with reading(engine) as connection:
            got = between(connection, category, "", None, up_to)
            changed = changed_streams(connection, category, 20, up_to)
        assert got == [unnamed(event) for event in wanted if event.position <= up_to]
        assert changed == sorted({event.stream for event in got if event.position > 20})


@pytest.mark.parametrize("size", [1, 2, 5, 24, 100])
def test_a_category_in_parts(engine: sa.Engine, log: list[RecordedEvent], size: int) -> None:
    """Parts between marks have every stream of a category once, and none is divided."""
    with reading(engine) as connection:
        marks = list(stream_marks(connection, "development", size))
        ends = [*marks, None]
        got = [
            between(connection, "development", after, until, 60)
            for after, until in zip(["", *marks], ends, strict=True)
        ]
        whole = between(connection, "development", "", None, 60)

    assert [event for part in got for event in part] == whole
    streams = [{event.stream for event in part} for part in got]
    assert sum(map(len, streams)) == len(set().union(*streams))
    assert all(len(part) >= size for part in got[:-1])


@settings(max_examples=60)
@given(st.integers(1, 12), st.sets(st.sampled_from(STREAMS) | st.text("d/e", max_size=3)))
@pytest.mark.usefixtures("log")
def test_parts_of_an_earlier_time(engine: sa.Engine, size: int, known: set[str]) -> None:
    """Whatever marks were there before, parts have every stream once; those that have one stream
    too many for twice the size are divided, and two that have less than the size become one."""
    with reading(engine) as connection:
        marks = list(stream_marks(connection, "development", size, known))
        ends = zip(["", *marks], [*marks, None], strict=True)
        got = [between(connection, "development", after, until, 60) for after, until in ends]
        whole = between(connection, "development", "", None, 60)

    assert [event for part in got for event in part] == whole
    largest = max(Counter(event.stream for event in whole).values())
    sizes = [len(part) for part in got]
    assert max(sizes) < 2 * size + largest
    assert all(one + other >= size for one, other in pairwise(sizes))


def test_reading_by_name(engine: sa.Engine, log: list[RecordedEvent]) -> None:
    """Streams, positions and ids that are there are found, and those that are not are named."""
    with reading(engine) as connection:
        in_stream = [event for event in log if event.stream == "tally/x"]
        assert read_stream(connection, "tally/x") == in_stream
        assert read_position(connection, 60) == log[59]
        assert read_streams(connection, ["tally/x", "tally/no", "tally/x"]) == {
            "tally/x": in_stream, "tally/no": [],
        }
        assert streams_at(connection, [1, 60, 61, 0]) == {1: STREAMS[0], 60: STREAMS[3]}
        assert streams_at(connection, []) == {}
        assert with_ids(connection, ["7", "no"]) == {"7": log[7]}
        with pytest.raises(NotFound, match="stream tally/no is not in this ledger"):
            read_stream(connection, "tally/no")
        for position in (0, 61, -1):
            with pytest.raises(NotFound, match=f"position {position} .* positions are 1 to 60"):
                read_position(connection, position)
            with pytest.raises(NotFound, match=f"position {position} "):
                read_entry(connection, position)


def test_very_many_names(engine: sa.Engine, log: list[RecordedEvent]) -> None:
    """A list of names may be longer than a statement may have parameters."""
    ids = [str(number) for number in range(70_000)]
    with reading(engine) as connection:
        assert sorted(with_ids(connection, ids), key=int) == ids[:60]
        assert len(streams_at(connection, range(70_000))) == 60
        assert len(read_streams(connection, [*STREAMS, *ids])) == 70_010


def test_reading_in_constant_memory(engine: sa.Engine) -> None:
    """Reading a log needs the memory of a page, however many events there are."""
    few, many, page = 1_000, 6_000, 200
    for start in range(0, many, few):
        numbers = range(start, start + few)
        put(engine, *(release(str(n), f"development/s{n % 9}") for n in numbers))

    def read(up_to: int, backwards: bool) -> tuple[int, int]:
        chosen = Selection(up_to=up_to)
        with reading(engine) as connection:
            tracemalloc.start()
            count = sum(1 for _ in read_events(connection, chosen, backwards=backwards, page=page))
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return count, most

    read(few, False)  # fills caches
    count, least = read(few, False)
    assert count == few
    for again in (read(many, False), read(many, True)):
        assert again[0] == many
        assert again[1] < 3 * least  # what is not collected yet comes and goes
