"""Who talked with whom, when, where and in which form?

Reads the streams of developments; one row per development and stage, folded from its live reports,
and one row per party beside it. Participants are persons and are not copied here.
"""

import sqlalchemy as sa

from ledger.developments import Live
from ledger.projections.projection import Key, Projection, Said, Values, answer_table
from ledger.projections.releases import days, party_code
from ledger.tables import Name

talks = answer_table(
    "talks", "stage",
    "One row per development and stage: talks that were held, or proposed, or refused.",
    sa.Column("parties", Name, nullable=False,
              comment="ISO codes of states and names of organisations, joined by commas"),
    sa.Column("valid_from", Name, comment="earliest day; empty: not stated"),
    sa.Column("valid_until", Name, comment="latest day, included; empty: not stated"),
    sa.Column("form", Name, comment="joined by commas where reports differ; empty: not stated"),
    sa.Column("place_country", Name,
              comment="ISO code, joined by commas where reports differ; empty: not stated"),
    sa.Column("reports", sa.Integer, nullable=False, comment="live reports"),
    sa.Column("positions", Name, nullable=False, comment="of the live reports"),
)

talk_parties = answer_table(
    "talk_parties", "stage",
    "One row per development, stage and party that any live report names.",
    sa.Column("party", Name, primary_key=True,
              comment="ISO code of the state, or the organisation's name"),
    sa.Index("talk_parties_by_party", "party", "stream", "stage", "position_from",
             "position_until"),
)


def of_step(reports: Live) -> Said:
    """Return the rows of the talks that a development reached at one stage."""
    stage = reports[0].data["stage"]
    parties = sorted({party_code(p) for report in reports for p in report.data["parties"]})
    said: dict[tuple[str, Key], Values] = {("talks", (stage,)): _talk(reports, parties)}
    for party in parties:
        said["talk_parties", (stage, party)] = {}
    return said


def _talk(reports: Live, parties: list[str]) -> Values:
    (first, last), _ = days(reports)
    places = [report.data.get("place", {}).get("country", {}) for report in reports]
    return {
        "parties": ", ".join(parties),
        "valid_from": first,
        "valid_until": last,
        "form": _joined({report.data["form"] for report in reports} - {"unstated"}),
        "place_country": _joined({place["code"] for place in places if place}),
        "reports": len(reports),
        "positions": " ".join(map(str, sorted(report.position for report in reports))),
    }


def _joined(words: set[str]) -> str | None:
    return ", ".join(sorted(words)) or None


TALKS = Projection(
    "talks",
    3,
    "Who talked with whom, when, where and in which form?",
    "development",
    (talks, talk_parties),
    reports=frozenset({"TalksHeld"}),
    of_step=of_step,
)
