"""Which measures did a state impose, ease or lift, on what, and how real is each step?

Reads the streams of developments; one row per live report, so that a promise, an agreement and a
deed stand side by side with their days, and one row per course: how far the reports about one
target together say that it went. The name of a person who is a target is never copied here.
"""

from collections.abc import Sequence
from operator import attrgetter

import sqlalchemy as sa

from ledger.developments import Live, Report
from ledger.errors import BadValue
from ledger.events import Data
from ledger.projections.courses import (
    EVER,
    ORDER,
    Step,
    day_of,
    further,
    known_by,
    known_day,
    placed,
    standing,
)
from ledger.projections.orders import stage_else
from ledger.projections.projection import Projection, Said, Values, answer_table
from ledger.projections.releases import party_code
from ledger.tables import Name
from ledger.values.country import read_country

WAYS = {"SanctionsImposed": "imposed", "SanctionsEased": "eased", "SanctionsLifted": "lifted"}

sanctions = answer_table(
    "sanctions", "report",
    "One row per live report of sanctions: what it says was done to whom, and how far it went.",
    sa.Column("position", sa.BigInteger, nullable=False, comment="of the report"),
    sa.Column("way", Name, nullable=False, comment="imposed, eased or lifted"),
    sa.Column("stage", Name, nullable=False),
    sa.Column("sender", Name, nullable=False,
              comment="ISO code of the state, or the organisation's name"),
    sa.Column("target_kind", Name, nullable=False),
    sa.Column("target", Name, comment="its name; empty for a person"),
    sa.Column("target_state", Name, comment="ISO code; empty: not stated"),
    sa.Column("measures", Name, nullable=False, comment="joined by blanks"),
    sa.Column("valid_from", Name,
              comment="earliest day on which the stage was reached; empty: not stated"),
    sa.Column("valid_until", Name, comment="latest such day, included; empty: not stated"),
    sa.Index("sanctions_by_target_state", "target_state", "stream", "position_from",
             "position_until"),
)

sanction_courses = answer_table(
    "sanction_courses", "target",
    "One row per development, target (in small letters) and way: how far it went by all reports.",
    sa.Column("way", Name, primary_key=True, comment="imposed, eased or lifted"),
    sa.Column("named", Name, nullable=False, comment="the target as the first report has it"),
    sa.Column("target_state", Name, comment="ISO code; empty: not stated"),
    sa.Column("sender", Name, nullable=False, comment="joined by commas where reports differ"),
    sa.Column("measures", Name, nullable=False, comment="joined by blanks"),
    sa.Column("stage", Name, nullable=False, comment="the furthest"),
    sa.Column("since", Name, comment="the day from which it counts; empty: not known"),
    sa.Column("may_be", Name, comment="at which stages else it may be, in any order of its days"),
    sa.Column("reached", Name, nullable=False,
              comment="each stage, the day from which it counts, and who says so"),
    sa.Column("positions", Name, nullable=False, comment="of the live reports"),
)


def of_report(report: Report) -> Said:
    """Return the row of one live report of sanctions."""
    return {("sanctions", (str(report.position),)): _step(report)}


def of_type(reports: Live) -> Said:
    """Return a row for each course that the live reports of one type tell of."""
    courses: dict[tuple[str, str], list[Values]] = {}
    for report in sorted(reports, key=attrgetter("position")):  # as the answer by a day reads them
        step = _step(report)
        courses.setdefault(course_of(step), []).append(step)
    return {("sanction_courses", key): course(steps, EVER)[0] for key, steps in courses.items()}


def course_of(step: Values) -> tuple[str, str]:
    """Return the key of the course that a report's row belongs to: its target and its way."""
    return named(step).casefold(), step["way"]


def named(step: Values) -> str:
    """Return the target's name; a person has none here."""
    return step["target"] or f"a {step['target_kind']}"


def course(found: Sequence[Values], day: str) -> tuple[Values, str | None]:
    """Return how far the reports of one course, by position, say that it went by the day.

    Also the day from which a later stage counts; None where there is none.
    """
    every = [
        Step(row["stage"], row["valid_from"] or "", row["valid_until"] or EVER, row["position"])
        for row in found
    ]
    steps = placed(("", *step[:3]) for step in every)
    surely = standing([step[1:] for step in steps], day, further, ORDER)
    values = {
        "named": named(found[0]),
        "target_state": next((row["target_state"] for row in found if row["target_state"]), None),
        "sender": ", ".join(sorted({row["sender"] for row in found})),
        "measures": " ".join(sorted({word for row in found for word in row["measures"].split()})),
        "stage": surely.state,
        "since": surely.since,
        "may_be": stage_else(steps, day, surely.state),
        "reached": _reached(every, day),
        "positions": " ".join(map(str, known_by(every, day))),
    }
    return values, surely.until


def _reached(steps: Sequence[Step], day: str) -> str:
    """Return each stage that may be reached, the day from which it counts, and who says so."""
    stages: dict[str, list[Step]] = {}
    for step in steps:
        if step.first <= day:
            stages.setdefault(step.said, []).append(step)
    parts = []
    for stage in sorted(stages, key=ORDER.index):
        of_stage = stages[stage]
        sure = [step.last for step in of_stage if step.last <= day]
        since = known_day(min(sure)) if sure else None
        how = f"{stage} since {since}" if since else stage if sure else f"{stage} perhaps"
        positions = known_by(of_stage, day)
        word = "position" if len(positions) == 1 else "positions"
        parts.append(f"{how} (by {word} {', '.join(map(str, positions))})")
    return "; ".join(parts)


def _step(report: Report) -> Values:
    data = report.data
    day = day_of(data)
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
    4,
    "Which measures are imposed, eased or lifted at which stage on which day?",
    "development",
    (sanctions, sanction_courses),
    reports=frozenset(WAYS),
    of_report=of_report,
    of_type=of_type,
)
