"""Fields that several event types share: provenance, stage, persons, breakdowns."""

import re
from collections.abc import Mapping
from itertools import chain
from typing import Any

from marshmallow import ValidationError

from ledger.errors import BadValue
from ledger.kinds.fields import (
    DIGEST,
    Choice,
    Citizenship,
    CountryField,
    DayField,
    Field,
    Flag,
    ListOf,
    PartyField,
    Pattern,
    QuantityField,
    Text,
)
from ledger.kinds.form import Form, Group
from ledger.kinds.quick import Lines, Use, unless

STAGES = ("proposed", "promised", "agreed", "ordered", "done", "refused", "reversed")
"""How real a development is; a promise is not a deed."""
CATEGORIES = ("political", "prisoner_of_war", "hostage", "civilian", "unstated")
STREAM_REST = r"(?:/[a-z0-9][a-z0-9._-]*)+"
"""What follows the category in a stream's name."""
LOCATORS = frozenset(("url", "document_sha256", "locator"))
SLUG = re.compile(r"[a-z0-9][a-z0-9._-]*")
PAIR_WANTED = "citizenships and their numbers, as {Poland: at least 1, Ukraine: 5}"


class StreamField(Pattern):
    """A stream of one category; its short name is enough."""

    def __init__(self, help: str, category: str, **kwargs: Any) -> None:
        super().__init__(help, re.compile(rf"{category}{STREAM_REST}"), **kwargs)
        self.category = category

    def read(self, value: Any) -> str:
        if isinstance(value, str) and not value.startswith(f"{self.category}/"):
            value = f"{self.category}/{value}"
        return super().read(value)


class Grade(Form):
    """The two Admiralty axes, each judged alone; F and 6 mean: cannot be judged."""

    source = Choice("the source's reliability, A to F", "ABCDEF", example="B")
    information = Choice("the information's credibility, 1 to 6", "123456", example="2")


def one_of_url_document_locator(data: Mapping[str, Any]) -> None:
    """A report must be findable again: by url, by document or by a locator."""
    if LOCATORS.isdisjoint(data):
        raise BadValue(
            "no url, document_sha256 or locator", "at least one, so that others can look it up"
        )


class Provenance(Form):
    """Who published it, where it can be found again, who said so."""

    rules = (one_of_url_document_locator,)

    publisher = Text("the organisation that published it", limit=200, required=True,
                     example="Example Times")
    url = Text("where it can be read", example="https://example.org/article")
    document_sha256 = Pattern("SHA-256 of the document, 64 hexadecimal digits", DIGEST)
    locator = Text("where else it can be found again (archive, page)", limit=500)
    published = DayField("the day of publication", example="2025-12-13")
    retrieved = DayField("the day on which it was read", example="2025-12-14")
    attributed_to = Text("who says so, where the publisher quotes somebody", sealed=True,
                         limit=200, example="press service of the president")
    origin = Pattern("a short name that copies of one text share, to tell them from sources",
                     SLUG, example="other-wire-2025-12-13")
    grade = Group("the Admiralty grade of source and information", Grade())


def provenance() -> Group:
    """Return the field that every report must have."""
    return Group("who published it and where it can be found", Provenance(), required=True)


def stage(default: str | None) -> Choice:
    """Return the stage field; without a safe default it must be stated."""
    if default is None:
        return Choice("how real it is", STAGES, required=True, example="agreed")
    return Choice("how real it is", STAGES, load_default=default, example=default)


def note() -> Text:
    """Return the field for free text; sealed, because people are named in free text."""
    return Text("anything else worth keeping; can be erased", sealed=True, example="")


class Report(Form):
    """What every report of a development has."""

    when = DayField("the day it happened, as 2025-12-13, 2025-12 or 2025-11-20/2025-11-22",
                    required=True, example="2025-12-13")
    provenance = provenance()
    note = note()


class Person(Form):
    """A person named in a report; the name is sealed."""

    name = Text("the person's name", sealed=True, limit=200, example="A. Name")
    person = StreamField("the person's stream, as p-7f3k (no name in it)", "person")
    citizenships = ListOf("the citizenships stated, one or several", CountryField("a citizenship"),
                          load_default=list, most=10, example="[Belarus]")
    note = Text("free text about the person", sealed=True)


class Participant(Form):
    """Somebody who took part in talks."""

    name = Text("the participant's name", sealed=True, limit=200, example="J. Name")
    role = Text("the office or role", limit=200, example="special envoy")
    on_behalf_of = PartyField("the state or organisation spoken for", example="United States")


class Share(Form):
    """One line of a breakdown."""

    citizenship = Citizenship("a citizenship, or foreign", required=True)
    count = QuantityField("how many", load_default=lambda: {"relation": "at_least", "low": 1})
    destination = CountryField("the country they were brought to")


class Arrivals(Form):
    """How many were brought to one country."""

    destination = CountryField("the country they were brought to", required=True)
    count = QuantityField("how many", load_default=lambda: {"relation": "at_least", "low": 1})


class Breakdown(Field):
    """Numbers per country: a mapping `{Poland: at least 1}` or a list of lines."""

    def __init__(self, help: str, line: Form, key: str, **kwargs: Any) -> None:
        super().__init__(help, **kwargs)
        self.key = key
        self.lines = ListOf(help, Group(help, line), most=400)

    @property
    def item(self) -> Field:
        return self.lines.inner

    def read(self, value: Any) -> list[Any]:
        if isinstance(value, Mapping):
            lines = self._read_mapping(value)
        elif isinstance(value, list):
            lines = self.lines.read(value)
        else:
            raise BadValue(value, PAIR_WANTED)
        self._refuse_twice(lines)
        return lines

    def _read_mapping(self, value: Mapping[Any, Any]) -> list[Any]:
        """Return the lines of a mapping; what is refused is named by the key that was written."""
        lines = [{self.key: name, "count": count} for name, count in value.items()]
        try:
            return self.lines.read(lines)
        except ValidationError as refusal:
            names: dict[Any, str] = dict(enumerate(map(str, value)))
            raise ValidationError({
                names[index]: list(chain(*inner.values()))
                for index, inner in refusal.messages_dict.items()
            }) from None

    def quick(self, it: str, use: Use) -> Lines:
        yield f"{it}codes = set()"
        yield from self.lines.quick(it, use)
        yield f"    {it}codes.add({it}_[{self.key!r}]['code'])"  # the last line of its loop
        places = f"len(set({use(self._places)}({it})))"
        yield unless(f"len({it}codes) == len({it}) or {places} == len({it})")

    def _places(self, lines: list[Any]) -> list[tuple[str, str]]:
        """Return of each line what a breakdown may have one number for."""
        key = self.key
        return [
            (line[key]["code"], line["destination"]["code"] if "destination" in line else "")
            for line in lines
        ]

    def _refuse_twice(self, lines: list[Any]) -> None:
        places = self._places(lines)
        for index, place in enumerate(places):
            if place in places[:index]:
                why = f"{place[0]} stands there twice, wanted one number for each"
                raise ValidationError(why)


def by_citizenship() -> Breakdown:
    """Return the breakdown by citizenship; a country without a number means "at least 1"."""
    return Breakdown(
        "how many per citizenship, as {Poland: at least 1, Ukraine: 5}",
        Share(), "citizenship", load_default=list, example="{Poland: at least 1}",
    )


def exhaustive() -> Flag:
    """Return the field that says whether a breakdown leaves nobody out."""
    return Flag("true where the breakdown lists every citizenship there was", load_default=False,
                example="false")
