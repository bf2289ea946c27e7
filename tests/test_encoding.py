"""Events to bytes and back, for every event type: golden entries, normal forms, sealing, erasure.

`histories/reports` has a report of each type with every field filled in, each sealed text marked by
the word Sealed; `histories/entries` has the bytes that such a report is recorded as. Recorded bytes
never change: a difference there means a new type_version, not a new file.
"""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.encoding import compose, decode, encode, normal, says_the_same
from ledger.entry import canonical, parse
from ledger.errors import BadReport, EntryTooLarge
from ledger.events import NewEvent
from ledger.kinds import fields
from ledger.kinds.common import SLUG, Breakdown, Provenance, StreamField
from ledger.kinds.fields import DIGEST, Field
from ledger.kinds.form import Form, Group
from ledger.kinds.kind import Kind
from ledger.kinds.registry import KINDS
from ledger.kinds.sanctions import Target

HISTORIES = Path(__file__).parent / "histories"
ID = "019b17f0-0000-7000-8000-000000000001"
RECORDED_AT = "2025-12-14T08:00:00.000001Z"

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def report_of(kind: Kind) -> Any:
    """Return the report of that type that has every field, as an analyst may write it."""
    return json.loads((HISTORIES / "reports" / f"{kind.type}.json").read_bytes())


def composed(kind: Kind, data: Any) -> NewEvent:
    """Return the event with a stream, an id and salts that are the same at each call."""
    salts = (hashlib.sha256(bytes([number])).digest()[:16] for number in count())
    category = "development" if kind.category == "any" else kind.category
    return compose(
        kind.type, f"{category}/by-2025-12-13", data, id=ID, salts=lambda: next(salts),
        causation=ID.replace("1", "2"), correlation="import-7",
    )


def encoded(kind: Kind, data: Any) -> tuple[bytes, dict[str, str]]:
    return encode(composed(kind, data), 3, RECORDED_AT, "anna")


def same(one: Any, other: Any) -> bool:
    """Return whether both are one value, also where Python has 1 == 1.0 == True."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def inside(value: Any) -> Iterator[Any]:
    """Yield the value and everything in it."""
    yield value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from inside(inner)


def sealed_pointers(form: Form, data: Any, pointer: str = "") -> Iterator[str]:
    """Yield the JSON pointer of each personal field in the data, as the schema marks it."""
    for name, field in form.parts.items():
        inner = field.inner if isinstance(field, fields.ListOf) else field
        if name not in data:
            continue
        if field.sealed:
            yield f"{pointer}/{name}"
        elif isinstance(inner, Group):
            many = isinstance(data[name], list)
            for index, item in enumerate(data[name] if many else [data[name]]):
                place = f"{pointer}/{name}/{index}" if many else f"{pointer}/{name}"
                yield from sealed_pointers(inner.form, item, place)


def all_sealed(kind: Kind, data: Any) -> set[str]:
    """Return the pointers of an event's personal fields, those of a restated report included."""
    pointers = {*sealed_pointers(kind.form, data)}
    if kind.type == "ReportCorrected":
        pointers |= {*sealed_pointers(KINDS[data["type"]].form, data["report"], "/report")}
    return pointers


