"""Checks of sealed fields: every digest has its disclosure, was erased, or is a finding.

Takes the entries of some positions and a connection; adds findings. A disclosure that is there must
hash to a digest of its own event's entry and name that digest's pointer. One that is gone must be
named by a later PersonalDataErased of the same stream. Disclosures without fault are checked as a
whole, as pages are (`entries`); only where that fails is each looked at.
"""

from binascii import Error as NoBase64
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from itertools import repeat
from typing import Any

import orjson
import sqlalchemy as sa

from ledger.audit.entries import ERASURE, Page
from ledger.audit.findings import Findings, Rule
from ledger.entry import parse
from ledger.errors import BadEntry, shown
from ledger.kinds.sealing import digest_of
from ledger.store.audit_read import read_disclosures, read_later, read_rows, read_strays

SHOWN = 20
"""Stray disclosures that are named."""

_SEALED = b'{"_sd":{'
_FROM_URL_SAFE, _TO_URL_SAFE = bytes.maketrans(b"-_", b"+/"), bytes.maketrans(b"+/", b"-_")
_BEFORE = len(_SEALED) - 1
_NAMED = b'","%b",'
_AT_NAME = 24
"""Where that stands in a disclosure: behind a bracket, a quote and 22 characters of salt."""
_TEXT_AT_NAME = _AT_NAME // 3 * 4
"""The same in its base64."""

Digest = tuple[int, bytes]
"""A position, and a digest in the entry that is there."""
Row = tuple[int, Any, Any]
"""Position, digest and disclosure as they stand in the table."""


def check_sealed(connection: sa.Connection, page: Page, found: Findings) -> None:
    """Check the sealed fields of the page's events, and the erasures among them."""
    gone = _wanted(page)
    there = read_disclosures(connection, page.first, page.first + len(page.entries) - 1)
    pointers = [gone.pop((position, digest), None) for position, digest, _ in there]
    if there and not _all_in_order(pointers, there):
        _one_by_one(pointers, there, found)
    _check_gone(connection, page, gone, found)
    for index in page.erasures:
        entry = page.entries[index]
        if entry is not None:
            _check_erasure(connection, page.first + index, entry, found)


def check_strays(connection: sa.Connection, size: int, found: Findings) -> None:
    """Add a finding for each disclosure at a position where there is no event at all."""
    count, first = read_strays(connection, size, SHOWN)
    for stands, digest in first:
        found.add(_whole(stands), Rule.STRAY,
                  f"the disclosure {digest} at position {stands} belongs to no event")
    if count > len(first):
        found.add(None, Rule.STRAY, f"{count - len(first):,} more belong to no event")


def _wanted(page: Page) -> dict[Digest, str]:
    """Return the pointer of every sealed field."""
    sealed = [
        (position, entry)
        for position, entry in enumerate(page.entries, start=page.first)
        if entry and entry.startswith(_SEALED)
    ]
    return {
        (position, str(digest).encode()): pointer
        for (position, _), pairs in zip(sealed, _opened(sealed), strict=True)
        for pointer, digest in pairs.items()
    }


def _opened(sealed: Sequence[tuple[int, bytes]]) -> Sequence[Mapping[str, Any]]:
    """Return what stands in `_sd` of each entry: pointer to digest."""
    pieces = [entry[_BEFORE : entry.find(b"}", _BEFORE) + 1] for _, entry in sealed]
    try:
        # All at once. A piece has one closing brace, at its end: where as many mappings come out as
        # there are pieces, each is one of them.
        together: list[dict[str, Any]] = orjson.loads(b"[%b]" % b",".join(pieces))
        if len(together) == len(pieces):
            return together
    except orjson.JSONDecodeError:
        pass  # a name with a brace in it, or an entry that is damaged
    return [_opened_alone(entry, piece) for (_, entry), piece in zip(sealed, pieces, strict=True)]


def _opened_alone(entry: bytes, piece: bytes) -> Mapping[str, Any]:
    try:
        pairs: dict[str, Any] = orjson.loads(piece)
        return pairs
    except orjson.JSONDecodeError:
        return _parsed(entry)


def _parsed(entry: bytes) -> Mapping[str, str]:
    try:
        sealed: dict[str, str] = parse(entry).get("_sd", {})
        return sealed
    except BadEntry:
        return {}  # the entry itself is a finding already


def _all_in_order(pointers: Sequence[str | None], there: Sequence[Row]) -> bool:
    """Return whether each disclosure has the digest beside it, and is for the pointer.

    May say no where it is; digests and names are looked at together, with few steps for each.
    """
    _, digests, texts = zip(*there, strict=True)
    try:
        hashes = [b2a_base64(sha256(text).digest(), newline=False) for text in texts]
        # Each ends in "=", which stands nowhere else in what was computed: none can reach into
        # another.
        if b"".join(hashes).translate(_TO_URL_SAFE) != b"=".join((*digests, b"")):
            return False
        return all(map(bytes.startswith, texts, map(_named_so, pointers), repeat(_TEXT_AT_NAME)))
    except TypeError:
        return False


