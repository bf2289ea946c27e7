"""What the releases of one state add up to in any window of days, asked for again and again.

Takes the sums of releases for each span of days, or the releases one by one where another than the
usual rule counts them; hands on the bounds of a window and the streams in it. A release that only
may lie in the window counts for the high bound alone.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property
from itertools import accumulate
from operator import attrgetter
from typing import Any, NamedTuple, overload

from ledger.projections.release_counts import total
from ledger.projections.release_days import NEVER
from ledger.projections.release_list import Release, Rule, between, less
from ledger.projections.release_sums import Span

OPEN_END = "~"
"""Stands for an open last day: after every day that is asked for."""


class Days(NamedTuple):
    """The sums of releases between two days."""

    first: str
    """The earliest day; `NEVER`: open."""
    last: str
    """The latest day; `OPEN_END`: open."""
    low: int
    high: int
    unbounded: bool
    streams: str


class Streams(Sequence[str]):
    """The names of the streams that may lie between two days, sorted.

    A list for everybody who looks at it; it is put together when the first one does.
    """

    def __init__(self, days: Sequence[Days], since: str, until: str) -> None:
        self._asked = days, since, until

    @cached_property
    def _names(self) -> list[str]:
        return sorted(stream for one in _near(*self._asked) for stream in one.streams.split())

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: Any) -> Any:
        return self._names[at]

    def __len__(self) -> int:
        return len(self._names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list | Streams) and self._names == list(other)

    def __repr__(self) -> str:
        return repr(self._names)


class Windows:
    """The releases of one state, by their days.

    Of spans that do not end before they begin, those that touch a window are all that have begun by
    its last day, less those that ended before its first: two sums that are added up beforehand.
    """

    def __init__(self, spans: Iterable[Span]) -> None:
        self._days = [
            Days(
                first or NEVER, last or OPEN_END, int(low), int(high or 0), high is None, streams
            )
            for first, last, low, high, streams in spans
        ]
        usual = [one for one in self._days if one.first <= one.last]
        self._odd = [one for one in self._days if one.first > one.last]
        self._begun = _Added(usual, "first")
        self._ended = _Added(usual, "last")
        self._long = _Long([one for one in usual if one.first < one.last])

    def bounds(self, since: str, until: str) -> tuple[int, int | None]:
        """Return at least and at most how many were freed from the one day to the other."""
        if since > until:
            return _one_by_one(self._days, since, until)
        begun, ended = self._begun, self._ended
        in_all = bisect_right(begun.days, until)
        before, by = bisect_left(ended.days, since), bisect_right(ended.days, until)
        low = ended.lows[by] - ended.lows[before] - self._long.cut(since, until)
        high: int | None = begun.highs[in_all] - ended.highs[before]
        if begun.unbounded[in_all] > ended.unbounded[before]:
            high = None
        if not self._odd:
            return low, high
        more, most = _one_by_one(self._odd, since, until)
        return low + more, None if high is None or most is None else high + most

    def bounds_by(self, since: str, first: str | None, until: str) -> tuple[int, int | None]:
        """Return the bounds from the one day to any day between two others; first None: open.

        More and more are freed: they are fewest on the first of these days, most on the last.
        """
        least = 0 if first is None or first < since else self.bounds(since, first)[0]
        return least, self.bounds(since, until)[1]

    def streams(self, since: str, until: str) -> Streams:
        """Return the streams of all that may lie between the days."""
        return Streams(self._days, since, until)


class CountedWindows:
    """The same by another than the usual rule: one look at every release for each window."""

    def __init__(
        self,
        releases: Sequence[Release],
        streams: Mapping[str, Iterable[str]],
        rule: Rule,
    ) -> None:
        self._releases, self._rule = releases, rule
        self._days = [
            Days(one.first or NEVER, one.last or OPEN_END, 0, 0, False,
                 " ".join(streams[one.group]))
            for one in releases
        ]
        self._known: dict[tuple[str, str], tuple[int, int | None]] = {}

    def bounds(self, since: str, until: str) -> tuple[int, int | None]:
        """Return at least and at most how many were freed from the one day to the other, net of
        what was undone by then, if that is the rule."""
        window = since, until
        if window not in self._known:
            counted = total([*self._near(since, until)], self._rule)
            self._known[window] = counted.low, counted.high
        return self._known[window]

    def bounds_by(self, since: str, first: str | None, until: str) -> tuple[int, int | None]:
        """Return the bounds from the one day to any day between two others; first None: open.

        Net they may be fewest on a day on which something is undone, most on the one before.
        """
        begins = max(first or NEVER, since)
        days = [begins, *(day for day in self._turns if begins < day < until), until]
        lows, highs = zip(*(self.bounds(since, day) for day in days), strict=True)
        least = 0 if first is None or first < since else min(lows)
        return least, None if None in highs else max(highs)

    def streams(self, since: str, until: str) -> Streams:
        """Return the streams of all that may lie between the days."""
        return Streams(self._days, since, until)

    @cached_property
    def _turns(self) -> list[str]:
        """The days from which on a bound may go down: the first for the low, for the high the last
        on which it does not."""
        undone = [one.undone for one in self._releases if one.undone is not None]
        lasts = [date.fromisoformat(one.last) for one in undone if one.last]
        before = {str(last - timedelta(days=1)) for last in lasts if last > date.min}
        return sorted(before | {one.first for one in undone if one.first})

    def _near(self, since: str, until: str) -> Iterator[Release]:
        for release in self._releases:
            if (one := between(release, since, until)) is not None:
                yield less(one, until)


class _Added:
    """Running sums over spans in the order of one of their days."""

    def __init__(self, spans: Iterable[Days], day: str) -> None:
        ordered = sorted(spans, key=attrgetter(day))
        self.days = [getattr(one, day) for one in ordered]
        self.lows = [0, *accumulate([one.low for one in ordered])]
        self.highs = [0, *accumulate([one.high for one in ordered])]
        self.unbounded = [0, *accumulate([one.unbounded for one in ordered])]


class _Long:
    """The spans of more than one day: a window may cut off their beginning."""

    def __init__(self, spans: Iterable[Days]) -> None:
        self._spans = sorted(spans, key=attrgetter("last"))
        self._lasts = [one.last for one in self._spans]
        earliest = accumulate([one.first for one in reversed(self._spans)], min)
        self._earliest = [*earliest][::-1]
        """Of each span and all that end later: the first day of any."""

    def cut(self, since: str, until: str) -> int:
        """Return the lows of those that end in the window and began before it."""
        low = 0
        for at in range(bisect_left(self._lasts, since), bisect_right(self._lasts, until)):
            if self._earliest[at] >= since:
                break
            if self._spans[at].first < since:
                low += self._spans[at].low
        return low


def _near(days: Iterable[Days], since: str, until: str) -> list[Days]:
    return [one for one in days if one.last >= since and one.first <= until]


def _one_by_one(days: Iterable[Days], since: str, until: str) -> tuple[int, int | None]:
    near = _near(days, since, until)
    low = sum(one.low for one in near if one.first >= since and one.last <= until)
    unbounded = any(one.unbounded for one in near)
    return low, None if unbounded else sum(one.high for one in near)
