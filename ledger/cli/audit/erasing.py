"""`ledger audit erase` and `ledger audit log`.

Takes whose data, or which field, and why; prints what was erased and what a database or a backup
may still hold. And takes a question about the whole log; prints one event after the other.
"""

import re
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import click
import orjson
import sqlalchemy as sa

from ledger.audit.erasing import Erasure, Find, Sealed, by_field, by_person, by_text, erase
from ledger.book import writer
from ledger.cli.look import as_recorded
from ledger.cli.output import (
    WIDTH,
    Diagnostic,
    clean,
    examples,
    finish,
    format_option,
    many,
    print_bytes,
    print_csv,
    print_json,
    print_pairs,
    print_table,
    print_text,
    say,
    watched,
)
from ledger.cli.record import recorder
from ledger.cli.start import database_option, open_to_read
from ledger.errors import BadValue
from ledger.events import RecordedEvent
from ledger.intake.composing import CATEGORIES
from ledger.kinds.registry import KINDS
from ledger.store.connect import reading
from ledger.store.erase import scrub
from ledger.store.read import Selection, read_events
from ledger.values.day import read_day

PATIENCE_MS = 10_000
"""How long an erasure waits for readers of a SQLite ledger to finish."""
ELSEWHERE = (
    "not reached: backups, replicas, exports of disclosures, and whoever kept a value or its salt"
)
ON_POSTGRESQL = (
    "not reached: the archive of the write-ahead log, replicas, backups, and whoever kept a value"
)
_TIME = re.compile(r"([01]\d|2[0-3])(:[0-5]\d(:[0-5]\d(\.\d{1,6})?)?)?Z?", re.ASCII)
COLUMNS = ("position", "recorded_at", "recorded_by", "type", "stream", "reason")


@click.command("erase", short_help="Erase a person's data; every proof still holds.",
               epilog=examples(
    "ledger audit erase --person p-3k7w --dry-run",
    'ledger audit erase --person p-3k7w --basis "GDPR 17" --reason asked',
    "ledger audit erase --position 2 --field /note --basis … --reason …",
    'ledger audit erase --name "A. Name" --dry-run',
))
@click.option("--person", metavar="STREAM", help="All about the person of this stream.")
@click.option("--position", type=click.IntRange(1),
              help="Fields of the event at this position, and the same in what corrects it or is"
              " corrected by it.")
@click.option("--field", "fields", metavar="POINTER", multiple=True,
              help="With --position: which, as /persons/0/name; by default all that are sealed.")
@click.option("--name", "text", metavar="TEXT",
              help="Every sealed field that contains this text, wherever it stands.")
@click.option("--keep-notes", is_flag=True,
              help="With --person: leave notes and reasons that do not name the person.")
@click.option("--reason", help="Why, without naming anybody: it stays in the record.")
@click.option("--basis", help="The legal basis; it stays in the record, too.")
@click.option("--by", metavar="NAME", envvar="LEDGER_RECORDER", callback=recorder,
              help="Who erases.  [env: LEDGER_RECORDER; default: the login name]")
@click.option("--dry-run", is_flag=True, help="Show what would be erased, and erase nothing.")
@click.option("--yes", is_flag=True, help="Do not ask; needed where no terminal is.")
@click.option("--vacuum/--no-vacuum", default=None,
              help="Write the file (SQLite) or the table (PostgreSQL) anew, so that nothing is left"
              " in its gaps.  [default: on SQLite]")
