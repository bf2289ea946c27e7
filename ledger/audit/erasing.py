"""Erasing personal fields: which of them, and the event that says so.

Takes a person's stream, a field or a piece of text, and an engine; hands on an Erasure. Salt and
value go, and a PersonalDataErased event joins the stream, in one transaction: after a crash both
happened or neither. Entries, leaf hashes and proofs stay as they are.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from ledger.audit.naming import SHORTEST, holds, is_in, plain, text_of
from ledger.developments import fold
from ledger.encoding import compose
from ledger.entry import parse
from ledger.errors import BadReport, BadValue, Complaint, NotFound
from ledger.events import Data
from ledger.intake.recording import Writer
from ledger.kinds.sealing import disclosed
from ledger.store.append import Receipt, append
from ledger.store.connect import writing
from ledger.store.erase import (
    Raw,
    erase_disclosures,
    held,
    read_disclosures,
    read_raw,
    read_raw_streams,
    read_raw_with,
)
from ledger.store.read import read_streams, streams_at

AT_ONCE = 500
"""Fields that one PersonalDataErased event names at most; an entry has 65,535 bytes."""
NAMES = ("name", "aliases")
FREE_TEXT = ("note", "reason")
"""Fields that may say anything about anybody."""
_REASONS = {"/reason"}
"""Why a report was corrected, and why it was withdrawn, are not the same field."""
KEEPING = ("ReportCorrected", "ReportRetracted", "ReportRanked")
"""Events that are about an earlier report of their stream, and may repeat what it says."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """One sealed field of one event."""

    position: int
    stream: str
    pointer: str
    digest: str


@dataclass(slots=True)
class Plan:
    """What is to be erased."""

    fields: list[Sealed] = field(default_factory=list)
    """Those that are still there."""
    already: int = 0
    """Those that were erased before."""
    persons: tuple[str, ...] = ()
    """The streams that are the person: the one named and those merged with it."""
    mentions: list[Sealed] = field(default_factory=list)
    """Fields of other events that contain the person's name and are left alone."""
    values: list[str] = field(default_factory=list, repr=False)
    """The texts that go; for a comparison, never to be shown."""
    names: list[str] = field(default_factory=list, repr=False)
    """Those of them that are names, and names that were sought."""


@dataclass(slots=True)
class Erasure:
    """What was erased."""

    plan: Plan
    receipts: list[Receipt]
    """Of the PersonalDataErased events."""
    written: bool


Find = Callable[[sa.Connection], Plan]


def erase(
    engine: sa.Engine, find: Find, writer: Writer, *, reason: str, basis: str, dry_run: bool = False
) -> Erasure:
    """Erase what `find` finds and return what was erased; a dry run does the same and rolls back.

    Raises what `find` raises, and BadReport for a reason or basis that the record does not take or
    that repeats what is erased: they stay for ever.
    """
    with writing(engine) as connection:
        plan = find(connection)
        _check_says_nothing({"reason": reason, "basis": basis}, plan)
        events = [
            compose("PersonalDataErased", stream, data, id=writer.new_id(), salts=writer.salts)
            for stream, data in _said(plan, reason, basis)
        ]
        receipts = append(connection, events, recorded_by=writer.name, clock=writer.clock)
        erase_disclosures(connection, ((one.position, one.digest) for one in plan.fields))
        if dry_run:
            connection.rollback()
    return Erasure(plan, receipts, not dry_run)


def by_person(person: str, *, keep_notes: bool = False) -> Find:
    """Return what finds a person's fields, given the person's stream (`person/…` or its rest).

    Those are: every sealed field of the person's stream and of streams that are merged with it; of
    every report that names the person by that stream, the fields of that entry in its list, and its
    free text, unless `keep_notes`; in what corrects or withdraws such a report, the person's name
    and free text with it. What finds them raises NotFound for a stream without events or mentions.
    Costs a look at every entry and every disclosure.
    """
    stream = person if person.startswith("person/") else f"person/{person}"

    def find(connection: sa.Connection) -> Plan:
        persons = _merged(connection, stream)
        needles = [f'"person":"{name}"' for name in persons]
        about = {raw.position: raw for raw in read_raw_streams(connection, persons)}
        naming = {raw.position: raw for raw in read_raw_with(connection, needles)}
        if not about and not naming:
            raise NotFound(stream, "no report names this person by that stream")
        around = _around(connection, naming)
        events = _opened(connection, [*(about | naming | around).values()])
        own = {event.position: list(_entries_of(event.data, persons)) for event in events}
        names = list(_names(events, own, persons))
        chosen = [
            (event, pointer)
            for event in events
            for pointer in event.digests
            if event.stream in persons
            or _under(pointer, own[event.position])
            or _speaks_of(event, pointer, names, bool(own[event.position]) and not keep_notes)
        ]
        plan = _plan(chosen, persons)
        mentions = _mentions(connection, names, holds)
        plan.mentions = [one for one in mentions if one not in plan.fields]
        return plan

    return find


