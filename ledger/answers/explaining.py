"""Evidence: from one number back to the developments, the reports and who published them.

Takes the question whose number is asked about; hands on the chain, each link with the bound that it
contributes, a page at a time. Answer tables say which developments count and how much each adds;
only for those of the page the events are read, which say by which reports.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from ledger.answers.answer import (
    AsOf,
    check_choice,
    first_day,
    last_day,
    state_code,
    stream_name,
    taken_in,
)
from ledger.answers.asking import checked
from ledger.answers.releases import COUNTS, first_keys, rule_of
from ledger.bounds.bounding import bound
from ledger.bounds.claims import Bounds
from ledger.developments import Report, fold
from ledger.errors import BadValue
from ledger.events import RecordedEvent
from ledger.folding import no_collections
from ledger.kinds.common import STAGES
from ledger.projections.merges import MERGES, PERSONS
from ledger.projections.release_list import UNDONE, Rule
from ledger.projections.release_parts import Page, Share, page_of
from ledger.projections.release_totals import Scope
from ledger.projections.releases import RELEASES, claim, state_of
from ledger.projections.releases import releases as releases_table
from ledger.store.read import read_streams
from ledger.values.country import read_country

READS = (RELEASES, MERGES)
PAGE = 20
"""Releases that people are shown at once."""
MOST = 1_000_000
"""Releases that may be asked for at once by number; without a limit it is all."""
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
    stage: str
    """`reversed`: it says what was undone, which is taken off where the rule is net."""


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


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a number is made of: a page of contributions, those that add most first.

    What stands before the page, the page and what stands after it add up to the total.
    """

    contributions: tuple[Contribution, ...]
    before: Share
    after: Share
    total: Share

    def __iter__(self) -> Iterator[Contribution]:
        return iter(self.contributions)

    def __len__(self) -> int:
        return len(self.contributions)


@no_collections()
def explain_releases(
    connection: sa.Connection,
    *,
    citizenship: str | None = None,
    state: str | None = None,
    since: str | None = None,
    until: str | None = None,
    stage: str = "done",
    development: str | None = None,
    reversals: str = "gross",
    citizenships: str = "each",
    as_of: AsOf = None,
    valid_at: str | None = None,
    limit: int | None = None,
    after: str | None = None,
) -> Explanation:
    """Return what each release contributes to a number of `answer releases`.

    Without a citizenship the number is the total. Whatever adds most to the low bound comes first,
    then whatever adds most to the high one; without a `limit` all of them. `after` is the name of a
    development: the page begins behind its release. The others are parameters of that answer, which
    says by itself how it comes to persons. Costs what adding up the number does, and 40
    microseconds for each report on the page. Raises what `checked` raises, and BadValue for a limit
    that is none and for a development that adds nothing to the number.
    """
    if limit is not None and not (type(limit) is int and 1 <= limit <= MOST):
        raise BadValue(limit, f"a number from 1 to {MOST:,}")
    check_choice(stage, STAGES)
    rule = rule_of(COUNTS[0], reversals, citizenships, stage)
    code = None if citizenship is None else read_country(citizenship).code
    reads = (*READS, *([PERSONS] if rule.asks_who else []))
    party = releases_table.c.released_by
    position = checked(
        connection, reads, party,
        state=state, since=since, until=until, valid_at=valid_at, as_of=as_of,
    )
    if position is None:  # what the tables hold, and not a report that they have not taken in
        position = min(taken_in(connection, reads))
    end = min(filter(None, (last_day(until), last_day(valid_at))), default=None)
    named = stream_name(connection, development)
    scope = Scope(state_code(state), first_day(since), end, stage, position, named)
    stream = None if after is None else f"development/{after.removeprefix('development/')}"
    page = page_of(
        connection, scope, code, limit, stream, rule, first_keys(connection, position)
    )
    if after is not None and not page.before.releases:
        raise BadValue(after, "a development that adds to this number")
    contributions = tuple(_contributions(connection, page, scope, code, rule))
    return Explanation(contributions, page.before, page.after, page.total)


def _contributions(
    connection: sa.Connection, page: Page, scope: Scope, code: str | None, rule: Rule
) -> Iterator[Contribution]:
    for first in range(0, len(page.parts), TOGETHER):
        some = page.parts[first : first + TOGETHER]
        names = [stream for part in some for stream in page.members[part.group]]
        events = read_streams(connection, names, scope.as_of)
        for part in some:
            streams = page.members[part.group]
            disagree = {int(at) for positions in streams.values() for at in positions.split()}
            reports = _reports(events, streams, (scope.stage, *([UNDONE] if rule.net else [])))
            # What the only report of a release says is what the tables hold for the release.
            only = Bounds(part.least, part.high) if len(reports) == 1 else None
            yield Contribution(
                tuple(sorted(streams)),
                part.listed,
                part.low,
                part.high,
                part.disputed,
                tuple(
                    _evidence(one, only or _alone(one, code, rule), one.position in disagree)
                    for one in reports
                ),
            )


def _reports(
    events: dict[str, list[RecordedEvent]], streams: Iterable[str], stages: Collection[str]
) -> list[Report]:
    live = [
        report
        for stream in streams
        for report in fold(stream, events[stream]).live
        if report.type == "PrisonersReleased" and report.data["stage"] in stages
    ]
    return sorted(live, key=lambda report: report.position)


def _alone(report: Report, code: str | None, rule: Rule) -> Bounds:
    """Return the bounds that one report would give by itself."""
    alone = bound([claim(report)], state_of(report.data["by"]))
    if code is None:
        return alone.total
    low, high = alone.citizenships.get(code, Bounds(0, alone.other.high))
    return Bounds(max(0, low - alone.several.get(code, 0)) if rule.one else low, high)


def _evidence(report: Report, bounds: Bounds, disagrees: bool) -> Evidence:
    provenance = report.data["provenance"]
    where = next(provenance[n] for n in ("url", "locator", "document_sha256") if n in provenance)
    return Evidence(
        report.position,
        provenance["publisher"],
        provenance.get("attributed_to"),
        where,
        bounds.low,
        bounds.high,
        disagrees,
        report.data["stage"],
    )
