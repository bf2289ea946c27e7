"""`ledger diff`: which answers changed between two points, and through which events."""

from dataclasses import asdict

import click
import sqlalchemy as sa

from ledger.answers.answer import position_at
from ledger.answers.asking import Lag, in_one_state, lag
from ledger.answers.changes import Change, built, changes
from ledger.cli.answer import remarks_on
from ledger.cli.output import examples, format_option, print_json, print_text, say
from ledger.cli.start import database_option, open_to_read
from ledger.store.read import read_head


@click.command(epilog=examples(
    "ledger diff --from 13",
    "ledger diff --from 2025-12-12 --to 2025-12-14 --format json",
))
@click.option("--from", "start", metavar="POSITION|TIME", required=True,
              help="The earlier point: after that position, or by that time.")
@click.option("--to", "end", metavar="POSITION|TIME",
              help="The later point.  [default: the last that the answers know]")
@format_option("table", "json")
@database_option
def diff(database: str, start: str, end: str | None, format: str) -> None:
    """List which answer rows changed between two points of the record.

    Each row is shown before and after, with the positions of the events that changed it.
    """

    def asked(connection: sa.Connection) -> tuple[list[Change], int, Lag]:
        last = position_at(connection, end)
        late = lag(connection, built(connection), last)
        if last is None:
            last = read_head(connection).size - late.events
        return changes(connection, position_at(connection, start) or 0, last), last, late

    found, last, late = in_one_state(open_to_read(database), asked)
    remarks = remarks_on(late, end)
    if format == "json":
        print_json([asdict(change) for change in found], diagnostics=remarks)
    else:
        for change in found:
            _print(change)
        print_text(f"{len(found)} rows changed up to position {last:,}.")
    for remark in remarks:
        say(str(remark))


def _print(change: Change) -> None:
    key = " ".join(str(value) for value in change.key.values())
    through = ", ".join(map(str, change.positions))
    print_text(f"{change.stream} ({change.table} {key}), by position {through}", style="bold")
    before, after = change.before or {}, change.after or {}
    for name in dict.fromkeys([*before, *after]):
        if (name in before, before.get(name)) != (name in after, after.get(name)):
            print_text(f"{name}: {_shown(before, name)} → {_shown(after, name)}", indent=2)
    if not before and not after:
        print_text("new" if change.after is not None else "gone", indent=2)


def _shown(row: dict[str, object], name: str) -> str:
    if name not in row:
        return "nothing"
    return "?" if row[name] is None else str(row[name])
