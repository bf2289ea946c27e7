"""Digests of what goes into a fold and of what comes out: whether two folds were the same.

Takes entries in their order, or rows in any order and in any parts; hands on 64 hex digits, and
numbers that are added up. Pure. A digest of rows tells of slips and of other versions of the code.
It is no proof against somebody who looks for other rows with the same sum: that is what the signed
heads of the events are for.
"""

import marshal
from collections.abc import Iterable, Mapping
from hashlib import sha256

import orjson

from ledger.projections.projection import Projection, Row, Rows

Sums = dict[str, int]
"""By table: the sum of the SHA-256 of each row, as JSON, read as a number."""
_PLAIN = 2
"""The format of `marshal` that writes each value as it is, and tells all types apart: JSON has one
word for what is not there and for what is no number. It is that of one version of Python."""


def digest_of_entries(entries: list[tuple[str, int, bytes]]) -> str:
    """Return the digest of streams, positions and entries as they follow; 0.8 microseconds each."""
    return sha256(marshal.dumps(entries, _PLAIN)).hexdigest()


def digest_of_fold(
    projection: Projection, code: str, entries: str, rows: Rows, sums: Mapping[str, int]
) -> str:
    """Return the digest of what folded these entries, and of the rows that it gave with their sums.

    Code and entries come as digests, rows in order of their key. Costs half a microsecond a row.
    Raises ValueError for a value that no fold gives.
    """
    names = [f"{table.name}" for table in projection.tables]  # SQLAlchemy's own kind of text
    told = [(name, str(sums[name]), rows[name]) for name in names]
    return sha256(marshal.dumps((code, entries, told), _PLAIN)).hexdigest()


def sums_of(rows: Rows) -> Sums:
    """Return the sum of each table's rows; costs 1.5 microseconds a row."""
    return {table: _sum(of_table) for table, of_table in rows.items()}


def digest_of(sums: Mapping[str, int]) -> str:
    """Return the digest of tables, of whose rows these are all the sums."""
    named = [f"{table} {number % 2**256:064x}\n" for table, number in sorted(sums.items())]
    return sha256("".join(named).encode()).hexdigest()


def _sum(rows: Iterable[Row]) -> int:
    number, dumps, read = 0, orjson.dumps, int.from_bytes  # looked up once: there are millions
    for row in rows:
        number += read(sha256(dumps(row)).digest(), "big")
    return number
