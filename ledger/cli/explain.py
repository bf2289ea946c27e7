"""`ledger explain releases`: from one number to the reports that it rests on."""

from dataclasses import asdict
from typing import Any

import click

from ledger.answers.asking import most_behind
from ledger.answers.explaining import Contribution, explain_releases
from ledger.cli.answer import OPTIONS, remarks_on
from ledger.cli.output import (
    examples,
    format_option,
    print_json,
    print_pairs,
    print_text,
    say,
)
from ledger.cli.start import database_option, open_to_read
from ledger.projections.releases import RELEASES
from ledger.store.connect import reading


@click.group()
def explain() -> None:
    """Show what a number rests on: developments, reports, publishers."""


@explain.command(epilog=examples(
    "ledger explain releases --state BY --citizenship AU",
    "ledger explain releases --state BY --since 2025-11-01 --format json",
))
@click.option("--citizenship", metavar="COUNTRY",
              help="The row that is asked about; without it the total.")
@OPTIONS["state"]
@OPTIONS["since"]
@OPTIONS["until"]
@OPTIONS["stage"]
@OPTIONS["as_of"]
@format_option("table", "json")
@database_option
def releases(database: str, format: str, **question: Any) -> None:
    """Show what each release adds to a number of `ledger answer releases`.

    Behind each release stand its reports, each with the bounds that it alone would give.
    """
    with reading(open_to_read(database)) as connection:
        chain = explain_releases(connection, **question)
        late = most_behind(connection, [RELEASES]) if question["as_of"] is None else 0
    remarks = remarks_on(late, question["as_of"])
    for remark in remarks:
        say(str(remark))
    if format == "json":
        print_json([asdict(contribution) for contribution in chain], diagnostics=remarks)
        return
    for contribution in chain:
        _print(contribution)
    highs = [contribution.high for contribution in chain]
    high = None if None in highs else sum(filter(None, highs))
    print_text(f"Sum: {_bounds(sum(c.low for c in chain), high)}.", style="bold")


def _print(contribution: Contribution) -> None:
    disputed = ", disputed" if contribution.disputed else ""
    bounds = _bounds(contribution.low, contribution.high)
    listed = "" if contribution.listed else ", which nobody lists here"
    print_text(f"{' = '.join(contribution.developments)}: {bounds}{listed}{disputed}", style="bold")
    print_pairs(
        (
            f"  {report.position}{' !' if report.disagrees else ''}",
            f"{_bounds(report.low, report.high)}: {report.publisher}"
            + (f", quoting {report.attributed_to}" if report.attributed_to else "")
            + f"\n{report.where}",
        )
        for report in contribution.reports
    )
    print_text()


def _bounds(low: int, high: int | None) -> str:
    if high is None:
        return f"at least {low:,}"
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
