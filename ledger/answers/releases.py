"""How many people were freed? By citizenship, state or day, with bounds.

Takes the question's parameters; hands on an Answer: rows with bounds, the total, the counting rule,
the assumptions, and what is disputed. Reads answer tables only, never an event.
"""

from collections.abc import Collection
from operator import attrgetter

import sqlalchemy as sa

from ledger.answers.answer import (
    Answer,
    AsOf,
    Row,
    check_choice,
    first_day,
    given,
    last_day,
    position_at,
    reached,
    read_positions,
    state_code,
    stream_name,
)
from ledger.answers.merged import groups_of
from ledger.errors import BadValue
from ledger.folding import no_collections
from ledger.kinds.common import STAGES
from ledger.projections.merges import MERGES, PERSONS, person_merges
from ledger.projections.release_counts import counted
from ledger.projections.release_days import NEVER
from ledger.projections.release_list import FirstKeys, Rule
from ledger.projections.release_sums import RolledUp, Sum, rolled_up
from ledger.projections.release_totals import Scope
from ledger.projections.releases import RELEASES

BY = ("citizenship", "state", "day")

COUNTS, REVERSALS, CITIZENSHIPS = ("releases", "persons"), ("gross", "net"), ("each", "one")
"""What can be chosen of the rule; the first of each is the usual one."""
COUNTING = {
    "releases": "releases, not persons: whoever is freed twice counts twice",
    "persons": "persons, not releases: whoever is freed twice counts once; persons of two releases "
    "are told apart by their key or citizenship alone, so the low is that of the largest release, "
    "the number of keys, or the largest share of each citizenship together",
    "gross": "gross: a release that was undone later still counts",
    "net": "net: what was undone by the last day asked for does not count, by reports of the stage "
    "`reversed`; a detention that is a development of its own takes nothing off",
    "each": "a person with two citizenships counts under each and once in the total",
    "one": "a person with two citizenships counts under one of them, and once in the total; nobody "
    "says under which, so the bounds of both leave room",
}
"""What an answer says of each choice, and after these in any case."""
IN_ANY_CASE = (
    "where reports differ on who freed them, the one that the first live report names counts",
    "merged developments count once, for each of their states that is asked for",
)
ASSUMPTIONS = (
    "a person has one citizenship unless a report names more for that person",
    "developments that nobody merged are different ones",
)


@no_collections()
def releases(
    connection: sa.Connection,
    *,
    by: str = "citizenship",
    state: str | None = None,
    since: str | None = None,
    until: str | None = None,
    stage: str = "done",
    development: str | None = None,
    count: str = "releases",
    reversals: str = "gross",
    citizenships: str = "each",
    as_of: AsOf = None,
    valid_at: str | None = None,
) -> Answer:
    """Return how many people were freed, at least and at most, by citizenship, state or day.

    `state` is a country's name or code, or an organisation; `since` and `until` are days (EDTF),
    both included; `valid_at` counts up to that day. A release whose days are only partly inside
    counts for the high bound alone. `development` (its stream, or the short name) counts that one
    alone, with what it is merged with. By day the numbers are cumulative.

    How they are counted: `count` "releases" or "persons", who count once however often they were
    freed; `reversals` "gross" or "net" of what was undone by the last day asked for; `citizenships`
    "each" that a person holds or "one" of them. Of persons, `further["freed_again"]` names those
    whom several releases surely freed, and these. The usual rule is added up in the database; any
    other one costs some 10 microseconds a release in scope.
    Raises BadValue, NotFound before the first rebuild, NoStream for what was never recorded.
    """
    for value, choices in ((by, BY), (stage, STAGES)):
        check_choice(value, choices)
    rule = rule_of(count, reversals, citizenships, stage)
    asked = position_at(connection, as_of)
    end = min(filter(None, (last_day(until), last_day(valid_at))), default=None)
    scope = Scope(
        state_code(state),
        first_day(since),
        end,
        stage,
        reached(connection, (RELEASES, MERGES, *([PERSONS] if rule.asks_who else [])), asked),
        stream_name(connection, development),
    )
    found = _found(connection, by, scope, rule)
    return Answer(
        RELEASES.question,
        (by, "low", "high", "disputed", "developments"),
        _ROWS[by](found, scope),
        given(
            state=scope.state, since=scope.since, until=scope.until, stage=stage,
            development=scope.development, as_of=asked,
            **unusual(count, reversals, citizenships),
        ),
        "; ".join((COUNTING[count], COUNTING[reversals], COUNTING[citizenships], *IN_ANY_CASE)),
        ASSUMPTIONS,
        _bounded(found.total),
        _disputes(found),
        _further(found, by, rule),
    )