@format_option("table", "json")
@database_option
def erase_command(
    database: str, person: str | None, position: int | None, fields: tuple[str, ...],
    text: str | None, keep_notes: bool, reason: str | None, basis: str | None, by: str,
    dry_run: bool, yes: bool, vacuum: bool | None, format: str,
) -> None:
    """Erase personal fields: salt and value go, and an event says that they did.

    Entries, leaf hashes and signed heads stay as they are, so every proof still holds. There is no
    way back. A second run erases nothing new and says so.
    """
    find = _asked(person, position, fields, text, keep_notes)
    if not dry_run and not (reason and basis):
        raise click.UsageError("got no --reason or no --basis, wanted both (or --dry-run)")
    asked = not yes and not dry_run
    if asked and not watched(sys.stdin):
        raise click.UsageError("nobody is here to be asked, wanted --yes (or --dry-run)")
    engine = open_to_read(database)
    why, ground = reason or "a dry run", basis or "a dry run"
    if dry_run or asked:
        with as_recorded("find what to erase"):
            plan = erase(engine, find, writer(by), reason=why, basis=ground, dry_run=True)
        if dry_run:
            _report(plan, None, format, engine)
            return
        _print_erasure(plan)
        click.confirm("Erase this? There is no way back.", abort=True, err=True)
    with as_recorded("erase"):
        done = erase(engine, find, writer(by), reason=why, basis=ground)
    on_sqlite = engine.dialect.name == "sqlite"
    left = scrub(engine, vacuum=on_sqlite if vacuum is None else vacuum, patience_ms=PATIENCE_MS)
    _report(done, None if left.clean else left.why, format, engine)


def _asked(
    person: str | None, position: int | None, fields: tuple[str, ...], text: str | None,
    keep_notes: bool,
) -> Find:
    if [person, position, text].count(None) != 2:
        raise click.UsageError("wanted one of --person, --position and --name")
    if fields and position is None:
        raise click.UsageError("got --field without --position")
    if person is not None:
        return by_person(person, keep_notes=keep_notes)
    return by_field(position, fields) if position is not None else by_text(text or "")


def _report(done: Erasure, left: str | None, format: str, engine: sa.Engine) -> None:
    """Print what was done and what is left; end with a finding where bytes may be left."""
    on_sqlite = engine.dialect.name == "sqlite"
    remarks = [Diagnostic("note", text) for text in _notes(done)]
    if done.written:
        remarks.append(Diagnostic("note", ELSEWHERE if on_sqlite else ON_POSTGRESQL))
    # A server's dead rows wait for its next VACUUM: that is its way, and no failure of this run.
    status = "finding" if left is not None and on_sqlite else "ok"
    if left is not None:
        again = "run this again" if on_sqlite else "its owner's VACUUM (FULL) disclosures does it"
        file = "the files" if on_sqlite else "dead rows of the table"
        level = "finding" if on_sqlite else "note"
        remarks.append(Diagnostic(level, f"{file} may still hold the bytes: {left}; {again}"))
    if format == "json":
        print_json(_as_data(done, left), status, remarks)
    else:
        _print_erasure(done)
    for remark in remarks:
        say(str(remark))
    finish(status)


def _notes(done: Erasure) -> Iterator[str]:
    if done.plan.mentions:
        at = sorted({one.position for one in done.plan.mentions})
        yield (
            f"more about the same may stand at position {', '.join(map(str, at))}, and stays there;"
            " look, then erase by --position or --name"
        )


def _as_data(done: Erasure, left: str | None) -> dict[str, Any]:
    return {
        "erased": len(done.plan.fields),
        "already_erased": done.plan.already,
        "written": done.written,
        "events": [receipt.position for receipt in done.receipts] if done.written else [],
        "persons": list(done.plan.persons),
        "fields": [_place(one) for one in done.plan.fields],
        "mentions": [_place(one) for one in done.plan.mentions],
        "files_clean": left is None if done.written else None,
    }


def _place(one: Sealed) -> dict[str, Any]:
    return {"position": one.position, "stream": one.stream, "field": one.pointer}


def _print_erasure(done: Erasure) -> None:
    plan = done.plan
    if plan.fields:
        print_table(
            ("position", "field", "stream"),
            [(f"{one.position:,}", one.pointer, one.stream) for one in plan.fields],
            numbers=("position",),
        )
        print_text()
    events = len({one.position for one in plan.fields})
    said = "erased" if done.written else "would be erased"
    words = f"{many(len(plan.fields), 'field')} of {many(events, 'event')}"
    words = words if plan.fields else "nothing"
    rows = [(said, words)]
    if plan.already:
        rows.append(("erased before", f"{plan.already:,}"))
    if done.written and done.receipts:
        rows.append(("recorded", "at position " + _positions(done)))
    print_pairs(rows)


