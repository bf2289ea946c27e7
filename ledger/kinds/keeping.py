"""Keeping the record: corrections, retractions, ranks, links, merges, identities, erasure.

None of these changes what another event says. Positions name events of the same stream.
"""

from ledger.kinds.common import SLUG, StreamField, note, provenance
from ledger.kinds.fields import (
    Choice,
    CountryField,
    DayField,
    Field,
    Flag,
    ListOf,
    Pattern,
    Text,
    Whole,
)
from ledger.kinds.form import Form
from ledger.kinds.kind import Kind
from ledger.kinds.quick import Lines, Use, unless

RANKS = ("preferred", "normal", "deprecated")
LINKS = ("in_exchange_for", "follows", "fulfils", "part_of")
SAME_STREAM = "any"
"""The category of events that stand in the stream of what they are about."""


def position(help: str) -> Whole:
    """Return the field that names an earlier event of the same stream."""
    return Whole(help, least=1, required=True, example="12")


def reason() -> Text:
    """Return the reason field; sealed, because reasons name people."""
    return Text("why", sealed=True, limit=1_000, required=True, example="misread the page")


class Restated(Field):
    """A report in full, in the form of its type; `encoding` reads it with that form."""

    def read(self, value: object) -> object:
        return value

    def quick(self, it: str, use: Use) -> Lines:
        yield unless(f"type({it}) is dict")


class ReportCorrected(Form):
    """Version 1."""

    position = position("the position of the report that is corrected")
    reason = reason()
    type = Text("the event type of the report, as PrisonersReleased", limit=60, required=True)
    type_version = Whole("the type_version of the report", least=1, required=True)
    report = Restated("the whole report, as it should have been", required=True)


class ReportRetracted(Form):
    """Version 1."""

    position = position("the position of the report that is withdrawn")
    reason = reason()


class ReportRanked(Form):
    """Version 1."""

    position = position("the position of the report that is ranked")
    rank = Choice("the rank: where any is preferred only those count, deprecated never counts",
                  RANKS, required=True, example="deprecated")
    reason = reason()


class DevelopmentsLinked(Form):
    """Version 1."""

    link = Choice("how this development belongs to the other", LINKS, required=True,
                  example="in_exchange_for")
    to = StreamField("the other development, as by-talks-2025-12-13", "development",
                     required=True)
    denied = Flag("true where the source denies the link", load_default=False, example="false")
    provenance = provenance()
    note = note()


class LinkWithdrawn(Form):
    """Version 1."""

    position = position("the position of the link that is withdrawn")
    reason = reason()


class DevelopmentsMerged(Form):
    """Version 1."""

    same_as = StreamField("the development that this one is the same as", "development",
                          required=True)
    reason = reason()


class MergeWithdrawn(Form):
    """Version 1."""

    position = position("the position of the merge that is withdrawn")
    reason = reason()


class PersonIdentified(Form):
    """Version 1."""

    name = Text("the person's name", sealed=True, limit=200, required=True)
    aliases = ListOf("other spellings and names", Text("a name", limit=200), sealed=True)
    born = DayField("the day of birth", sealed=True)
    citizenships = ListOf("the person's citizenships", CountryField("a citizenship"),
                          load_default=list, most=10)
    basis = Choice("how the citizenships are known", ("stated", "by_heading", "inferred"),
                   load_default="stated", example="stated")
    provenance = provenance()
    note = note()


class PersonsMerged(Form):
    """Version 1."""

    same_as = StreamField("the stream of the person that this one is", "person", required=True)
    reason = reason()


class SourceAssessed(Form):
    """Version 1."""

    publisher = Text("the publisher that is assessed", limit=200, required=True)
    reliability = Choice("the source's reliability, A to F", "ABCDEF", required=True, example="B")
    origin = Pattern("the short name of where it copies from", SLUG)
    reason = reason()


class PersonalDataErased(Form):
    """Version 1."""

    position = position("the position of the event that held the data")
    digests = ListOf("the digests whose salt and value are gone", Text("a digest", limit=43),
                     required=True, least=1)
    fields_erased = ListOf("JSON pointers to the erased fields", Text("a pointer", limit=300),
                           required=True, least=1)
    basis = Text("the legal basis", limit=300, required=True)
    reason = Text("why, without naming the person", limit=300, required=True)


def _keeping(type: str, meaning: str, form: Form, category: str = SAME_STREAM,
             **kwargs: str | None) -> Kind:
    return Kind(type, meaning, category, "keeping", (form,), is_report=False, **kwargs)  # type: ignore[arg-type]


KINDS = (
    _keeping("ReportCorrected", "a report is restated in full", ReportCorrected()),
    _keeping("ReportRetracted", "a report is withdrawn", ReportRetracted()),
    _keeping("ReportRanked", "a report is preferred or no longer counted", ReportRanked()),
    _keeping("DevelopmentsLinked", "a source links two developments, or denies it",
             DevelopmentsLinked(), "development"),
    _keeping("LinkWithdrawn", "a link is withdrawn", LinkWithdrawn()),
    _keeping("DevelopmentsMerged", "two developments are one", DevelopmentsMerged(),
             "development"),
    _keeping("MergeWithdrawn", "a merge is withdrawn", MergeWithdrawn()),
    Kind("PersonIdentified", "a person's name and citizenships", "person", "person",
         (PersonIdentified(),)),
    _keeping("PersonsMerged", "two persons are one", PersonsMerged(), "person"),
    _keeping("SourceAssessed", "a publisher's reliability was judged", SourceAssessed(), "source"),
    _keeping("PersonalDataErased", "personal data were erased", PersonalDataErased(),
             written_by="the erasure itself"),
)
