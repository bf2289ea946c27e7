"""Personal fields: sealed out of an event's data, and put back.

Takes data in normal form and where its personal fields are; hands on what stands in the entry, and
one disclosure for each field that does not.
"""

import hashlib
from base64 import urlsafe_b64decode
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import orjson

from ledger.events import Data

Sealed = dict[str, "Sealed | None"]
"""Where personal fields are: by name None, or where they are inside of a group or a list."""

ERASED = "[erased]"
"""What stands in place of a personal field whose salt and value are gone."""

Salts = Callable[[], bytes]
"""Hands out 16 fresh random bytes for each sealed field."""

_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def seal(data: Data, personal: Sealed, salts: Salts) -> tuple[Data, dict[str, str]]:
    """Return the data without their personal fields, and pointer to disclosure for each of them.

    A disclosure is the SD-JWT form (RFC 9901, section 4.2): base64url of the JSON array
    [salt, name, value]; the name is the field's JSON pointer (RFC 6901) into the data.
    """
    disclosures: dict[str, str] = {}
    return _sealed(data, personal, "", disclosures, salts), disclosures


def disclosed(disclosure: str) -> tuple[str, Any]:
    """Return the pointer and the value in a disclosure: the inverse of what `seal` makes."""
    padded = disclosure + "=" * (-len(disclosure) % 4)
    _, pointer, value = orjson.loads(urlsafe_b64decode(padded))
    return pointer, value


def unsealed(data: Data, values: Mapping[str, Any]) -> Data:
    """Return the data with the values put at their pointers; the data itself is left alone."""
    whole = deepcopy(data)
    for pointer, value in values.items():
        *path, last = pointer.split("/")[1:]
        _place(whole, path)[last] = value
    return whole


def digest(disclosure: str) -> str:
    """Return the digest that stands in the entry (RFC 9901, section 4.2.3)."""
    return digest_of(disclosure.encode()).decode()


def digest_of(disclosure: bytes) -> bytes:
    """Return the same of text that is still bytes."""
    return _base64url_of(hashlib.sha256(disclosure).digest())


def unseal(
    data: Data, sealed: Mapping[str, str], disclosures: Mapping[str, str]
) -> tuple[str, ...]:
    """Put every sealed field back into the data; return the pointers whose value is gone."""
    erased = []
    for pointer, name in sealed.items():
        value: Any = ERASED
        if name in disclosures:
            _, value = disclosed(disclosures[name])
        else:
            erased.append(pointer)
        *path, last = pointer.split("/")[1:]
        _place(data, path)[last] = value
    return tuple(erased)


def with_erased(data: Any, path: list[str]) -> Any:
    """Return the data with the value at the path erased, where there is one."""
    step, rest = path[0], path[1:]
    if isinstance(data, list):
        index = int(step)
        if index >= len(data):
            return data
        return [with_erased(x, rest) if i == index else x for i, x in enumerate(data)]
    if not isinstance(data, dict) or step not in data:
        return data
    return {**data, step: with_erased(data[step], rest) if rest else ERASED}


def _sealed(
    data: Data, personal: Sealed, pointer: str, disclosures: dict[str, str], salts: Salts
) -> Data:
    """Return the data themselves where nothing in them is sealed, or a copy without what is."""
    public = data
    for name, inner in personal.items():
        value = data.get(name)
        if value is None:
            continue
        if inner is None:
            here = f"{pointer}/{name}"
            disclosures[here] = _disclosure(here, value, salts())
        elif not value or (type(value) is dict and inner.keys().isdisjoint(value)):
            continue
        elif type(value) is list:
            value = [
                _sealed(item, inner, f"{pointer}/{name}/{index}", disclosures, salts)
                for index, item in enumerate(value)
            ]
        else:
            value = _sealed(value, inner, f"{pointer}/{name}", disclosures, salts)
        if public is data:
            public = data.copy()
        if inner is None:
            del public[name]
        else:
            public[name] = value
    return public


def _disclosure(pointer: str, value: Any, salt: bytes) -> str:
    return _base64url(orjson.dumps([_base64url(salt), pointer, value]))


def _base64url(raw: bytes) -> str:
    return _base64url_of(raw).decode()


def _base64url_of(raw: bytes) -> bytes:
    return b2a_base64(raw, newline=False).translate(_URL_SAFE, b"=")


def _place(data: Any, path: list[str]) -> Any:
    for step in path:
        data = data[int(step)] if isinstance(data, list) else data[step]
    return data
