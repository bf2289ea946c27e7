"""The store's contract, on SQLite and on PostgreSQL: appends, retries, conflicts, reads."""

import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from appenders import complaints_about, release
from hypothesis import given
from hypothesis import strategies as st

from ledger import tables
from ledger.encoding import encode
from ledger.errors import (
    BadValue,
    EntryTooLarge,
    IdConflict,
    LedgerError,
    NotFound,
    WrongExpectedVersion,
)
from ledger.events import NewEvent, RecordedEvent
from ledger.store.append import Receipt, append
from ledger.store.connect import reading, writing
from ledger.store.read import (
    Selection,
    changed_streams,
    read_by_stream,
    read_entry,
    read_events,
    read_head,
    read_position,
    read_stream,
    read_streams,
    streams_at,
    with_ids,
)

NOON = datetime(2025, 12, 13, 12, tzinfo=UTC)
A, B, C = "development/a", "development/b", "tally/c"


def put(
    engine: sa.Engine, *events: NewEvent, at: datetime = NOON,
    expected: Mapping[str, int] | None = None,
) -> list[Receipt]:
    """Append the events in a transaction of their own."""
    with writing(engine) as connection:
        return append(connection, events, recorded_by="anna", clock=lambda: at, expected=expected)


def everything(engine: sa.Engine) -> list[RecordedEvent]:
    with reading(engine) as connection:
        return list(read_events(connection))


def places(receipts: Sequence[Receipt] | Sequence[RecordedEvent]) -> list[tuple[int, str, int]]:
    return [(r.position, r.stream, r.stream_version) for r in receipts]


def with_text(id: str, length: int) -> NewEvent:
    """Return an event with a text of that length, in no form of any kind."""
    return NewEvent(id, A, "StatementMade", 1, {"text": "x" * length})


def largest(id: str) -> NewEvent:
    """Return an event whose entry has 65,535 bytes at stream_version 1."""
    empty, _ = encode(with_text(id, 0), 1, "2025-12-13T12:00:00.000000Z", "anna")
    return with_text(id, 65_535 - len(empty))


def test_one_append_over_several_streams(engine: sa.Engine) -> None:
    """Events of one append stand behind each other, each stream numbered by itself from 1."""
    put(engine, release("1", B))
    receipts = put(engine, release("2", A), release("3", B), release("4", A), release("5", C))

    wanted = [(2, A, 1), (3, B, 2), (4, A, 2), (5, C, 1)]
    assert places(receipts) == wanted
    assert places(everything(engine)[1:]) == wanted
    assert {r.recorded_at for r in receipts} == {"2025-12-13T12:00:00.000000Z"}
    assert complaints_about(engine) == []


def test_an_empty_append(engine: sa.Engine) -> None:
    """An append of no events returns no receipts and leaves the log as it is."""
    assert put(engine) == []
    assert everything(engine) == []
    with pytest.raises(WrongExpectedVersion):
        put(engine, expected={A: 1})


@pytest.mark.parametrize(
    "expected",
    [{}, {A: 2}, {A: 2, B: 1}, {B: 1}, {C: 0}, {A: 2, "development/never": 0}],
)
def test_right_expected_versions(engine: sa.Engine, expected: dict[str, int]) -> None:
    """An append passes where every stream is where it was expected, written to or not."""
    put(engine, release("1", A), release("2", A), release("3", B))

    assert places(put(engine, release("4", A), release("5", C), expected=expected)) == [
        (4, A, 3), (5, C, 1),
    ]


