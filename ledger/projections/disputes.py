"""Which developments' reports contradict each other?

Reads the streams of developments; hands on one row for each type and stage whose live reports
cannot all hold: on how many people (releases and detentions), on who did it (the same), or on the
day (every family). What was promised and what was done are compared apart.
"""

from collections.abc import Iterator

import sqlalchemy as sa

from ledger.developments import Live
from ledger.events import Data
from ledger.projections.projection import Key, Projection, Said, Values, answer_table
from ledger.projections.releases import bounded_by, days, party_code
from ledger.tables import Name

disputes = answer_table(
    "disputes", "type",
    "One row per development, event type and stage whose live reports contradict each other.",
    sa.Column("stage", Name, primary_key=True),
    sa.Column("about", Name, nullable=False, comment="how many, when, by whom"),
    sa.Column("positions", Name, nullable=False, comment="the reports that disagree"),
)

dispute_parties = answer_table(
    "dispute_parties", "type",
    "One row per dispute and state or organisation that any of its reports says did it.",
    sa.Column("stage", Name, primary_key=True),
    sa.Column("party", Name, primary_key=True),
    sa.Index("dispute_parties_by_party", "party", "stream", "type", "stage", "position_from",
             "position_until"),
)

ABOUT = HOW_MANY, WHEN, BY_WHOM = "how many", "when", "by whom"
CUSTODY = ("PrisonersReleased", "PrisonersDetained")


def of_step(reports: Live) -> Said:
    """Return the rows of the reports of one type and stage; none where they agree."""
    type = reports[0].type
    if len(reports) == 1 and type not in CUSTODY:
        return {}  # one report contradicts itself in its numbers only
    contradicted = _contradicted(reports)
    if not contradicted:
        return {}
    key = type, reports[0].data["stage"]
    positions = sorted(set().union(*contradicted.values()))
    said: dict[tuple[str, Key], Values] = {
        ("disputes", key): {
            "about": ", ".join(contradicted),
            "positions": " ".join(map(str, positions)),
        }
    }
    for report in reports:
        for party in _parties(report.data):
            said["dispute_parties", (*key, party)] = {}
    return said


def _contradicted(reports: Live) -> dict[str, set[int]]:
    """Return what the reports disagree on, each with the positions of those that do."""
    found = {WHEN: set(days(reports)[1])}
    if reports[0].type in CUSTODY:
        states = {party_code(report.data["by"]) for report in reports}
        found[HOW_MANY] = set(bounded_by(reports).positions)
        found[BY_WHOM] = {r.position for r in reports} if len(states) > 1 else set()
    return {about: found[about] for about in ABOUT if found.get(about)}


def _parties(data: Data) -> Iterator[str]:
    """Yield who did it by this report: the state or organisation, or all that took part."""
    for party in (data.get("by"), data.get("sender"), *data.get("parties", [])):
        if party is not None:
            yield party_code(party)


DISPUTES = Projection(
    "disputes",
    4,
    "Which developments have reports that contradict each other, and about what?",
    "development",
    (disputes, dispute_parties),
    of_step=of_step,
)
