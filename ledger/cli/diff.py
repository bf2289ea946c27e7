"""`ledger diff`: which answers changed between two points, and through which events."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import NamedTuple

import click
import sqlalchemy as sa

from ledger.answers.answer import Row, position_at
from ledger.answers.asking import Lag, in_one_state, lag
from ledger.answers.changes import (
    AnswerChange,
    Change,
    answer_changes,
    built,
    changes,
    events_behind,
)
from ledger.cli.answer import COUNTRIES, cell, remarks_on
from ledger.cli.output import examples, format_option, print_json, print_pairs, print_text, say
from ledger.cli.start import database_option, open_to_read
from ledger.store.read import read_head

SHORT = 26
"""Of what names a row: the widest that leaves room for what changed beside it."""

MANY = 12
"""Positions that are listed under a question; JSON has all of them."""


class _Found(NamedTuple):
    """What changed up to a position, and what the tables do not hold yet."""

    answers: list[AnswerChange]
    rows: list[Change]
    last: int
    late: Lag


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
    """List which answers changed between two points of the record, and through which events.

    First the rows of answers that differ, before and after, with everything on record asked
    for; of releases, those that are done, by state and by citizenship. Under each question stand
    the positions of the events that changed rows which it reads. Then these rows of the answer
    tables, each with the positions of the events that changed it. As JSON, `data` has `answers`,
    `events` (the positions by question) and `rows`.

    Costs two answers to each question whose tables changed (releases: four), and what the
    tables hold of rows that began or ended between the two points.
    """

    def asked(connection: sa.Connection) -> _Found:
        last = position_at(connection, end)
        late = lag(connection, built(connection), last)
        if last is None:
            last = read_head(connection).size - late.events
        first = position_at(connection, start) or 0
        rows = changes(connection, first, last)
        return _Found(answer_changes(connection, first, last, rows), rows, last, late)

    found = in_one_state(open_to_read(database), asked)
    remarks = remarks_on(found.late, end)
    if format == "json":
        data = {
            "answers": [asdict(change) for change in found.answers],
            "events": events_behind(found.rows),
            "rows": [asdict(change) for change in found.rows],
        }
        print_json(data, diagnostics=remarks)
    else:
        _print_all(found)
    for remark in remarks:
        say(str(remark))


def _print_all(found: _Found) -> None:
    _print_answers(found.answers, events_behind(found.rows))
    if found.rows:
        if not found.answers:
            print_text("No answer changed.")
        print_text()
        print_text("Rows of answer tables that changed, and the events behind them")
        print_text()
    for change in found.rows:
        _print(change)
    print_text(f"{len(found.rows)} rows changed up to position {found.last:,}.")


def _print_answers(
    found: Iterable[AnswerChange], behind: Mapping[str, Sequence[int]]
) -> None:
    """Print what changed of each answer: a line a row where what names the rows is short."""
    for number, (asked, same) in enumerate(groupby(found, key=_asked)):
        if number:
            print_text()
        print_text(asked, style="bold")
        changed = list(same)
        print_text(_through(behind[changed[0].question]), indent=2, style="dim")
        lines = [(_named(change.key), _changed(change)) for change in changed]
        if max(len(named) for named, _ in lines) <= SHORT:
            print_pairs((f"  {named}", what) for named, what in lines)
        else:
            for named, what in lines:
                print_text(named, indent=2)
                print_text(what, indent=4)


def _through(positions: Sequence[int]) -> str:
    """Return the positions in words: the first of many, and how many there are."""
    if len(positions) == 1:
        return f"through position {positions[0]}"
    if len(positions) <= MANY:
        return f"through positions {', '.join(map(str, positions))}"
    first = ", ".join(map(str, positions[:MANY]))
    return f"through {len(positions):,} positions: {first}, … {positions[-1]}"


def _asked(change: AnswerChange) -> str:
    return " ".join(["answer", change.question, *map(" ".join, change.parameters.items())])


def _named(key: Row) -> str:
    """Return what names a row of an answer; what has no key is the total."""
    named = [f"position {value}" if name == "position" else cell(name, value)
             for name, value in key.items()]
    return " ".join(filter(None, named)) if key else "total"


def _changed(change: AnswerChange) -> str:
    """Return what changed in each field; of a row that is new or gone, what it says."""
    if change.before is not None and change.after is not None:
        before, after = change.before, change.after
        return "; ".join(
            f"{_words(name)} {_said(name, before[name])} → {_said(name, value)}"
            for name, value in after.items() if value != before[name]
        )
    row = change.after or change.before or {}
    said = "; ".join(f"{_words(name)} {_said(name, row[name])}" for name in row
                     if cell(name, row[name]))
    return f"{'new' if change.before is None else 'gone'}: {said}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _said(name: str, value: object) -> str:
    """Return a value within a line: a country's code without its name."""
    if name in COUNTRIES and value is not None:
        return str(value)
    if isinstance(value, list):
        value = [str(one).removeprefix("development/") for one in value]
    return cell(name, value) or ("no" if value is False else "nothing")


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
    return cell(name, None) or "empty" if row[name] is None else str(row[name])
