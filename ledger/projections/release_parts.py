"""What each release adds to a number of `releases`: a page of them, those that add most first.

Takes a Scope, and whose citizenship is counted; hands on the parts of the number, the developments
behind those on the page, and what the parts before and after it add up to. By the usual rule it is
one statement, so that the rows of a state are read once and only the page leaves the database.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from ledger.bounds.claims import Bounds
from ledger.projections.release_list import (
    USUAL,
    FirstKeys,
    Release,
    Rule,
    held_by,
    less,
    listed,
    members_of,
    nobody_merged,
    of_one_only,
)
from ledger.projections.release_totals import ReleaseTotals, Scope, totals_of

PART, MEMBER, TOTAL, BEFORE = "part", "member", "total", "before"
ENDLESS = 2**62
"""Stands for a high that nobody states: it adds more than any other."""


class Part(NamedTuple):
    """What one release adds to the number."""

    group: str
    low: int
    high: int | None
    least: int
    """The low that its reports support, also where its day may lie outside of those asked for."""
    listed: bool
    """Whether a report lists the citizenship; otherwise the release only leaves room for it."""
    disputed: bool


class Share(NamedTuple):
    """What some releases add to the number together."""

    releases: int
    low: int
    high: int | None
    """None: one of them has no upper bound."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some parts of a number, and what the others add up to."""

    parts: list[Part]
    members: Mapping[str, Mapping[str, str]]
    """By group: its streams, each with the positions that disagree, joined by blanks."""
    before: Share
    after: Share
    total: Share


def page_of(
    connection: sa.Connection,
    scope: Scope,
    code: str | None,
    limit: int | None,
    after: str | None,
    rule: Rule = USUAL,
    first_keys: FirstKeys = nobody_merged,
) -> Page:
    """Return the parts of the total, or of the number of a citizenship, a page at a time.

    Those that add most to the low bound come first, then those that add most to the high one. The
    page begins behind the part that the stream `after` is in. If it is in none the page is empty,
    and so is what is before it. By another than the usual rule the parts are put in order here.
    """
    if any(rule):
        gross = listed(connection, scope, rule, first_keys)
        releases = [less(one, scope.until) for one in gross]
        of_each = members_of(connection, scope, releases)
        return _page_by(rule, releases, of_each, code, limit, after)
    totals, given = totals_of(scope)
    asked = {"code": code, "limit": limit, "after": after}
    given |= {name: value for name, value in asked.items() if value is not None}
    query = _statement(totals, code is not None, limit is not None, after is not None)
    rows: dict[str, list[Any]] = {PART: [], MEMBER: [], TOTAL: [], BEFORE: []}
    for what, *row in connection.execute(query, given).all():
        rows[what].append(row)
    members: dict[str, dict[str, str]] = {}
    for group, stream, positions, *_ in rows[MEMBER]:
        members.setdefault(group, {})[stream] = positions
    parts = [_part(*row) for row in sorted(rows[PART], key=_place)]
    total, before = _counted(rows[TOTAL]), _counted(rows[BEFORE])
    highs = [part.high for part in parts]
    page = (
        len(parts), sum([part.low for part in parts]), sum(filter(None, highs)), highs.count(None)
    )
    rest = (all - some - more for all, some, more in zip(total, before, page, strict=True))
    return Page(parts, members, _share(*before), _share(*rest), _share(*total))


def _page_by(
    rule: Rule,
    releases: Sequence[Release],
    members: Mapping[str, Mapping[str, str]],
    code: str | None,
    limit: int | None,
    after: str | None,
) -> Page:
    held = held_by(releases)
    parts = sorted(filter(None, [_part_of(one, code, rule, held) for one in releases]), key=_most)
    start, end = 0, len(parts)
    if after is not None:
        at = [at for at, part in enumerate(parts) if after in members[part.group]]
        start = at[0] + 1 if at else 0
        end = end if at else 0
    if limit is not None:
        end = min(end, start + limit)
    page = parts[start:end]
    shown = {part.group: members[part.group] for part in page}
    return Page(page, shown, *map(_added, (parts[:start], parts[end:], parts)))


def _part_of(
    one: Release, code: str | None, rule: Rule, held: Mapping[str, frozenset[str]]
) -> Part | None:
    """Return what a release adds; None where it has no room for the citizenship."""
    low, high = one.total
    lists_it = code is None or code in one.cells
    if code is not None:
        low, high = one.cells.get(code, Bounds(0, one.other_high))
        low = of_one_only(one, code, held) if rule.one else low
    if high == 0 and not lists_it:
        return None
    return Part(one.group, low if one.within else 0, high, low, lists_it, one.disputed)


def _most(part: Part) -> tuple[int, int, str]:
    return -part.low, -ENDLESS if part.high is None else -part.high, part.group


