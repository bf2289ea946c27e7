"""Changing a ledger behind its back in tests, as somebody who owns the database can.

Each act takes an engine whose triggers are gone. `rehash` makes what was changed consistent again:
leaf hashes and tree head are computed from what is there now.
"""

from collections.abc import Mapping
from typing import Any

import orjson
import sqlalchemy as sa

from ledger import tables
from ledger.audit.against import Against
from ledger.entry import canonical
from ledger.merkle import (
    EMPTY,
    extend,
    frontier_from_bytes,
    frontier_to_bytes,
    leaf_hash,
    root,
)

E = tables.events.c
D = tables.disclosures.c
NOBODY = "019b1c32-0aba-7000-8000-00000000dead"


def unguard(engine: sa.Engine) -> None:
    """Drop every trigger of the ledger's tables."""
    on_sqlite = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'"
    on_postgresql = (
        "SELECT tgname, relname FROM pg_trigger JOIN pg_class ON tgrelid = pg_class.oid"
        " WHERE NOT tgisinternal"
    )
    is_sqlite = engine.dialect.name == "sqlite"
    with engine.begin() as connection:
        for name, table in connection.exec_driver_sql(on_sqlite if is_sqlite else on_postgresql):
            on = "" if is_sqlite else f" ON {table}"
            connection.exec_driver_sql(f"DROP TRIGGER {name}{on}")


def run(engine: sa.Engine, *statements: str, **values: object) -> None:
    """Run SQL, all of it or nothing; values stand in it as `:name`."""
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement), values)


def head_of(engine: sa.Engine, signed_at: str | None = None) -> Against:
    """Return the head of the ledger as somebody outside keeps it."""
    with engine.connect() as connection:
        row = connection.execute(sa.select(tables.tree_head)).one()
    return Against(row.size, row.root, "a safe", signed_at,
                   frontier_from_bytes(row.size, row.frontier))


def entry_at(engine: sa.Engine, position: int) -> dict[str, Any]:
    """Return the fields of an entry."""
    with engine.connect() as connection:
        raw = connection.scalar(sa.select(E.entry).where(E.position == position))
    fields: dict[str, Any] = orjson.loads(raw or b"")
    return fields


def change(engine: sa.Engine, position: int, **columns: object) -> None:
    """Change columns of one event."""
    with engine.begin() as connection:
        connection.execute(sa.update(tables.events).where(E.position == position).values(columns))


def rewrite(engine: sa.Engine, position: int, changes: Mapping[str, object]) -> None:
    """Change fields of one entry, and whatever is derived from them but for tree and leaf hash."""
    fields = {**entry_at(engine, position), **changes}
    derived = {name: fields[name] for name in ("id", "stream", "stream_version", "recorded_at")}
    change(engine, position, entry=canonical(fields), **derived)


def delete_after(engine: sa.Engine, size: int) -> None:
    """Delete all events after a position, with their sealed values."""
    with engine.begin() as connection:
        connection.execute(sa.delete(tables.events).where(E.position > size))
        connection.execute(sa.delete(tables.disclosures).where(D.position > size))


def move(engine: sa.Engine, old: int, new: int) -> None:
    """Give an event and its sealed values another position."""
    with engine.begin() as connection:
        for table, column in ((tables.events, E.position), (tables.disclosures, D.position)):
            connection.execute(sa.update(table).where(column == old).values(position=new))


def delete_and_renumber(engine: sa.Engine, position: int, size: int) -> None:
    """Delete one event and close the gap."""
    with engine.begin() as connection:
        connection.execute(sa.delete(tables.events).where(E.position == position))
        connection.execute(sa.delete(tables.disclosures).where(D.position == position))
    for old in range(position + 1, size + 1):
        move(engine, old, old - 1)


def insert_at(engine: sa.Engine, position: int, size: int) -> None:
    """Insert an event that claims to have been there; the others make room."""
    for old in range(size, position - 1, -1):
        move(engine, old, old + 1)
    fields = entry_at(engine, position - 1) | {
        "id": NOBODY, "stream": "development/never-was", "stream_version": 1}
    fields.pop("_sd", None)
    raw = canonical(fields)
    row = {name: fields[name] for name in
           ("id", "stream", "stream_version", "type", "type_version", "recorded_at")}
    with engine.begin() as connection:
        connection.execute(sa.insert(tables.events).values(
            position=position, entry=raw, leaf_hash=leaf_hash(raw), **row))


def rehash(engine: sa.Engine) -> None:
    """Make leaf hashes and tree head fit the entries that are there."""
    frontier, recorded_at = EMPTY, ""
    with engine.begin() as connection:
        query = sa.select(E.position, E.entry, E.recorded_at).order_by(E.position)
        for position, entry, at in connection.execute(query).all():
            leaf = leaf_hash(entry)
            connection.execute(
                sa.update(tables.events).where(E.position == position).values(leaf_hash=leaf))
            frontier, recorded_at = extend(frontier, [leaf]), at
        connection.execute(sa.update(tables.tree_head).values(
            size=frontier.size, root=root(frontier), frontier=frontier_to_bytes(frontier),
            recorded_at=recorded_at))
