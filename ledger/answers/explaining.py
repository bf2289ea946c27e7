"""Evidence: from one number back to the developments, the reports and who published them.

Takes the question whose number is asked about; hands on the chain, each link with the bound that it
contributes. Answer tables say which developments count; their events say which reports.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from ledger.answers.answer import AsOf, behind, first_day, last_day, state_code
from ledger.answers.asking import checked
from ledger.bounds.bounding import bound
from ledger.bounds.claims import Bounds
from ledger.developments import Report, fold
from ledger.events import RecordedEvent
from ledger.folding import no_collections
from ledger.projections.release_totals import ReleaseTotals, Scope, totals_of
from ledger.projections.releases import RELEASES, claim, party_code
from ledger.projections.releases import releases as releases_table
from ledger.store.read import read_head, read_streams
from ledger.values.country import read_country

TOGETHER = 200
"""Releases whose events are read and held at once."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One live report and the bound that it alone would give."""

    position: int
    publisher: str
    attributed_to: str | None
    where: str
    """url, locator or document."""
    low: int
    high: int | None
    disagrees: bool


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one release adds to the number, and the reports behind it."""

    developments: tuple[str, ...]
    """Several where they are merged."""
    listed: bool
    """Whether a report lists the citizenship; otherwise the release only leaves room for it."""
    low: int
    high: int | None
    disputed: bool
    reports: tuple[Evidence, ...]


@no_collections()
def explain_releases(
    connection: sa.Connection,
    *,
    citizenship: str | None = None,
    state: str | None = None,
    since: str | None = None,
    until: str | None = None,
    stage: str = "done",
    as_of: AsOf = None,
) -> list[Contribution]:
    """Return what each release contributes to a number of `answer releases`.

    Without a citizenship the number is the total. The lows and highs add up to those of the answer.
    Raises what `checked` raises.
    """
    code = None if citizenship is None else read_country(citizenship).code
    party = releases_table.c.released_by
    position = checked(
        connection, [RELEASES], party, state=state, since=since, until=until, as_of=as_of
    )
    if position is None:  # what the tables hold, and not a report that they have not taken in
        position = read_head(connection).size - behind(connection, RELEASES)
    scope = Scope(state_code(state), first_day(since), last_day(until), stage, position)
    totals, values = totals_of(scope)
    members = _members(connection, totals, values)
    cells = {} if code is None else _cells(connection, totals, values, code)
    found = []
    groups = connection.execute(sa.select(totals.groups), values)
    for group, events in _with_events(connection, groups, members, position):
        cell = cells.get(group.grp)
        listed = code is None or cell is not None
        low, high = (group.low, group.high) if code is None else (
            (cell.low, cell.high) if cell is not None else (0, group.other_high)
        )
        streams = members[group.grp]
        reports = _reports(events, streams, stage)
        found.append(
            Contribution(
                tuple(sorted(streams)),
                listed,
                int(low) if group.within else 0,
                None if high is None else int(high),
                bool(group.disputed if cell is None else cell.disputed),
                tuple(_evidence(report, code, streams) for report in reports),
            )
        )
    return [one for one in found if one.listed or one.high != 0]


def _members(
    connection: sa.Connection, totals: ReleaseTotals, values: dict[str, Any]
) -> dict[str, dict[str, set[int]]]:
    """Return the streams of each group, with the positions that disagree."""
    member, group = totals.members, totals.groups
    query = sa.select(member.c.grp, member.c.stream, member.c.positions).join(
        group, group.c.grp == member.c.grp
    )
    found: dict[str, dict[str, set[int]]] = {}
    for row in connection.execute(query, values):
        found.setdefault(row.grp, {})[row.stream] = {int(p) for p in row.positions.split()}
    return found


def _cells(
    connection: sa.Connection, totals: ReleaseTotals, values: dict[str, Any], code: str
) -> dict[str, Any]:
    cell = totals.cells
    query = sa.select(cell).where(cell.c.citizenship == code)
    return {row.grp: row for row in connection.execute(query, values)}


def _with_events(
    connection: sa.Connection,
    groups: Iterable[Any],
    members: dict[str, dict[str, set[int]]],
    up_to: int | None,
) -> Iterator[tuple[Any, dict[str, list[RecordedEvent]]]]:
    """Yield each group by name, with the events of some groups, its own among them."""
    ordered = sorted(groups, key=attrgetter("grp"))
    for first in range(0, len(ordered), TOGETHER):
        some = ordered[first : first + TOGETHER]
        streams = [stream for group in some for stream in members[group.grp]]
        events = read_streams(connection, streams, up_to)
        for group in some:
            yield group, events


def _reports(
    events: dict[str, list[RecordedEvent]], streams: Iterable[str], stage: str
) -> list[Report]:
    live = [
        report
        for stream in streams
        for report in fold(stream, events[stream]).live
        if report.type == "PrisonersReleased" and report.data["stage"] == stage
    ]
    return sorted(live, key=lambda report: report.position)


def _evidence(report: Report, code: str | None, streams: dict[str, set[int]]) -> Evidence:
    alone = bound([claim(report)], party_code(report.data["by"]))
    bounds: Bounds = (
        alone.total if code is None else alone.citizenships.get(code, Bounds(0, alone.other.high))
    )
    provenance = report.data["provenance"]
    where = next(provenance[n] for n in ("url", "locator", "document_sha256") if n in provenance)
    return Evidence(
        report.position,
        provenance["publisher"],
        provenance.get("attributed_to"),
        where,
        bounds.low,
        bounds.high,
        any(report.position in odd for odd in streams.values()),
    )
