"""Looking: `status`, `show` and `history`.

Takes a ledger and a question about the record itself; prints what stands there. Answers that are
folded over many streams are the projections'.
"""

from collections.abc import Collection, Iterator
from typing import Any

import click
import sqlalchemy as sa

from ledger import tables
from ledger.cli.output import (
    Diagnostic,
    examples,
    finish,
    format_option,
    print_bytes,
    print_csv,
    print_json,
    print_pairs,
    print_text,
    say,
)
from ledger.cli.render import PERSONAL, Fact, as_rows, difference, facts, source, summary
from ledger.cli.start import database_option, open_to_read
from ledger.developments import Development, Report, evolve
from ledger.encoding import parse
from ledger.errors import BadValue, NoStream
from ledger.events import Data, RecordedEvent
from ledger.intake.composing import CATEGORIES
from ledger.kinds.fields import STREAM
from ledger.kinds.registry import KINDS
from ledger.merkle import leaf_hash
from ledger.projections.registry import PROJECTIONS
from ledger.store.checkpoints import read_checkpoint
from ledger.store.connect import place_of, reading
from ledger.store.migrate import revision_of
from ledger.store.read import read_entry, read_head, read_position, read_streams

LAST_POSITION = 2**53 - 1
LEFT_OUT = {
    "ReportCorrected": ("type", "type_version", "report"),
    "PersonalDataErased": ("digests",),
}
"""What a line of a history does not repeat: the differences and the fields say it better."""
FOOTNOTE = f"{PERSONAL} personal: stands in the entry as a digest only, and can be erased"


@click.command(epilog=examples(
    "ledger status",
    "ledger status --format json",
))
@format_option("table", "json", "csv")
@database_option
def status(database: str, format: str) -> None:
    """Say where the ledger is, how far it goes and what it commits to.

    The root hash changes with every event. Whoever has noted size and root can prove later that
    the ledger only grew.
    """
    engine = open_to_read(database)
    with reading(engine) as connection:
        found = {"database": place_of(engine), **_status(connection)}
    odd = [] if found["position"] == found["tree_size"] else [_head_is_off(found)]
    outcome = "finding" if odd else "ok"
    if format == "json":
        print_json(found, outcome, odd)
    elif format == "csv":
        print_csv(list(found), [list(found.values())])
    else:
        print_pairs((name.replace("_", " "), _shown(value)) for name, value in found.items())
    for remark in odd:
        say(str(remark))
    finish(outcome)


def _status(connection: sa.Connection) -> dict[str, Any]:
    head = read_head(connection)
    return {
        "revision": revision_of(connection),
        "position": connection.scalar(sa.select(sa.func.max(tables.events.c.position))) or 0,
        "tree_size": head.size,
        "root_hash": head.root.hex(),
        "recorded_at": head.recorded_at or None,
        "behind": _behind(connection, head.size),
    }


def _behind(connection: sa.Connection, size: int) -> str:
    """Return how many events each projection that was built is behind the last one."""
    found = {p.name: read_checkpoint(connection, p.name, p.version) for p in PROJECTIONS}
    late = [f"{name} {size - at.position}" for name, at in found.items() if at is not None]
    return "; ".join(late) or "no projection was built yet"


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value or "never")


def _head_is_off(found: dict[str, Any]) -> Diagnostic:
    return Diagnostic("finding", f"the tree head covers {found['tree_size']:,} events, "
                                 f"but the last position is {found['position']:,}")


@click.command(short_help="Show one event as recorded.", epilog=examples(
    "ledger show 2",
    "ledger show 2 --format json",
    "(printf '\\0'; ledger show 2 --entry) | sha256sum",
))
@click.argument("position", type=click.IntRange(1, LAST_POSITION))
@click.option("--entry", is_flag=True, help="Print the exact bytes recorded, as --format entry.")
@format_option("table", "json", "entry")
@database_option
def show(database: str, position: int, format: str, entry: bool) -> None:
    """Show the event at POSITION: what it says, who said so, who recorded it.

    With --entry exactly the recorded bytes are printed, without a line feed. The leaf hash is
    SHA-256 over a zero byte and these bytes.
    """
    with reading(open_to_read(database)) as connection:
        event = read_position(connection, position)
        raw = read_entry(connection, position)
    if entry or format == "entry":
        print_bytes(raw)
    elif format == "json":
        sealed = sorted(parse(raw).get("_sd", {}))
        print_json({**as_data(event), "personal": sealed, "leaf_hash": leaf_hash(raw).hex()})
    else:
        _print_event(event, raw)