def found(data: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        data = data[int(step)] if isinstance(data, list) else data[step]
    return data


@every_kind
def test_golden_entry(kind: Kind) -> None:
    """A report of each type is recorded as the very bytes that it always was."""
    file = HISTORIES / "entries" / f"{kind.type}-{kind.type_version}.json"
    entry, _ = encoded(kind, report_of(kind))

    assert file.exists(), f"{file.name} should hold {entry!r}"
    assert entry == file.read_bytes()


@every_kind
def test_the_report_is_full(kind: Kind) -> None:
    """The report of each type has every field of its form, so no field's bytes go unseen."""
    data = report_of(kind)
    listed = {name for part in inside(data) if isinstance(part, dict) for name in part}
    either = {"name", "person"} if "target" in data else set()  # named_by_kind wants one of them

    assert data.keys() == kind.form.parts.keys()
    assert set(names_in(kind.form)) - listed <= either


def names_in(form: Form) -> Iterator[str]:
    for name, field in form.parts.items():
        yield name
        inner = field.lines.inner if isinstance(field, Breakdown) else field
        inner = inner.inner if isinstance(inner, fields.ListOf) else inner
        if isinstance(inner, Group) and not isinstance(field, Breakdown):
            yield from names_in(inner.form)


@every_kind
def test_round_trip(kind: Kind) -> None:
    """What is recorded reads back as the normal form of what was written, with all around it."""
    wanted = normal(kind.type, report_of(kind))
    entry, disclosures = encoded(kind, report_of(kind))
    event = decode(7, entry, disclosures)

    assert same(event.data, wanted)
    around = (event.position, event.id, event.stream_version, event.type, event.type_version)
    assert around == (7, ID, 3, kind.type, kind.type_version)
    assert (event.recorded_at, event.recorded_by) == (RECORDED_AT, "anna")
    assert (event.causation, event.correlation) == (ID.replace("1", "2"), "import-7")
    assert event.erased == ()
    assert says_the_same(event, wanted)


# Sealing and erasing.


@every_kind
def test_sealed_values_are_nowhere_in_the_entry(kind: Kind) -> None:
    """Every personal field is in the entry as the digest of a salted text, and as nothing else."""
    whole = normal(kind.type, report_of(kind))
    entry, disclosures = encoded(kind, report_of(kind))
    pointers = all_sealed(kind, whole)
    salts = set()

    assert parse(entry).get("_sd", {}).keys() == pointers
    assert b"Sealed" not in entry
    assert (b"Sealed" in canonical(whole)) == bool(pointers)
    for pointer, name in parse(entry).get("_sd", {}).items():
        raw = hashlib.sha256(disclosures[name].encode()).digest()
        assert urlsafe_b64encode(raw).decode() == f"{name}="
        text = urlsafe_b64decode(disclosures[name] + "=" * (-len(disclosures[name]) % 4))
        salt, *rest = json.loads(text)
        assert same(rest, [pointer, found(whole, pointer)])
        assert len(urlsafe_b64decode(f"{salt}==")) == 16
        salts.add(salt)
        for value in inside(found(whole, pointer)):
            assert not isinstance(value, str) or json.dumps(value).encode() not in entry
    assert len(salts) == len(pointers) == len(disclosures)


@every_kind
def test_erasing(kind: Kind) -> None:
    """An erased field reads [erased], the others stay, and the same report still says the same."""
    whole = normal(kind.type, report_of(kind))
    entry, disclosures = encoded(kind, report_of(kind))
    by_pointer = parse(entry).get("_sd", {})
    for gone in [{pointer} for pointer in by_pointer] + [set(by_pointer)]:
        left = {by_pointer[p]: disclosures[by_pointer[p]] for p in by_pointer.keys() - gone}
        event = decode(7, entry, left)

        assert set(event.erased) == gone
        for pointer in by_pointer:
            value = "[erased]" if pointer in gone else found(whole, pointer)
            assert found(event.data, pointer) == value
        assert says_the_same(event, whole)
        for name in whole:
            other = deepcopy(whole)
            del other[name]
            assert not says_the_same(event, other)
        for pointer in by_pointer.keys() - gone:
            *path, last = pointer.split("/")
            other = deepcopy(whole)
            found(other, "/".join(path))[last] = "another"
            assert not says_the_same(event, other)


# The limits of the format.


def test_the_limit() -> None:
    """An entry may have 65,535 bytes and not one more, however many characters they are."""

    def sized(letters: int, umlauts: int = 0) -> bytes:
        text = "x" * letters + "\u00e4" * umlauts
        event = NewEvent(ID, "development/a", "StatementMade", 1, {"text": text})
        return encode(event, 1, RECORDED_AT, "anna")[0]

    spare = 65_535 - len(sized(0))
    assert len(sized(spare)) == len(sized(spare - 2, 1)) == 65_535
    for letters, umlauts in ((spare + 1, 0), (spare - 1, 1)):
        with pytest.raises(EntryTooLarge) as refusal:
            sized(letters, umlauts)
        assert (refusal.value.size, refusal.value.limit) == (65_536, 65_535)
        assert "65,536 bytes" in str(refusal.value)


# Normal forms.

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9).map(
    lambda text: f"{text}." if not text.strip() else text
)
COUNTRIES = ("Belarus", "U.S.", "BY", "Britain", "T\u00fcrkiye", " Poland ", "stateless", "unknown")
DAYS = ("2025-12-13", "2025-12", "2025", "../2025-12-13", "2025-12~", "0025-11-03", "202X",
        "2025-11-20/2025-11-22", "2025-12-13T09:30:00Z", "2025-23", 2025)
