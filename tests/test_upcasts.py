"""Entries read back: of older shapes, of shapes not known here, and damaged ones."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import rfc8785

from ledger import encoding
from ledger.encoding import decode, normal, says_the_same, upcast
from ledger.entry import canonical, parse
from ledger.errors import BadEntry
from ledger.kinds.diplomacy import TalksHeld
from ledger.kinds.kind import Kind
from ledger.kinds.registry import KINDS
from ledger.kinds.sealing import digest, disclosed

ENTRIES = Path(__file__).parent / "histories" / "entries"
OLD_TALKS = (ENTRIES / "TalksHeld-1.json").read_bytes()
OLD_TALKS_CORRECTED = (ENTRIES / "ReportCorrected-1-of-TalksHeld-1.json").read_bytes()
GOOD: dict[str, Any] = json.loads((ENTRIES / "TalksHeld-2.json").read_bytes())


def changed(**fields: Any) -> bytes:
    """Return the bytes of a good entry with other fields."""
    return canonical(GOOD | fields)


def without(name: str) -> bytes:
    return canonical({key: value for key, value in GOOD.items() if key != name})


def test_every_golden_entry_is_read() -> None:
    """Each golden entry, also one of an older type_version, is canonical and can be decoded."""
    files = sorted(ENTRIES.glob("*.json"))
    for file in files:
        entry = file.read_bytes()
        event = decode(7, entry, {})

        assert canonical(parse(entry)) == rfc8785.dumps(json.loads(entry)) == entry
        assert file.stem.startswith(f"{event.type}-{parse(entry)['type_version']}")
        assert event.type_version == KINDS[event.type].type_version
    assert {file.stem for file in files} >= {
        f"{kind.type}-{version}"
        for kind in KINDS.values()
        for version in range(1, kind.type_version + 1)
    }


def test_talks_of_version_1() -> None:
    """Talks recorded in version 1 read as version 2: the place's text is its name, no country."""
    event = decode(1, OLD_TALKS, {})

    assert parse(OLD_TALKS)["type_version"] == 1
    assert parse(OLD_TALKS)["data"]["place"] == "Minsk, Independence Palace"
    assert event.type_version == 2
    assert event.data["place"] == {"name": "Minsk, Independence Palace"}
    older = parse(OLD_TALKS)["data"]
    assert upcast("TalksHeld", 1, older) == (2, {**older, "place": event.data["place"]})


def test_an_upcast_gives_a_normal_form() -> None:
    """Upcast data are in the normal form of the newest version, so they can be restated as is."""
    data = decode(1, OLD_TALKS, {}).data

    assert normal("TalksHeld", data) == data
    assert TalksHeld().load(data) == data


def test_talks_without_a_place() -> None:
    """Where version 1 had no place, version 2 has none."""
    data = {name: value for name, value in parse(OLD_TALKS)["data"].items() if name != "place"}

    assert upcast("TalksHeld", 1, data) == (2, data)


def test_an_upcast_leaves_the_entry_alone() -> None:
    """Upcasting changes nothing that it was given."""
    data = parse(OLD_TALKS)["data"]
    upcast("TalksHeld", 1, data)

    assert data == parse(OLD_TALKS)["data"]


def test_sealed_fields_of_an_older_version() -> None:
    """A personal field recorded in an older version is put back, and can be erased."""
    disclosure = "WyJBQUFBIiwiL3BhcnRpY2lwYW50cy8wL25hbWUiLCJBLiBOYW1lIl0"
    pointer = "/participants/0/name"
    entry = json.loads(OLD_TALKS)
    entry["_sd"][pointer] = digest(disclosure)
    event = decode(1, canonical(entry), {digest(disclosure): disclosure})

    assert event.data["participants"][0]["name"] == "A. Name"
    assert pointer not in event.erased
    erased = decode(1, canonical(entry), {})
    assert erased.data["participants"][0]["name"] == "[erased]"
    assert pointer in erased.erased
    assert says_the_same(erased, event.data)


def test_a_correction_of_old_talks() -> None:
    """A report restated in version 1 reads as the newest version of its type."""
    data = parse(OLD_TALKS_CORRECTED)["data"]
    event = decode(1, OLD_TALKS_CORRECTED, {})

    assert (data["type_version"], data["report"]["place"]) == (1, "Minsk, Independence Palace")
    assert event.type_version == 1
    assert (event.data["type"], event.data["type_version"]) == ("TalksHeld", 2)
    assert event.data["report"]["place"] == {"name": "Minsk, Independence Palace"}
    assert event.data["report"]["participants"][0]["name"] == "[erased]"


@pytest.mark.parametrize(
    ("version", "wanted"),
    [(1, ["first", 1, 2, 3]), (2, ["first", 2, 3]), (3, ["first", 3]), (4, ["first"])],
)
def test_step_by_step(
    monkeypatch: pytest.MonkeyPatch, version: int, wanted: list[object]
) -> None:
    """Data of any version pass through each later step once, in order."""

    def step(number: int) -> Any:
        return lambda data: {"steps": [*data["steps"], number]}

    kind = Kind("TalksHeld", "", "development", "talks", (TalksHeld(),) * 4,
                upcasts=(step(1), step(2), step(3)))
    monkeypatch.setattr(encoding, "KINDS", {"TalksHeld": kind})

    assert upcast("TalksHeld", version, {"steps": ["first"]}) == (4, {"steps": wanted})


