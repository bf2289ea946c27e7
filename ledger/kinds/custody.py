"""Prisoners released and detained."""

from ledger.kinds.common import (
    CATEGORIES,
    Arrivals,
    Breakdown,
    Person,
    Report,
    by_citizenship,
    exhaustive,
    stage,
)
from ledger.kinds.fields import Choice, ListOf, PartyField, QuantityField
from ledger.kinds.form import Group
from ledger.kinds.kind import Kind

RELEASE_ACTS = (
    "release", "pardon", "transfer", "exchange", "amnesty", "deportation", "unstated",
)
DETENTION_ACTS = ("arrest", "sentence", "return_to_custody", "capture", "unstated")


class Custody(Report):
    """What a release and a detention have in common."""

    by = PartyField("the state (or organisation) that holds or frees them", required=True,
                    example="Belarus")
    total = QuantityField("how many persons in all",
                          load_default=lambda: {"relation": "unstated"}, example="123")
    citizenships = by_citizenship()
    exhaustive = exhaustive()
    destinations = Breakdown("how many per country they were brought to", Arrivals(),
                             "destination", load_default=list, example="{Lithuania: 9}")
    persons = ListOf("the persons named", Group("a person", Person()), load_default=list)
    category = Choice("what kind of prisoners", CATEGORIES, load_default="unstated",
                      example="political")


class PrisonersReleased(Custody):
    """Version 1."""

    stage = stage("done")
    act = Choice("what was done", RELEASE_ACTS, load_default="unstated", example="release")


class PrisonersDetained(Custody):
    """Version 1."""

    stage = stage("done")
    act = Choice("what was done", DETENTION_ACTS, load_default="unstated", example="arrest")


KINDS = (
    Kind("PrisonersReleased", "people were freed, or their release was ordered, promised, refused",
         "development", "custody", (PrisonersReleased(),)),
    Kind("PrisonersDetained", "people were taken into custody",
         "development", "custody", (PrisonersDetained(),)),
)
