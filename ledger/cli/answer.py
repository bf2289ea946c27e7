"""Answers and the projections behind them: `answer releases`, `projections rebuild`, `… status`.

Takes a question; prints rows with bounds, and in every format how it was counted.
"""

from typing import Any

import click

from ledger import answers
from ledger.answers import Answer, Row
from ledger.book import now
from ledger.cli.output import (
    Diagnostic,
    examples,
    format_option,
    print_csv,
    print_json,
    print_table,
    print_text,
    say,
)
from ledger.cli.start import database_option, open_to_read
from ledger.errors import BadValue
from ledger.kinds.common import STAGES
from ledger.projections.registry import PROJECTIONS, projection_named
from ledger.projections.releases import RELEASES
from ledger.rebuild import rebuild as rebuild_projection
from ledger.store.checkpoints import read_checkpoint
from ledger.store.connect import reading
from ledger.store.read import read_head
from ledger.values.country import name_of

BOUND_COLUMNS = ("low", "high", "disputed", "developments")


@click.group()
def answer() -> None:
    """Answer a question from the projections, with bounds and evidence.

    Answers are as fresh as the last `ledger projections rebuild`.
    """


@answer.command(epilog=examples(
    "ledger answer releases --by citizenship --state BY --since 2025-11-01",
    "ledger answer releases --by day --state Belarus --format csv",
))
@click.option("--by", type=click.Choice(answers.BY), default="citizenship", show_default=True,
              help="What each row is about; by day the numbers are running totals.")
@click.option("--state", metavar="COUNTRY", help="Only releases by this state or organisation.")
@click.option("--since", metavar="DAY", help="The first day that counts, as 2025-11-01 or 2025-11.")
@click.option("--until", metavar="DAY", help="The last day that counts.")
@click.option("--stage", type=click.Choice(STAGES), default="done", show_default=True,
              help="Which stage counts: done, or say, ordered.")
@format_option("table", "json", "csv")
@database_option
def releases(
    database: str,
    by: str,
    state: str | None,
    since: str | None,
    until: str | None,
    stage: str,
    format: str,
) -> None:
    """Say how many people were freed, at least and at most.

    `low` is what the reports support at least, `high` what they leave possible at most; `?` means
    that nobody stated an upper bound. A disputed number comes from reports that contradict each
    other.
    """
    with reading(open_to_read(database)) as connection:
        found = answers.releases(
            connection, by=by, state=state, since=since, until=until, stage=stage
        )
        behind = answers.behind(connection, RELEASES)
    remarks = [_is_behind(behind)] if behind else []
    if format == "json":
        print_json(as_data(found), diagnostics=remarks)
    elif format == "csv":
        print_csv((*found.columns, "counting"), _csv_rows(found))
    else:
        print_answer(found)
    for remark in remarks:
        say(str(remark))


@click.group()
def projections() -> None:
    """Rebuild the answer tables and see how fresh they are."""


@projections.command(epilog=examples(
    "ledger projections rebuild",
    "ledger projections rebuild releases",
))
@click.argument("names", metavar="[NAME]...", nargs=-1)
@format_option("table", "json", "csv")
@database_option
def rebuild(database: str, names: tuple[str, ...], format: str) -> None:
    """Fold the answer tables anew from all events, all of them or those named.

    While it runs, readers see the old tables; a crash leaves them as they are.
    """
    chosen = [_projection(name) for name in names] or list(PROJECTIONS)
    engine = open_to_read(database)
    done = [rebuild_projection(engine, projection, now) for projection in chosen]
    columns = ("projection", "position", "events", "rows")
    rows = [(d.projection, d.position, d.events, d.rows) for d in done]
    _print_rows(columns, rows, format, numbers=columns[1:])


