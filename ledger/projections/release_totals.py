"""The roll-up of `releases`: SQL over its rows, so that an answer costs no replay.

Takes a Scope (whose releases, which days, as of which position); hands on selects. Developments
that are merged are one group here: their bounds bound each other, and where they cannot all hold
the group has the hull of them and is disputed.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from ledger.projections.projection import standing_at
from ledger.projections.releases import release_citizenships, release_merges, releases

Expression = sa.ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which releases are asked about."""

    state: str | None = None
    since: str | None = None
    """The first day, ISO."""
    until: str | None = None
    """The last day, ISO, included."""
    stage: str = "done"
    as_of: int | None = None
    """The last position that counts; None: everything recorded."""


class ReleaseTotals:
    """The selects for one scope; each common table expression is made once and shared."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    @cached_property
    def members(self) -> sa.CTE:
        """The developments that stand, each with the group (`grp`) that it belongs to."""
        row = _standing(releases, self.scope, "release_rows")
        root = _roots(self.scope)
        query = sa.select(
            sa.func.coalesce(root.c.root, row.c.stream).label("grp"),
            *(column for column in row.c if column.name != "stage"),
        ).outerjoin(root, root.c.stream == row.c.stream)
        return query.cte("members")

    @cached_property
    def groups(self) -> sa.CTE:
        """The groups in scope: one row for each release, merged developments taken together.

        Columns: grp, released_by, valid_from, valid_until, low, high, other_high, disputed, within.
        `within` is false where the release may lie outside of the days asked for: then it counts
        for the high bound only.
        """
        c = self.members.c
        clash = sa.func.coalesce(sa.func.min(c.high) < sa.func.max(c.low), sa.false())
        odd_days = sa.func.min(c.valid_until) < sa.func.max(c.valid_from)
        odd_days = sa.func.coalesce(odd_days, sa.false())
        said = sa.func.max(sa.case((c.disputed, 1), else_=0)) > 0
        two_states = sa.func.min(c.released_by) != sa.func.max(c.released_by)
        theirs = sa.case((c.released_by == self.scope.state, 1), else_=0)
        asked = sa.true() if self.scope.state is None else sa.func.max(theirs) > 0
        w = (
            sa.select(
                c.grp,
                sa.func.min(c.released_by).label("released_by"),
                _first(c.valid_from, odd_days).label("valid_from"),
                _high(c.valid_until, odd_days).label("valid_until"),
                _low(c.low, clash).label("low"),
                _high(c.high, clash).label("high"),
                _high(c.other_high, clash).label("other_high"),
                (said | clash | odd_days | two_states).label("disputed"),
            )
            .group_by(c.grp)
            .having(asked)
            .cte("whole_groups")
            .c
        )
        within = _within(w, self.scope).label("within")
        return sa.select(*w, within).where(*_overlaps(w, self.scope)).cte("groups")

    @cached_property
    def cells(self) -> sa.CTE:
        """One row for each group and citizenship that any report of the group lists.

        Columns: grp, citizenship, low, high, disputed, within, other_high.
        """
        cell, group = self._cells_of_all, self.groups
        return (
            sa.select(
                cell.c.grp,
                cell.c.citizenship,
                cell.c.low,
                cell.c.high,
                (group.c.disputed | cell.c.clash).label("disputed"),
                group.c.within,
                group.c.other_high,
            )
            .join(group, group.c.grp == cell.c.grp)
            .cte("cells")
        )

    @cached_property
    def disputes(self) -> sa.Select[Any]:
        """Each disputed development in scope with the positions that disagree."""
        group, member = self.groups, self.members
        return (
            sa.select(member.c.stream, member.c.positions)
            .join(group, group.c.grp == member.c.grp)
            .where(group.c.disputed)
            .order_by(member.c.stream)
        )

    @cached_property
    def _cells_of_all(self) -> sa.CTE:
        member = self.members
        listed = _standing(release_citizenships, self.scope, "listed")
        pair = (
            sa.select(member.c.grp, listed.c.citizenship)
            .join(listed, listed.c.stream == member.c.stream)
            .distinct()
            .cte("pairs")
        )
        lists_it = (listed.c.stream == member.c.stream) & (
            listed.c.citizenship == pair.c.citizenship
        )
        low = sa.func.coalesce(listed.c.low, 0)
        high = sa.case((listed.c.stream.is_(None), member.c.other_high), else_=listed.c.high)
        clash = sa.func.coalesce(sa.func.min(high) < sa.func.max(low), sa.false())
        return (
            sa.select(
                pair.c.grp,
                pair.c.citizenship,
                _low(low, clash).label("low"),
                _high(high, clash).label("high"),
                clash.label("clash"),
            )
            .select_from(pair)
            .join(member, member.c.grp == pair.c.grp)
            .outerjoin(listed, lists_it)
            .group_by(pair.c.grp, pair.c.citizenship)
            .cte("cells_of_all")
        )


def summed(source: sa.CTE) -> list[sa.Label[Any]]:
    """Return the columns that add up groups or cells: low, high, disputed, developments, …

    high is empty as soon as one of them has no upper bound; so is other_high.
    """
    c = source.c
    return [
        sa.func.sum(sa.case((c.within, c.low), else_=0)).label("low"),
        _total(c.high).label("high"),
        sa.func.max(sa.case((c.disputed, 1), else_=0)).label("disputed"),
        sa.func.count().label("developments"),
        sa.func.coalesce(sa.func.sum(c.other_high), 0).label("other_high"),
        (sa.func.count() - sa.func.count(c.other_high)).label("other_unbounded"),
    ]


def _standing(table: sa.Table, scope: Scope, name: str) -> sa.Subquery:
    query = sa.select(table).where(standing_at(table, scope.as_of), table.c.stage == scope.stage)
    return query.subquery(name)


def _roots(scope: Scope) -> sa.CTE:
    """Return every merged stream with the first name of those that it is the same as."""
    merge = (
        sa.select(release_merges.c.stream, release_merges.c.same_as)
        .where(standing_at(release_merges, scope.as_of))
        .cte("merges")
    )
    edge = sa.union(
        sa.select(merge.c.stream.label("here"), merge.c.same_as.label("there")),
        sa.select(merge.c.same_as, merge.c.stream),
    ).cte("edges")
    walk = sa.select(edge.c.here.label("stream"), edge.c.here.label("reached")).cte(
        "walk", recursive=True
    )
    walk = walk.union(
        sa.select(walk.c.stream, edge.c.there).join(edge, edge.c.here == walk.c.reached)
    )
    first = sa.func.min(walk.c.reached).label("root")
    return sa.select(walk.c.stream, first).group_by(walk.c.stream).cte("roots")


def _within(c: Any, scope: Scope) -> Expression:
    """The release surely lies inside the days asked for."""
    inside: Expression = sa.true()
    if scope.since is not None:
        inside = inside & sa.func.coalesce(c.valid_from >= scope.since, sa.false())
    if scope.until is not None:
        inside = inside & sa.func.coalesce(c.valid_until <= scope.until, sa.false())
    return inside


def _overlaps(c: Any, scope: Scope) -> list[Expression]:
    """The release may lie inside the days asked for."""
    conditions: list[Expression] = []
    if scope.since is not None:
        conditions.append(sa.func.coalesce(c.valid_until >= scope.since, sa.true()))
    if scope.until is not None:
        conditions.append(sa.func.coalesce(c.valid_from <= scope.until, sa.true()))
    return conditions


def _low(low: Expression, clash: Expression) -> Expression:
    """The highest of the lows that are said; where the bounds clash the lowest."""
    return sa.case((clash, sa.func.min(low)), else_=sa.func.max(low))


def _high(high: Expression, clash: Expression) -> Expression:
    """The lowest of the highs (an empty one bounds nothing); where the bounds clash the highest."""
    widest = sa.case((sa.func.count(high) == sa.func.count(), sa.func.max(high)))
    return sa.case((clash, widest), else_=sa.func.min(high))


def _first(day: Expression, clash: Expression) -> Expression:
    """The latest of the first days; where the days exclude each other the earliest."""
    widest = sa.case((sa.func.count(day) == sa.func.count(), sa.func.min(day)))
    return sa.case((clash, widest), else_=sa.func.max(day))


def _total(high: Expression) -> Expression:
    return sa.case((sa.func.count(high) == sa.func.count(), sa.func.sum(high)))
