"""The bytes of an entry against the published vectors of RFC 8785 and a second implementation.

Inside of the format's domain (no floats, ASCII keys, whole numbers within 2^53 - 1) the bytes are
those of RFC 8785; outside of it nothing is written. Which vectors lie outside, and why, is a table.
"""

import enum
import json
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger.entry import canonical
from ledger.errors import BadValue

VECTORS = Path(__file__).parent / "vectors" / "jcs"

INSIDE = ("arrays", "unicode")
OUTSIDE = {
    "french": [r"the key 'p\xe9ch\xe9'", r"the key 'p\xeache'"],
    "structures": ["the float 56.0"],
    "values": [
        "the float 333333333.3333333",
        "the float 1e+30",
        "the float 4.5",
        "the float 0.002",
        "the float 1e-27",
    ],
    "weird": [
        r"the key '\u20ac'",
        r"the key '\x80'",
        r"the key '\U0001f602'",
        r"the key '\xf6'",
        r"the key '\ufb33'",
    ],
}
LARGEST = 2**53 - 1


def given_to(name: str) -> Any:
    return json.loads((VECTORS / "input" / f"{name}.json").read_bytes())


def wanted_of(name: str) -> bytes:
    return (VECTORS / "output" / f"{name}.json").read_bytes()


def reasons_outside(value: Any) -> list[str]:
    """Everything in the value that the format has no place for, in the order of the value."""
    match value:
        case float():
            return [f"the float {value!r}"]
        case list():
            return [reason for inner in value for reason in reasons_outside(inner)]
        case dict():
            return [
                reason
                for name, inner in value.items()
                for reason in ([] if name.isascii() else [f"the key {name!a}"])
                + reasons_outside(inner)
            ]
    return []


def test_every_vector_is_placed() -> None:
    """Every published vector is either inside of the domain or listed as outside of it."""
    published = {path.stem for path in (VECTORS / "input").glob("*.json")}

    assert published == {*INSIDE, *OUTSIDE}
    assert len(published) == 6


@pytest.mark.parametrize("name", INSIDE)
def test_vector_inside(name: str) -> None:
    """A vector inside of the domain is written in the bytes published for it."""
    assert reasons_outside(given_to(name)) == []
    assert canonical(given_to(name)) == wanted_of(name)


@pytest.mark.parametrize("name", OUTSIDE)
def test_vector_outside(name: str) -> None:
    """A vector outside of the domain is refused, for the reasons listed."""
    assert reasons_outside(given_to(name)) == OUTSIDE[name]
    with pytest.raises(BadValue):
        canonical(given_to(name))


def test_structures_without_its_float() -> None:
    """The vector that only has 56.0 too much is written as published once it says 56."""
    text = (VECTORS / "input" / "structures.json").read_text("utf-8")

    assert canonical(json.loads(text, parse_float=lambda _: 56)) == wanted_of("structures")


def test_values_without_its_floats() -> None:
    """The strings and literals of the vector with numbers are written as published beside them."""
    value = given_to("values")
    del value["numbers"]
    before, after = wanted_of("values").split(b'"numbers":')

    assert canonical(value) == before + after.partition(b"],")[2]


@pytest.mark.parametrize("name", ["french", "weird"])
def test_keys_of_a_vector_as_text(name: str) -> None:
    """The keys and texts of the vectors with other keys are written, as text, as published."""
    for key, value in given_to(name).items():
        assert canonical(key) + b":" + canonical(value) in wanted_of(name)


@pytest.mark.parametrize("code", [*range(0x20), 0x22, 0x2F, 0x5C, 0x7F, 0x80, 0x2028, 0x2029])
def test_escapes(code: int) -> None:
    """Only C0 controls, the quote and the backslash are escaped, in the shortest lower-case way."""
    short = {8: r"\b", 9: r"\t", 10: r"\n", 12: r"\f", 13: r"\r", 0x22: r"\"", 0x5C: r"\\"}
    escaped = short.get(code, f"\\u{code:04x}" if code < 0x20 else chr(code))
    text = f"a{chr(code)}b"

    assert canonical(text) == f'"a{escaped}b"'.encode() == rfc8785.dumps(text)


def test_every_character() -> None:
    """Each character of Unicode alone is written as the second implementation writes it."""
    everything = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    assert len(everything) == 0x110000 - 0x800

    for start in range(0, len(everything), 0x1000):
        text = "".join(everything[start : start + 0x1000])
        assert canonical(text) == rfc8785.dumps(text)


