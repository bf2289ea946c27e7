"""Events as people read them.

Takes the data of an event and the form of its type; hands on facts: a path of labels and a text.
Everything is read off the forms, so a new field or a new type needs nothing here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from ledger.events import Data
from ledger.kinds.common import Breakdown
from ledger.kinds.fields import (
    CountryField,
    DayField,
    Field,
    Flag,
    ListOf,
    PartyField,
    QuantityField,
    Text,
)
from ledger.kinds.form import Form, Group
from ledger.kinds.keeping import Restated
from ledger.kinds.registry import KINDS
from ledger.kinds.sealing import ERASED
from ledger.values.country import CODES, name_of

PERSONAL = "*"
"""Stands after what is personal: sealed in the entry, and erasable."""
LAST = ("provenance", "note")
"""Fields that a reader wants after all others."""
AT_MOST = 8
"""Items of a list that a summary names."""
LONGEST = 200
"""Characters of one item that a summary shows."""
NOT_STATED = "not stated"
_EMPTY: tuple[object, ...] = ([], False, "unstated")


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that an event says: where in it, and what."""

    path: tuple[str, ...]
    text: str
    brief: str = ""
    """What a summary takes instead: of a person only the name."""


def facts(form: Form, data: Data) -> Iterator[Fact]:
    """Yield what the data say, in the order in which people read it; empty fields are left out."""
    for name in reading_order(form):
        field, value = form.parts[name], data.get(name)
        if value is None or value in _EMPTY:
            continue
        path = (name.replace("_", " "),)
        if isinstance(field, Restated) and value != ERASED:
            yield from _under(path, facts(KINDS[data["type"]].form, value))
        else:
            yield from _under(path, _facts_of(field, value))


def reading_order(form: Form) -> list[str]:
    """Return the form's field names as people want them: provenance and note come last."""
    return sorted(form.parts, key=lambda name: name in LAST)


def difference(before: Sequence[Fact], after: Sequence[Fact]) -> list[str]:
    """Return a line for each fact that a correction changed, added (+) or took away (-)."""
    lines = []
    for path in dict.fromkeys(fact.path for fact in (*before, *after)):
        old = [fact.text for fact in before if fact.path == path]
        new = [fact.text for fact in after if fact.path == path]
        label = " ".join(path)
        if old == new:
            continue
        if len(old) == len(new) == 1:
            lines.append(f"{label}: {old[0]} → {new[0]}")
        else:
            lines += [f"{label}: - {text}" for text in old if text not in new]
            lines += [f"{label}: + {text}" for text in new if text not in old]
    return lines or ["changes nothing"]


def summary(form: Form, data: Data) -> str:
    """Return what the data say in one piece of running text, without the source."""
    said = [fact for fact in facts(form, data) if fact.path[0] != "provenance"]
    parts = []
    for label, group in groupby(said, key=lambda fact: fact.path[0]):
        items = [" ".join((*fact.path[1:], fact.brief or fact.text)) for fact in group]
        if items == [NOT_STATED]:
            continue
        more = f", and {len(items) - AT_MOST:,} more" if len(items) > AT_MOST else ""
        parts.append(f"{label} {', '.join(map(_cut, items[:AT_MOST]))}{more}")
    return "; ".join(parts)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def source(data: Data) -> str:
    """Return who said it and when, or nothing where an event has no source."""
    provenance = data.get("provenance")
    if provenance is None:
        return ""
    parts = [provenance["publisher"]]
    if day := provenance.get("published"):
        parts.append(_day(day))
    if speaker := provenance.get("attributed_to"):
        parts.append(f"attributed to {_marked(speaker)}")
    return ", ".join(parts)


def as_rows(said: Iterable[Fact]) -> Iterator[tuple[str, str]]:
    """Yield (label, text) for a page of two columns; deeper labels stand further in, once each."""
    above: tuple[str, ...] = ()
    for fact in said:
        *outer, last = fact.path
        for depth, label in enumerate(outer):
            if above[: depth + 1] != fact.path[: depth + 1]:
                yield "  " * depth + label, ""
        yield "" if fact.path == above else "  " * len(outer) + last, fact.text
        above = fact.path


