"""Looking at one thing: `history`.

Takes the name of a stream; prints all that was recorded in it, what of that stands now, and which
other streams are linked to it or merged into it.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import click
import sqlalchemy as sa

from ledger.cli.look import FOOTNOTE, as_data, as_recorded, in_order
from ledger.cli.output import (
    examples,
    format_option,
    print_csv,
    print_json,
    print_pairs,
    print_text,
)
from ledger.cli.render import PERSONAL, Fact, difference, facts, source, summary
from ledger.cli.start import database_option, open_to_read
from ledger.developments import Development, Report, evolve, fold
from ledger.errors import BadValue, NoStream
from ledger.events import STREAM, Data, RecordedEvent
from ledger.intake.composing import CATEGORIES
from ledger.kinds.registry import KINDS
from ledger.store.connect import reading
from ledger.store.read import read_streams, streams_that_name

LEFT_OUT = {
    "ReportCorrected": ("type", "type_version", "report"),
    "PersonalDataErased": ("digests",),
}
"""What a line of a history does not repeat: the differences and the fields say it better."""
TYING = ("DevelopmentsLinked", "DevelopmentsMerged", "PersonsMerged")
"""The types of events that say how one stream belongs to another."""
TIES = {
    "same_as": "is the same as",
    "in_exchange_for": "is in exchange for",
    "follows": "follows",
    "fulfils": "fulfils",
    "part_of": "is part of",
}
"""A merge and the kinds of links, in words that stand between the two."""

TIE_PARTS = ("link", "to", "denied", "provenance")


@dataclass(frozen=True, slots=True)
class Tie:
    """A merge or a link that stands: what one stream says about how it belongs to another."""

    position: int
    stream: str
    tie: str
    """same_as for a merge, else the kind of link."""
    to: str
    denied: bool = False
    provenance: Data | None = None
    """A link's; a merge has none."""

    @property
    def source(self) -> str:
        """Who says so and when, or nothing."""
        return source({"provenance": self.provenance})


@click.command(short_help="Show all that was recorded about one thing.", epilog=examples(
    "ledger history development/by-release-2025-12-13",
    "ledger history by-release-2025-12-13 --format json",
))
@click.argument("stream")
@format_option("table", "json", "csv")
@database_option
def history(database: str, stream: str, format: str) -> None:
    """Show everything recorded about one thing, and what stands now.

    STREAM may be written without `development/`, `tally/`, … where only one has that name.
    Corrections show what they changed. Merges and links count in both directions: also those that
    stand in the other stream. `ledger audit log` names the streams.
    """
    with as_recorded(f"show the history of {stream}"):
        _show(database, stream, format)


def _show(database: str, stream: str, format: str) -> None:
    with reading(open_to_read(database)) as connection:
        name, events = _find(connection, stream)
        others = read_streams(connection, streams_that_name(connection, name, TYING))
    development, changes = _folded(name, events)
    tied = [development, *(fold(*other) for other in others.items())]
    ties = sorted(_ties(name, tied), key=lambda tie: tie.position)
    if format == "json":
        print_json(_history_as_data(development, ties, events, changes))
    elif format == "csv":
        columns = ("position", "stream_version", "recorded_at", "recorded_by", "type", "summary")
        print_csv(columns, (
            (*(getattr(event, name) for name in columns[:-1]), _what(event)) for event in events
        ))
    else:
        _print_history(development, ties, events, changes)


def _find(connection: sa.Connection, stream: str) -> tuple[str, list[RecordedEvent]]:
    """Return the one stream of that name and its events; raises NoStream, BadValue."""
    names = [stream, *(f"{category}/{stream}" for category in CATEGORIES)]
    found = read_streams(connection, filter(STREAM.fullmatch, names))
    there = [name for name, events in found.items() if events]
    if not there:
        raise NoStream(stream)
    name = stream if stream in there else there[0]
    if len(there) > 1 and stream not in there:
        raise BadValue(stream, "one of " + ", ".join(there))
    return name, found[name]


def _folded(
    name: str, events: list[RecordedEvent]
) -> tuple[Development, dict[int, list[str]]]:
    """Return what the stream adds up to, and for each correction what it changed."""
    development, changes = Development(name), {}
    for event in events:
        if event.type == "ReportCorrected":
            replaced = development.reports[event.data["position"]]
            changes[event.position] = _changes(replaced, event.data)
        development = evolve(development, event)
    return development, changes


