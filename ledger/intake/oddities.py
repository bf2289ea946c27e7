"""What is odd about a report and recorded all the same: said once, to the one who records it.

Takes a report in its normal form and the time at which it was recorded; hands on remarks by field.
Nothing of them stands in the ledger: the sources say such things, and what they say is the record.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from ledger.bounds.bounding import bound
from ledger.developments import Report
from ledger.errors import Complaint, shown
from ledger.events import Data
from ledger.kinds.kind import Kind
from ledger.kinds.registry import KINDS
from ledger.projections.releases import claim, state_of

FARTHEST_EAST = timedelta(hours=14)
"""Ahead of UTC: where a day begins first."""
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/]\S*", re.I)
_NUMBERS = ("total", "citizenships", "destinations", "persons")


def oddities(kind: Kind, data: Data, recorded_at: str) -> Iterator[Complaint]:
    """Yield what is odd about a report: flagged values, days to come, numbers that cannot all hold,
    an address that is none. Costs little where there is no breakdown."""
    if kind.type == "ReportCorrected":
        for inner in oddities(KINDS[data["type"]], data["report"], recorded_at):
            yield Complaint(f"report.{inner.field}", inner.message)
        return
    yield from _flags(data)
    yield from _days_to_come(data, recorded_at)
    yield from _contradictions(kind, data)
    yield from _addresses(data)


def _flags(value: Any, field: str = "") -> Iterator[Complaint]:
    """Yield the flags that values carry, wherever they stand in a report."""
    if isinstance(value, dict):
        for flag in value.get("flags", ()):
            yield Complaint(field, flag)
    inner = value.items() if isinstance(value, dict) else ()
    for name, part in enumerate(value) if isinstance(value, list) else inner:
        yield from _flags(part, f"{field}.{name}".lstrip("."))


def _days_to_come(data: Data, recorded_at: str) -> Iterator[Complaint]:
    """Yield the days on which something was so, or was printed, that had begun nowhere on earth."""
    moment = datetime.fromisoformat(recorded_at) + FARTHEST_EAST
    today = moment.date().isoformat()
    source = data.get("provenance", {})
    days = {f"provenance.{name}": source.get(name) for name in ("published", "retrieved")}
    days["retrieved"] = data.get("retrieved")
    if data.get("stage", "done") == "done":  # a tally has no stage: it is of that day
        days["when"] = data.get("when")
    for field, day in days.items():
        if day is not None and day.get("earliest", "") > today:
            stage = " at stage done" if field == "when" and "stage" in data else ""
            why = f"{day['edtf']}{stage} is after the day of recording ({recorded_at[:10]})"
            yield Complaint(field, f"{why}, perhaps a slip")


def _contradictions(kind: Kind, data: Data) -> Iterator[Complaint]:
    """Yield where the numbers of the one report cannot all hold, as the bounds see it."""
    if "total" not in kind.form.parts or not any(data.get(name) for name in _NUMBERS[1:]):
        return
    whole = {"destinations": [], "persons": [], **data}
    said = claim(Report(0, kind.type, whole))
    if not bound([said], state_of(data["by"])).disputed:
        return
    given = [name for name in _NUMBERS if data.get(name)]
    numbers = ", ".join(f"{name} {_in_words(data[name])}" for name in given)
    rest = ", and no other citizenship" if data["exhaustive"] else ""
    yield Complaint(given[1], f"these cannot all hold: {numbers}{rest}")


def _in_words(value: Any) -> str:
    """Return how many a quantity, a breakdown or a list of persons comes to: `at least 5`."""
    if not isinstance(value, list):
        low, high = value.get("low", 0), value.get("high")
    elif any("count" in line for line in value):
        ends = [(line["count"].get("low", 0), line["count"].get("high")) for line in value]
        low, highs = sum(low for low, _ in ends), [high for _, high in ends]
        high = None if None in highs else sum(highs)
    else:
        return str(len(value))
    if high is None:
        return f"at least {low}"
    return str(low) if low == high else f"from {low} to {high}"


def _addresses(data: Data) -> Iterator[Complaint]:
    url = data.get("provenance", {}).get("url")
    if url is not None and not _ADDRESS.fullmatch(url):
        why = f"{shown(url)} is no whole address, such as https://example.org/article"
        yield Complaint("provenance.url", why)
