"""Which totals do sources state for themselves?

Reads the streams of tallies; hands on one row for each live report. A tally is never added to the
releases that it sums up: it is what they are compared with (`answers.tallies`).
"""

import sqlalchemy as sa

from ledger.developments import Report
from ledger.projections.projection import Projection, Said, Values, answer_table
from ledger.projections.releases import party_code

tallies = answer_table(
    "tallies", "report",
    "One row per live tally: what a source states as a total of its own.",
    sa.Column("state", sa.Text, nullable=False,
              comment="ISO code of the state, or the organisation's name"),
    sa.Column("publisher", sa.Text, nullable=False),
    sa.Column("counted", sa.Text, nullable=False, comment="released, detained or held"),
    sa.Column("measure", sa.Text, nullable=False, comment="cumulative, or a stock on a day"),
    sa.Column("category", sa.Text, nullable=False, comment="what kind of prisoners"),
    sa.Column("since", sa.Text, comment="first day of the total; empty: not stated"),
    sa.Column("valid_from", sa.Text, comment="earliest day that it is for; empty: not stated"),
    sa.Column("valid_until", sa.Text, comment="latest day, included; empty: not stated"),
    sa.Column("low", sa.BigInteger, nullable=False, comment="persons at least, as claimed"),
    sa.Column("high", sa.BigInteger, comment="persons at most, as claimed; empty: no upper bound"),
    sa.Index("tallies_by_state", "state"),
)


def of_report(report: Report) -> Said:
    """Return the row of one live tally; the key is its position."""
    return {("tallies", (str(report.position),)): _tally(report)}


def _tally(report: Report) -> Values:
    data = report.data
    return {
        "state": party_code(data["by"]),
        "publisher": data["provenance"]["publisher"],
        "counted": data["of"],
        "measure": data["measure"],
        "category": data["category"],
        "since": data.get("since", {}).get("earliest"),
        "valid_from": data["when"].get("earliest"),
        "valid_until": data["when"].get("latest"),
        "low": data["total"].get("low", 0),
        "high": data["total"].get("high"),
    }


TALLIES = Projection(
    "tallies",
    1,
    "What do sources claim as totals, against what the ledger derives?",
    "tally",
    (tallies,),
    reports=frozenset({"TallyReported"}),
    of_report=of_report,
)
