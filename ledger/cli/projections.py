"""The projections: `list`, `status`, `catch-up` and `rebuild`.

Takes names of projections; prints what was done or where they stand. A rebuild that finds drift
says so and, with --check, exits 1.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import click
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ledger.book import now, workers
from ledger.cli.output import (
    Diagnostic,
    examples,
    finish,
    format_option,
    print_csv,
    print_json,
    print_table,
    say,
)
from ledger.cli.progress import progress
from ledger.cli.start import database_option, open_to_read
from ledger.errors import BadValue, CouldNot
from ledger.projections.projection import Projection
from ledger.projections.registry import PROJECTIONS, projection_named
from ledger.rebuild import catch_up as catch_up_projection
from ledger.rebuild import rebuild_all
from ledger.run import Run
from ledger.store.checkpoints import read_checkpoint
from ledger.store.connect import reading
from ledger.store.read import read_head, read_time
from ledger.store.runs import last_rebuild, last_run

DONE = ("projection", "outcome", "position", "events", "folded", "rows", "drift", "digest")
DONE_IN_TABLE = ("projection", "outcome", "position", "folded", "rows", "drift")
"""What has room in 80 columns; a digest is to be compared, not looked at."""
STATUS = ("projection", "version", "position", "behind", "seconds_behind", "rebuilt_at",
          "last_drift", "stalled_at", "digest", "digest_at")
IN_TABLE = ("projection", "position", "behind", "seconds_behind", "rebuilt_at")
STALLED = (*IN_TABLE[:-1], "stalled_at")
"""What a table shows; where any is stalled, at which position instead of when it was rebuilt."""
NUMBERS = ("version", "position", "behind", "seconds_behind", "events", "folded", "rows",
           "drift", "stalled_at")


class ProjectionName(click.ParamType[Projection]):
    """The name of a projection."""

    name = "NAME"

    def convert(self, value: Any, param: Any, ctx: Any) -> Projection:
        """Return the projection of that name."""
        try:
            return value if isinstance(value, Projection) else projection_named(value)
        except BadValue as refusal:
            self.fail(str(refusal), param, ctx)


@click.group(short_help="Keep the answer tables fresh, and see how fresh they are.")
def projections() -> None:
    """Keep the answer tables fresh, and see how fresh they are.

    A projection is a question with the tables that `ledger answer` reads. Nothing recorded is in
    them until `catch-up` (what is new) or `rebuild` (everything, compared with what was there).
    """


@projections.command("list", epilog=examples("ledger projections list"))
@format_option("table", "json", "csv")
def list_(format: str) -> None:
    """Name the projections and the questions they answer."""
    _print_rows(("projection", "question"), [(p.name, p.question) for p in PROJECTIONS], format)


@projections.command(short_help="Say how far each projection is behind.",
                     epilog=examples("ledger projections status"))
@format_option("table", "json", "csv")
@database_option
def status(database: str, format: str) -> None:
    """Say how far each projection is behind, in events and seconds, and whether it is stalled.

    A stalled projection met an event that it cannot apply: it stops there and serves what it has.
    As JSON or csv also the digest of the rows that the last rebuild gave, and at which position.
    """
    with reading(open_to_read(database)) as connection:
        rows = [_state(connection, projection) for projection in PROJECTIONS]
        causes = [remark for p in PROJECTIONS for remark in _stall(connection, p)]
    outcome = "finding" if causes else "ok"
    in_table = STALLED if causes else IN_TABLE
    columns = in_table if format == "table" else STATUS
    remarks = [*causes, *_drifts(rows), *_never_built(rows)]
    _print_rows(columns, [tuple(row[c] for c in columns) for row in rows], format, outcome, remarks)


@projections.command("catch-up", short_help="Take in what was recorded since the last time.",
                     epilog=examples("ledger projections catch-up"))
@click.argument("named", metavar="[NAME]...", nargs=-1, type=ProjectionName())
@format_option("table", "json", "csv")
@database_option
def catch_up(database: str, named: tuple[Projection, ...], format: str) -> None:
    """Take in what was recorded since the last time; all projections or those named.

    One that another process works on is left to it; the others are caught up, and the exit code
    is 4.
    """
    engine = open_to_read(database)
    runs, refusals = [], []
    for projection in _chosen(named):
        try:
            runs.append(catch_up_projection(engine, projection, now, holder=_me()))
        except (CouldNot, DBAPIError) as failure:  # whatever it is, the others go on
            refusals.append(_refusal(projection, failure))
    _report(runs, format, refusals)


def _refusal(projection: Projection, failure: CouldNot | DBAPIError) -> Diagnostic:
    if isinstance(failure, DBAPIError):
        why = " ".join(str(failure.orig).split())
        failure = CouldNot(f"catch up {projection.name}", why)
    return Diagnostic("could_not", str(failure))


@projections.command(short_help="Compare the answer tables with all events, and mend them.",
                     epilog=examples(
    "ledger projections rebuild",
    "ledger projections rebuild releases --check --anew",
))
@click.argument("named", metavar="[NAME]...", nargs=-1, type=ProjectionName())
@click.option("--check", is_flag=True,
              help="Compare only: leave the tables as they are, exit 1 if they differ.")
@click.option("--anew", is_flag=True,
              help="Fold every event, also those that were folded before.")
@format_option("table", "json", "csv")
@database_option
def rebuild(
    database: str, named: tuple[Projection, ...], check: bool, anew: bool, format: str
) -> None:
    """Compare the answer tables with all events, and mend them: all of them or those named.

    Every event and every row is read. Events that this code folded before are not folded again
    where they and the rows that they gave have the digests of that time; with --anew every event is
    folded.

    While it runs, readers see the old tables; Ctrl-C or a crash leaves them as they are. Rows that
    the old tables held otherwise are drift: they are named and replaced.
    """
    engine = open_to_read(database)
    chosen = _chosen(named)
    with reading(engine) as connection:
        head = read_head(connection).size
    with progress("rebuild", head) as show:
        runs = rebuild_all(
            engine, chosen, now,
            holder=_me(), check=check, anew=anew, workers=workers(), on_progress=show,
        )
    _report(runs, format, drift_is_a_finding=check)


def _chosen(named: tuple[Projection, ...]) -> list[Projection]:
    """Return those that were named, each once, or all."""
    return list(dict.fromkeys(named)) or list(PROJECTIONS)


def _me() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _report(
    runs: list[Run],
    format: str,
    refusals: Sequence[Diagnostic] = (),
    *,
    drift_is_a_finding: bool = False,
) -> None:
    """Print the runs, name what drifted, stalled or was refused, and end with its exit code."""
    remarks = [*refusals, *(remark for run in runs for remark in _remarks(run))]
    stalled = any(run.stalled_at is not None for run in runs)
    drifted = drift_is_a_finding and any(run.drift for run in runs)
    columns = DONE_IN_TABLE if format == "table" else DONE
    rows = [tuple(getattr(run, column) for column in columns) for run in runs]
    outcome = "could_not" if refusals else "finding" if stalled or drifted else "ok"
    _print_rows(columns, rows, format, outcome, remarks)


def _remarks(run: Run) -> Iterator[Diagnostic]:
    if run.stalled_at is not None:
        message = f"{run.projection} is stalled at position {run.stalled_at}: {run.cause}"
        yield Diagnostic("finding", message)
    for drift in run.drifts:
        key = ", ".join(f"{name}={value}" for name, value in drift.key.items())
        what = "a row too many" if drift.rebuilt is None else "missing" if drift.live is None else (
            ", ".join(
                f"{name} was {drift.live[name]!r}, is {value!r}"
                for name, value in drift.rebuilt.items()
                if drift.live[name] != value
            )
        )
        yield Diagnostic("finding", f"drift in {drift.table} at {key}: {what}")
    if run.drift > len(run.drifts):
        yield Diagnostic("finding", f"drift in {run.drift - len(run.drifts):,} more rows")


def _state(connection: sa.Connection, projection: Projection) -> dict[str, Any]:
    head = read_head(connection)
    checkpoint = read_checkpoint(connection, projection.name, projection.version)
    position = checkpoint.position if checkpoint else None
    drift = last_run(connection, projection.name, "drift")
    rebuilt = last_rebuild(connection, projection.name) if checkpoint else None
    late = head.size - (position or 0)
    return {
        "projection": projection.name,
        "version": projection.version,
        "position": position,
        "behind": late,
        "seconds_behind": _age(connection, (position or 0) + 1) if late else 0,
        "rebuilt_at": checkpoint.rebuilt_at if checkpoint else None,
        "last_drift": drift.ended_at if drift else None,
        "stalled_at": checkpoint.stalled_at if checkpoint else None,
        "digest": rebuilt.digest if rebuilt else None,
        "digest_at": rebuilt.position if rebuilt else None,
    }


def _age(connection: sa.Connection, position: int) -> int:
    """Return for how many seconds the event at the position has been waiting."""
    return max(0, int((now() - read_time(connection, position)).total_seconds()))


def _stall(connection: sa.Connection, projection: Projection) -> Iterator[Diagnostic]:
    checkpoint = read_checkpoint(connection, projection.name, projection.version)
    if checkpoint is not None and checkpoint.stalled_at is not None:
        where = f"{projection.name} is stalled at position {checkpoint.stalled_at}"
        yield Diagnostic("finding", f"{where}: {checkpoint.stall_cause}")


def _drifts(rows: list[dict[str, Any]]) -> Iterator[Diagnostic]:
    for row in rows:
        if row["last_drift"]:
            message = f"the last drift in {row['projection']} was found at {row['last_drift']}"
            yield Diagnostic("note", message)


def _never_built(rows: list[dict[str, Any]]) -> Iterator[Diagnostic]:
    names = ", ".join(row["projection"] for row in rows if row["position"] is None)
    if names:
        message = f"never built: {names}; `ledger projections catch-up` builds what is missing"
        yield Diagnostic("note", message)


def _print_rows(
    columns: tuple[str, ...],
    rows: list[tuple[Any, ...]],
    format: str,
    outcome: str = "ok",
    remarks: list[Diagnostic] | None = None,
) -> None:
    if format == "json":
        data = [dict(zip(columns, row, strict=True)) for row in rows]
        print_json(data, outcome, remarks or [])
    elif format == "csv":
        print_csv(columns, rows)
    else:
        titles = [column.replace("_", " ") for column in columns]
        numbers = [column.replace("_", " ") for column in NUMBERS]
        print_table(titles, [tuple(map(_shown, row)) for row in rows], numbers=numbers)
    for remark in remarks or []:
        say(str(remark))
    finish(outcome)


def _shown(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    text = "" if value is None else str(value)
    return f"{text[:19]}Z" if len(text) == 27 and text.endswith("Z") else text