def _added(parts: Sequence[Part]) -> Share:
    highs = [part.high for part in parts]
    return _share(
        len(parts), sum([part.low for part in parts]), sum(filter(None, highs)), highs.count(None)
    )


@lru_cache(maxsize=64)
def _statement(
    totals: ReleaseTotals, of_citizenship: bool, ends: bool, begins: bool
) -> sa.CompoundSelect[Any]:
    part = _parts(totals, of_citizenship)
    member = totals.members
    shown, sums = sa.select(part), [_summed(TOTAL, sa.select(part))]
    if begins:
        its = sa.select(member.c.grp).where(member.c.stream == sa.bindparam("after"))
        place = sa.select(part).where(part.c.grp.in_(its)).cte("place")
        shown = shown.join_from(part, place, _order(part) > _order(place))
        before = sa.select(part).join_from(part, place, _order(part) <= _order(place))
        sums.append(_summed(BEFORE, before))
    if ends:
        shown = shown.order_by(*_order(part).clauses).limit(sa.bindparam("limit"))
    page = shown.cte("page")
    return sa.union_all(
        sa.select(_named(PART), page.c.grp, _named(""), _named(""), *page.c[1:]),
        sa.select(
            _named(MEMBER), member.c.grp, member.c.stream, member.c.positions, *_nothing(5)
        ).where(member.c.grp.in_(sa.select(page.c.grp))),
        *sums,
    )


def _parts(totals: ReleaseTotals, of_citizenship: bool) -> sa.CTE:
    """Return a row for each release that adds to the number.

    Columns: grp; then what it adds as whole numbers below zero, so that the smallest adds most;
    then as in a Part.
    """
    groups = totals.halves
    if not of_citizenship:
        parts = [_as_part(group.c, group.c.low, group.c.high, True) for group in groups]
        return sa.union_all(*parts).cte("parts")
    code: sa.BindParameter[str] = sa.bindparam("code")
    cells = [sa.select(cell).where(cell.c.citizenship == code) for cell in totals.halves_of_cells]
    cell = sa.union_all(*cells).cte("of_one")
    none: sa.ColumnClause[int] = sa.literal_column("0")
    others = [
        _as_part(group.c, none, group.c.other_high, False).where(
            group.c.grp.not_in(sa.select(cell.c.grp)),
            sa.func.coalesce(group.c.other_high != 0, sa.true()),
        )
        for group in groups
    ]
    return sa.union_all(_as_part(cell.c, cell.c.low, cell.c.high, True), *others).cte("parts")


def _as_part(
    c: Any, low: sa.ColumnElement[int], high: sa.ColumnElement[int], listed: bool
) -> sa.Select[Any]:
    columns: dict[str, sa.ColumnElement[Any]] = {
        "low": -sa.case((c.within, low), else_=0),
        "high": -sa.func.coalesce(high, sa.literal_column(str(ENDLESS))),
        "least": low,
        "listed": sa.literal_column(str(int(listed))),
        "disputed": sa.case((c.disputed, 1), else_=0),
    }
    return sa.select(c.grp, *(column.label(name) for name, column in columns.items()))


def _order(part: sa.CTE) -> sa.Tuple:
    return sa.tuple_(part.c.low, part.c.high, part.c.grp)


def _summed(what: str, parts: sa.Select[Any]) -> sa.Select[Any]:
    """Return the name, how many parts there are, and what they add up to."""
    part = parts.subquery(what).c
    is_endless = part.high == sa.literal_column(str(-ENDLESS))
    sums = sa.func.sum(part.low), sa.func.sum(sa.case((is_endless, 0), else_=part.high))
    return sa.select(
        _named(what), *_nothing(3), sa.func.count(),
        *(sa.cast(-sa.func.coalesce(sum, 0), sa.BigInteger) for sum in sums),
        sa.func.count(sa.case((is_endless, 1))), *_nothing(1),
    )


def _counted(sums: Sequence[Any]) -> tuple[int, int, int, int]:
    """Return how many parts, their lows, the highs that are stated, and how many are not."""
    if not sums:
        return 0, 0, 0, 0
    [[_, _, _, parts, low, high, endless, _]] = sums
    return parts, low, high, endless


def _share(parts: int, low: int, high: int, endless: int) -> Share:
    return Share(parts, low, None if endless else high)


def _place(row: list[Any]) -> tuple[int, int, str]:
    return row[3], row[4], row[0]


def _part(
    group: str, _: str, __: str, low: int, high: int, least: int, listed: int, disputed: int
) -> Part:
    most = None if high == -ENDLESS else -high
    return Part(group, -low, most, least, bool(listed), bool(disputed))


def _named(what: str) -> sa.ColumnClause[str]:
    return sa.literal_column(f"'{what}'")


def _nothing(columns: int) -> list[Any]:
    return [sa.null()] * columns
