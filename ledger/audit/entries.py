"""Checks of stored events, a page at a time: hash, bytes, columns, order.

Takes a range of positions and a connection; hands on the entries and the leaf hashes that were
computed from them, and adds findings. A page without fault is checked as a whole; only where that
fails is it looked at row by row. Each entry must end as its derived columns say. What makes this
sound without parsing: keys are sorted, so every derived field stands at the end of an entry, in a
fixed order, and no quote in it is escaped.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise, repeat, takewhile
from typing import Any

import orjson
import sqlalchemy as sa

from ledger.audit.findings import Findings, Rule
from ledger.entry import ALWAYS, ENTRY_LIMIT, canonical, parse
from ledger.errors import LedgerError, shown
from ledger.events import STREAM, Data
from ledger.merkle import HASH_SIZE
from ledger.store.audit_read import EventRow, read_page, read_rows

BEFORE = 10
"""Characters that are shown of what two long texts have in common."""
NO_LEAF = bytes(HASH_SIZE)
"""What stands in the tree for a position that is missing."""
FIELDS = ALWAYS | {"format", "_sd", "causation", "correlation"}
DERIVED = ("id", "stream", "stream_version", "type", "type_version", "recorded_at")

ERASURE = b"PersonalDataErased"

# How an entry ends, as its derived columns have it.
_END = (
    b'},"format":"incident-ledger/1","id":"%b","recorded_at":"%b","recorded_by":"%b"'
    b',"stream":"%b","stream_version":%d,"type":"%b","type_version":%d}'
)
_AUTHOR = b'"recorded_by":"'

_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_DIGEST = re.compile("[A-Za-z0-9_-]{43}")
# Where the quick look may be wrong the slow one is taken: a float, or a key that is not ASCII.
_PERHAPS_FLOAT = re.compile(rb"[:,\[]-?[0-9]+[.eE]")
_AFTER_DATA = b'},"format":"'
_PERHAPS_ODD_KEY = re.compile(rb'[\x80-\xff][^"]*":')


@dataclass(slots=True)
class Page:
    """What was found at some positions in a row."""

    first: int
    entries: Sequence[bytes | None]
    """None where no bytes are."""
    leaves: list[bytes]
    first_at: bytes = b""
    last_at: bytes = b""
    erasures: list[int] = field(default_factory=list)
    """Indexes of the events that say that something was erased."""


def check_page(
    connection: sa.Connection, first: int, last: int, author: bytes, deep: bool, found: Findings
) -> tuple[Page, bytes]:
    """Check the events at these positions; return them and who recorded the last of them.

    `author` is a guess at who recorded them. With `deep` every entry is parsed and made anew.
    """
    rows = read_page(connection, first, last)
    try:
        page, author = _whole_page(first, last, rows, author)
    except (_NotInOrder, TypeError):  # a value of the wrong type is no bytes
        return _row_by_row(connection, first, last, found), author
    if deep:
        for position, entry in enumerate(page.entries, start=first):
            if entry is not None and (why := misformed(entry)) is not None:
                found.add(position, Rule.ENTRY, f"the entry is not of the format: {why}")
    return page, author


class _NotInOrder(Exception):
    """Something in the page is not as it should be."""


def _whole_page(
    first: int, last: int, rows: Sequence[tuple[Any, ...]], author: bytes
) -> tuple[Page, bytes]:
    """Return the page if all of it is in order; raises _NotInOrder, TypeError."""
    if len(rows) != last - first + 1:
        raise _NotInOrder
    ids, streams, versions, types, type_versions, times, entries, stored = zip(*rows, strict=True)
    leaves = [sha256(b"\x00" + entry).digest() for entry in entries]
    if tuple(leaves) != stored or max(map(len, entries)) > ENTRY_LIMIT:
        raise _NotInOrder
    if type(sum(versions)) is not int or type(sum(type_versions)) is not int:
        raise _NotInOrder  # one of them is no whole number, and %d would round it
    columns = (ids, times, streams, versions, types, type_versions)
    if not _end_in(entries, repeat(author), *columns):
        authors = [entry.rpartition(_AUTHOR)[2].partition(b'"')[0] for entry in entries]
        author = authors[-1]
        if b"\\" in b"".join(authors) or not _end_in(entries, authors, *columns):
            raise _NotInOrder
    if list(times) != sorted(times):
        raise _NotInOrder
    erasures = [i for i, type in enumerate(types) if type == ERASURE] if ERASURE in types else []
    return Page(first, entries, leaves, times[0], times[-1], erasures), author


def _end_in(
    entries: Iterable[bytes], authors: Iterable[bytes], ids: Any, times: Any, *others: Any
) -> bool:
    """Return whether each entry ends as these authors and derived columns say."""
    ends = map(_END.__mod__, zip(ids, times, authors, *others, strict=False))
    return all(map(bytes.endswith, entries, ends))


def _row_by_row(connection: sa.Connection, first: int, last: int, found: Findings) -> Page:
    """Look at each row of a page and say what is wrong with it."""
    rows: dict[int, EventRow] = {}
    for row in read_rows(connection, first, last):
        if type(row.position) is not int:
            found.add(first, Rule.POSITION, f"an event is at position {shown(row.position)}", last)
        elif row.position in rows:
            found.add(row.position, Rule.POSITION, "more than one event is at this position")
        rows.setdefault(row.position, row)
    page = Page(first, [rows[p].entry if p in rows and isinstance(rows[p].entry, bytes) else None
                        for p in range(first, last + 1)], [])
    for start, end in missing(first, last, rows.keys()):
        found.add(start, Rule.POSITION, f"no event is at {span(start, end)}")
    times = []
    for position, entry in enumerate(page.entries, start=first):
        page.leaves.append(NO_LEAF if entry is None else sha256(b"\x00" + entry).digest())
        if position in rows:
            _check_row(rows[position], entry, page.leaves[-1], found)
            if rows[position].type == ERASURE:
                page.erasures.append(position - first)
            if isinstance(at := rows[position].recorded_at, bytes):
                times.append((position, at))
    for (_, earlier), (position, later) in pairwise(times):
        check_order(earlier, position, later, found)
    page.first_at, page.last_at = (times[0][1], times[-1][1]) if times else (b"", b"")
    return page


def check_order(earlier: bytes, position: int, later: bytes, found: Findings) -> None:
    """Check that time does not go back between two events that follow each other."""
    if later < earlier:
        found.add(position, Rule.TIME,
                  f"recorded_at goes back, from {_text(earlier)} to {_text(later)}")


def _check_row(row: EventRow, entry: bytes | None, leaf: bytes, found: Findings) -> None:
    if entry is None:
        found.add(row.position, Rule.ENTRY, f"the entry is no bytes: {shown(row.entry)}")
        return
    if leaf != row.leaf_hash:
        found.add(row.position, Rule.LEAF, "leaf_hash is not the hash of the entry")
    if (why := misformed(entry)) is not None:
        found.add(row.position, Rule.ENTRY, f"the entry is not of the format: {why}")
    try:
        fields = orjson.loads(entry)
    except orjson.JSONDecodeError:
        return
    for name, stands, says in _differences(row, fields):
        stands, says = _apart(stands, says)
        found.add(row.position, Rule.COLUMN,
                  f"the column {name} has {shown(stands)}, the entry says {shown(says)}")


def _differences(row: EventRow, fields: Any) -> Iterator[tuple[str, object, object]]:
    """Yield name, value of the column, value in the entry."""
    for name in DERIVED:
        stands = getattr(row, name)
        stands = _text(stands) if isinstance(stands, bytes) else stands
        says = fields.get(name) if isinstance(fields, dict) else None
        if stands != says:
            yield name, stands, says


def _apart(one: object, other: object) -> tuple[object, object]:
    """Return both; of long texts that begin alike, what stands from a little before they differ."""
    if not isinstance(one, str) or not isinstance(other, str) or shown(one) != shown(other):
        return one, other
    alike = sum(1 for _ in takewhile(bool, map(str.__eq__, one, other)))
    start = max(0, alike - BEFORE)
    return f"…{one[start:]}", f"…{other[start:]}"


def misformed(entry: bytes) -> str | None:
    """Return what keeps the bytes from being an entry of the format (docs/format.md), or None."""
    if len(entry) > ENTRY_LIMIT:
        return f"it has {len(entry):,} bytes, wanted at most {ENTRY_LIMIT:,}"
    try:
        fields = parse(entry)
        if again(entry, fields) != entry:
            return "it is not in canonical form (RFC 8785)"
    except LedgerError as refusal:
        return str(refusal)
    if odd := sorted(fields.keys() - FIELDS):
        return f"it has the field {shown(odd[0])}"
    return next(_odd_fields(fields), None)


def again(entry: bytes, fields: Data) -> bytes:
    """Return the canonical bytes of what was parsed from the entry; raises BadValue."""
    end = entry.rfind(_AFTER_DATA)  # behind it stands a time, which looks like a float
    doubtful = not entry.isascii() and (b"\\" in entry or _PERHAPS_ODD_KEY.search(entry))
    if end < 0 or doubtful or _PERHAPS_FLOAT.search(entry, 0, end):
        return canonical(fields)
    try:
        return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError:
        return canonical(fields)


def _odd_fields(fields: Data) -> Iterator[str]:
    """Yield what is wrong with the fields that every entry has, but for its data."""
    for name, pattern in (("id", _UUID), ("stream", STREAM), ("recorded_at", _TIME)):
        if not isinstance(fields[name], str) or not pattern.fullmatch(fields[name]):
            yield f"its {name} is {shown(fields[name])}"
    for name in ("stream_version", "type_version"):
        if type(fields[name]) is not int or fields[name] < 1:
            yield f"its {name} is {shown(fields[name])}"
    for name in ("type", "recorded_by", "causation", "correlation"):
        if not isinstance(fields.get(name, ""), str):
            yield f"its {name} is {shown(fields[name])}"
    for pointer, digest in fields.get("_sd", {}).items():
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            yield f"its digest of {pointer} is {shown(digest)}"


def missing(first: int, last: int, there: Any) -> Iterator[tuple[int, int]]:
    """Yield first and last of each run of positions that are not there."""
    start = None
    for position in range(first, last + 2):
        gone = position <= last and position not in there
        if gone and start is None:
            start = position
        elif not gone and start is not None:
            yield start, position - 1
            start = None


def span(first: int, last: int) -> str:
    """Return the positions in words."""
    return f"position {first:,}" if first == last else f"positions {first:,} to {last:,}"


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
