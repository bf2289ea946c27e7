"""How far something went: a course of steps, each reported for some days, and what holds on a day.

Takes the steps that live reports say were reached; hands on what holds. Pure.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

EVER = "9999-12-31"
"""Stands for an open last day, and for a question about no day in particular."""
ORDER = ("proposed", "promised", "agreed", "ordered", "refused", "done", "reversed")
"""Of steps on one day; what is further on comes later."""


class Step(NamedTuple):
    """What one report says was reached, and between which days it was."""

    said: str
    first: str
    """The earliest day, ISO; empty: open."""
    last: str
    """The latest day; `EVER`: open."""
    position: int


AnyStep = Step | tuple[str, str, str]
"""A Step, or what it begins with as a plain tuple: a busy state has thousands of steps."""


class Standing(NamedTuple):
    """What holds on a day."""

    state: str | None
    """None: nothing yet."""
    since: str | None
    until: str | None
    """The day from which something else holds; None: not known."""


Follow = Callable[[str | None, str], str | None]
"""What holds after a step, given what held before it."""


def standing(
    steps: Collection[AnyStep],
    day: str,
    follow: Follow,
    order: tuple[str, ...],
) -> Standing:
    """Return what holds on the day if each step was on its latest day."""
    dated = [(step[2], order.index(step[0])) for step in steps]
    state: str | None = None
    since: str | None = None
    for when, rank in sorted(dated):
        after = follow(state, order[rank])
        if after == state:
            continue
        if when > day:
            return Standing(state, known_day(since), known_day(when))
        state, since = after, when
    return Standing(state, known_day(since), None)


def placed(steps: Iterable[tuple[Any, str, str, str]]) -> set[tuple[Any, str, str, str]]:
    """Return where each step is said to be one, what is said there, and between which days.

    Of what is said of one place several times the days are those that all allow; where there are
    none, those that each allows, but for whoever says less exactly what another says.
    """
    distinct = {*steps}
    if len(distinct) == 1:  # so it is of most
        return distinct
    spans: dict[tuple[Any, str], list[tuple[str, str]]] = {}
    for where, said, first, last in distinct:
        spans.setdefault((where, said), []).append((first, last))
    return {(*place, *days) for place, many in spans.items() for days in _narrowed(many)}


def _narrowed(spans: list[tuple[str, str]]) -> list[tuple[str, str]]:
    if len(spans) == 1:
        return spans
    first, last = max([first for first, _ in spans]), min([last for _, last in spans])
    if first <= last:
        return [(first, last)]
    return [
        span for span in spans
        if not any(span != other and span[0] <= other[0] and other[1] <= span[1] for other in spans)
    ]


def further(before: str | None, said: str) -> str | None:
    """Return the stage after one more step: the furthest; refused and reversed end a course."""
    if said == "refused":
        return before if before == "done" else said
    if before in (None, "refused", "reversed") or said == "reversed":
        return said
    return said if ORDER.index(said) > ORDER.index(before) else before


def day_of(report: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the day of legal effect of what was done; of everything else, the day of the step.

    What was promised with a later day of effect is promised from the day of the promise on.
    """
    takes_effect = report["stage"] == "done" and "effective" in report
    day: Mapping[str, Any] = report["effective" if takes_effect else "when"]
    return day


def known_by(steps: Iterable[Step], day: str) -> list[int]:
    """Return the positions of the steps that may have been made by the day."""
    return sorted([step.position for step in steps if step.first <= day])


def known_day(day: str | None) -> str | None:
    """Return the day; None where it stands for an open end."""
    return None if day in (None, "", EVER) else day
