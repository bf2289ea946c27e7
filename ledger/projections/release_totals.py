"""The roll-up of `releases`: SQL over its rows, so that an answer costs no replay.

Takes a Scope (whose releases, which days, as of which position); hands on selects. Developments
that are merged are one group here: their bounds bound each other, and where they cannot all hold,
in the total or under any citizenship, all numbers of the group are the hull of theirs and disputed.

A question about one state begins with that state's rows and follows merges from them alone, so it
costs what that state has, however long the log is. Nearly every development is merged with no
other: it is `lone`, and its row is its group's.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import sqlalchemy as sa

from ledger.projections.merges import merges
from ledger.projections.projection import standing_at
from ledger.projections.releases import release_citizenships, releases

Expression = sa.ColumnElement[Any]

_TYPES: dict[str, Any] = {"as_of": sa.BigInteger()}
GROUP = ("released_by", "valid_from", "valid_until", "low", "high", "other_high")
"""What is said of a group as of each of its developments."""
MEMBER = ("stream", *GROUP, "disputed", "positions")
"""What is asked of each development; all of it is in the index of a state."""


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
    development: str | None = None
    """One stream, with what it is merged with; None: all."""


class ReleaseTotals:
    """The selects for one scope; each common table expression is made once and shared."""

    def __init__(self, scope: Scope) -> None:
        # Parameters and not literals: a statement can be kept and asked again with other values.
        self.scope: Any = Scope(**{name: _parameter(name, scope) for name in Scope.__slots__})

    @cached_property
    def members(self) -> sa.CTE:
        """The developments that stand, each with the group (`grp`) that it belongs to.

        Columns: grp, stream, positions. With a state: its own developments, and whatever those are
        merged with, whosever that is.
        """
        lone, member = self._lone.c, self._joined.c
        alone = sa.select(lone.stream.label("grp"), lone.stream, lone.positions)
        merged = sa.select(member.grp, member.stream, member.positions)
        return sa.union_all(alone, merged).cte("members")

    @cached_property
    def names(self) -> sa.CTE:
        """The same developments, and whatever they are merged with that has no row at this stage.

        Columns: grp, stream.
        """
        lone, named = self._lone.c, self._named.c
        alone = sa.select(lone.stream.label("grp"), lone.stream)
        return sa.union_all(alone, sa.select(named.grp, named.stream)).cte("names")

    @cached_property
    def groups(self) -> sa.CTE:
        """The groups in scope: one row for each release, merged developments taken together.

        Columns: grp, released_by, valid_from, valid_until, low, high, other_high, disputed, within.
        `within` is false where the release may lie outside of the days asked for: then it counts
        for the high bound only.
        """
        alone, merged = self.halves
        columns = [merged.c[column.name] for column in alone.c]
        return sa.union_all(sa.select(alone), sa.select(*columns)).cte("groups")

    @cached_property
    def halves(self) -> tuple[sa.Subquery, sa.Subquery]:
        """The groups of one development and those of several: added up apart, the many of the
        first kind need not be brought together with the few of the second. These have `streams`,
        too: the names of all, joined by blanks."""
        lone, whole = self._lone.c, self._whole_joined.c
        alone = sa.select(
            lone.stream.label("grp"),
            *(lone[name] for name in GROUP),
            _is_odd(lone).label("disputed"),
            _within(lone, self.scope).label("within"),
        ).where(*_overlaps(lone, self.scope))
        merged = sa.select(*whole, _within(whole, self.scope).label("within")).where(
            *_overlaps(whole, self.scope)
        )
        return alone.subquery("lone_groups"), merged.subquery("merged_groups")

    @cached_property
    def cells(self) -> sa.CTE:
        """One row for each group and citizenship that any report of the group lists.

        Columns: grp, citizenship, low, high, disputed, within, other_high, and `alone`: at least
        how many hold no other citizenship.
        """
        return sa.union_all(*map(sa.select, self.halves_of_cells)).cte("cells")

    @cached_property
    def halves_of_cells(self) -> tuple[sa.Subquery, sa.Subquery]:
        """The cells of groups of one development, and of those of several."""
        lone, whole, cell = self._lone.c, self._whole_joined.c, self._cells_of_joined.c
        listed = self._listed
        clash = sa.func.coalesce(listed.c.high < listed.c.low, sa.false())
        alone = (
            sa.select(
                lone.stream.label("grp"),
                listed.c.citizenship,
                listed.c.low,
                listed.c.high,
                (_is_odd(lone) | clash).label("disputed"),
                _within(lone, self.scope).label("within"),
                lone.other_high,
                _less(listed.c.low, listed.c.several).label("alone"),
            )
            .join_from(self._lone, listed, listed.c.stream == lone.stream)
            .where(*_overlaps(lone, self.scope))
        )
        low = sa.case((whole.clash, cell.least), else_=cell.low)
        merged = (
            sa.select(
                cell.grp,
                cell.citizenship,
                low.label("low"),
                sa.case((whole.clash, cell.most), else_=cell.high).label("high"),
                whole.disputed,
                _within(whole, self.scope).label("within"),
                whole.other_high,
                _less(low, cell.several).label("alone"),
            )
            .join_from(self._cells_of_joined, self._whole_joined, whole.grp == cell.grp)
            .where(*_overlaps(whole, self.scope))
        )
        return alone.subquery("lone_cells"), merged.subquery("merged_cells")

    @cached_property
    def disputes(self) -> tuple[sa.Subquery, sa.Subquery]:
        """Each disputed development in scope (`stream`), with the `positions` that disagree."""
        lone, member, whole = self._lone.c, self._joined.c, self._whole_joined.c
        alone = sa.select(lone.stream, lone.positions).where(
            _is_odd(lone), *_overlaps(lone, self.scope)
        )
        merged = (
            sa.select(member.stream, member.positions)
            .join_from(self._joined, self._whole_joined, whole.grp == member.grp)
            .where(whole.disputed, *_overlaps(whole, self.scope))
        )
        return alone.subquery("lone_disputes"), merged.subquery("merged_disputes")

    @cached_property
    def _theirs(self) -> sa.CTE:
        """The rows of the state and the development that are asked about, or of all.

        Read from the index once; whether one is merged is looked up once.
        """
        scope, c, merge = self.scope, releases.c, merges.c
        stands = standing_at(merges, scope.as_of)
        merged = sa.exists().where(merge.development == c.stream, stands).label("merged")
        theirs = sa.select(*(c[name] for name in MEMBER), merged).where(
            standing_at(releases, scope.as_of), c.stage == scope.stage
        )
        if scope.state is not None:
            theirs = theirs.where(c.released_by == scope.state)
        if scope.development is not None:
            theirs = theirs.where(c.stream == scope.development)
        return theirs.cte("theirs")

    @cached_property
    def _lone(self) -> sa.Subquery:
        """Their developments that are merged with no other."""
        return sa.select(self._theirs).where(~self._theirs.c.merged).subquery("lone")

    @cached_property
    def _row(self) -> sa.Subquery:
        return _standing(releases, self.scope).subquery("row")

    @cached_property
    def _listed(self) -> sa.Subquery:
        return _standing(release_citizenships, self.scope).subquery("listed")

    @cached_property
    def _walk(self) -> sa.CTE:
        """Each of their developments that is merged, with every one that it is the same as.

        One that is asked about by name may have no row of its own at this stage, or not of the
        state: then another one of its group may.
        """
        merge, their, named = merges.c, self._theirs.c, self.scope.development
        stands = standing_at(merges, self.scope.as_of)
        seed = sa.select(their.stream, their.stream.label("reached")).where(their.merged)
        if named is not None:
            names = merge.development.label("stream"), merge.same_as.label("reached")
            seed = sa.select(*names).where(merge.development == named, stands)
        walk = seed.cte("walk", recursive=True)
        step = sa.select(walk.c.stream, merge.same_as).join_from(
            walk, merges, merge.development == walk.c.reached
        )
        return walk.union(step.where(stands))

    @cached_property
    def _named(self) -> sa.CTE:
        """The names of groups of several; a group has the first of them."""
        walk = self._walk
        first = sa.func.min(walk.c.reached).over(partition_by=walk.c.stream)
        names = first.label("grp"), walk.c.reached.label("stream")
        return sa.select(*names).distinct().cte("named")

    @cached_property
    def _joined(self) -> sa.CTE:
        """Those of them that have a row at the stage."""
        walk, named, row, scope = self._walk, self._named, self._row, self.scope
        joined = sa.select(named.c.grp, *(row.c[name] for name in MEMBER)).join_from(
            named, row, row.c.stream == named.c.stream
        )
        if scope.development is not None and scope.state is not None:
            # The one group that was walked counts if any development of it is the state's.
            its = _standing(releases, scope).where(releases.c.released_by == scope.state)
            joined = joined.where(sa.select(walk.c.reached).where(
                walk.c.reached.in_(its.with_only_columns(releases.c.stream))).exists())
        return joined.cte("joined")

    @cached_property
    def _whole_joined(self) -> sa.CTE:
        """One row for each group of several: the columns of `groups` without `within`, and the
        names of its `streams`, joined by blanks.

        Also `clash`: whether its developments exclude each other in any number. Then only one of
        them may be right, in all that it says, so that no number of one binds another's.
        """
        c, cell = self._joined.c, self._cells_of_joined.c
        odd = sa.select(cell.grp).where(cell.clash).distinct().subquery("odd")
        clash = _cross(c.low, c.high) | (sa.func.count(odd.c.grp) > 0)
        odd_days = sa.func.min(c.valid_until) < sa.func.max(c.valid_from)
        odd_days = sa.func.coalesce(odd_days, sa.false())
        said = sa.func.max(sa.case((c.disputed, 1), else_=0)) > 0
        two_states = sa.func.min(c.released_by) != sa.func.max(c.released_by)
        return (
            sa.select(
                c.grp,
                sa.func.min(c.released_by).label("released_by"),
                _first(c.valid_from, odd_days).label("valid_from"),
                _high(c.valid_until, odd_days).label("valid_until"),
                _low(c.low, clash).label("low"),
                _high(c.high, clash).label("high"),
                _high(c.other_high, clash).label("other_high"),
                clash.label("clash"),
                (said | clash | odd_days | two_states).label("disputed"),
                sa.func.aggregate_strings(c.stream, " ").label("streams"),
            )
            .outerjoin_from(self._joined, odd, odd.c.grp == c.grp)
            .group_by(c.grp)
            .cte("whole_joined")
        )

    @cached_property
    def _cells_of_joined(self) -> sa.CTE:
        """One row for each group of several and citizenship that any of its reports lists.

        `low` and `high` where its developments bind each other, `least` and `most` where not.
        """
        member, listed = self._joined, self._listed
        pair = (
            sa.select(member.c.grp, listed.c.citizenship)
            .join_from(member, listed, listed.c.stream == member.c.stream)
            .distinct()
            .cte("pairs")
        )
        lists_it = (listed.c.stream == member.c.stream) & (
            listed.c.citizenship == pair.c.citizenship
        )
        low = sa.func.coalesce(listed.c.low, sa.literal_column("0"))
        high = sa.case((listed.c.stream.is_(None), member.c.other_high), else_=listed.c.high)
        return (
            sa.select(
                pair.c.grp,
                pair.c.citizenship,
                sa.func.max(low).label("low"),
                sa.func.min(high).label("high"),
                sa.func.min(low).label("least"),
                _widest(high).label("most"),
                _cross(low, high).label("clash"),
                # Whom one development lists with several, another may list with one.
                sa.func.coalesce(sa.func.sum(listed.c.several), 0).label("several"),
            )
            .select_from(pair)
            .join(member, member.c.grp == pair.c.grp)
            .outerjoin(listed, lists_it)
            .group_by(pair.c.grp, pair.c.citizenship)
            .cte("cells_of_joined")
        )


def totals_of(scope: Scope) -> tuple[ReleaseTotals, dict[str, Any]]:
    """Return the selects for this form of question, made once, and the values for them."""
    values = {name: getattr(scope, name) for name in Scope.__slots__}
    given = {name: value for name, value in values.items() if value is not None}
    return _totals(tuple(given)), given


@lru_cache(maxsize=64)
def _totals(given: tuple[str, ...]) -> ReleaseTotals:
    form: Any = dict.fromkeys(given, "")
    totals = ReleaseTotals(Scope(**form))
    for name, part in vars(ReleaseTotals).items():
        if isinstance(part, cached_property):
            getattr(totals, name)  # all of them now: threads share them, and nothing locks them
    return totals


def _parameter(name: str, scope: Scope) -> Any:
    value = getattr(scope, name)
    return None if value is None else sa.bindparam(name, value, _TYPES.get(name, sa.Text()))


def _standing(table: sa.Table, scope: Scope) -> sa.Select[Any]:
    return sa.select(table).where(standing_at(table, scope.as_of), table.c.stage == scope.stage)


def _is_odd(c: Any) -> Expression:
    """One development is disputed: by its reports, or because its own bounds exclude each other."""
    clash = sa.func.coalesce(c.high < c.low, sa.false())
    odd_days = sa.func.coalesce(c.valid_until < c.valid_from, sa.false())
    odd: Expression = c.disputed | clash | odd_days
    return odd


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


def _cross(low: Expression, high: Expression) -> Expression:
    """Whether some of the lows that are said are above some of the highs."""
    return sa.func.coalesce(sa.func.min(high) < sa.func.max(low), sa.false())


def _low(low: Expression, clash: Expression) -> Expression:
    """The highest of the lows that are said; where the bounds clash the lowest."""
    return sa.case((clash, sa.func.min(low)), else_=sa.func.max(low))


def _high(high: Expression, clash: Expression) -> Expression:
    """The lowest of the highs (an empty one bounds nothing); where the bounds clash the highest."""
    return sa.case((clash, _widest(high)), else_=sa.func.min(high))


def _less(low: Expression, several: Expression) -> Expression:
    """How many are left at least without those who hold another citizenship, too."""
    return sa.case((low > several, low - several), else_=0)


def _widest(high: Expression) -> Expression:
    """The highest of the highs; empty where one is, which bounds nothing."""
    return sa.case((sa.func.count(high) == sa.func.count(), sa.func.max(high)))


def _first(day: Expression, clash: Expression) -> Expression:
    """The latest of the first days; where the days exclude each other the earliest."""
    widest = sa.case((sa.func.count(day) == sa.func.count(), sa.func.min(day)))
    return sa.case((clash, widest), else_=sa.func.max(day))
