"""Commands at their times: `schedule run`, `list`, `next`, `runs`, `trigger`.

Takes `ledger.toml`; runs what it declares and prints what became of it. APScheduler comes with an
extra and is slow to import, so that waits until a command needs it.
"""

import json
import logging
import os
import shlex
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy.exc import DBAPIError

from ledger.book import now
from ledger.cli.audit.options import KeyText
from ledger.cli.output import (
    Command,
    examples,
    finish,
    format_option,
    print_csv,
    print_json,
    print_table,
    say,
)
from ledger.cli.start import VARIABLE, database_option, open_to_read
from ledger.errors import BadValue, CouldNot
from ledger.store.append import format_time
from ledger.store.connect import reading
from ledger.store.runs import RunRecord, runs_since
from ledger.store.scheduled_runs import ScheduledRun, names_with_runs, read_runs

if TYPE_CHECKING:
    from ledger.schedule.declaration import Schedule

FILE = "ledger.toml"
Row = dict[str, Any]

_LOGGERS = (("ledger.schedule", logging.INFO), ("apscheduler", logging.ERROR))


@click.group(short_help="Run commands at their times, and see that they ran.")
def schedule() -> None:
    """Run commands at their times, and see that they ran.

    ledger.toml says what runs when. Any number of `ledger schedule run` may run on one ledger: one
    leads, the others stand by. A slot is a moment at which a command is due.

    \b
    All but `runs` need the extra schedule:
      pip install 'incident-ledger[schedule]'
    """


def file_option(command: Command) -> Command:
    """Add `--file` to a command, which is handed `file`."""
    return click.option(
        "--file", type=click.Path(path_type=Path), default=FILE, show_default=True,
        help="Where the schedules are declared.",
    )(command)


@schedule.command(epilog=examples(
    "ledger schedule run",
    "ledger schedule run --file /etc/ledger.toml",
))
@file_option
@database_option
def run(database: str, file: Path) -> None:
    """Run what is declared, until SIGTERM or Ctrl-C.

    A command that is running then is waited for. Logs are JSON lines on stderr.
    """
    declared = _declared(file)
    from ledger.schedule.commands import Place
    from ledger.schedule.running import run_schedules

    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: asked.append(number))
    _log_json()
    place = Place(open_to_read(database), now, _environment(database))
    holder = f"process {os.getpid()} on {socket.gethostname()}"
    try:
        run_schedules(place, declared, holder, lambda: bool(asked))
    except (CouldNot, DBAPIError) as failure:  # a line of the log, like every other
        facts = {"why": str(getattr(failure, "orig", failure))}
        logging.getLogger("ledger.schedule").error("failed", extra={"facts": facts})
        finish("could_not")


@schedule.command("list", epilog=examples("ledger schedule list"))
@file_option
@format_option("table", "json", "csv")
def list_declared(file: Path, format: str) -> None:
    """List what ledger.toml declares: each command and its times."""
    rows = [
        {"name": s.name, "when": s.when, "grace": s.grace, "jitter": s.jitter,
         "command": list(s.command)}
        for s in _declared(file)
    ]
    _print(("name", "when", "grace", "jitter", "command"), rows, format)


@schedule.command("next", epilog=examples("ledger schedule next", "ledger schedule next -n 5"))
@click.option("-n", "--count", type=click.IntRange(1, 1000), default=1, show_default=True,
              help="How many times of each.")
@file_option
@format_option("table", "json", "csv")
def next_times(file: Path, count: int, format: str) -> None:
    """Say when each command is due next, in UTC."""
    rows: list[Row] = []
    for declared in _declared(file):
        moment: datetime = now()
        for _ in range(count):
            moment = declared.slots.after(moment)
            rows.append({"slot": format_time(moment), "name": declared.name})
    _print(("slot", "name"), sorted(rows, key=lambda row: str(row["slot"])), format)


@schedule.command(short_help="List what became of each slot: run, failed, missed.", epilog=examples(
    "ledger schedule runs",
    "ledger schedule runs nightly --limit 5 --format json",
))
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True,
              help="How many rows.")