def quantity(value: Data) -> str:
    """Return how many, in words: `123`, `at least 1`, `about 30`."""
    low, high, best = value.get("low"), value.get("high"), value.get("best")
    match value["relation"]:
        case "exact":
            words = f"{low:,}"
        case "at_least":
            words = f"at least {low:,}"
        case "at_most":
            words = f"at most {high:,}"
        case "between":
            words = f"between {low:,} and {high:,}"
        case "about":
            return _with_said(f"about {best:,}", value)
        case _:
            words = NOT_STATED
    return _with_said(words if best is None else f"{words}, best {best:,}", value)


def _under(path: tuple[str, ...], inner: Iterable[Fact]) -> Iterator[Fact]:
    return (replace(fact, path=path + fact.path) for fact in inner)


def _facts_of(field: Field, value: Any) -> Iterator[Fact]:
    """Yield the facts of one field's value, with paths that begin below the field."""
    if isinstance(field, Group) and value != ERASED:
        yield from facts(field.form, value)
    elif isinstance(field, Breakdown):
        yield from (_line(field, line) for line in value)
    elif isinstance(field, ListOf) and value != ERASED:
        if isinstance(field.inner, Group):
            yield from (_item(field.inner.form, item) for item in value)
        elif isinstance(field.inner, Text):
            yield from (Fact((), _text(field.inner, item, field.sealed)) for item in value)
        else:
            yield Fact((), ", ".join(_text(field.inner, item, field.sealed) for item in value))
    else:
        yield Fact((), _text(field, value))


def _line(breakdown: Breakdown, line: Data) -> Fact:
    """Return one line of a breakdown: its country is the label."""
    key = breakdown.key
    rest = {name: value for name, value in line.items() if name != key}
    group = breakdown.item
    assert isinstance(group, Group)
    name, words = _name(line[key]), _country(line[key])
    return Fact((name,), _item(group.form, rest).text + words.removeprefix(name))


def _text(field: Field, value: Any, sealed: bool = False) -> str:
    if value == ERASED:
        return ERASED
    words = _words(field, value)
    return _marked(words) if sealed or field.sealed else words


def _words(field: Field, value: Any) -> str:
    if isinstance(field, QuantityField):
        return quantity(value)
    if isinstance(field, DayField):
        return _day(value)
    if isinstance(field, CountryField):
        return _country(value)
    if isinstance(field, PartyField):
        return _country(value["country"]) if "country" in value else str(value["organisation"])
    if isinstance(field, Flag):
        return "yes" if value else "no"
    if isinstance(field, Text):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else str(value).replace("_", " ")


def _item(form: Form, data: Data) -> Fact:
    """Return a group in one line: its first field bare, the others labelled, in brackets."""
    said = list(facts(form, data))
    first = said[0].text if said else "nothing stated"
    labelled = "; ".join(" ".join((*fact.path, fact.text)) for fact in said[1:])
    return Fact((), f"{first} ({labelled})" if labelled else first, brief=first)


def _marked(text: str) -> str:
    return text if text == ERASED else text + PERSONAL


def _country(value: Data) -> str:
    name, said = _name(value), value["said"]
    is_plain = said in (value["code"], name) or said.casefold() == name
    return name if is_plain else f"{name} (“{said}”)"


def _name(country: Data) -> str:
    code: str = country["code"]
    return name_of(code) if code in CODES else code


def _day(value: Data) -> str:
    text: str = value["edtf"]
    start, slash, end = text.partition("/")
    if slash:
        text = _span(start, end)
    flags = value.get("flags", ())
    return f"{text} ({'; '.join(flags)})" if flags else text


def _span(start: str, end: str) -> str:
    if start in ("", ".."):
        return f"by {end}"
    return f"from {start} on" if end in ("", "..") else f"{start} to {end}"


def _with_said(words: str, value: Data) -> str:
    said = value.get("said")
    notes = list(value.get("flags", ()))
    if said and said.casefold().replace(",", "") != words.replace(",", ""):
        notes.insert(0, f"“{said}”")
    return f"{words} ({'; '.join(notes)})" if notes else words
