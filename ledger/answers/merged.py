"""What is merged: the groups that the developments, or the persons, of an answer's rows are in.

Takes streams as a select and a position; hands on the groups of several. Nearly everything is
merged with no other, so an answer looks that up at once, and reads its rows as if nothing were.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import Any, TypeVar

import sqlalchemy as sa

from ledger.projections.merges import merges
from ledger.projections.projection import keys_of, standing_at

Groups = Mapping[str, tuple[str, ...]]
"""Each merged name, with all the names of its group in order; others are left out."""
Span = tuple[str | None, str | None]
Row = TypeVar("Row")
Key = TypeVar("Key", bound=Hashable)


def groups_of(
    connection: sa.Connection,
    streams: sa.SelectBase | None,
    as_of: int | None,
    table: sa.Table = merges,
) -> Groups:
    """Return the groups that the streams are in, by all merges that stood; None: every group.

    Costs one statement: a look-up in an index for each stream, and for each merge that it leads to.
    """
    near: dict[str, set[str]] = {}
    for one, other in connection.execute(_pairs(streams, as_of, table)):
        near.setdefault(one, set()).add(other)
        near.setdefault(other, set()).add(one)
    groups: dict[str, tuple[str, ...]] = {}
    for name in near:
        if name not in groups:
            group = tuple(sorted(_connected(name, near)))
            groups.update(dict.fromkeys(group, group))
    return groups


def named(stream: str) -> sa.Select[Any]:
    """Return one stream as a select."""
    return sa.select(sa.literal(stream).label("stream"))


def whole(groups: Groups, stream: str) -> tuple[str, ...]:
    """Return all names of what the stream is: its own where it is merged with no other."""
    return groups.get(stream, (stream,))


def others(groups: Groups, stream: str) -> list[str]:
    """Return what else the stream is called."""
    return [name for name in groups.get(stream, ()) if name != stream]


def alike(rows: Iterable[Row], key: Callable[[Row], Key]) -> dict[Key, list[Row]]:
    """Return the rows by what they have in common."""
    found: dict[Key, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def days_of(spans: Collection[Span]) -> Span:
    """Return the days that all spans allow; where none is left, those that any allows."""
    firsts, lasts = [first for first, _ in spans], [last for _, last in spans]
    first, last = max(filter(None, firsts), default=None), min(filter(None, lasts), default=None)
    if first is None or last is None or first <= last:
        return first, last
    return (
        None if None in firsts else min(filter(None, firsts)),
        None if None in lasts else max(filter(None, lasts)),
    )


def joined(texts: Iterable[str | None], mark: str = ", ") -> str | None:
    """Return the words of all texts, each once and in order; None where there is none."""
    return mark.join(sorted({word for text in texts if text for word in text.split(mark)})) or None


def positions_of(texts: Iterable[str]) -> str:
    """Return the positions of all texts, each once and in order, as the answer tables have them."""
    return " ".join(map(str, sorted({int(at) for text in texts for at in text.split()})))


def _pairs(
    streams: sa.SelectBase | None, as_of: int | None, table: sa.Table
) -> sa.Select[Any]:
    one, other = (table.c[name] for name in keys_of(table))
    every = sa.select(one, other).where(standing_at(table, as_of))
    if streams is None:
        return every
    asked = streams.subquery("asked")
    walk = every.join_from(asked, table, one == asked.c[0]).cte("walk", recursive=True)
    walk = walk.union(every.join_from(walk, table, one == walk.c.same_as))
    return sa.select(*walk.c)


def _connected(name: str, near: Mapping[str, Collection[str]]) -> set[str]:
    found, ahead = {name}, [name]
    while ahead:
        further = [other for other in near[ahead.pop()] if other not in found]
        found.update(further)
        ahead += further
    return found
