"""Folds: what a projection's fold gave for a piece of the log, so that it need not be done again.

Takes a connection; hands on KnownFolds. Each is a fact about a pure function, by digests: this code
gives rows with these sums for these entries. It stays true whatever becomes of tables or log.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import sqlalchemy as sa

from ledger import tables
from ledger.store.read import among


@dataclass(frozen=True, slots=True)
class KnownFold:
    """One row of the table `folds`."""

    projection: str
    until: str
    """Where the piece ends: the name of its last stream, or what is behind all of its category."""
    digest: str
    """Of what folded it, of what was folded, and of the rows that the fold gave with their sums."""
    sums: Mapping[str, int]
    """Of these rows, by table."""


Folds = dict[tuple[str, str], KnownFold]
"""By projection, and by where the piece ends."""


def read_folds(
    connection: sa.Connection, projections: Iterable[str], after: str, until: str
) -> Folds:
    """Return what is known of the pieces that end in (after, until].

    What somebody else put there, and is no sums, is not known.
    """
    c = tables.folds.c
    query = sa.select(c.projection, c.until, c.digest, c.sums).where(
        c.projection.in_(sorted(projections)), c.until > after, c.until <= until
    )
    known: Folds = {}
    for name, end, digest, sums in connection.execute(query):
        with suppress(TypeError, ValueError, RecursionError):
            by_table = json.loads(sums)
            if isinstance(by_table, dict) and {*map(type, by_table.values())} <= {int}:
                known[name, end] = KnownFold(name, end, digest, by_table)
    return known


def read_ends(connection: sa.Connection) -> list[str]:
    """Return where the known pieces of all projections end, sorted."""
    until = tables.folds.c.until
    found = connection.scalars(sa.select(until).distinct().order_by(until))
    return [name for name in found if isinstance(name, str)]  # whatever else somebody put there


def write_folds(
    connection: sa.Connection, projection: str, folds: Iterable[KnownFold]
) -> None:
    """Add what is known of a projection now, in place of what was known of the same pieces."""
    c = tables.folds.c
    by_end = {fold.until: fold for fold in folds}
    there = among(connection, c.until, [*by_end])
    connection.execute(sa.delete(tables.folds).where(c.projection == projection, there))
    rows = [
        {"projection": projection, "until": end, "digest": fold.digest,
         "sums": json.dumps(fold.sums)}
        for end, fold in by_end.items()
    ]
    if rows:
        connection.execute(sa.insert(tables.folds), rows)


def forget_folds(connection: sa.Connection, projection: str) -> None:
    """Take away all that is known of a projection, whatever it is."""
    connection.execute(sa.delete(tables.folds).where(tables.folds.c.projection == projection))
