"""Answers: `ledger answer QUESTION`, a command for each question that can be asked.

Takes a question; prints rows with bounds, and in every format how it was counted.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import click

from ledger.answers import asking
from ledger.answers.answer import SAME_AS, Answer, Row, is_to_come
from ledger.answers.changes import ANY_OTHER
from ledger.answers.registry import QUESTIONS, Question
from ledger.answers.releases import BY, CITIZENSHIPS, COUNTS, REVERSALS
from ledger.book import now
from ledger.cli.output import (
    Command,
    Diagnostic,
    examples,
    fits,
    format_option,
    print_csv,
    print_json,
    print_pairs,
    print_table,
    print_text,
    say,
)
from ledger.cli.start import database_option, open_to_read
from ledger.errors import BadValue
from ledger.kinds.common import STAGES
from ledger.values.country import name_of

NUMBERS = (
    "low", "high", "developments", "reports", "total",
    "claimed_low", "claimed_high", "derived_low", "derived_high",
    "claimed low", "claimed high", "derived low", "derived high",
)
"""Columns that stand to the right."""
COUNTRIES = ("citizenship", "state", "sender", "target_state")
"""Columns whose codes are shown with the country's name."""


@click.group()
def answer() -> None:
    """Answer a question from the projections, with bounds and evidence.

    Answers are as fresh as the last `ledger projections catch-up` or `rebuild`.
    """


OPTIONS: dict[str, Callable[[Command], Command]] = {
    "by": click.option("--by", type=click.Choice(BY), default="citizenship", show_default=True,
                       help="What each row is about; by day the numbers are running totals."),
    "state": click.option("--state", metavar="COUNTRY",
                          help="Only what this state or organisation did."),
    "target_state": click.option("--state", metavar="COUNTRY",
                                 help="Only what is aimed at this country."),
    "party": click.option("--state", metavar="COUNTRY",
                          help="Only those with this state or organisation."),
    "development": click.option("--development", metavar="NAME",
                                help="Only this development, named as `ledger history` names it."),
    "since": click.option("--since", metavar="DAY",
                          help="The first day that counts, as 2025-11-01 or 2025-11."),
    "until": click.option("--until", metavar="DAY", help="The last day that counts."),
    "stage": click.option("--stage", type=click.Choice(STAGES), default="done", show_default=True,
                          help="Which stage counts: done, or say, ordered."),
    "count": click.option("--count", type=click.Choice(COUNTS), default=COUNTS[0],
                          show_default=True, help="Whether who is freed again counts again."),
    "reversals": click.option("--reversals", type=click.Choice(REVERSALS), default=REVERSALS[0],
                              show_default=True,
                              help="Gross: what was undone later still counts; net: it does not."),
    "citizenships": click.option("--citizenships", type=click.Choice(CITIZENSHIPS),
                                 default=CITIZENSHIPS[0], show_default=True,
                                 help="Whether who holds several counts under each or under one."),
    "as_of": click.option("--as-of", metavar="POSITION|TIME",
                          help="What the ledger said then: after that position, or by that time."),
    "valid_at": click.option("--valid-at", metavar="DAY",
                             help="What was so in the world on that day."),
}
"""The parameters of questions, as options."""


def _command(question: Question) -> click.Command:
    """Return the command that asks a question."""

    def ask(database: str, format: str, **parameters: Any) -> None:
        asked = partial(asking.ask, question=question, **parameters)
        found = asking.in_one_state(open_to_read(database), asked)
        late = asking.Lag(found.behind or 0, found.stalls)
        remarks = remarks_on(late, parameters["as_of"])
        if format == "json":
            print_json(as_data(found), diagnostics=remarks)
        elif format == "csv":
            print_csv((*found.columns, "counting"), _csv_rows(found))
        else:
            print_answer(found)
        for remark in remarks:
            say(str(remark))

    for name in reversed((*question.parameters, "as_of", "valid_at")):
        ask = OPTIONS[name](ask)
    ask = format_option("table", "json", "csv")(database_option(ask))
    examples_of = examples(f"ledger answer {question.name}", *question.examples)
    return click.command(question.name, help=question.asks, epilog=examples_of)(ask)


for _question in QUESTIONS:
    answer.add_command(_command(_question))


def as_data(found: Answer) -> Row:
    """Return the answer as JSON data; nothing in it but what the question asked for."""
    data: Row = {
        "question": found.question,
        "scope": found.scope,
        "rows": found.rows,
        "total": found.total or None,
        "counting": found.counting,
        "assumptions": list(found.assumptions),
        "disputes": found.disputes,
        **found.further,
    }
    return {name: value for name, value in data.items() if value is not None}


