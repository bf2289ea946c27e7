"""What was given in return for what, who says so, and who denies it?

Reads the streams of developments; one row per link that stands, with its publisher, and one row per
live report with its stage, so that the answer can say how far both ends of a link went.
"""

from functools import lru_cache

import sqlalchemy as sa

from ledger.developments import Development, Report
from ledger.projections.projection import Key, Place, Projection, Said, Values, answer_table

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
        place, values = _stage(report)
        if values:
            said[place] = values
    return said


@lru_cache(maxsize=1024)  # a report stands through many events of its stream
def _stage(report: Report) -> tuple[Place, Values]:
    """Return how far the report says that it went; nothing where it has no stage."""
    place, data = ("exchange_stages", (str(report.position),)), report.data
    if "stage" not in data:
        return place, {}
    when = data["when"]
    return place, {
        "position": report.position,
        "stage": data["stage"],
        "valid_from": when.get("earliest"),
        "valid_until": when.get("latest"),
    }


EXCHANGES = Projection(
    "exchanges",
    1,
    "What was given in return for what, who says so, and who denies it?",
    "development",
    (exchanges, exchange_stages),
    rows,
)