def by_field(position: int, pointers: Iterable[str] = ()) -> Find:
    """Return what finds these fields of one event (JSON pointers; a group means all in it).

    Without pointers all its sealed fields. Also found is the same in what corrects the event or is
    corrected by it: any field with an equal value, and the field at that place. In a list a place
    is that of a person with a stream, or one that it is merged with; whoever else stands at the
    same number is left alone, and mentioned if it may be the same. What finds them raises NotFound,
    and BadValue for a field that is not sealed there, or is none.
    """
    pointers = list(pointers)
    if nothing := [pointer for pointer in pointers if not pointer.strip("/")]:
        raise BadValue(nothing[0], "a field, as /persons/0/name")
    wanted = ["/" + pointer.strip("/").replace(".", "/") for pointer in pointers]

    def find(connection: sa.Connection) -> Plan:
        here = {raw.position: raw for raw in read_raw(connection, [position])}
        if not here:
            raise NotFound(f"position {position}")
        events = _opened(connection, [*(here | _around(connection, here)).values()])
        (event,) = (event for event in events if event.position == position)
        for pointer in wanted:
            if not any(_under(there, [pointer]) for there in event.digests):
                known = ", ".join(sorted(event.digests)) or "none: this event has no sealed field"
                raise BadValue(pointer, f"a sealed field of position {position} ({known})")
        asked = wanted or list(event.digests)
        values = [value for at, value in event.values.items() if value and _under(at, asked)]
        persons = {person for at in asked for _, person in _steps(event, at) if person}
        same = {name: person for person in persons for name in _merged(connection, person)}
        places = {_place(event, at, same) for at in asked} - _REASONS
        chosen, beside = [], []
        for other in events:
            for at in other.digests:
                is_there = (_under(at, asked) if other is event
                            else _under(_place(other, at, same), places))
                if is_there or other.values.get(at) in values:
                    chosen.append((other, at))
                elif _may_be_there(other, at, event, asked):
                    beside.append((other, at))
        plan = _plan(chosen)
        plan.mentions = _plan(beside).fields
        return plan

    return find


def by_text(text: str) -> Find:
    """Return what finds every sealed field that contains the text, whatever the case of letters.

    For a name that stands somewhere without the person's stream. Costs a look at every disclosure.
    """
    def find(connection: sa.Connection) -> Plan:
        if not text.strip():
            raise BadValue(text, "a text to look for")
        found = _mentions(connection, [text], str.__contains__)
        events = _opened(connection, list(read_raw(connection, [one.position for one in found])))
        at = {(one.position, one.pointer) for one in found}
        plan = _plan([(e, p) for e in events for p in e.digests if (e.position, p) in at])
        plan.names.append(text)
        return plan

    return find


@dataclass(frozen=True, slots=True)
class _Event:
    """A stored event: its public part, its sealed fields, and the texts of those still there."""

    position: int
    stream: str
    data: Data
    digests: Mapping[str, str]
    values: Mapping[str, str]


def _opened(connection: sa.Connection, events: list[Raw]) -> list[_Event]:
    there = held(connection, [raw.position for raw in events])
    opened = []
    for raw in sorted(events):
        entry, texts = parse(raw.entry), there.get(raw.position, {})
        digests: dict[str, str] = entry.get("_sd", {})
        values = {p: text_of(disclosed(texts[d])[1]) for p, d in digests.items() if d in texts}
        opened.append(_Event(raw.position, raw.stream, entry["data"], digests, values))
    return opened


def _plan(chosen: list[tuple[_Event, str]], persons: Iterable[str] = ()) -> Plan:
    plan = Plan(persons=tuple(sorted(persons)))
    for event, pointer in chosen:
        if pointer not in event.values:
            plan.already += 1
            continue
        digest = event.digests[pointer]
        plan.fields.append(Sealed(event.position, event.stream, pointer, digest))
        plan.values.append(event.values[pointer])
        if pointer.rpartition("/")[2] in NAMES:
            plan.names += filter(None, event.values[pointer].split("\n"))
    return plan


def _merged(connection: sa.Connection, stream: str) -> list[str]:
    """Return the streams that are the same person, however many merges lie between."""
    found, pending = {stream}, [stream]
    while pending:
        name = pending.pop()
        near = {name} | {raw.stream for raw in read_raw_with(connection, [f'"same_as":"{name}"'])}
        for other, events in read_streams(connection, near).items():
            same = set(fold(other, events).merges.values())
            fresh = (same if other == name else {other} if name in same else set()) - found
            found |= fresh
            pending += sorted(fresh)
    return sorted(found)


def _around(connection: sa.Connection, naming: Mapping[int, Raw]) -> dict[int, Raw]:
    """Return what is about these events in their streams, or what they are about, by position."""
    streams = sorted({raw.stream for raw in naming.values()})
    about: dict[int, Raw] = {}
    found = set(naming)
    for raw in read_raw_streams(connection, streams):
        entry = parse(raw.entry)
        if entry["type"] in KEEPING:
            about[raw.position] = raw
            if entry["data"]["position"] in found:
                found.add(raw.position)
    for position in sorted(about, reverse=True):
        if position in found:
            found.add(parse(about[position].entry)["data"]["position"])
    # What was reached backwards may have been corrected or withdrawn elsewhere, too.
    for position, raw in about.items():
        if parse(raw.entry)["data"]["position"] in found:
            found.add(position)
    return {raw.position: raw for raw in read_raw(connection, sorted(found - naming.keys()))}


