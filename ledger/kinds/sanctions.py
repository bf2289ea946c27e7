"""Sanctions imposed, eased and lifted."""

from collections.abc import Mapping
from typing import Any

from ledger.errors import BadValue
from ledger.kinds.common import Report, stage
from ledger.kinds.fields import Choice, CountryField, DayField, ListOf, PartyField, Text
from ledger.kinds.form import Form, Group
from ledger.kinds.kind import Kind

TARGETS = ("state", "sector", "entity", "person", "vessel", "aircraft")
MEASURES = ("trade", "finance", "asset_freeze", "travel", "arms", "transport", "aid", "other",
            "unstated")


def named_by_kind(data: Mapping[str, Any]) -> None:
    """A private person's name is sealed; every other target's name is public."""
    wanted = "person" if data["kind"] == "person" else "name"
    if wanted not in data or {"person", "name"} <= data.keys():
        raise BadValue(
            f"a target of kind {data['kind']} with {sorted({'person', 'name'} & data.keys())}",
            f"its name as {wanted}: …",
        )


class Target(Form):
    """Whom or what the measure hits."""

    rules = (named_by_kind,)

    kind = Choice("what it is", TARGETS, required=True, example="sector")
    name = Text("the state's, sector's or entity's name", limit=300, example="potash")
    person = Text("the person's name, where the target is a person", sealed=True, limit=300)
    country = CountryField("the country it belongs to", example="Belarus")


class Sanctions(Report):
    """Version 1 of all three: the type says which way it goes."""

    stage = stage(None)
    sender = PartyField("who imposes, eases or lifts", required=True, example="United States")
    target = Group("whom or what it hits", Target(), required=True)
    measures = ListOf("what is restricted", Choice("a measure", MEASURES), load_default=list,
                      example="[trade]")
    programme = Text("the programme it belongs to", limit=200, example="")
    instrument = Text("the legal instrument", limit=300, example="")
    licence = Text("what a licence or partial easing is limited to", limit=1_000, example="")
    announced = DayField("the day it was announced", example="2025-12-13")
    effective = DayField("the day it took legal effect")


KINDS = tuple(
    Kind(type, meaning, "development", "sanctions", (Sanctions(),))
    for type, meaning in (
        ("SanctionsImposed", "restrictive measures were imposed"),
        ("SanctionsEased", "measures were eased in part: licensed, suspended, narrowed"),
        ("SanctionsLifted", "measures were lifted, or their lifting was agreed or promised"),
    )
)