COUNTS = (0, 7, 2**53 - 1, "at least 5", " about 30 ", "some", "Between 3 and 9", "over 430",
          "1,200", "at most 5", "unstated", "not stated", {"low": 1}, {"high": 9}, {"best": 3},
          {"low": 2, "high": 2}, {"low": 1, "high": 9, "best": 30}, {"high": 9, "best": 5},
          {"high": 0, "best": 5}, {"low": 4, "best": 7}, {"said": " many "},
          {"relation": "unstated"}, {"relation": "about", "low": 0, "best": 0},
          {"relation": "at_least", "low": 3, "best": 7, "said": "x"})
PATTERNS = {DIGEST: "ab" * 32, SLUG: "reuters-1"}
Written = st.SearchStrategy[Any]

COUNTRY = st.sampled_from(COUNTRIES) | TEXT.map(lambda said: {"code": "BY", "said": said})
PARTY = st.one_of(
    st.sampled_from(COUNTRIES),
    COUNTRY.map(lambda country: {"country": country}),
    TEXT.map(lambda name: {"organisation": f"{name} & Co"}),  # no country is called so
)
MAKERS: Mapping[type[Field], Callable[[Any], Written]] = {
    fields.Text: lambda field: TEXT,
    fields.Pattern: lambda field: st.just(PATTERNS[field.pattern]),
    StreamField: lambda field: st.sampled_from(["by-talks", f"{field.category}/by-talks"]),
    fields.Choice: lambda field: st.sampled_from(field.words).map(lambda w: w.replace("_", " ")),
    fields.Whole: lambda field: st.integers(field.least, 2**53 - 1),
    fields.Flag: lambda field: st.booleans(),
    fields.DayField: lambda field: st.sampled_from(DAYS) | st.dates().map(str),
    fields.CountryField: lambda field: COUNTRY,
    fields.Citizenship: lambda field: COUNTRY | st.just("Foreign"),
    fields.PartyField: lambda field: PARTY,
    fields.QuantityField: lambda field: st.sampled_from(COUNTS),
    fields.ListOf: lambda field: st.lists(written(field.inner), min_size=field.least, max_size=2)
    | written(field.inner),
    Breakdown: lambda field: st.lists(written(field.lines.inner), max_size=1)
    | st.just({"Poland": None, "Ukraine": 5, "U.S.": "about 30"}),
    Group: lambda field: written_form(field.form),
}


def written(field: Field) -> Written:
    """Generate what somebody may write into a field."""
    return MAKERS[type(field)](field)


def written_form(form: Form) -> Written:
    """Generate what somebody may write into a form; now and then a field is left blank."""
    parts = {name: written(field) for name, field in form.parts.items()}
    always = {name for name, field in form.parts.items() if field.required}
    if isinstance(form, Provenance):
        always |= {"locator"}
    if isinstance(form, Target):
        parts |= {"kind": st.sampled_from(["state", "vessel"]), "person": st.nothing()}
        always |= {"name"}
    if "since" in parts:
        parts["measure"] = st.just("cumulative")
    optional = {name: st.none() | part for name, part in parts.items() if name not in always}
    return st.fixed_dictionaries({name: parts[name] for name in sorted(always)}, optional=optional)