@pytest.mark.parametrize(
    ("expected", "stream", "actual"),
    [
        ({A: 1}, A, 2),
        ({A: 3}, A, 2),
        ({A: 0}, A, 2),
        ({C: 1}, C, 0),
        ({A: 2, B: 0}, B, 1),
        ({A: 2, "development/never": 7}, "development/never", 0),
    ],
)
def test_wrong_expected_versions(
    engine: sa.Engine, expected: dict[str, int], stream: str, actual: int
) -> None:
    """A stream elsewhere than expected refuses the append, says where it is, and writes nothing."""
    put(engine, release("1", A), release("2", A), release("3", B))
    before = everything(engine)

    events = [release("4", A), release("5", C)]
    with writing(engine) as connection, pytest.raises(WrongExpectedVersion) as refusal:
        append(connection, events, recorded_by="b", clock=lambda: NOON, expected=expected)
    caught = refusal.value
    assert (caught.stream, caught.actual, caught.expected) == (stream, actual, expected[stream])
    assert everything(engine) == before


def test_a_clock_set_back(engine: sa.Engine) -> None:
    """Recorded time never goes back, in whatever zone or order the clock tells it."""
    east = timezone(timedelta(hours=3))
    tick = timedelta(microseconds=1)
    clock = [NOON, NOON - timedelta(days=400), NOON.astimezone(east), NOON + tick]
    times = [put(engine, release(str(n), A), at=at)[0].recorded_at for n, at in enumerate(clock)]

    noon = "2025-12-13T12:00:00.000000Z"
    assert times == [noon, noon, noon, "2025-12-13T12:00:00.000001Z"]
    assert complaints_about(engine) == []


def test_the_tree_after_every_append(engine: sa.Engine) -> None:
    """After every append the tree head is that of all entries, and every column is its entry's."""
    made = 0
    for size in (1, 1, 2, 3, 5, 8, 1, 13, 4, 26):
        ids = [str(number) for number in range(made, made + size)]
        put(engine, *(release(id, (A, B, C)[int(id) % 3], name=f"name {id}") for id in ids))
        made += size

        assert complaints_about(engine) == []
    with reading(engine) as connection:
        assert read_head(connection).size == made == 64


@pytest.mark.parametrize(
    ("bad", "refusal"),
    [
        (with_text("bad", 65_535), EntryTooLarge),
        (NewEvent("bad", A, "StatementMade", 1, {"number": 2**53}), BadValue),
        (NewEvent("bad", A, "StatementMade", 1, {"text": "\ud800"}), BadValue),
    ],
)
def test_a_bad_event_takes_its_batch_along(
    engine: sa.Engine, bad: NewEvent, refusal: type[LedgerError]
) -> None:
    """A bad event refuses its batch, after which the transaction can still append others."""
    with writing(engine) as connection:
        with pytest.raises(refusal):
            append(connection, [release("1", A), bad], recorded_by="b", clock=lambda: NOON)
        append(connection, [release("2", B)], recorded_by="b", clock=lambda: NOON)

    assert places(everything(engine)) == [(1, B, 1)]
    assert complaints_about(engine) == []


def test_the_largest_entry(engine: sa.Engine) -> None:
    """An entry of 65,535 bytes is recorded as it is."""
    put(engine, largest("1"))

    with reading(engine) as connection:
        assert len(read_entry(connection, 1)) == 65_535
    assert complaints_about(engine) == []


def test_a_retry_is_the_first_append(engine: sa.Engine) -> None:
    """A retry is given the first receipts, also when the streams have long moved on."""
    first = put(engine, release("1", A), release("2", B), expected={A: 0, B: 0})
    put(engine, release("3", A), release("4", B))

    assert put(engine, release("1", A), release("2", B), expected={A: 0, B: 0}) == first
    assert len(everything(engine)) == 4


def test_a_retry_beside_a_guard(engine: sa.Engine) -> None:
    """A retry succeeds also when a stream moved on that was only guarded and not written to."""
    first = put(engine, release("1", A), expected={C: 0})
    put(engine, release("2", C))

    assert put(engine, release("1", A), expected={C: 0}) == first


def test_a_retry_with_new_salts(engine: sa.Engine) -> None:
    """The same personal data under another salt is the same content, and the first salt stays."""
    event = release("1", A)
    (first,) = put(engine, event)
    other = replace(event, disclosures=release("2", A).disclosures)

    assert other != event
    assert put(engine, other) == [first]
    assert complaints_about(engine) == []


