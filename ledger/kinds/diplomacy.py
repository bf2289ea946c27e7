"""Talks, agreements, commitments and statements."""

from ledger.events import Data
from ledger.kinds.common import Participant, Report, stage
from ledger.kinds.fields import Choice, CountryField, ListOf, PartyField, Text
from ledger.kinds.form import Form, Group
from ledger.kinds.kind import Kind

TALKS_FORMS = ("visit", "call", "third_country", "multilateral", "unstated")


class Place(Form):
    """Where it was."""

    name = Text("the town or place", limit=200, required=True, example="Minsk")
    country = CountryField("the country it lies in", example="Belarus")


class Talks(Report):
    """What both versions of TalksHeld have."""

    stage = stage("done")
    parties = ListOf("the states and organisations that talked", PartyField("a party"),
                     required=True, least=1, most=300, example="[Belarus, United States]")
    participants = ListOf("the persons who took part", Group("a participant", Participant()),
                          load_default=list)
    form = Choice("how they met", TALKS_FORMS, load_default="unstated", example="visit")
    subjects = ListOf("what was talked about", Text("a subject", limit=300), load_default=list,
                      example="[release of prisoners]")


class TalksHeldV1(Talks):
    """Version 1: the place was one piece of text."""

    place = Text("the town or place", limit=200)


class TalksHeld(Talks):
    """Version 2: the place has a country of its own, so that hosts can be counted."""

    place = Group("where it was", Place())


def upcast_place(data: Data) -> Data:
    """Return version 2 of the data: the text becomes the place's name, the country stays open."""
    if "place" not in data:
        return data
    return {**data, "place": {"name": data["place"]}}


class AgreementReached(Report):
    """Version 1."""

    stage = stage("agreed")
    parties = ListOf("the states and organisations that agreed", PartyField("a party"),
                     required=True, least=1, most=300, example="[Belarus, United States]")
    subject = Text("what it is about", limit=300, required=True, example="release of prisoners")
    terms = ListOf("what was agreed, point by point", Text("a point"), load_default=list)


class CommitmentMade(Report):
    """Version 1."""

    stage = stage("promised")
    by = PartyField("who commits", required=True, example="United States")
    to = PartyField("to whom", example="Belarus")
    subject = Text("what it is about", limit=300, required=True, example="lifting of sanctions")
    terms = ListOf("what was promised, point by point", Text("a point"), load_default=list)


class StatementMade(Report):
    """Version 1."""

    stage = stage("done")
    by = PartyField("on whose behalf it was said", required=True, example="Belarus")
    speaker = Text("who said it", sealed=True, limit=200, example="")
    subject = Text("what it is about", limit=300, required=True, example="relations")
    terms = ListOf("what was said, point by point, in your own words", Text("a point"),
                   load_default=list)


KINDS = (
    Kind("TalksHeld", "states or organisations talked with each other", "development", "talks",
         (TalksHeldV1(), TalksHeld()), upcasts=(upcast_place,)),
    Kind("AgreementReached", "parties agreed on something", "development", "agreement",
         (AgreementReached(),)),
    Kind("CommitmentMade", "one party promised something", "development", "agreement",
         (CommitmentMade(),)),
    Kind("StatementMade", "something was said in public", "development", "agreement",
         (StatementMade(),)),
)