def test_every_ascii_key_in_order() -> None:
    """Keys of one and two ASCII characters are sorted and escaped as the second one does it."""
    ascii_ = [chr(code) for code in range(0x80)]
    value = {key: 0 for one in reversed(ascii_) for key in (one + "b", one, "b" + one)} | {"": 1}

    assert len(value) == 3 * 0x80
    assert canonical(value) == rfc8785.dumps(value)


HARD = "\x00\b\t\n\f\r\x1f \"'/\\\x7f\x80é€\u2028\u2029\ufb33\ufeff\uffff\U0001f602\U0010ffff"
TEXT = st.text(st.sampled_from(HARD) | st.characters(exclude_categories=["Cs"]))
KEYS = st.text(st.characters(max_codepoint=0x7F))
WHOLE = st.integers(-LARGEST, LARGEST) | st.sampled_from([LARGEST, -LARGEST, 2**31, 2**32, -1, 0])
DOMAIN = st.recursive(
    st.none() | st.booleans() | WHOLE | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
    max_leaves=30,
)


@given(DOMAIN)
def test_any_value_inside(value: Any) -> None:
    """Any value of the domain has the bytes of the second implementation, and reads back equal."""
    raw = canonical(value)

    assert raw == rfc8785.dumps(value)
    assert json.loads(raw) == value


@given(st.dictionaries(KEYS, TEXT))
def test_order_of_keys_never_matters(value: dict[str, str]) -> None:
    """A mapping has one spelling, in whichever order its keys were put in."""
    for names in (reversed(value), sorted(value), sorted(value, reverse=True)):
        assert canonical({name: value[name] for name in names}) == canonical(value)


class Colour(enum.Enum):
    RED = 1


class Size(enum.StrEnum):
    SMALL = "small"


class Rank(enum.IntEnum):
    FIRST = 1


@dataclass
class Pair:
    left: int = 1


REFUSED: dict[str, object] = {
    "float": 1.5,
    "whole float": 56.0,
    "negative zero": -0.0,
    "not a number": float("nan"),
    "infinity": float("inf"),
    "2^53": LARGEST + 1,
    "-2^53": -LARGEST - 1,
    "2^64": 2**64,
    "-2^63-1": -(2**63) - 1,
    "10^400": 10**400,
    "high surrogate": "\ud83d",
    "low surrogate": "a\ude02b",
    "surrogates the wrong way round": "\ude02\ud83d",
    "surrogate pair as two": "\ud83d\ude02",
    "non-ASCII key": {"péché": 1},
    "key U+0080": {"\x80": 1},
    "surrogate key": {"\ud83d": 1},
    "whole-number key": {1: "one"},
    "boolean key": {True: 1},
    "null key": {None: 1},
    "byte key": {b"a": 1},
    "day as a key": {date(2025, 12, 13): 1},
    "tuple": (1, 2),
    "set": {1},
    "frozenset": frozenset({1}),
    "bytes": b"a",
    "bytearray": bytearray(b"a"),
    "memoryview": memoryview(b"a"),
    "range": range(2),
    "generator": (one for one in [1]),
    "day": date(2025, 12, 13),
    "time of a day": datetime(2025, 12, 13, tzinfo=UTC),
    "UUID": UUID(int=1),
    "Decimal": Decimal(1),
    "Fraction": Fraction(1),
    "complex": 1j,
    "enumeration": Colour.RED,
    "text enumeration": Size.SMALL,
    "number enumeration": Rank.FIRST,
    "text enumeration as a key": {Size.SMALL: 1},
    "dataclass": Pair(),
    "mapping of another class": OrderedDict(a=1),
    "class": int,
    "object": object(),
    "ellipsis": ...,
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
def test_value_outside(value: object) -> None:
    """A value outside of the domain is refused, alone and deep inside of others."""
    for whole in (value, [value], {"a": value}, {"a": [None, {"b": ["c", value]}]}):
        with pytest.raises(BadValue) as refusal:
            canonical(whole)
        assert str(refusal.value).isprintable()


@given(st.integers().filter(lambda number: abs(number) > LARGEST) | st.floats())
def test_any_number_outside(number: float) -> None:
    """No float and no whole number beyond 2^53 - 1 is ever written."""
    with pytest.raises(BadValue):
        canonical({"number": number})


def test_too_deep() -> None:
    """A value nested deeper than can be written is refused like any other."""
    lists: object = 1
    mappings: object = 1
    for _ in range(300):
        lists, mappings = [lists], {"a": mappings}

    for value in (lists, mappings):
        with pytest.raises(BadValue):
            canonical(value)