def _disputes(found: RolledUp) -> list[Row]:
    disputed = [line.partition(" ") for line in sorted(found.disputes)]
    positions_of = read_positions([said for *_, said in disputed])
    return [
        {"development": stream, "positions": positions}
        for (stream, *_), positions in zip(disputed, positions_of, strict=True)
    ]


def _further(found: RolledUp, by: str, rule: Rule) -> Row:
    further: Row = {}
    if by == "citizenship":
        further["any_other_citizenship"] = {"low": 0, "high": _other_high(found.total)}
    if rule.persons:
        further["freed_again"] = [
            {"person": person, "developments": streams}
            for person, streams in sorted(found.freed_again.items())
        ]
    return further


def _found(connection: sa.Connection, by: str, scope: Scope, rule: Rule) -> RolledUp:
    if not any(rule):
        return rolled_up(connection, by, scope)
    return counted(connection, by, scope, rule, first_keys(connection, scope.as_of))


def first_keys(connection: sa.Connection, as_of: int | None) -> FirstKeys:
    """Return what gives the first of a person's keys for each of these that is merged."""
    def first(keys: Collection[str]) -> dict[str, str]:
        groups = groups_of(connection, keys, as_of, person_merges)
        return {key: group[0] for key, group in groups.items()}

    return first


def rule_of(
    count: str, reversals: str, citizenships: str = CITIZENSHIPS[0], stage: str = "done"
) -> Rule:
    """Return the rule of counting; raises BadValue for what is none, and for what was not done net
    of what was undone."""
    for value, choices in (
        (count, COUNTS), (reversals, REVERSALS), (citizenships, CITIZENSHIPS)
    ):
        check_choice(value, choices)
    if reversals == "net" and stage != "done":
        raise BadValue(f"net, at the stage {stage}", "gross; or the stage done, which is undone")
    return Rule(count == "persons", reversals == "net", citizenships == "one")


def unusual(count: str, reversals: str, citizenships: str = CITIZENSHIPS[0]) -> Row:
    """Return what was chosen of the rule beside the usual."""
    chosen = {"count": count, "reversals": reversals, "citizenships": citizenships}
    usual = (COUNTS[0], REVERSALS[0], CITIZENSHIPS[0])
    return {name: value for name, value in chosen.items() if value not in usual}


def _by_citizenship(found: RolledUp, scope: Scope) -> list[Row]:
    """Return a row for each citizenship that is listed somewhere.

    A release that does not list it adds what it leaves open for any one citizenship.
    """
    total = found.total
    rows = []
    for row in sorted(found.rows, key=attrgetter("key")):
        high = row.high
        if high is not None:
            unbounded = total.other_unbounded > row.other_unbounded
            high = None if unbounded else int(high + total.other_high - row.other_high)
        if high != 0 or row.disputed:
            rows.append({"citizenship": row.key, **_bounded(row), "high": high})
    return rows


def _by_state(found: RolledUp, scope: Scope) -> list[Row]:
    """Return a row for each state, or the one for the state asked about: all that counts is its,
    also what is merged with another's."""
    rows = sorted(found.rows, key=attrgetter("key"))
    if rows and scope.state is not None:
        rows = [found.total._replace(key=scope.state)]
    return [{"state": row.key, **_bounded(row)} for row in rows]


def _by_day(found: RolledUp, scope: Scope) -> list[Row]:
    """Return the running total: a release counts as at most from its earliest day on, as at least
    from its latest; one that may have begun earlier counts from the first day asked for, and one
    that may end later is not surely there by the last."""
    since = scope.since or NEVER
    begins: dict[str, list[Sum]] = {}
    ends: dict[str, int] = {}
    for span in found.rows:
        begins.setdefault(max(span.key or NEVER, since), []).append(span)
        if span.until is not None and (scope.until is None or span.until <= scope.until):
            ends[span.until] = ends.get(span.until, 0) + int(span.low)
    rows: list[Row] = []
    low, developments, disputed = 0, 0, False
    high: int | None = 0
    for day in sorted(begins.keys() | ends.keys()):
        low += ends.get(day, 0)
        for span in begins.get(day, ()):
            high = None if high is None or span.high is None else high + int(span.high)
            disputed = disputed or bool(span.disputed)
            developments += span.developments
        if day != NEVER:
            rows.append({"day": day, "low": low, "high": high, "disputed": disputed,
                         "developments": developments})
    return rows


_ROWS = {"citizenship": _by_citizenship, "state": _by_state, "day": _by_day}


def _bounded(row: Sum) -> Row:
    return {
        "low": int(row.low),
        "high": None if row.high is None else int(row.high),
        "disputed": bool(row.disputed),
        "developments": row.developments,
    }


def _other_high(total: Sum) -> int | None:
    return None if total.other_unbounded else int(total.other_high)
