"""What may hold on a day, in every order of steps that their days allow.

Takes steps with the days between which each was; hands on the states that may hold. Pure.
"""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from ledger.projections.courses import ORDER, Follow, further

Placed = tuple[Any, str, str, str]
"""Where a step is said to be one, what it is, and the first and last day on which it may be."""
MOST = 8
"""Steps of which every order is looked at."""
_ENDS = ("refused", "reversed")
"""Stages that may end a course or not, as they come before or after others."""
_UNDOES = {"reversed": "done"}


def stage_else(steps: Collection[Placed], day: str, surely: str | None) -> str | None:
    """Return at which stages else a course may be on the day, the furthest last; None: at none."""
    if not any(step[1] in _ENDS for step in steps):  # whatever the order, the furthest of them
        begun = {step[1] for step in steps if step[2] <= day}
        found = {said for said in begun if further(surely, said) != surely}
    else:
        found = state_else(steps, day, surely, further, _UNDOES)
    return " or ".join(sorted(found, key=ORDER.index)) or None


def state_else(
    steps: Collection[Placed],
    day: str,
    surely: str | None,
    follow: Follow,
    undoes: Mapping[str, str],
) -> set[str]:
    """Return the states that may hold on the day beside the one that surely does if any does.

    That nothing may hold yet is not among them. Of very many steps it is whatever they may lead to.
    """
    if len({step[1] for step in steps}) == 1 and any(step[3] <= day for step in steps):
        return set()  # once or several times: it was so
    exact = [step[2] for step in steps if step[2] == step[3]]
    if len({*exact}) == len(steps):
        return set()  # there is one order
    found = possible(steps, day, follow, undoes)
    if found is None:
        found = _reachable({step[1] for step in steps if step[2] <= day}, follow)
    return {state for state in found if state} - {surely}


def _reachable(said: Collection[str], follow: Follow) -> set[str | None]:
    """Return every state to which any number of such steps may lead, in whatever order."""
    found: set[str | None] = {None}
    while more := {follow(state, step) for state in found for step in said} - found:
        found |= more
    return found


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
