"""Which measures did a state impose, ease or lift, on what, and how real is each step?

Reads the streams of developments; one row per live report, so that a promise, an agreement and a
deed stand side by side with their days. The name of a person who is a target is never copied here.
"""

from typing import Any

import sqlalchemy as sa

from ledger.developments import Report
from ledger.errors import BadValue
from ledger.events import Data
from ledger.projections.projection import Projection, Said, Values, answer_table
from ledger.projections.releases import party_code
from ledger.values.country import read_country

WAYS = {"SanctionsImposed": "imposed", "SanctionsEased": "eased", "SanctionsLifted": "lifted"}

sanctions = answer_table(
    "sanctions", "report",
    "One row per live report of sanctions: what it says was done to whom, and how far it went.",
    sa.Column("position", sa.BigInteger, nullable=False, comment="of the report"),
    sa.Column("way", sa.Text, nullable=False, comment="imposed, eased or lifted"),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("sender", sa.Text, nullable=False,
              comment="ISO code of the state, or the organisation's name"),
    sa.Column("target_kind", sa.Text, nullable=False),
    sa.Column("target", sa.Text, comment="its name; empty for a person"),
    sa.Column("target_state", sa.Text, comment="ISO code; empty: not stated"),
    sa.Column("measures", sa.Text, nullable=False, comment="joined by blanks"),
    sa.Column("valid_from", sa.Text,
              comment="earliest day on which the stage was reached; empty: not stated"),
    sa.Column("valid_until", sa.Text, comment="latest such day, included; empty: not stated"),
    sa.Index("sanctions_by_target_state", "target_state", "stream"),
)


def of_report(report: Report) -> Said:
    """Return the row of one live report of sanctions."""
    return {("sanctions", (str(report.position),)): _step(report)}


def _step(report: Report) -> Values:
    data = report.data
    day = _day(data)
    return {
        "position": report.position,
        "way": WAYS[report.type],
        "stage": data["stage"],
        "sender": party_code(data["sender"]),
        "target_kind": data["target"]["kind"],
        "target": data["target"].get("name"),
        "target_state": _target_state(data["target"]),
        "measures": " ".join(sorted(set(data["measures"]))),
        "valid_from": day.get("earliest"),
        "valid_until": day.get("latest"),
    }


def _day(data: Data) -> Any:
    """Return the day of legal effect of what was done; of everything else, the day of the step.

    What was promised with a later day of effect is promised from the day of the promise on.
    """
    return data["effective"] if data["stage"] == "done" and "effective" in data else data["when"]


def _target_state(target: Data) -> str | None:
    """Return the country's code; a state that is named is its own country."""
    if "country" in target:
        return str(target["country"]["code"])
    if target["kind"] != "state":
        return None
    try:
        return read_country(target["name"]).code
    except BadValue:
        return None


SANCTIONS = Projection(
    "sanctions",
    1,
    "Which measures are imposed, eased or lifted at which stage on which day?",
    "development",
    (sanctions,),
    reports=frozenset(WAYS),
    of_report=of_report,
)