def test_a_retry_after_an_erasure(engine: sa.Engine) -> None:
    """A retry of an erased event is the same event, and does not bring the erased value back."""
    (first,) = put(engine, release("1", A))
    with engine.connect() as connection, connection.begin():
        connection.execute(sa.delete(tables.disclosures))

    assert put(engine, release("1", A)) == [first]
    (event,) = everything(engine)
    assert event.data["persons"][0]["name"] == "[erased]"
    assert event.erased == ("/persons/0/name",)
    with pytest.raises(IdConflict):
        put(engine, release("1", A, total=5))


def test_a_retry_beside_new_events(engine: sa.Engine) -> None:
    """In one append recorded events keep their receipts and new ones follow behind."""
    (first,) = put(engine, release("1", A))
    receipts = put(engine, release("2", A), release("1", A), release("3", B), expected={A: 1})

    assert places(receipts) == [(2, A, 2), (1, A, 1), (3, B, 1)]
    assert receipts[1] == first
    assert complaints_about(engine) == []


OTHERS = {
    "other data": release("1", A, total=5),
    "other personal data": release("1", A, name="B. Name"),
    "another stream": release("1", B),
    "another type": replace(release("1", A), type="PrisonersDetained"),
    "nothing personal": replace(release("1", A), disclosures={}),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_an_id_with_other_content(engine: sa.Engine, other: NewEvent) -> None:
    """An id that was given to other content refuses the whole append, and says where it stands."""
    put(engine, release("1", A))
    before = everything(engine)

    with writing(engine) as connection, pytest.raises(IdConflict) as refusal:
        append(connection, [release("0", C), other], recorded_by="b", clock=lambda: NOON)
    assert (refusal.value.event_id, refusal.value.position) == ("1", 1)
    assert everything(engine) == before


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_an_id_twice_in_a_batch(engine: sa.Engine, other: NewEvent) -> None:
    """In one append an id with one content is one event, with two contents a conflict."""
    with pytest.raises(IdConflict) as refusal:
        put(engine, release("0", C), release("1", A), other)
    assert refusal.value.position is None
    assert everything(engine) == []

    receipts = put(engine, release("1", A), release("2", A), release("1", A))
    assert places(receipts) == [(1, A, 1), (2, A, 2), (1, A, 1)]
    assert complaints_about(engine) == []


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


@pytest.mark.parametrize("category", ["development", "developments", "tally", "never"])
def test_a_category_by_stream(engine: sa.Engine, log: list[RecordedEvent], category: str) -> None:
    """A category read by stream has each stream in one piece, in order, up to a position."""
    wanted = [event for event in log if event.stream.split("/")[0] == category]
    wanted.sort(key=lambda event: (event.stream.encode(), event.stream_version))

    for page, up_to in ((1, 60), (2, 31), (7, 60), (24, 60), (1000, 0), (1000, 61)):
        with reading(engine) as connection:
            got = list(read_by_stream(connection, category, up_to, page=page))
            changed = changed_streams(connection, category, 20, up_to)
        assert got == [event for event in wanted if event.position <= up_to]
        assert changed == sorted({event.stream for event in got if event.position > 20})


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

    def peak(events: Callable[[sa.Connection], Iterator[RecordedEvent]]) -> tuple[int, int]:
        with reading(engine) as connection:
            tracemalloc.start()
            count = sum(1 for _ in events(connection))
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return count, most

    def read(up_to: int, backwards: bool) -> tuple[int, int]:
        chosen = Selection(up_to=up_to)
        return peak(lambda c: read_events(c, chosen, backwards=backwards, page=page))

    read(few, False)  # fills caches
    count, least = read(few, False)
    assert count == few
    for again in (
        read(many, False),
        read(many, True),
        peak(lambda connection: read_by_stream(connection, "development", many, page=page)),
    ):
        assert again[0] == many
        assert again[1] < 3 * least  # what is not collected yet comes and goes
