"""Who is detained, ordered free, free, or back in custody?

Reads the streams of developments; one row per live report and person whom it gives a key
(`person/…`). Names are never copied here: whoever has no key is not in these tables. That two keys
are one person is said in the streams of persons, which `persons` reads.
"""

import sqlalchemy as sa

from ledger.developments import Report
from ledger.projections.projection import Projection, Said, Values, answer_table
from ledger.projections.releases import party_code
from ledger.tables import Name

CUSTODY = {"PrisonersReleased": "released", "PrisonersDetained": "detained"}

people = answer_table(
    "people", "person",
    "One row per live report and person with a key: released or detained, and how far it went.",
    sa.Column("report", Name, primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False, comment="of the report"),
    sa.Column("event", Name, nullable=False, comment="released or detained"),
    sa.Column("stage", Name, nullable=False),
    sa.Column("held_by", Name, nullable=False,
              comment="ISO code of the state, or the organisation's name"),
    sa.Column("citizenships", Name, nullable=False, comment="codes joined by blanks"),
    sa.Column("valid_from", Name, comment="earliest day; empty: not stated"),
    sa.Column("valid_until", Name, comment="latest day, included; empty: not stated"),
    # Whatever an answer about one state reads, in the order in which it reads it.
    sa.Index("people_by_holder", "held_by", "person", "position", "position_from",
             "position_until", "event", "stage", "citizenships", "valid_from", "valid_until"),
)


def of_report(report: Report) -> Said:
    """Return a row for each key in the report; who is listed twice holds what either line says."""
    held: dict[str, set[str]] = {}
    for person in report.data["persons"]:
        if "person" in person:
            codes = {country["code"] for country in person["citizenships"]}
            held.setdefault(person["person"], set()).update(codes)
    return {
        ("people", (key, str(report.position))): _step(report, codes)
        for key, codes in held.items()
    }


def _step(report: Report, citizenships: set[str]) -> Values:
    data = report.data
    return {
        "position": report.position,
        "event": CUSTODY[report.type],
        "stage": data["stage"],
        "held_by": party_code(data["by"]),
        "citizenships": " ".join(sorted(citizenships)),
        "valid_from": data["when"].get("earliest"),
        "valid_until": data["when"].get("latest"),
    }


PEOPLE = Projection(
    "people",
    3,
    "Who is detained, ordered free, free, or back in custody?",
    "development",
    (people,),
    reports=frozenset(CUSTODY),
    of_report=of_report,
)