@lru_cache(maxsize=1_024)
def _named_so(pointer: str | None) -> tuple[bytes, ...]:
    """Return how a disclosure for that pointer goes on behind its salt; several ways, or none.

    Six bits are a character: the last one may hold a few of whatever comes next.
    """
    if pointer is None:
        return ()
    named = _NAMED % pointer.encode()
    characters = -(-8 * len(named) // 6)
    more = (b2a_base64(named + bytes((byte,)), newline=False) for byte in range(256))
    return tuple({text.translate(_TO_URL_SAFE)[:characters] for text in more})


def _names(disclosure: bytes, pointer: str) -> bool:
    """Return whether the disclosure is for that pointer: `["salt","pointer",value]`."""
    try:
        opened = a2b_base64(disclosure.translate(_FROM_URL_SAFE) + b"==")
    except NoBase64:
        return False
    if opened.startswith(_NAMED % pointer.encode(), _AT_NAME):
        return True
    try:
        _, named, _ = orjson.loads(opened)
    except (orjson.JSONDecodeError, TypeError, ValueError):
        return False
    return bool(named == pointer)


def _one_by_one(pointers: Sequence[str | None], there: Sequence[Row], found: Findings) -> None:
    """Compare what stands in the table with what entries commit to, and say what differs."""
    for pointer, (stands, digest, text) in zip(pointers, there, strict=True):
        position = _whole(stands)
        if position is None:
            found.add(None, Rule.STRAY, f"a disclosure is at position {stands}")
        elif not isinstance(digest, bytes) or not isinstance(text, bytes):
            found.add(position, Rule.ALTERED, "a disclosure is no text")
        elif pointer is None:
            found.add(position, Rule.STRAY, f"the entry has no digest {_text(digest)}")
        elif digest_of(text) != digest:
            found.add(position, Rule.ALTERED,
                      f"what stands for {pointer} is not what was recorded")
        elif not _names(text, pointer):
            found.add(position, Rule.ALTERED, f"what stands for {pointer} is for another")


def _whole(stands: Any) -> int | None:
    """Return a position as it stands in a table as a whole number; None for what is none."""
    is_number = isinstance(stands, int | float | Decimal)
    return int(stands) if is_number and stands == stands // 1 else None


def _check_gone(
    connection: sa.Connection, page: Page, gone: Mapping[Digest, str], found: Findings
) -> None:
    """Add a finding for each disclosure that is gone and that no event says was erased."""
    erased: dict[int, set[str]] = {}
    for (position, digest), pointer in gone.items():
        if position not in erased:
            erased[position] = _erased(connection, page, position)
        if _text(digest) not in erased[position]:
            found.add(position, Rule.MISSING,
                      f"{pointer} is gone, and no event says that it was erased")


def _erased(connection: sa.Connection, page: Page, position: int) -> set[str]:
    """Return the digests of the event at a position that later events say were erased."""
    entry = page.entries[position - page.first] or b""
    try:
        stream = parse(entry)["stream"]
        later = read_later(connection, stream, ERASURE.decode(), position)
    except BadEntry:
        return set()
    digests: set[str] = set()
    for _, raw in later:
        at, named = _named(raw)
        if at == position:
            digests |= named
    return digests


def _named(entry: bytes) -> tuple[int | None, set[str]]:
    """Return which event an erasure is about, and the digests that it names."""
    try:
        data = parse(entry)["data"]
        return data["position"], {d for d in data["digests"] if isinstance(d, str)}
    except (BadEntry, KeyError, TypeError):
        return None, set()


def _check_erasure(
    connection: sa.Connection, position: int, entry: bytes, found: Findings
) -> None:
    """Check that what an erasure names was sealed in that event of its stream, and is gone."""
    at, digests = _named(entry)
    if at is None or not isinstance(at, int) or not 0 < at < position:
        found.add(position, Rule.ERASURE, f"it names no earlier event: {shown(at)}")
        return
    rows = read_rows(connection, at, at)
    held = _parsed(rows[0].entry) if rows and isinstance(rows[0].entry, bytes) else {}
    if not rows or _stream(rows[0].entry) != _stream(entry):
        found.add(position, Rule.ERASURE, f"position {at:,} is no event of its stream")
    for digest in sorted(digests - {str(digest) for digest in held.values()}):
        found.add(position, Rule.ERASURE, f"position {at:,} holds no digest {shown(digest)}")
    for _, digest_there, _ in read_disclosures(connection, at, at):
        if _text(digest_there) in digests:
            found.add(at, Rule.ERASURE,
                      f"{_text(digest_there)} is there, and erased as position {position:,} says")


def _stream(entry: object) -> str | None:
    try:
        return str(parse(entry)["stream"]) if isinstance(entry, bytes) else None
    except BadEntry:
        return None


def _text(raw: object) -> str:
    return raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else str(raw)
