"""The head store: which tree heads were signed, remembered where the ledger cannot change it.

Takes heads that were signed; hands on the latest one, all of them, and whether a log was frozen. It
is a SQLite file or a database of its own, with credentials of its own: whoever can rewrite the
ledger must not be able to make the signer forget. Rows are added only, one signer at a time.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from ledger.errors import CouldNot, LedgerError, shown
from ledger.store.connect import connect, file_of, place_of, reading, writing
from ledger.store.files import sync_folder

PRIVATE = 0o600
"""The mode of a new file: only who signs may change it."""
PAGE = 1_000
"""Heads that are held in memory at once."""

_metadata = sa.MetaData()
_Size = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_heads = sa.Table(
    "heads",
    _metadata,
    sa.Column("origin", sa.Text, primary_key=True),
    sa.Column("size", _Size, primary_key=True, autoincrement=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("frontier", sa.LargeBinary, nullable=False),
    sa.Column("signed_at", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.CheckConstraint("size > 0", name="heads_size"),
)
_freezes = sa.Table(
    "freezes",
    _metadata,
    sa.Column("origin", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("frozen_at", sa.Text, nullable=False),
)

_REFUSE_ON_SQLITE = "BEGIN SELECT RAISE(ABORT, 'what was signed is kept as it is'); END"
_ONLY_ADDED = {
    "sqlite": [
        f"CREATE TRIGGER {table}_{act} BEFORE {act} ON {table} {_REFUSE_ON_SQLITE}"
        for table in ("heads", "freezes")
        for act in ("update", "delete")
    ] + [  # INSERT OR REPLACE deletes without asking the triggers above
        "CREATE TRIGGER heads_insert BEFORE INSERT ON heads WHEN NEW.size <="
        f" (SELECT max(size) FROM heads WHERE origin = NEW.origin) {_REFUSE_ON_SQLITE}",
        "CREATE TRIGGER freezes_insert BEFORE INSERT ON freezes WHEN EXISTS"
        f" (SELECT 1 FROM freezes WHERE origin = NEW.origin) {_REFUSE_ON_SQLITE}",
    ],
    "postgresql": [
        "CREATE FUNCTION keep_what_was_signed() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'what was signed is kept as it is'; END $$",
        *(
            f"CREATE TRIGGER {table}_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION keep_what_was_signed()"
            for table in ("heads", "freezes")
        ),
        *(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_kept"
          for table in ("heads", "freezes")),
    ],
}
"""Against slips, not against the owner of the database, who can drop them."""

_IS_LEDGER = {
    "sqlite": "SELECT 1 FROM sqlite_master WHERE name = 'tree_head'",
    "postgresql": "SELECT 1 FROM pg_class WHERE relname = 'tree_head'",
}


@dataclass(frozen=True, slots=True)
class KnownHead:
    """One head that was signed, and what is needed to grow the tree from there."""

    size: int
    root: bytes
    frontier: bytes
    """As `merkle.frontier_to_bytes` writes it."""
    signed_at: str
    """In UTC, with six digits."""
    note: str
    """The signed note."""


_KINDS = (int, bytes, bytes, str, str)
"""Of the fields of a KnownHead."""


class HeadMoved(LedgerError):
    """Somebody else has signed since: the latest head is not the one that was believed to be it."""

    def __init__(self, origin: str, latest: int, after: int) -> None:
        self.origin, self.latest, self.after = origin, latest, after
        super().__init__(f"the latest head of {origin} has size {latest}, expected {after}")


class OriginFrozen(LedgerError):
    """Nothing is signed for a log any more: its history was found to contradict a signed head."""

    def __init__(self, origin: str, reason: str) -> None:
        self.origin, self.reason = origin, reason
        super().__init__(f"{origin} is frozen, nothing is signed for it any more: {reason}")


class Forked(LedgerError):
    """The ledger contradicts a head that was signed: it was rewritten or rolled back."""

    def __init__(self, origin: str, reason: str) -> None:
        self.origin, self.reason = origin, reason
        super().__init__(f"{origin} contradicts what was signed: {reason}")


class HeadsLost(LedgerError):
    """A head was published that the head store does not know: the store is not the one it was."""

    def __init__(self, origin: str, size: int, where: str) -> None:
        self.origin, self.size, self.where = origin, size, where
        super().__init__(
            f"the head of {origin} of size {size:,} in {where} is not in the head store: it was"
            " lost or rolled back; restore it, nothing is signed until then"
        )


class HeadStore:
    """What was signed, by origin; made with `open_heads`.

    Reading makes nothing: a store that is not there yet knows no head. Raises CouldNot where the
    database cannot be used.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @property
    def place(self) -> str:
        """Where the store is, for people: without its password."""
        return place_of(self._engine)

    def latest(self, origin: str) -> KnownHead | None:
        """Return the largest head that was signed for the origin."""
        query = _known(origin).order_by(_heads.c.size.desc()).limit(1)
        with self._reading() as connection:
            row = None if connection is None else connection.execute(query).one_or_none()
        return None if row is None else self._known(row)

    def at(self, origin: str, size: int) -> KnownHead | None:
        """Return the head of that size."""
        with self._reading() as connection:
            row = None if connection is None else connection.execute(
                _known(origin).where(_heads.c.size == size)
            ).one_or_none()
        return None if row is None else self._known(row)

    def all(self, origin: str, after: int = 0) -> Iterator[KnownHead]:
        """Yield the heads with a size over `after`, the smallest first, in constant memory."""
        while page := self._page(origin, after):
            yield from page
            after = page[-1].size

    def _page(self, origin: str, after: int) -> list[KnownHead]:
        query = _known(origin).where(_heads.c.size > after).order_by(_heads.c.size).limit(PAGE)
        with self._reading() as connection:
            rows = [] if connection is None else connection.execute(query).all()
        return [self._known(row) for row in rows]

    def _known(self, row: Sequence[Any]) -> KnownHead:
        """Return a row as a head; SQLite keeps in a column whatever somebody puts there."""
        for name, value, kind in zip(KnownHead.__slots__, row, _KINDS, strict=True):
            if type(value) is not kind:
                why = f"it was altered: {name} of a head of size {shown(row[0])} is {shown(value)}"
                raise CouldNot(f"use the head store {self.place}", why)
        return KnownHead(*row)

    def add(self, origin: str, head: KnownHead, after: int) -> None:
        """Remember a head, if the latest one has still the size `after` (0: there is none).

        On disk when it returns. Raises HeadMoved if the latest head is another, OriginFrozen if the
        origin was frozen, ValueError for a head that is not larger than `after`.
        """
        if head.size <= after:
            raise ValueError(f"got a head of size {head.size} to follow one of size {after}")
        values = {name: getattr(head, name) for name in KnownHead.__slots__}
        with self._writing() as connection:
            if (reason := _reason(connection, origin)) is not None:
                raise OriginFrozen(origin, reason)
            largest = sa.select(sa.func.max(_heads.c.size)).where(_heads.c.origin == origin)
            latest = connection.scalar(largest) or 0
            if latest != after:
                raise HeadMoved(origin, latest, after)
            connection.execute(sa.insert(_heads).values(origin=origin, **values))

    def freeze(self, origin: str, reason: str, at: str) -> None:
        """Let nothing be signed for the origin any more; the first reason stays."""
        with self._writing() as connection:
            if _reason(connection, origin) is None:
                row = {"origin": origin, "reason": reason, "frozen_at": at}
                connection.execute(sa.insert(_freezes).values(row))

    def frozen(self, origin: str) -> str | None:
        """Return why the origin was frozen; None where it was not."""
        with self._reading() as connection:
            return None if connection is None else _reason(connection, origin)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection | None]:
        """Open a transaction; None where the store was not made yet."""
        file = file_of(self._engine)
        if file is not None and not file.exists():
            yield None
            return
        with self._in(reading(self._engine)) as connection:
            yield connection if sa.inspect(connection).has_table("freezes") else None

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """Open a transaction that no other signer's can run beside; makes the tables."""
        file = file_of(self._engine)
        if file is not None:
            _make_private(file)
        # One at a time, and on disk when it ends: what an append needs, a head needs too.
        with self._in(writing(self._engine)) as connection:
            if not sa.inspect(connection).has_table("freezes"):
                _metadata.create_all(connection)
                for statement in _ONLY_ADDED[connection.dialect.name]:
                    connection.exec_driver_sql(statement)
            yield connection

    @contextmanager
    def _in(self, transaction: AbstractContextManager[sa.Connection]) -> Iterator[sa.Connection]:
        """Enter a transaction of a database that is no ledger; name the store in every failure."""
        try:
            with transaction as connection:
                if connection.exec_driver_sql(_IS_LEDGER[connection.dialect.name]).first():
                    why = "it is a ledger, whose owner could make the signer forget; take another"
                    raise CouldNot(f"use {self.place} as the head store", why)
                yield connection
        except (exc.DBAPIError, exc.TimeoutError) as failure:
            why = str(getattr(failure, "orig", None) or failure).strip()
            raise CouldNot(f"use the head store {self.place}", why) from None


def open_heads(url: str | Path) -> HeadStore:
    """Return the head store in a SQLite file or at a database URL; it is made by its first head.

    Raises CouldNot if the database cannot be used or is a ledger's.
    """
    store = HeadStore(connect(str(url)))
    try:
        store.frozen("")  # a store that cannot be used says so before any work is done
    except CouldNot:
        store.close()
        raise
    return store


def _known(origin: str) -> sa.Select[Any]:
    columns = (_heads.c[name] for name in KnownHead.__slots__)
    return sa.select(*columns).where(_heads.c.origin == origin)


def _reason(connection: sa.Connection, origin: str) -> str | None:
    query = sa.select(_freezes.c.reason).where(_freezes.c.origin == origin)
    reason: str | None = connection.scalar(query)
    return reason


def _make_private(file: Path) -> None:
    """Make the file, if it is not there, for this user alone; SQLite's files beside it follow."""
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE)
    except FileExistsError:
        return
    os.close(descriptor)
    sync_folder(file.parent)