@projections.command("status", epilog=examples("ledger projections status"))
@format_option("table", "json", "csv")
@database_option
def projections_status(database: str, format: str) -> None:
    """Say how far each projection is behind the last event."""
    columns = ("projection", "position", "behind", "rebuilt_at")
    rows: list[tuple[Any, ...]] = []
    with reading(open_to_read(database)) as connection:
        head = read_head(connection).size
        for projection in PROJECTIONS:
            checkpoint = read_checkpoint(connection, projection.name, projection.version)
            position = checkpoint.position if checkpoint else None
            rebuilt_at = checkpoint.rebuilt_at if checkpoint else None
            rows.append((projection.name, position, head - (position or 0), rebuilt_at))
    _print_rows(columns, rows, format, numbers=columns[1:3])


def as_data(found: Answer) -> Row:
    """Return the answer as JSON data; nothing in it but what the question asked for."""
    data: Row = {
        "question": found.question,
        "scope": found.scope,
        "rows": found.rows,
        "total": found.total,
        "counting": found.counting,
        "assumptions": list(found.assumptions),
        "disputes": found.disputes,
    }
    if "citizenship" in found.columns:
        data["any_other_citizenship"] = {"low": 0, "high": found.other_high}
    return data


def print_answer(found: Answer) -> None:
    """Print the answer for people: the numbers, what is disputed, how it was counted."""
    print_numbers(found)
    for dispute in found.disputes:
        print_text(_dispute(dispute))
    print_text()
    print_text(f"Counted: {found.counting}.", style="dim")
    print_text(f"Assumed: {'; '.join(found.assumptions)}.", style="dim")


def print_numbers(found: Answer) -> None:
    """Print the rows and the total, and what belongs to them."""
    by = found.columns[0]
    rows = [(_name(by, row[by]), *_cells(row)) for row in found.rows]
    if by != "day":
        rows.append(("total", *_cells(found.total)))
    print_table((by, *BOUND_COLUMNS), rows, numbers=("low", "high", "developments"))
    print_text()
    if by == "citizenship" and found.other_high != 0:
        print_text(f"Any other citizenship: at most {_number(found.other_high)}.")
    if found.scope["stage"] != "done":
        print_text(f"Stage: {found.scope['stage']}; these are not releases that happened.")


def _dispute(dispute: Row) -> str:
    positions = ", ".join(map(str, dispute["positions"]))
    if not positions:
        return f"Disputed: {dispute['development']}, merged with one that it contradicts."
    return f"Disputed: {dispute['development']}, by the reports at positions {positions}."


def _cells(row: Row) -> tuple[str, str, str, str]:
    disputed = "yes" if row["disputed"] else ""
    return f"{row['low']:,}", _number(row["high"]), disputed, f"{row['developments']:,}"


def _number(high: int | None) -> str:
    return "?" if high is None else f"{high:,}"


def _name(by: str, key: str) -> str:
    """Return a country's code with its name; everything else as it is."""
    try:
        return key if by == "day" else f"{key}  {name_of(key)}"
    except BadValue:
        return key


def _csv_rows(found: Answer) -> list[list[object]]:
    by = found.columns[0]
    rows = list(found.rows)
    if by != "day":
        rows.append({by: "total", **found.total})
    return [[*(row[column] for column in found.columns), found.counting] for row in rows]


def _projection(name: str) -> Any:
    try:
        return projection_named(name)
    except BadValue as refusal:
        raise click.BadParameter(str(refusal)) from None


def _is_behind(behind: int) -> Diagnostic:
    events = "event was" if behind == 1 else "events were"
    return Diagnostic(
        "note",
        f"{behind:,} {events} recorded since the last rebuild; "
        "`ledger projections rebuild` takes them in",
    )


def _print_rows(
    columns: tuple[str, ...], rows: list[tuple[Any, ...]], format: str, numbers: tuple[str, ...]
) -> None:
    if format == "json":
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif format == "csv":
        print_csv(columns, rows)
    else:
        print_table(columns, [tuple(map(_shown, row)) for row in rows], numbers=numbers)


def _shown(value: object) -> str:
    return "never" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
