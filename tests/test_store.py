"""The store's contract, on SQLite and on PostgreSQL: appends, retries, conflicts, reads."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from appenders import complaints_about, release

from ledger.audit.erasing import by_field, erase
from ledger.book import writer
from ledger.encoding import encode
from ledger.errors import (
    BadValue,
    EntryTooLarge,
    IdConflict,
    LedgerError,
    WrongExpectedVersion,
)
from ledger.events import NewEvent, RecordedEvent
from ledger.store.append import Receipt, append
from ledger.store.connect import reading, writing
from ledger.store.read import (
    read_entry,
    read_events,
    read_head,
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
    erase(engine, by_field(1), writer("eraser"), reason="asked", basis="law")

    assert put(engine, release("1", A)) == [first]
    event, _ = everything(engine)
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
