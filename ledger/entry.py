"""An entry's bytes, whatever the type of its event: canonical JSON, and what every entry has.

Takes values and hands on their RFC 8785 bytes, on a domain without floats; takes an entry and hands
on its fields. docs/format.md is the page about them. What a type has in `data` is for `encoding`;
whoever only checks bytes need not load the types.
"""

from typing import Any

import orjson

from ledger.errors import BadEntry, BadValue
from ledger.events import Data

FORMAT = "incident-ledger/1"
ENTRY_LIMIT = 65_535
"""Bytes of an entry at most: the entry bundles of C2SP tlog-tiles count them in 16 bits."""
SAFE_INTEGER = 2**53 - 1
ALWAYS = frozenset(
    ("id", "stream", "stream_version", "type", "type_version", "recorded_at", "recorded_by", "data")
)
"""What every entry has, beside its format."""
STRICT = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
"""How orjson writes values of the domain, refusing others."""


def canonical(value: object) -> bytes:
    """Return the RFC 8785 bytes of the value; raises BadValue outside of the format's domain.

    The domain: null, true, false, whole numbers within 2^53 - 1, text without lone surrogates,
    lists, and mappings whose keys are ASCII text. No floats, so sorting by bytes and by UTF-16
    units agree and no number has two spellings.
    """
    try:
        _check_domain(value)
    except RecursionError:
        raise BadValue("a value nested without end", "less than a few hundred levels") from None
    return dumped(value)


def dumped(value: object) -> bytes:
    """Return the same where it is known that no value is outside of the domain; raises BadValue."""
    try:
        return orjson.dumps(value, option=STRICT)
    except orjson.JSONEncodeError as refusal:
        raise outside(value, refusal) from None


def outside(value: object, refusal: Exception) -> BadValue:
    """Return what says that orjson does not write the value."""
    return BadValue(value, f"a value of the record's format ({refusal})")


def has_sealed(raw: bytes) -> bool:
    """Return whether an entry has sealed fields, without parsing it.

    Canonical JSON sorts its keys, and `_sd` comes before every other key of an entry.
    """
    return raw.startswith(b'{"_sd":')


def parse(raw: bytes) -> Data:
    """Return the entry's fields as they stand; raises BadEntry."""
    try:
        entry = orjson.loads(raw)
    except orjson.JSONDecodeError as refusal:
        raise BadEntry(str(refusal)) from None
    if not isinstance(entry, dict) or entry.get("format") != FORMAT:
        raise BadEntry(f"its format is not {FORMAT}")
    if not entry.keys() >= ALWAYS:
        missing = sorted(ALWAYS - entry.keys())
        raise BadEntry(f"it has no {', '.join(missing)}")
    if not isinstance(entry["data"], dict) or not isinstance(entry.get("_sd", {}), dict):
        raise BadEntry("its data or _sd are no mapping")
    return entry


def _check_domain(value: Any) -> None:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return
    if kind is int:
        if not -SAFE_INTEGER <= value <= SAFE_INTEGER:
            raise BadValue(value, "a whole number within 2^53 - 1")
    elif kind is dict:
        for name, inner in value.items():
            if type(name) is not str or not name.isascii():
                raise BadValue(name, "ASCII text as a key")
            _check_domain(inner)
    elif kind is list:
        for inner in value:
            _check_domain(inner)
    else:
        raise BadValue(value, "text, a whole number, true, false, null, a list or a mapping")
