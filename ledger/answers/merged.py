"""What is merged: the groups that the developments, or the persons, of an answer's rows are in.

Takes names, or a select of them, and a position; hands on the groups of several. Nearly everything
is merged with no other, so an answer looks that up at once, and reads its rows as if nothing were.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any, TypeVar

import sqlalchemy as sa

from ledger.projections.merges import merges
from ledger.projections.projection import keys_of, standing_at

Groups = Mapping[str, tuple[str, ...]]
"""Each merged name, with all the names of its group in order; others are left out."""
Asked = sa.SelectBase | Collection[str] | None
"""Whose groups are looked for: names, or a select of them; None: all."""
Row = TypeVar("Row")
Key = TypeVar("Key", bound=Hashable)


def groups_of(
    connection: sa.Connection,
    asked: Asked,
    as_of: int | None,
    table: sa.Table = merges,
) -> Groups:
    """Return the groups that these are in, by all merges that stood; None: every group.

    Costs one statement where none is merged, which looks up each in an index, names that repeat in
    a select as often as they come; else one more for each step from name to name.
    """
    by_name = partial(_pairs_of, table, as_of is None, connection.dialect.name == "postgresql")
    values: dict[str, Any] = {"as_of": as_of}
    if asked is None:
        query = _pairs(table, as_of is None)
    elif isinstance(asked, sa.SelectBase):
        one = table.c[keys_of(table)[0]]
        names = asked.subquery("asked")
        query = _pairs(table, as_of is None).join_from(names, table, one == names.c[0])
    else:
        query, values["names"] = by_name(), [*asked]
    near: dict[str, set[str]] = {}
    while found := connection.execute(query, values).all():
        for name, same_as in found:
            near.setdefault(name, set()).add(same_as)
        ahead = {same_as for _, same_as in found} - near.keys()
        if not ahead:
            break
        query, values["names"] = by_name(), [*ahead]
    groups: dict[str, tuple[str, ...]] = {}
    for name in near:
        if name not in groups:
            group = tuple(sorted(_connected(name, near)))
            groups.update(dict.fromkeys(group, group))
    return groups


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


def joined(texts: Iterable[str | None], mark: str = ", ") -> str | None:
    """Return the words of all texts, each once and in order; None where there is none."""
    return mark.join(sorted({word for text in texts if text for word in text.split(mark)})) or None


def positions_of(texts: Iterable[str]) -> str:
    """Return the positions of all texts, each once and in order, as the answer tables have them."""
    return " ".join(map(str, sorted({int(at) for text in texts for at in text.split()})))


@lru_cache
def _pairs(table: sa.Table, now: bool) -> sa.Select[Any]:
    """Return the merges that stand as of a parameter, or now; made once, as that takes longer than
    to look one up."""
    columns = [table.c[name] for name in keys_of(table)]
    as_of: Any = None if now else sa.bindparam("as_of", type_=sa.BigInteger())
    return sa.select(*columns).where(standing_at(table, as_of))


@lru_cache
def _pairs_of(table: sa.Table, now: bool, postgresql: bool) -> sa.Select[Any]:
    """Return those of the names in a parameter, which are looked up one by one."""
    names: sa.FromClause
    if postgresql:
        many = sa.bindparam("names", type_=sa.ARRAY(sa.Text()))
        names = sa.func.unnest(many).table_valued("value").render_derived()
    else:
        names = sa.func.json_each(sa.bindparam("names", type_=sa.JSON)).table_valued("value")
    one = table.c[keys_of(table)[0]]
    return _pairs(table, now).join_from(names, table, one == names.c.value)


def _connected(name: str, near: Mapping[str, Collection[str]]) -> set[str]:
    found, ahead = {name}, [name]
    while ahead:
        further = [other for other in near.get(ahead.pop(), ()) if other not in found]
        found.update(further)
        ahead += further
    return found