def _print_event(event: RecordedEvent, raw: bytes) -> None:
    kind = KINDS[event.type]
    print_text(event.type, style="bold")
    print_text(kind.meaning, style="dim")
    print_text()
    said = list(facts(kind.form, event.data))
    print_pairs(as_rows(said))
    print_text()
    print_pairs(_recording(event, raw))
    if any(PERSONAL in fact.text for fact in said) and "_sd" in parse(raw):
        print_text()
        print_text(FOOTNOTE, style="dim")


def _recording(event: RecordedEvent, raw: bytes) -> Iterator[tuple[str, str]]:
    yield "position", f"{event.position:,}"
    yield "stream", f"{event.stream}, event {event.stream_version:,} of it"
    yield "recorded", f"{event.recorded_at} by {event.recorded_by}"
    yield "id", event.id
    for name in ("causation", "correlation"):
        if value := getattr(event, name):
            yield name, value
    yield "leaf hash", leaf_hash(raw).hex()


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
    Corrections show what they changed.
    """
    with reading(open_to_read(database)) as connection:
        name, events = _find(connection, stream)
    development, changes = _folded(name, events)
    if format == "json":
        print_json(_history_as_data(development, events, changes))
    elif format == "csv":
        columns = ("position", "stream_version", "recorded_at", "recorded_by", "type", "summary")
        print_csv(columns, (
            (*(getattr(event, name) for name in columns[:-1]), _what(event)) for event in events
        ))
    else:
        _print_history(development, events, changes)


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


def _changes(replaced: Report, correction: Data) -> list[str]:
    new_type = correction["type"]
    before = [Fact(("type",), replaced.type), *facts(KINDS[replaced.type].form, replaced.data)]
    after = [Fact(("type",), new_type), *facts(KINDS[new_type].form, correction["report"])]
    return difference(before, after)


def _print_history(
    development: Development, events: list[RecordedEvent], changes: dict[int, list[str]]
) -> None:
    indent = len(f"{events[-1].position:,}") + 2
    print_text(development.stream, style="bold")
    for event in events:
        print_text()
        _print_step(event, development, indent)
        for line in changes.get(event.position, ()):
            print_text(line, indent=indent + 2)
        if said_by := source(event.data):
            print_text(f"source: {said_by}", indent=indent)
    _print_standing(development, changes, indent)
    if any(PERSONAL in _what(event) for event in events):
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


def _print_standing(development: Development, changed: Collection[int], indent: int) -> None:
    """Print the reports that count and those that do not; corrected ones in full."""
    if not development.reports:
        return
    counted = {report.position for report in development.live}
    print_text()
    print_text("What stands now", style="bold")
    rows = []
    for position, report in sorted(development.reports.items()):
        rank = "" if report.rank == "normal" else f", {report.rank}"
        aside = "" if position in counted else ", does not count"
        text = f"{report.type}{rank}{aside}: {source(report.data)}"
        rows.append((f"{position:>{indent - 2},}", text))
        if position in changed:
            rows.append(("", summary(KINDS[report.type].form, report.data)))
    print_pairs(rows)


def as_data(event: RecordedEvent) -> dict[str, Any]:
    """Return the event as JSON has it: fixed keys, the data's own keys sorted."""
    return {
        "position": event.position,
        "id": event.id,
        "stream": event.stream,
        "stream_version": event.stream_version,
        "type": event.type,
        "type_version": event.type_version,
        "recorded_at": event.recorded_at,
        "recorded_by": event.recorded_by,
        "causation": event.causation,
        "correlation": event.correlation,
        "data": _sorted(event.data),
        "erased": sorted(event.erased),
    }


def _history_as_data(
    development: Development, events: list[RecordedEvent], changes: dict[int, list[str]]
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
                "data": _sorted(report.data),
            }
            for position, report in sorted(development.reports.items())
        ],
        "links": sorted(development.links),
        "merges": sorted(development.merges),
    }


def _sorted(value: Any) -> Any:
    """Return the value with every mapping in the order of its keys."""
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
