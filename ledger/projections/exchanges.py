"""What was given in return for what, who says so, and who denies it?

Reads the streams of developments; one row per link that stands, with its publisher, and one row per
live report with its stage, so that the answer can say how far both ends of a link went.
"""

import sqlalchemy as sa

from ledger.developments import Development, Report
from ledger.projections.courses import day_of
from ledger.projections.projection import Projection, Said, answer_table
from ledger.tables import Name

exchanges = answer_table(
    "exchanges", "report",
    "One row per reported link between two developments.",
    sa.Column("position", sa.BigInteger, nullable=False, comment="of the link"),
    sa.Column("link", Name, nullable=False,
              comment="in_exchange_for, follows, fulfils or part_of"),
    sa.Column("other", Name, nullable=False, comment="the development that it is linked to"),
    sa.Column("denied", sa.Boolean, nullable=False, comment="true: this source denies the link"),
    sa.Column("publisher", Name, nullable=False),
    sa.Index("exchanges_by_other", "other"),
)

exchange_stages = answer_table(
    "exchange_stages", "report",
    "One row per live report that has a stage: how far a development went, and by which day.",
    sa.Column("position", sa.BigInteger, nullable=False, comment="of the report"),
    sa.Column("stage", Name, nullable=False),
    sa.Column("valid_from", Name, comment="earliest day; empty: not stated"),
    sa.Column("valid_until", Name, comment="latest day, included; empty: not stated"),
)


def of_ties(development: Development) -> Said:
    """Return a row for each link that stands."""
    return {
        ("exchanges", (str(position),)): {
            "position": position,
            "link": link["link"],
            "other": link["to"],
            "denied": link["denied"],
            "publisher": link["provenance"]["publisher"],
        }
        for position, link in development.links.items()
    }


def of_report(report: Report) -> Said:
    """Return how far the report says that it went; nothing where it has no stage."""
    data = report.data
    if "stage" not in data:
        return {}
    when = day_of(data)
    return {
        ("exchange_stages", (str(report.position),)): {
            "position": report.position,
            "stage": data["stage"],
            "valid_from": when.get("earliest"),
            "valid_until": when.get("latest"),
        }
    }


EXCHANGES = Projection(
    "exchanges",
    2,
    "What was given in return for what, who says so, and who denies it?",
    "development",
    (exchanges, exchange_stages),
    of_report=of_report,
    of_ties=of_ties,
)
