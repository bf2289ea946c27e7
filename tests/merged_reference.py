"""What merged developments and persons add up to, written as plainly as it can be.

Takes the rows that stand in the answer tables and what is merged with what; hands on what each
answer has to say. `people`, `sanctions` and `exchanges` need no sums of their own: the rows are
given the first name of their group, and asked as if nothing had ever had two names.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from naive_fold import standing

from ledger.events import RecordedEvent

Row = dict[str, Any]
Tables = Mapping[str, list[Row]]
Names = Mapping[str, tuple[str, ...]]
"""Every name with all names of what it names, in order."""
Span = tuple[str | None, str | None]
OPEN = "~"
"""Stands for an open last day: after every day."""


def names_at(events: Sequence[RecordedEvent]) -> Names:
    """Return the names of all that the events speak of, by the merges that stand after them."""
    streams = {event.stream for event in events}
    pairs = [
        {stream, other}
        for stream in streams
        for other in standing(stream, [e for e in events if e.stream == stream]).merges.values()
    ]
    groups = [{stream} for stream in streams] + pairs
    for pair in pairs * len(pairs):  # as often as the longest way from one name to another
        groups = [group | pair if group & pair else group for group in groups]
    return {name: tuple(sorted(group)) for group in groups for name in group
            if len(group) == max(len(other) for other in groups if name in other)}


def renamed(tables: Tables, names: Names) -> Tables:
    """Return the rows as if each had been said of the first of the names, for every name."""

    def first(name: str, value: Any) -> Any:
        return names.get(value, (value,))[0] if name in ("stream", "other", "person") else value

    found: dict[str, list[Row]] = {}
    for table, rows in tables.items():
        found[table] = [{name: first(name, value) for name, value in row.items()} for row in rows]
    found["people"] = _once(found["people"])
    found["release_persons"] = []  # two keys of one list would be one; nothing asked here reads it
    return found


def _once(people: Iterable[Row]) -> list[Row]:
    """Return one row where one report has two keys for one person."""
    found: dict[tuple[str, str], Row] = {}
    for row in people:
        other = found.setdefault((row["person"], row["report"]), row)
        codes = {*other["citizenships"].split(), *row["citizenships"].split()}
        other["citizenships"] = " ".join(sorted(codes))
    return list(found.values())


def talks_of(tables: Tables, names: Names, party: str | None = None) -> list[Row]:
    """Return the rows of the answer `talks`, in no order."""
    found = []
    for (group, stage), rows in _by(tables["talks"], names, "stage").items():
        parties = {
            row["party"] for row in tables["talk_parties"]
            if row["stage"] == stage and row["stream"] in group
        }
        if party in (None, *parties):
            first, last = days([(row["valid_from"], row["valid_until"]) for row in rows])
            found.append({
                **_named(group, rows),
                "parties": ", ".join(sorted(parties)),
                "from": first,
                "until": last,
                "form": _words(rows, "form"),
                "place": _words(rows, "place_country"),
                "stage": stage,
                "reports": sum(row["reports"] for row in rows),
                "positions": _positions(rows),
            })
    return found


def disputes_of(tables: Tables, names: Names, party: str | None = None) -> list[Row]:
    """Return the rows of the answer `disputes`, in no order."""
    found = []
    for (group, type, stage), rows in _by(tables["disputes"], names, "type", "stage").items():
        theirs = {
            row["party"] for row in tables["dispute_parties"]
            if (row["type"], row["stage"]) == (type, stage) and row["stream"] in group
        }
        if party in (None, *theirs):
            said = " ".join(row["about"] for row in rows)
            about = [word for word in ("how many", "when", "by whom") if word in said]
            found.append({
                **_named(group, rows), "type": type, "stage": stage, "about": ", ".join(about),
                "positions": _positions(rows),
            })
    return found


def coded_of(tables: Tables, names: Names, stage: str, since: str, until: str) -> list[Row]:
    """Return the rows of the answer `coded_events` between two days (or "" and OPEN), in no order.
    """
    counts: dict[tuple[str, ...], list[int]] = {}
    rows = [row for row in tables["coded_events"] if row["stage"] == stage]
    for (_, dataset), own in _by(rows, names, "dataset").items():
        if any(row["month"] != "unstated" for row in own):
            own = [row for row in own if row["month"] != "unstated"]
        streams = {row["stream"] for row in own}
        said = {(row["stream"], _place(row)): row for row in own}
        bounds = {
            place: [
                (said[stream, place]["low"], said[stream, place]["high"])
                if (stream, place) in said else (0, 0) for stream in streams
            ]
            for place in map(_place, own)
        }
        clash = [1 for of in bounds.values() if max(b[0] for b in of) > min(b[1] for b in of)]
        for place, of in bounds.items():
            low, high = max(b[0] for b in of), min(b[1] for b in of)
            if clash:
                low, high = min(b[0] for b in of), max(b[1] for b in of)
            there = [row for row in own if _place(row) == place]
            first, last = days([(row["valid_from"], row["valid_until"]) for row in there])
            if high and (first or "") <= until and (last or OPEN) >= since:
                inside = (first or "") >= since and (last or OPEN) <= until
                one = [low * inside, high, 1, sum(row["reports"] for row in there)]
                before = counts.get((dataset, *place), [0] * 4)
                counts[dataset, *place] = [a + b for a, b in zip(before, one, strict=True)]
    columns = ("dataset", "month", "source", "target", "code",
               "low", "high", "developments", "reports")
    return [dict(zip(columns, (*place, *of), strict=True)) for place, of in counts.items()]


def days(spans: Sequence[Span]) -> Span:
    """Return the days that all allow, or if there are none all that any allows."""
    first = max(first or "" for first, _ in spans)
    last = min(last or OPEN for _, last in spans)
    if first > last:
        first = min(first or "" for first, _ in spans)
        last = max(last or OPEN for _, last in spans)
    return first or None, None if last == OPEN else last


def _place(row: Row) -> tuple[str, ...]:
    return row["month"], row["source"], row["target"], row["code"]


def _by(rows: Iterable[Row], names: Names, *columns: str) -> dict[tuple[Any, ...], list[Row]]:
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        key = names[row["stream"]], *(row[column] for column in columns)
        found.setdefault(key, []).append(row)
    return found


def _named(group: Sequence[str], rows: Sequence[Row]) -> Row:
    first = next(name for name in group if any(row["stream"] == name for row in rows))
    return {"development": first, "same_as": [name for name in group if name != first]}


def _words(rows: Sequence[Row], column: str) -> str | None:
    words = {word for row in rows if row[column] for word in row[column].split(", ")}
    return ", ".join(sorted(words)) or None


def _positions(rows: Sequence[Row]) -> list[int]:
    return sorted({int(at) for row in rows for at in row["positions"].split()})