def print_answer(found: Answer) -> None:
    """Print the answer for people: the numbers, what is disputed, what was asked and counted."""
    print_numbers(found)
    for again in found.further.get("freed_again", ()):
        streams = ", ".join(map(_short, again["developments"]))
        print_text(f"Freed more than once: {again['person']}, in {streams}.")
    for dispute in found.disputes:
        print_text(_dispute(dispute))
    print_text()
    print_text(f"Asked: {_asked(found)}.", style="dim")
    print_text(f"Counted: {found.counting}.", style="dim")
    if found.assumptions:
        print_text(f"Assumed: {'; '.join(found.assumptions)}.", style="dim")


def _asked(found: Answer) -> str:
    """Return the scope as it was understood, in words."""
    if not found.scope:
        return "everything on record"
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in found.scope.items())


def print_numbers(found: Answer) -> None:
    """Print the rows and the total, and what belongs to them."""
    rows = [tuple(_named_cell(name, row) for name in found.shown) for row in found.rows]
    if found.total and found.columns[0] != "day":
        total = {found.columns[0]: "total", **found.total}
        rows.append(tuple(cell(name, total.get(name, "")) for name in found.shown))
    titles = [name.replace("_", " ") for name in found.shown]
    if fits(titles, rows):
        print_table(titles, rows, numbers=[name.replace("_", " ") for name in NUMBERS])
    else:
        _print_records(titles, rows)
    print_text()
    other = found.further.get("any_other_citizenship")
    if other and other["high"] != 0:
        high = other["high"]
        most = "nobody states an upper bound" if high is None else f"at most {high:,}"
        print_text(f"Any other citizenship: {most}.")
    if found.scope.get("stage", "done") != "done":
        print_text(f"Stage: {found.scope['stage']}; not what was done.")


def _print_records(titles: list[str], rows: list[tuple[str, ...]]) -> None:
    """Print each row as a block of lines: for answers too wide for a table."""
    for row in rows:
        print_text(f"{titles[0]} {row[0]}", style="bold")
        shown = zip(titles[1:], row[1:], strict=True)
        print_pairs((f"  {title}", cell) for title, cell in shown if cell not in ("", "?"))


def _dispute(dispute: Row) -> str:
    positions = ", ".join(map(str, dispute["positions"]))
    if not positions:
        return f"Disputed: {dispute['development']}, not by its own reports but by a merge."
    return f"Disputed: {dispute['development']}, by the reports at positions {positions}."


def _named_cell(name: str, row: Row) -> str:
    """Return a cell of a row; what has several names, as it is merged, shows them all."""
    names = [row[name], *row.get(SAME_AS.get(name, ""), ())]
    return " = ".join(cell(name, value) for value in names)


def cell(name: str, value: Any) -> str:
    """Return a value as the table shows it; a bound that nobody stated is `?`."""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, int):
        return f"{value:,}"
    if value is None:
        return "?" if name in NUMBERS else ""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if name in COUNTRIES:
        return _with_country(str(value))
    return _short(str(value))


def _short(stream: str) -> str:
    return stream.removeprefix("development/")


def _with_country(code: str) -> str:
    try:
        return f"{code}  {name_of(code)}"
    except BadValue:
        return code


def _csv_rows(found: Answer) -> list[list[object]]:
    rows = list(found.rows)
    if found.columns[0] == "citizenship":
        rows.append({"citizenship": ANY_OTHER, **found.further["any_other_citizenship"]})
    if found.total and found.columns[0] != "day":
        rows.append({found.columns[0]: "total", **found.total})
    return [
        [*(_csv_cell(row.get(name)) for name in found.columns), found.counting] for row in rows
    ]


def _csv_cell(value: Any) -> object:
    return " ".join(map(str, value)) if isinstance(value, list) else value


def remarks_on(late: asking.Lag, as_of: str | None) -> list[Diagnostic]:
    """Return what must be said beside an answer: that it lacks events and why, or will change."""
    remarks = []
    if late.events:
        events = "event was" if late.events == 1 else "events were"
        text = f"{late.events:,} {events} recorded since the answer tables were filled"
        way_on = "; ".join(late.stalls) or "`ledger projections catch-up` takes them in"
        remarks.append(f"{text}; {way_on}")
    if as_of is not None and is_to_come(as_of, now()):
        remarks.append(f"{as_of} is not over: what is recorded until then will count, too")
    return [Diagnostic("note", remark) for remark in remarks]