def complaints_about_kinds(kinds: Mapping[str, Kind]) -> list[str]:
    """Return the kinds that have not one step from each version to the next."""
    return [kind.type for kind in kinds.values() if len(kind.upcasts) != kind.type_version - 1]


def test_every_version_has_its_step() -> None:
    """Every event type has one upcast fewer than versions, and a kind that lacks one is found."""
    lacking = Kind("New", "", "development", "talks", (TalksHeld(), TalksHeld()))

    assert complaints_about_kinds(KINDS) == []
    assert complaints_about_kinds({"New": lacking}) == ["New"]
    assert isinstance(KINDS, MappingProxyType)


OPTIONAL = ("_sd", "format", "causation", "correlation")
CORRECTED = json.loads(OLD_TALKS_CORRECTED)["data"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"type": "WarsEnded"}, "does not know the type WarsEnded"),
        (
            {"type_version": 3},
            "TalksHeld has type_version 3, this version of the ledger reads up to 2",
        ),
        ({"type_version": 0}, "type_version 0"),
        ({"type_version": -1}, "type_version -1"),
        (
            {"type": "ReportCorrected", "type_version": 1, "data": CORRECTED | {"type_version": 3}},
            "TalksHeld has type_version 3, this version of the ledger reads up to 2",
        ),
        (
            {"type": "ReportCorrected", "type_version": 1, "data": CORRECTED | {"type": "New"}},
            "does not know the type New",
        ),
    ],
)
def test_entries_from_a_newer_ledger(fields: dict[str, Any], why: str) -> None:
    """An entry of a type or version that is not known here is refused, and never guessed at."""
    with pytest.raises(BadEntry, match=f"^unreadable entry: position 1: .*{why}"):
        decode(1, changed(_sd={}, **fields), {})


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"[]", b"7", b"null", b"{}", b"\xff\xfe", OLD_TALKS[:-1], OLD_TALKS + b"}",
        changed(format="incident-ledger/2"), changed(format=None), without("format"),
    ],
)
def test_bytes_that_are_no_entry(raw: bytes) -> None:
    """Bytes that are no JSON object of this format are refused, and their position is named."""
    with pytest.raises(BadEntry, match=r"^unreadable entry: position 1: "):
        decode(1, raw, {})


@pytest.mark.parametrize(
    "raw",
    [
        *(without(name) for name in GOOD if name not in OPTIONAL),
        changed(type_version="1"), changed(type=["TalksHeld"]),
        changed(data=[]), changed(data=None), changed(_sd=[]), changed(_sd={"": "digest"}),
        changed(_sd={"/nowhere/0/name": "digest"}), changed(_sd={"/participants/7/name": "digest"}),
        changed(_sd={"/participants/x/name": "digest"}),
    ],
)
def test_damaged_entries(raw: bytes) -> None:
    """An object of this format whose fields are missing or of another kind is refused as well."""
    with pytest.raises(BadEntry, match=r"^unreadable entry: "):
        decode(1, raw, {})


@pytest.mark.parametrize(
    ("disclosure", "wanted", "value"),
    [
        ("WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0",
         "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0", ("family_name", "M\u00f6bius")),
        ("WyIyR0xDNDJzS1F2ZUNmR2ZyeU5STjl3IiwgImdpdmVuX25hbWUiLCAiSm9obiJd",
         "jsu9yVulwQQlhFlM_3JlzMaSFzglhQG0DpfayQwLUK4", ("given_name", "John")),
        ("WyI2SWo3dE0tYTVpVlBHYm9TNXRtdlZBIiwgImVtYWlsIiwgImpvaG5kb2VAZXhhbXBsZS5jb20iXQ",
         "JzYjH4svliH0R3PyEMfeZu6Jt69u5qehZo7F7EPYlSE", ("email", "johndoe@example.com")),
        ("WyJlSThaV205UW5LUHBOUGVOZW5IZGhRIiwgInBob25lX251bWJlciIsICIrMS0yMDItNTU1LTAxMDEiXQ",
         "PorFbpKuVu6xymJagvkFsFXAbRoc2JGlAUA2BA4o7cI", ("phone_number", "+1-202-555-0101")),
    ],
)
def test_published_digests(disclosure: str, wanted: str, value: tuple[str, str]) -> None:
    """The disclosures of RFC 9901 (sections 4.2.1 and 5.1) have the digests that stand there."""
    assert digest(disclosure) == wanted
    assert disclosed(disclosure) == value


def test_a_disclosure_that_is_none() -> None:
    """A stored disclosure that cannot be read is refused as part of its entry."""
    (pointer, name), *_ = GOOD["_sd"].items()
    assert pointer
    for text in ("", "not base64 %", "W10", "bm8"):
        with pytest.raises(BadEntry, match=r"^unreadable entry: "):
            decode(1, changed(), {name: text})