def written_report(kind: Kind) -> Written:
    """Generate what somebody may write as a report of that type."""
    if kind.type != "ReportCorrected":
        return written_form(kind.form)
    inner = KINDS["PrisonersReleased"]
    return written_form(inner.form).map(
        lambda report: {"position": 3, "reason": "why", "type": inner.type, "type_version": 1,
                        "report": report}
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((fields.QuantityField("how many"), value) for value in COUNTS),
        *((fields.Citizenship("of which country"), value) for value in (*COUNTRIES, "Foreign")),
        *((fields.DayField("when"), value) for value in DAYS),
    ],
)
def test_ways_of_writing(field: Field, value: Any) -> None:
    """However a value is written, its normal form is final, and its low is not above its high."""
    once = field.read(value)

    assert same(field.read(once), once)
    assert once.get("low", 0) <= once.get("high", 2**53)
    assert once.get("said", "x").strip() == once.get("said", "x")


@every_kind
@settings(max_examples=30)
@given(data=st.data())
def test_normal_form(kind: Kind, data: st.DataObject) -> None:
    """The normal form is its own normal form, holds no float, and is what is recorded."""
    once = normal(kind.type, data.draw(written_report(kind)))
    entry, disclosures = encoded(kind, once)

    assert same(normal(kind.type, once), once)
    assert not [value for value in inside(once) if isinstance(value, float)]
    assert same(decode(1, entry, disclosures).data, once)
    assert canonical(parse(entry)) == entry


JUNK: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 1.0, 5.0, 0.5, 2**53, float("nan"), [], {}, [1], ["x"], {"x": 1},
    "", " ", " x", "x\n", "1", "foreign", "x" * 2_001, "\u2028", "\ud800", "\x85", {"code": "BY"},
    {"edtf": "2025-12-13"}, {"relation": "exact"}, {"country": {"code": "BY", "said": "x "}},
)
NAMES = ("best", "said", "flags", "person", "name", "since", "x", "high")


def spoiled(data: Any) -> Iterator[Any]:
    """Yield the data with each value in turn replaced, retyped, dropped, doubled or added."""
    place: Any
    for place in [part for part in inside(data) if isinstance(part, dict | list)]:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        for key in keys:
            kept = place[key]
            retyped = (float(kept), bool(kept), -kept) if type(kept) is int else ()
            for place[key] in (*JUNK, *retyped, str(kept), [kept, kept]):
                yield data
            if isinstance(place, dict):
                del place[key]
                yield data
            place[key] = kept
        for name in set(NAMES) - {*keys} if isinstance(place, dict) else ():
            for place[name] in (1, 0.5, "x", [], {"relation": "unstated"}):
                yield data
            del place[name]


def inside_field(field: Field, value: Any) -> Iterator[tuple[Field, Any]]:
    """Yield the field with its value, and every field inside it with its own."""
    yield field, value
    match field:
        case Group():
            for name in value.keys() & field.form.parts.keys():
                yield from inside_field(field.form.parts[name], value[name])
        case fields.ListOf():
            for item in value:
                yield from inside_field(field.inner, item)
        case Breakdown():
            yield from inside_field(field.lines, value)


@every_kind
def test_the_quick_test_never_disagrees(kind: Kind) -> None:
    """What a field's or form's quick test takes for normal is loaded, and loaded unchanged."""
    whole = Group("a report", kind.form)
    seen = set()
    for field, value in list(inside_field(whole, normal(kind.type, report_of(kind)))):
        for almost in spoiled([value]):
            if seen_as := field.is_normal(almost[0]):
                assert same(field.deserialize(almost[0]), almost[0])
            seen.add(seen_as)
    assert seen == {True, False}


@every_kind
def test_what_can_be_recorded(kind: Kind) -> None:
    """Whatever is wrong with a report, it is refused in words or recorded inside of the format."""
    outcomes = set()
    for almost in spoiled(normal(kind.type, report_of(kind))):
        try:
            entry, _ = encoded(kind, almost)
        except BadReport as refusal:
            outcomes.add("refused" if refusal.complaints else "without a word")
        else:
            outcomes.add("recorded" if canonical(parse(entry)) == entry else "outside")
    assert outcomes == {"refused", "recorded"}