def _positions(done: Erasure) -> str:
    first, last = done.receipts[0].position, done.receipts[-1].position
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"


@click.command("log", short_help="Print who recorded what, event by event.", epilog=examples(
    "ledger audit log --by anna --since 2025-12-13",
    "ledger audit log --type ReportCorrected --type ReportRetracted",
    "ledger audit log --category person --format ndjson",
))
@click.option("--by", metavar="NAME", help="Only what this person recorded.")
@click.option("--type", "types", metavar="TYPE", multiple=True,
              help="Only events of this type; may be given several times.")
@click.option("--since", metavar="TIME", help="From this day or UTC time on.")
@click.option("--until", metavar="TIME", help="Up to this day or UTC time, included.")
@click.option("--stream", metavar="STREAM", help="Only this stream, as development/by-release.")
@click.option("--category", type=click.Choice(CATEGORIES), help="Only streams of this category.")
@format_option("table", "ndjson", "csv")
@database_option
def log(
    database: str, by: str | None, types: tuple[str, ...], since: str | None, until: str | None,
    stream: str | None, category: str | None, format: str,
) -> None:
    """Print every event in order: position, time, who recorded it, type, stream, reason.

    What was recorded before a value was erased shows [erased] in its place. To find a name that
    stands in free text, ask `ledger audit erase --name TEXT --dry-run`.
    """
    for type in types:
        if type not in KINDS:
            raise BadValue(type, f"one of {', '.join(KINDS)}")
    first, last = _moment(since, ""), _moment(until, "\uffff")
    selection = Selection(stream=stream, category=category, types=types or None)
    engine = open_to_read(database)
    with as_recorded("show the log"), reading(engine) as connection:
        chosen = _chosen(read_events(connection, selection), by, first, last)
        if format == "csv":
            print_csv(COLUMNS, (tuple(row.values()) for row in map(_row, chosen)))
        else:
            show = _print_line if format == "ndjson" else _print_step
            event = None
            for event in chosen:
                show(_row(event))
            if event is None:
                say("no event matches")


def _moment(given: str | None, otherwise: str) -> str:
    """Return the end of a span of times, as text that stands in order with recorded_at."""
    if given is None:
        return otherwise
    day, _, time = given.strip().replace(" ", "T").partition("T")
    if len(day) != 10 or read_day(day).edtf != day or (time and not _TIME.fullmatch(time)):
        raise BadValue(given, "a day or a UTC time, as 2025-12-13 or 2025-12-13T08:00")
    return f"{day}T{time.removesuffix('Z')}" + otherwise if time else day + otherwise


def _chosen(
    events: Iterator[RecordedEvent], by: str | None, first: str, last: str
) -> Iterator[RecordedEvent]:
    for event in events:
        if event.recorded_at > last:
            return  # recorded times never go back
        if event.recorded_at >= first and by in (None, event.recorded_by):
            yield event


def _row(event: RecordedEvent) -> dict[str, Any]:
    return {
        **{name: getattr(event, name) for name in COLUMNS[:-1]},
        "reason": event.data.get("reason"),
    }


def _print_line(row: dict[str, Any]) -> None:
    print_bytes(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def _print_step(row: dict[str, Any]) -> None:
    """Print one event in two or three lines of at most 80 columns; nothing is held back for it."""
    when = f"{row['recorded_at'][:10]} {row['recorded_at'][11:19]}"
    head = f"{row['position']:>9,}  {when}  {row['type']}, by {row['recorded_by']}"
    lines = [head, *(" " * 11 + row[name] for name in ("stream", "reason") if row[name])]
    for line in lines:
        for part in textwrap.wrap(clean(line), WIDTH, subsequent_indent=" " * 11,
                                  drop_whitespace=True, break_on_hyphens=False):
            click.echo(part)


COMMANDS: tuple[click.Command, ...] = (erase_command, log)