@format_option("table", "json", "csv")
@database_option
def runs(database: str, name: str | None, limit: int, format: str) -> None:
    """List what became of each slot, the newest first: also missed and skipped ones.

    A slot is a moment at which a command was due. With NAME only those of that schedule. As JSON
    also what the projections did meanwhile: events, rows, digest, drift.
    """
    with reading(open_to_read(database)) as connection:
        found = read_runs(connection, name, limit)
        known = [] if found or name is None else names_with_runs(connection)
        first = min((row.started_at for row in found if row.started_at), default=None)
        done = runs_since(connection, first) if first and format == "json" else []
    columns = ("slot", "name", "outcome", "exit_code", "slots", "how", "started_at", "ended_at",
               "detail")
    shown = ("slot", "name", "outcome", "detail")
    rows = [{**asdict(row), "projections": _meanwhile(row, done)} for row in found]
    _print(shown if format == "table" else columns, rows, format)
    if known:
        say(f"note: no run of {name} is recorded; there are runs of {', '.join(known)}")


def _meanwhile(row: ScheduledRun, done: Sequence[RunRecord]) -> list[Row]:
    """Return the runs of projections that began and ended while the command ran."""
    if row.started_at is None:
        return []
    began, ended = row.started_at, row.ended_at
    return [
        asdict(run) for run in done
        if began <= run.started_at and (ended is None or run.ended_at <= ended)
    ]


@schedule.command(epilog=examples("ledger schedule trigger nightly"))
@click.argument("name")
@file_option
@database_option
def trigger(database: str, file: Path, name: str) -> None:
    """Run a declared command now, by hand; the run is remembered.

    Ends with the exit code of the command, which is told of SIGTERM and Ctrl-C.
    """
    declared = {entry.name: entry for entry in _declared(file)}
    if name not in declared:
        raise CouldNot(f"run {name}", f"{file} declares {', '.join(declared) or 'nothing'}")
    from ledger.schedule.commands import Place, run_by_hand

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    place = Place(open_to_read(database), now, _environment(database))
    code = run_by_hand(place, declared[name])
    say(f"{name} ended with exit code {code}; `ledger schedule runs {name}` shows what it said")
    raise click.exceptions.Exit(code if code >= 0 else 128 - code)


def _declared(file: Path) -> "list[Schedule]":
    try:
        from ledger.schedule.declaration import read_schedules
    except ModuleNotFoundError as missing:
        why = f"{missing}; the extra schedule brings it: pip install 'incident-ledger[schedule]'"
        raise CouldNot("use schedules", why) from None
    root = click.get_current_context().find_root()
    return read_schedules(file, _checker(root))


def _checker(root: click.Context) -> Callable[[Sequence[str]], None]:
    """Return a check that arguments are a command of the ledger that a schedule may run."""

    def check(arguments: Sequence[str]) -> None:
        words, context, command = list(arguments), root, root.command
        typed = shlex.join(arguments)
        while isinstance(command, click.Group):
            inner = command.get_command(context, words[0]) if words else None
            if inner is None:
                known = ", ".join(command.list_commands(context))
                raise BadValue(typed, f"a command of the ledger, here one of {known}")
            context = click.Context(inner, parent=context, info_name=words.pop(0))
            command = inner
            if command is schedule:
                raise BadValue(typed, "a command that is not a schedule itself")
        try:
            options, _, _ = command.make_parser(context).parse_args(words)
            _check_values(context, options)
        except click.UsageError as refusal:
            why = refusal.format_message()
            raise BadValue(typed, f"arguments that it takes: {why}") from None
        if options.get("database"):
            raise BadValue(typed, "no --db: it runs on the ledger of the scheduler")

    return check


def _check_values(context: click.Context, given: Mapping[str, Any]) -> None:
    """Raise UsageError for a value that is missing, or that the command would refuse any day."""
    for parameter in context.command.params:
        value = given.get(parameter.name or "")
        if not isinstance(value, str | tuple | list):
            if parameter.required:
                raise click.MissingParameter(ctx=context, param=parameter)
        elif not isinstance(parameter.type, click.Path | KeyText):  # a file may be there later
            parameter.type_cast_value(context, value)


def _environment(database: str) -> dict[str, str]:
    # Not as an argument: those are shown to every user of the machine, passwords and all.
    return {**os.environ, VARIABLE: database}


class _JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: when, how grave, what, and the facts that were given."""
        line = {"at": format_time(now()), "level": record.levelname.lower(),
                "event": record.getMessage(), **getattr(record, "facts", {})}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _log_json() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines())
    for name, level in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


def _print(columns: Sequence[str], rows: Sequence[Row], format: str) -> None:
    if format == "json":
        print_json(rows)
    elif format == "csv":
        print_csv(columns, [[_cell(row[name]) for name in columns] for row in rows])
    else:
        print_table(columns, [[_cell(row[name]) for name in columns] for row in rows],
                    numbers=("grace", "jitter"))


def _cell(value: object) -> str:
    if isinstance(value, list):
        return shlex.join(map(str, value))
    return "" if value is None else str(value)
