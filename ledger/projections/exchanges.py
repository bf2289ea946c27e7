"""What was given in return for what, who says so, and who denies it?

Reads the streams of developments; one row per link that stands, with its publisher, and one row per
live report with its stage, so that the answer can say how far both ends of a link went.
"""

import sqlalchemy as sa

from ledger.developments import Development
from ledger.projections.projection import Key, Projection, Said, Values, answer_table

exchanges = answer_table(
    "exchanges", "report",
    "One row per reported link between two developments.",
    sa.Column("position", sa.BigInteger, nullable=False, comment="of the link"),
    sa.Column("link", sa.Text, nullable=False,
              comment="in_exchange_for, follows, fulfils or part_of"),
    sa.Column("other", sa.Text, nullable=False, comment="the development that it is linked to"),
    sa.Column("denied", sa.Boolean, nullable=False, comment="true: this source denies the link"),
    sa.Column("publisher", sa.Text, nullable=False),
    sa.Index("exchanges_by_other", "other"),
)

exchange_stages = answer_table(
    "exchange_stages", "report",
    "One row per live report that has a stage: how far a development went, and by which day.",
    sa.Column("position", sa.BigInteger, nullable=False, comment="of the report"),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("valid_from", sa.Text, comment="earliest day; empty: not stated"),
    sa.Column("valid_until", sa.Text, comment="latest day, included; empty: not stated"),
)


def rows(development: Development) -> Said:
    """Return the rows of one development, as it stands."""
    said: dict[tuple[str, Key], Values] = {}
    for position, link in development.links.items():
        said["exchanges", (str(position),)] = {
            "position": position,
            "link": link["link"],
            "other": link["to"],
            "denied": link["denied"],
            "publisher": link["provenance"]["publisher"],
        }
    for report in development.live:
        if "stage" in report.data:
            said["exchange_stages", (str(report.position),)] = {
                "position": report.position,
                "stage": report.data["stage"],
                "valid_from": report.data["when"].get("earliest"),
                "valid_until": report.data["when"].get("latest"),
            }
    return said


EXCHANGES = Projection(
    "exchanges",
    1,
    "What was given in return for what, who says so, and who denies it?",
    "development",
    (exchanges, exchange_stages),
    rows,
)
