"""The bytes of an entry, joined from its parts, against two encoders that see it as a whole."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, asdict, fields, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import rfc8785

from ledger.encoding import compose, encode, normal
from ledger.entry import FORMAT
from ledger.errors import BadValue
from ledger.events import NewEvent
from ledger.kinds.form import Form
from ledger.kinds.kind import Kind
from ledger.kinds.registry import KINDS
from ledger.kinds.sealing import Sealed, digest

REPORTS = Path(__file__).parent / "histories" / "reports"
HARD = "\x00\b\t\n\x1f \"'/\\\x7f\x80\u00e9\u20ac\u2028\ufeff\uffff\U0001f602"
TEXTS = ("019b17f0-0000-7000-8000-000000000001", HARD)

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def composed(kind: Kind, data: Any, **rest: Any) -> NewEvent:
    """Return the event of that data; every salt is the same."""
    given: dict[str, Any] = {"id": TEXTS[0], "salts": lambda: bytes(16)} | rest
    return compose(kind.type, given.pop("stream", "development/by-1"), data, **given)


def report_of(kind: Kind) -> Any:
    """Return the report of that type that has every field."""
    return json.loads((REPORTS / f"{kind.type}.json").read_bytes())


def as_one(event: NewEvent, stream_version: int, recorded_at: str, recorded_by: str) -> Any:
    """Return the entry of an event as one mapping, as docs/format.md has it."""
    entry = {
        "format": FORMAT, "id": event.id, "stream": event.stream, "stream_version": stream_version,
        "type": event.type, "type_version": event.type_version, "recorded_at": recorded_at,
        "recorded_by": recorded_by, "data": event.data, "causation": event.causation,
        "correlation": event.correlation,
        "_sd": {pointer: digest(text) for pointer, text in event.disclosures.items()} or None,
    }
    return {name: value for name, value in entry.items() if value is not None}


@every_kind
def test_the_parts_of_an_entry(kind: Kind) -> None:
    """With and without each optional field, an entry has the bytes of both encoders."""
    data = report_of(kind)
    seen = set()
    for id, stream, by, causation, correlation in itertools.product(
        TEXTS, TEXTS, TEXTS, (None, "", *TEXTS), (None, "", *TEXTS)
    ):
        event = composed(
            kind, data, id=id, stream=stream, causation=causation, correlation=correlation
        )
        for like in (event, replace(event, disclosures={})):
            entry, _ = encode(like, 2**53 - 1, "2025-12-14T08:00:00.000001Z", by)
            wanted = as_one(like, 2**53 - 1, "2025-12-14T08:00:00.000001Z", by)
            seen.add(frozenset(wanted))
            assert entry == rfc8785.dumps(wanted)
            assert entry == orjson.dumps(wanted, option=orjson.OPT_SORT_KEYS)
    assert len(seen) == (8 if composed(kind, data).disclosures else 4)


@pytest.mark.parametrize("name", ["id", "stream", "type", "causation", "correlation"])
def test_text_outside(name: str) -> None:
    """A lone surrogate in any part of an entry is refused."""
    event = composed(KINDS["TalksHeld"], report_of(KINDS["TalksHeld"]))
    changed: dict[str, Any] = {name: "a\ud800"}
    with pytest.raises(BadValue):
        encode(replace(event, **changed), 1, "now", "anna")
    with pytest.raises(BadValue):
        encode(event, 1, "now", "a\ud800")


def test_an_event_is_frozen() -> None:
    """An event is immutable, and a copy of it has bytes of its own."""
    event = composed(KINDS["TalksHeld"], report_of(KINDS["TalksHeld"]))
    for field in fields(NewEvent):
        with pytest.raises(FrozenInstanceError):
            setattr(event, field.name, None)
        with pytest.raises(FrozenInstanceError):
            delattr(event, field.name)
    copy = replace(event, data={"other": 1})

    assert type(event) is type(copy) is NewEvent
    assert replace(event) == event != copy
    assert hasattr(event, "__dict__") is False
    assert b'"data":{"other":1}' in encode(copy, 1, "now", "anna")[0]
    assert encode(replace(event), 1, "now", "anna") == encode(event, 1, "now", "anna")
    assert asdict(event)["data"] == event.data


def without(data: Any, sealed: Sealed) -> Iterator[Any]:
    """Yield the data without any of what is sealed, and with one of it at a time."""
    public = bare(data, sealed)
    yield public
    for name, inner in sealed.items():
        if name not in data:
            continue
        if inner is None:
            yield public | {name: data[name]}
        elif isinstance(data[name], list):
            for index, item in enumerate(data[name]):
                others = [bare(other, inner) for other in data[name]]
                for one in itertools.islice(without(item, inner), 1, None):
                    yield public | {name: [*others[:index], one, *others[index + 1:]]}
        else:
            for one in itertools.islice(without(data[name], inner), 1, None):
                yield public | {name: one}


def bare(data: Any, sealed: Sealed) -> Any:
    """Return the data without what is sealed."""
    if isinstance(data, list):
        return [bare(item, sealed) for item in data]
    return {
        name: bare(value, inner) if (inner := sealed.get(name)) else value
        for name, value in data.items()
        if sealed.get(name, {}) is not None
    }


@every_kind
def test_nothing_personal(kind: Kind) -> None:
    """Only data without any personal field are taken for public, wherever such a field is."""
    form: Form = kind.form
    public, *others = without(normal(kind.type, report_of(kind)), form.sealed)

    assert form.is_public(public)
    assert not [other for other in others if form.is_public(other)]
    assert bool(others) == bool(form.sealed)
    for optional in form.parts.keys() - form.always:
        assert form.is_public({name: public[name] for name in public if name != optional})