def _ties(name: str, developments: list[Development]) -> Iterator[Tie]:
    """Yield each merge and link that stands, from or to the stream of that name."""
    for development in developments:
        stream = development.stream
        for position, to in development.merges.items():
            if name in (stream, to):
                yield Tie(position, stream, "same_as", to)
        for position, link in development.links.items():
            if name in (stream, link["to"]):
                yield Tie(position, stream, *(link[part] for part in TIE_PARTS))


def _changes(replaced: Report, correction: Data) -> list[str]:
    new_type = correction["type"]
    before = [Fact(("type",), replaced.type), *facts(KINDS[replaced.type].form, replaced.data)]
    after = [Fact(("type",), new_type), *facts(KINDS[new_type].form, correction["report"])]
    return difference(before, after)


def _print_history(
    development: Development,
    ties: list[Tie],
    events: list[RecordedEvent],
    changes: dict[int, list[str]],
) -> None:
    last = max([events[-1].position, *(tie.position for tie in ties)])
    indent = len(f"{last:,}") + 2
    print_text(development.stream, style="bold")
    for event in events:
        print_text()
        _print_step(event, development, indent)
        for line in changes.get(event.position, ()):
            print_text(line, indent=indent + 2)
        if said_by := source(event.data):
            print_text(f"source: {said_by}", indent=indent)
    standing = [*_standing(development, changes), *_tied(development.stream, ties)]
    if standing:
        print_text()
        print_text("What stands now", style="bold")
        print_pairs((f"{at:>{indent - 2},}" if at else "", text) for at, text in standing)
    said = (*map(_what, events), *(source(event.data) for event in events))
    if any(PERSONAL in text for text in (*said, *(tie.source for tie in ties))):
        print_text()
        print_text(FOOTNOTE, style="dim")


def _print_step(event: RecordedEvent, development: Development, indent: int) -> None:
    day, minute = event.recorded_at[:10], event.recorded_at[11:16]
    print_text(
        f"{event.position:>{indent - 2},}  {day} {minute} UTC  {event.type}, "
        f"recorded by {event.recorded_by}"
    )
    if gone := development.gone.get(event.position):
        print_text(f"{gone.how} by position {gone.by:,}", indent=indent)
    print_text(_what(event), indent=indent)


def _what(event: RecordedEvent) -> str:
    """Return what an event says in running text: of a correction only what it does."""
    data = {name: value for name, value in event.data.items()
            if name not in LEFT_OUT.get(event.type, ())}
    return summary(KINDS[event.type].form, data)


def _standing(
    development: Development, changed: Collection[int]
) -> Iterator[tuple[int | None, str]]:
    """Yield the reports that count and those that do not; corrected ones in full."""
    counted = {report.position for report in development.live}
    for position, report in sorted(development.reports.items()):
        rank = "" if report.rank == "normal" else f", {report.rank}"
        aside = "" if position in counted else ", does not count"
        yield position, f"{report.type}{rank}{aside}: {source(report.data)}"
        if position in changed:
            yield None, summary(KINDS[report.type].form, report.data)


def _tied(name: str, ties: list[Tie]) -> Iterator[tuple[int, str]]:
    """Yield the merges and links as sentences, seen from the stream of that name."""
    for tie in ties:
        one, other = ("this one" if end == name else end for end in (tie.stream, tie.to))
        denied = "denied: " if tie.denied else ""
        said_by = f": {tie.source}" if tie.source else ""
        yield tie.position, f"{denied}{one} {TIES[tie.tie]} {other}{said_by}"


def _history_as_data(
    development: Development,
    ties: list[Tie],
    events: list[RecordedEvent],
    changes: dict[int, list[str]],
) -> dict[str, Any]:
    counted = {report.position for report in development.live}
    return {
        "stream": development.stream,
        "events": [
            {**as_data(event), "changes": changes.get(event.position)} for event in events
        ],
        "gone": [
            {"position": position, "how": gone.how, "by": gone.by}
            for position, gone in sorted(development.gone.items())
        ],
        "reports": [
            {
                "position": position,
                "type": report.type,
                "rank": report.rank,
                "counts": position in counted,
                "data": in_order(report.data),
            }
            for position, report in sorted(development.reports.items())
        ],
        "links": [
            {
                "position": tie.position,
                "stream": tie.stream,
                "link": tie.tie,
                "to": tie.to,
                "denied": tie.denied,
                "provenance": in_order(tie.provenance),
            }
            for tie in ties if tie.provenance
        ],
        "merges": [
            {"position": tie.position, "stream": tie.stream, "same_as": tie.to}
            for tie in ties if not tie.provenance
        ],
    }
