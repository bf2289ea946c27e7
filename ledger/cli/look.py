"""Looking: `status` and `show`.

Takes a ledger and a question about the record itself; prints what stands there. Answers that are
folded over many streams are the projections'.
"""

from collections.abc import Iterator
from contextlib import contextmanager
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
from ledger.cli.render import PERSONAL, as_rows, facts
from ledger.cli.start import database_option, open_to_read
from ledger.entry import parse
from ledger.errors import CouldNot
from ledger.events import RecordedEvent
from ledger.kinds.registry import KINDS
from ledger.merkle import leaf_hash
from ledger.projections.registry import PROJECTIONS
from ledger.store.checkpoints import read_checkpoint
from ledger.store.connect import place_of, reading
from ledger.store.migrate import revision_of
from ledger.store.read import read_entry, read_head, read_position

LAST_POSITION = 2**53 - 1
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
    late = [
        f"{name} {size - at.position}{'' if at.stalled_at is None else ' (stalled)'}"
        for name, at in found.items() if at is not None
    ]
    return "; ".join(late) or "no projection was built yet"


@contextmanager
def as_recorded(doing: str) -> Iterator[None]:
    """Say of an event that is not of the format any more that it cannot be read; raises CouldNot.

    Nothing that was recorded here leads there: whoever reads expects what an entry has.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as failure:
        what = f"an event there was changed ({type(failure).__name__}: {failure})"
        raise CouldNot(doing, f"{what}; `ledger audit verify` says which") from failure


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
    engine = open_to_read(database)
    if entry or format == "entry":
        with reading(engine) as connection:
            print_bytes(read_entry(connection, position))
        return
    with as_recorded(f"show position {position:,}"):
        with reading(engine) as connection:
            event = read_position(connection, position)
            raw = read_entry(connection, position)
        if format == "json":
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
        "data": in_order(event.data),
        "erased": sorted(event.erased),
    }


def in_order(value: Any) -> Any:
    """Return the value with every mapping in the order of its keys."""
    if isinstance(value, dict):
        return {name: in_order(value[name]) for name in sorted(value)}
    return [in_order(item) for item in value] if isinstance(value, list) else value