def _entries_of(data: Any, persons: Collection[str], at: str = "") -> Iterator[str]:
    """Yield the pointers of the groups that name one of the persons."""
    if isinstance(data, dict):
        if data.get("person") in persons:
            yield at
        for name, inner in data.items():
            yield from _entries_of(inner, persons, f"{at}/{name}")
    elif isinstance(data, list):
        for index, inner in enumerate(data):
            yield from _entries_of(inner, persons, f"{at}/{index}")


def _names(
    events: list[_Event], own: Mapping[int, list[str]], persons: Collection[str]
) -> Iterator[str]:
    """Yield every name of the person that the events give."""
    for event in events:
        for pointer, value in event.values.items():
            last = pointer.rpartition("/")[2]
            mine = event.stream in persons or _under(pointer, own[event.position])
            if mine and last in NAMES:
                yield from filter(None, value.split("\n"))


def _speaks_of(event: _Event, pointer: str, names: list[str], any_text: bool) -> bool:
    """Return whether a field outside of the person's own entry is about the person, too.

    With `any_text` all free text of the report itself is; a note on somebody else only with a name.
    """
    if pointer.rpartition("/")[2] not in FREE_TEXT:
        said = plain(event.values.get(pointer, ""))
        return any(plain(name) == said for name in names)
    if any_text and "/persons/" not in pointer:
        return True
    return is_in(event.values.get(pointer, ""), names)


def _mentions(
    connection: sa.Connection, texts: list[str], has: Callable[[str, str], bool]
) -> list[Sealed]:
    """Return every sealed field that has one of the texts as a whole."""
    sought = [plain(text) for text in texts if plain(text)]
    found = []
    for position, digest, disclosure in read_disclosures(connection) if sought else ():
        pointer, value = disclosed(disclosure)
        said = plain(text_of(value))
        if any(has(said, text) for text in sought):
            found.append((position, pointer, digest))
    streams = streams_at(connection, [position for position, _, _ in found])
    return [Sealed(at, streams[at], pointer, digest) for at, pointer, digest in found]


def _said(plan: Plan, reason: str, basis: str) -> Iterator[tuple[str, Data]]:
    """Yield stream and data of each event that says what is erased."""
    for (stream, position), group in groupby(plan.fields, key=attrgetter("stream", "position")):
        fields = list(group)
        for start in range(0, len(fields), AT_ONCE):
            some = fields[start : start + AT_ONCE]
            yield stream, {
                "position": position,
                "digests": [one.digest for one in some],
                "fields_erased": [one.pointer for one in some],
                "basis": basis,
                "reason": reason,
            }


def _check_says_nothing(said: Mapping[str, str], plan: Plan) -> None:
    lines = {plain(line) for value in plan.values for line in value.split("\n")}
    for name, words in said.items():
        repeats = any(len(line) >= SHORTEST and line in plain(words) for line in lines)
        if repeats or is_in(words, plan.names):
            why = "repeats what is erased, wanted words that may stay in the record for ever"
            raise BadReport([Complaint(name, why)])


def _bare(pointer: str) -> str:
    """Return the place in the report, whether it is the report or its correction."""
    return pointer.removeprefix("/report")


def _place(event: _Event, pointer: str, same: Mapping[str, str]) -> str:
    """Return the same, with the person's stream in place of the number in a list; whoever has none
    has a place in this event alone."""
    path = [
        step if person is None else same.get(person, person) or f"{event.position}:{step}"
        for step, person in _steps(event, pointer)
    ]
    return _bare("/" + "/".join(path))


def _steps(event: _Event, pointer: str) -> Iterator[tuple[str, str | None]]:
    """Yield each step of a pointer; at a number in a list whose stream that person has, or ""."""
    inside: Any = event.data
    for step in pointer.split("/")[1:]:
        if isinstance(inside, list):
            inside = inside[int(step)]
            yield step, inside.get("person", "") if isinstance(inside, dict) else ""
        else:
            inside = inside.get(step, {}) if isinstance(inside, dict) else {}
            yield step, None


def _may_be_there(other: _Event, at: str, event: _Event, asked: Iterable[str]) -> bool:
    """Return whether a field stands at the numbers that are asked about, of somebody of whom nobody
    can say who it is: without a stream, here or there."""
    here = [place for place in asked if _under(_bare(at), [_bare(place)])]
    steps = [*_steps(other, at), *(step for place in here for step in _steps(event, place))]
    return bool(here) and "" in {person for _, person in steps} and _bare(at) not in _REASONS


def _under(pointer: str, places: Iterable[str]) -> bool:
    return any(pointer == at or pointer.startswith(f"{at.rstrip('/')}/") for at in places)

