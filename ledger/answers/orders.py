"""What may hold on a day, in every order of steps that their days allow.

Takes steps with the days between which each was; hands on the states that may hold. Pure.
"""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from ledger.projections.courses import Follow

Placed = tuple[Any, str, str, str]
"""Where a step is said to be one, what it is, and the first and last day on which it may be."""
MOST = 8
"""Steps of which every order is looked at."""


def possible(
    steps: Collection[Placed], day: str, follow: Follow, undoes: Mapping[str, str]
) -> set[str | None] | None:
    """Return the states that may hold on the day; None: too many steps to look at every order.

    Steps of one day may be in any order. `undoes` says which step takes back which other one in the
    same place: it comes after one of those, where their days allow that.

    Cost: a microsecond for each set of the steps that may have been made.
    """
    undone = {step: _undone_by(step, steps, undoes) for step in steps}
    begun = frozenset(
        step for step in steps
        if step[2] <= day and min([one[2] for one in undone[step]], default="") <= day
    )
    if len(begun) > MOST:
        return None

    @cache
    def by(surely: frozenset[Placed], perhaps: frozenset[Placed], day: str) -> set[str | None]:
        found: set[str | None] = set() if surely else {None}
        for last in surely | perhaps:
            when = min(last[3], day)
            others = surely - {last}
            if any(other[2] > when or undone[other] == [last] for other in others):
                continue
            before = by(others, frozenset(o for o in perhaps - {last} if o[2] <= when), when)
            found.update([follow(state, last[1]) for state in before])
        return found

    surely = frozenset(step for step in begun if step[3] <= day)
    return by(surely, begun - surely, day)


def _undone_by(
    step: Placed, steps: Collection[Placed], undoes: Mapping[str, str]
) -> list[Placed]:
    """Return the steps of which this one may take one back, as their days allow."""
    place, said, _, last = step
    return [one for one in steps if one[:2] == (place, undoes.get(said)) and one[2] <= last]
