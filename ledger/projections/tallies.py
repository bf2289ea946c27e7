"""Which totals do sources state for themselves?

Reads the streams of tallies; hands on one row for each live report. A tally is never added to the
releases that it sums up: it is what they are compared with (`answers.tallies`).
"""

import sqlalchemy as sa

from ledger.developments import Report
from ledger.projections.projection import Projection, Said, Values, answer_table
from ledger.projections.releases import party_code
from ledger.tables import Name

tallies = answer_table(
    "tallies", "report",
    "One row per live tally: what a source states as a total of its own.",
    sa.Column("state", Name, nullable=False,
              comment="ISO code of the state, or the organisation's name"),
    sa.Column("publisher", Name, nullable=False),
    sa.Column("counted", Name, nullable=False, comment="released, detained or held"),
    sa.Column("measure", Name, nullable=False, comment="cumulative, or a stock on a day"),
    sa.Column("category", Name, nullable=False, comment="what kind of prisoners"),
    sa.Column("since", Name, comment="first day of the total; empty: not stated"),
    sa.Column("valid_from", Name, comment="earliest day that it is for; empty: not stated"),
    sa.Column("valid_until", Name, comment="latest day, included; empty: not stated"),
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
    2,
    "What do sources claim as totals, against what the ledger derives?",
    "tally",
    (tallies,),
    reports=frozenset({"TallyReported"}),
    of_report=of_report,
)
