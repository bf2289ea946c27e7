"""How many events does a coded data set have, per month, pair of actors and event code root?

Reads the streams of developments, of which only rows of coded data sets count. Reports of one data
set on one development are one event: where they differ in the month or in the actors, the event
counts as at most one in each place. Another data set codes by rules of its own, so it has rows of
its own.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache

import sqlalchemy as sa

from ledger.bounds.days import Span, common
from ledger.developments import Live, Report
from ledger.projections.projection import Key, Projection, Said, Values, answer_table
from ledger.tables import Name

UNSTATED = "unstated"
"""An actor that is not coded; a month that is not known within `MOST_MONTHS`."""
MOST_MONTHS = 120

coded_events = answer_table(
    "coded_events", "dataset",
    "One row per coded event and place where it may count: month, actors, code root.",
    sa.Column("stage", Name, primary_key=True),
    sa.Column("month", Name, primary_key=True, comment="as 2025-12, or unstated"),
    sa.Column("source", Name, primary_key=True, comment="the data set's code, or unstated"),
    sa.Column("target", Name, primary_key=True, comment="the data set's code, or unstated"),
    sa.Column("code", Name, primary_key=True, comment="root of the event code, as 08"),
    sa.Column("valid_from", Name, comment="earliest day in that month; empty: not stated"),
    sa.Column("valid_until", Name, comment="latest day, included; empty: not stated"),
    sa.Column("low", sa.Integer, nullable=False, comment="1 where it surely belongs there"),
    sa.Column("high", sa.Integer, nullable=False, comment="1: it may belong there"),
    sa.Column("reports", sa.Integer, nullable=False, comment="live reports that say so"),
)

Months = Mapping[str, Span]
Coding = tuple[str, str, str]
"""Source, target, code root."""


def of_step(reports: Live) -> Said:
    """Return the rows of the coded events that a development has at one stage."""
    said: dict[tuple[str, Key], Values] = {}
    stage = reports[0].data["stage"]
    for dataset, own in _by_dataset(reports).items():
        months = _months(own)
        for coding, said_by in _counted(own).items():
            low = int(len(months) == 1 and said_by == len(own))
            for month, (first, last) in months.items():
                said["coded_events", (dataset, stage, month, *coding)] = {
                    "valid_from": first,
                    "valid_until": last,
                    "low": low,
                    "high": 1,
                    "reports": said_by,
                }
    return said


def code_root(code: str) -> str:
    """Return the root of an event code: CAMEO's first two digits; a word is its own root."""
    return code[:2] if code[:2].isdigit() else code


def _by_dataset(reports: Live) -> dict[str, list[Report]]:
    groups: dict[str, list[Report]] = {}
    for report in reports:
        groups.setdefault(report.data["dataset"], []).append(report)
    return groups


def _counted(reports: list[Report]) -> dict[Coding, int]:
    """Return every pair of a source and a target with the code root, and how many code it so."""
    counted: dict[Coding, int] = {}
    for report in reports:
        actors, root = report.data["actors"], code_root(report.data["code"])
        sources = [actor["code"] for actor in actors if actor["role"] == "source"] or [UNSTATED]
        targets = [actor["code"] for actor in actors if actor["role"] == "target"] or [UNSTATED]
        for coding in {(source, target, root) for source in sources for target in targets}:
            counted[coding] = counted.get(coding, 0) + 1
    return counted


def _months(reports: list[Report]) -> Months:
    """Return the months that all reports allow, or where there is none those that any allows.

    Each with its first and last possible day. A report without a stated month allows every month.
    """
    whens = [report.data["when"] for report in reports]
    spans = [_span(when.get("earliest"), when.get("latest")) for when in whens]
    stated = [span for span in spans if span]
    if len(stated) < 2:
        return stated[0] if stated else {UNSTATED: (None, None)}
    months = set.intersection(*map(set, stated)) or set.union(*map(set, stated))
    return {
        month: common([span[month] for span in stated if month in span])
        for month in sorted(months)
    }


@lru_cache(maxsize=1024)  # days repeat: a data set comes with thousands of rows of one day
def _span(earliest: str | None, latest: str | None) -> dict[str, Span]:
    """Return the months of a day, each with the first and last day that belong to it."""
    if earliest is None or latest is None:
        return {}
    if earliest[:7] == latest[:7]:
        return {earliest[:7]: (earliest, latest)}
    first, last = date.fromisoformat(earliest), date.fromisoformat(latest)
    begin, end = _number(first), _number(last)
    if end - begin >= MOST_MONTHS:
        return {}
    following = [date(month // 12, month % 12 + 1, 1) for month in range(begin + 1, end + 1)]
    starts = [first, *following]
    ends = [*(day - timedelta(days=1) for day in following), last]
    return {
        start.isoformat()[:7]: (start.isoformat(), until.isoformat())
        for start, until in zip(starts, ends, strict=True)
    }


def _number(day: date) -> int:
    """Return the day's month as a number that goes up by one a month."""
    return day.year * 12 + day.month - 1


CODED_EVENTS = Projection(
    "coded_events",
    2,
    "How many events do coded data sets have, per month and pair of actors?",
    "development",
    (coded_events,),
    reports=frozenset({"CodedEvent"}),
    of_step=of_step,
)
