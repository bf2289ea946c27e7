"""Which days several reports, or merged developments, leave together.

Takes spans of days as ISO texts, both ends included; hands on one span. Pure.
"""

from collections.abc import Collection

Span = tuple[str | None, str | None]
"""The first and the last day; None: not stated."""


def common(spans: Collection[Span]) -> Span:
    """Return the days that all spans allow; where none is left, those that any allows."""
    met = meet(spans)
    return hull(spans) if crosses(met) else met


def meet(spans: Collection[Span]) -> Span:
    """Return the latest first and the earliest last day: they cross where no day is left."""
    firsts, lasts = [first for first, _ in spans], [last for _, last in spans]
    return max(filter(None, firsts), default=None), min(filter(None, lasts), default=None)


def hull(spans: Collection[Span]) -> Span:
    """Return the days that any span allows."""
    firsts, lasts = [first for first, _ in spans], [last for _, last in spans]
    return (
        None if None in firsts else min(filter(None, firsts)),
        None if None in lasts else max(filter(None, lasts)),
    )


def crosses(span: Span) -> bool:
    """Return whether the last day is before the first one."""
    first, last = span
    return first is not None and last is not None and last < first
