"""Who is detained, ordered free, free, or back in custody?

Reads the streams of developments; one row per live report and person whom it gives a key
(`person/…`). Names are never copied here: whoever has no key is not in these tables. That two keys
are one person is said in the streams of persons, which this projection does not read.
"""

import sqlalchemy as sa

from ledger.developments import Report
from ledger.events import Data
from ledger.projections.projection import Projection, Said, Values, answer_table
from ledger.projections.releases import party_code

CUSTODY = {"PrisonersReleased": "released", "PrisonersDetained": "detained"}

people = answer_table(
    "people", "person",
    "One row per live report and person with a key: released or detained, and how far it went.",
    sa.Column("report", sa.Text, primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False, comment="of the report"),
    sa.Column("event", sa.Text, nullable=False, comment="released or detained"),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("held_by", sa.Text, nullable=False,
              comment="ISO code of the state, or the organisation's name"),
    sa.Column("citizenships", sa.Text, nullable=False, comment="codes joined by blanks"),
    sa.Column("valid_from", sa.Text, comment="earliest day; empty: not stated"),
    sa.Column("valid_until", sa.Text, comment="latest day, included; empty: not stated"),
    # Whatever an answer about one state reads, in the order in which it reads it.
    sa.Index("people_by_holder", "held_by", "person", "position", "position_from",
             "position_until", "event", "stage", "citizenships", "valid_from", "valid_until"),
)


def of_report(report: Report) -> Said:
    """Return a row for each person with a key in the report."""
    return {
        ("people", (person["person"], str(report.position))): _step(report, person)
        for person in report.data["persons"]
        if "person" in person
    }


def _step(report: Report, person: Data) -> Values:
    data = report.data
    return {
        "position": report.position,
        "event": CUSTODY[report.type],
        "stage": data["stage"],
        "held_by": party_code(data["by"]),
        "citizenships": " ".join(sorted({c["code"] for c in person["citizenships"]})),
        "valid_from": data["when"].get("earliest"),
        "valid_until": data["when"].get("latest"),
    }


PEOPLE = Projection(
    "people",
    2,
    "Who is detained, ordered free, free, or back in custody?",
    "development",
    (people,),
    reports=frozenset(CUSTODY),
    of_report=of_report,
)
