"""The fold as slowly and plainly as it can be written: what projections are held against.

Takes events; hands on rows of answer tables. For every number of first events it reads that many
from the start, asks what stands, and compares that with what stood before. Of the ledger it uses
the question alone (what a projection says of a part), neither the fold of developments, nor which
parts an event changes, nor the fold of projections.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ledger.developments import Development, Report
from ledger.events import RecordedEvent
from ledger.kinds.registry import KINDS
from ledger.projections.projection import Projection

Row = tuple[Any, ...]
"""The values of a row, in the order of the table's columns."""
Tables = dict[str, set[Row]]

ENDINGS = ("ReportCorrected", "ReportRetracted", "LinkWithdrawn", "MergeWithdrawn")


def naive_rows(projections: Sequence[Projection], events: Iterable[RecordedEvent]) -> Tables:
    """Return every row that the events make, by table."""
    by_stream: dict[str, list[RecordedEvent]] = {}
    for event in events:
        by_stream.setdefault(event.stream, []).append(event)
    found: Tables = {table.name: set() for p in projections for table in p.tables}
    for stream, own in by_stream.items():
        for projection in projections:
            if stream.startswith(f"{projection.category}/"):
                for table, row in spans(projection, stream, own):
                    assert row not in found[table]
                    found[table].add(row)
    return found


def spans(
    projection: Projection, stream: str, events: Sequence[RecordedEvent]
) -> Iterator[tuple[str, Row]]:
    """Yield (table, row) for all that the stream ever said, with where it began and ended."""
    before: set[tuple[str, frozenset[tuple[str, Any]]]] = set()
    began: dict[tuple[str, frozenset[tuple[str, Any]]], int] = {}
    for number, event in enumerate(events, start=1):
        after = said(projection, stream, events[:number])
        for row in before - after:
            yield in_columns(projection, stream, row, began.pop(row), event.position)
        for row in after - before:
            began[row] = event.position
        before = after
    for row, since in began.items():
        yield in_columns(projection, stream, row, since, None)


def said(
    projection: Projection, stream: str, events: Sequence[RecordedEvent]
) -> set[tuple[str, frozenset[tuple[str, Any]]]]:
    """Return what the events say together: (table, keys and values) of each row."""
    keys = {
        table.name: [c.name for c in table.primary_key if c.name not in ("stream", "position_from")]
        for table in projection.tables
    }
    return {
        (table, frozenset({**dict(zip(keys[table], key, strict=True)), **values}.items()))
        for (table, key), values in asked(projection, standing(stream, events))
    }


def asked(
    projection: Projection, development: Development
) -> Iterator[tuple[tuple[str, tuple[str, ...]], Mapping[str, Any]]]:
    """Yield all that the projection says of a development, asked part by part."""
    heeded = [
        report for report in development.reports.values()
        if projection.reports is None or report.type in projection.reports
    ]
    if projection.of_ties is not None:
        yield from projection.of_ties(development).items()
    for report in heeded:
        if projection.of_report is not None:
            yield from projection.of_report(report).items()
    if projection.of_step is not None:
        for step in {(report.type, report.data.get("stage")) for report in heeded}:
            alike = [r for r in heeded if (r.type, r.data.get("stage")) == step]
            yield from projection.of_step(tuple(alike)).items()
    if projection.of_type is not None:
        for type in {report.type for report in heeded}:
            yield from projection.of_type(tuple(r for r in heeded if r.type == type)).items()


def in_columns(
    projection: Projection,
    stream: str,
    row: tuple[str, frozenset[tuple[str, Any]]],
    since: int,
    until: int | None,
) -> tuple[str, Row]:
    """Return the table and the row's values in the order of its columns."""
    name, pairs = row
    (table,) = (table for table in projection.tables if table.name == name)
    named = {**dict(pairs), "stream": stream, "position_from": since, "position_until": until}
    columns = [column.name for column in table.c]
    assert named.keys() == set(columns)
    return name, tuple(named[column] for column in columns)


def standing(stream: str, events: Sequence[RecordedEvent]) -> Development:
    """Return what stands after the events: only the reports that count, links and merges."""
    ended = {event.data["position"] for event in events if event.type in ENDINGS}
    left = [event for event in events if event.position not in ended]
    left.sort(key=lambda event: place_of(event.position, events))
    ranked = [(rank_of(event.position, events), event) for event in left if states(event)]
    wanted = "preferred" if any(rank == "preferred" for rank, _ in ranked) else "normal"
    return Development(
        stream,
        len(events),
        None,
        {event.position: report(event) for rank, event in ranked if rank == wanted},
        {event.position: event.data for event in left if event.type == "DevelopmentsLinked"},
        {
            event.position: event.data["same_as"]
            for event in left
            if event.type in ("DevelopmentsMerged", "PersonsMerged")
        },
    )


def states(event: RecordedEvent) -> bool:
    """Say whether the event holds a report, stated or restated."""
    return event.type == "ReportCorrected" or KINDS[event.type].is_report


def report(event: RecordedEvent) -> Report:
    """Return the report that the event holds."""
    if event.type == "ReportCorrected":
        return Report(event.position, event.data["type"], event.data["report"])
    return Report(event.position, event.type, event.data)


def place_of(position: int, events: Sequence[RecordedEvent]) -> int:
    """Return where a report stands among the others: a correction where that stood which it mends.
    """
    for event in events:
        if event.position == position and event.type == "ReportCorrected":
            return place_of(event.data["position"], events)
    return position


def rank_of(position: int, events: Sequence[RecordedEvent]) -> str:
    """Return the last rank given to a report, or to what it corrects."""
    given = [
        str(event.data["rank"])
        for event in events
        if event.type == "ReportRanked" and event.data["position"] == position
    ]
    if given:
        return given[-1]
    for event in events:
        if event.position == position and event.type == "ReportCorrected":
            return rank_of(event.data["position"], events)
    return "normal"
