"""`ledger explain releases`: from one number to the reports that it rests on.

Takes the question whose number is asked about; prints what each release adds, a page at a time, and
what those before and after the page add, so that what is printed adds up to the number.
"""

from dataclasses import asdict
from typing import Any

import click
import sqlalchemy as sa

from ledger.answers.answer import position_at
from ledger.answers.asking import Lag, in_one_state, lag
from ledger.answers.explaining import (
    MOST,
    PAGE,
    Contribution,
    Evidence,
    Explanation,
    explain_releases,
)
from ledger.cli.answer import OPTIONS, remarks_on
from ledger.cli.output import (
    Diagnostic,
    examples,
    format_option,
    print_json,
    print_pairs,
    print_text,
    say,
)
from ledger.cli.start import database_option, open_to_read
from ledger.projections.release_list import UNDONE
from ledger.projections.release_parts import Share
from ledger.projections.releases import RELEASES


@click.group()
def explain() -> None:
    """Show what a number rests on: developments, reports, publishers."""


@explain.command(epilog=examples(
    "ledger explain releases --state BY --citizenship AU",
    "ledger explain releases --state BY --limit 50 --after by-release-2025-12-13",
    "ledger explain releases --state BY --since 2025-11-01 --format json",
))
@click.option("--citizenship", metavar="COUNTRY",
              help="The row that is asked about; without it the total.")
@OPTIONS["state"]
@OPTIONS["since"]
@OPTIONS["until"]
@OPTIONS["stage"]
@OPTIONS["development"]
@OPTIONS["reversals"]
@OPTIONS["citizenships"]
@OPTIONS["as_of"]
@OPTIONS["valid_at"]
@click.option("--limit", metavar="N", type=click.IntRange(1, MOST),
              help=f"At most so many releases; not given: {PAGE} in a table, all in JSON.")
@click.option("--after", metavar="NAME",
              help="Begin behind the release that has this development.")
@format_option("table", "json")
@database_option
def releases(database: str, format: str, limit: int | None, **question: Any) -> None:
    """Show what each release adds to a number of `ledger answer releases`.

    Whatever adds most to the low bound comes first, then whatever adds most to the high one. Behind
    each release stand its reports, each with the bounds that it alone would give. What is not
    shown is summed up in a line, so that all adds up to the number.
    """
    if limit is None and format != "json":
        limit = PAGE

    def asked(connection: sa.Connection) -> tuple[Explanation, Lag]:
        chain = explain_releases(connection, limit=limit, **question)
        as_of = position_at(connection, question["as_of"])
        return chain, lag(connection, [RELEASES], as_of)

    chain, late = in_one_state(open_to_read(database), asked)
    remarks = remarks_on(late, question["as_of"])
    if format == "json":
        remarks += [Diagnostic("note", line) for line in (_before(chain), _after(chain)) if line]
    for remark in remarks:
        say(str(remark))
    if format == "json":
        print_json([asdict(contribution) for contribution in chain], diagnostics=remarks)
    else:
        _print_page(chain)


def _print_page(chain: Explanation) -> None:
    if before := _before(chain):
        print_text(before)
        print_text()
    for contribution in chain:
        _print(contribution)
    if after := _after(chain):
        print_text(after)
        print_text()
    print_text(f"Sum: {_bounds(chain.total.low, chain.total.high)}.", style="bold")


def _before(chain: Explanation) -> str:
    """Return what stands before the page; empty where nothing does."""
    return f"Before this page: {_share(chain.before)}." if chain.before.releases else ""


def _after(chain: Explanation) -> str:
    """Return what stands after the page and how to see it; empty where nothing does."""
    if not chain.after.releases:
        return ""
    last = chain.contributions[-1].developments[0].removeprefix("development/")
    return f"Not shown: {_share(chain.after)}. `--after {last}` shows the next."


def _share(share: Share) -> str:
    releases = "1 release" if share.releases == 1 else f"{share.releases:,} releases"
    return f"{releases} of {_bounds(share.low, share.high)} in all"


def _print(contribution: Contribution) -> None:
    disputed = ", disputed" if contribution.disputed else ""
    bounds = _bounds(contribution.low, contribution.high)
    listed = "" if contribution.listed else ", which nobody lists here"
    print_text(f"{' = '.join(contribution.developments)}: {bounds}{listed}{disputed}", style="bold")
    print_pairs(
        (
            f"  {report.position}{' !' if report.disagrees else ''}",
            f"{_said(report)}: {report.publisher}"
            + (f", quoting {report.attributed_to}" if report.attributed_to else "")
            + f"\n{report.where}",
        )
        for report in contribution.reports
    )
    print_text()


def _said(report: Evidence) -> str:
    undone = "undone: " if report.stage == UNDONE else ""
    return undone + _bounds(report.low, report.high)


def _bounds(low: int, high: int | None) -> str:
    if high is None:
        return f"at least {low:,}"
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
