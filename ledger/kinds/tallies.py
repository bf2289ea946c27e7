"""Tallies: a source's own totals, over a period or as a stock on a day."""

from collections.abc import Mapping
from typing import Any

from ledger.errors import BadValue
from ledger.kinds.common import CATEGORIES, by_citizenship, exhaustive, note, provenance
from ledger.kinds.fields import Choice, DayField, PartyField, QuantityField
from ledger.kinds.form import Form
from ledger.kinds.kind import Kind

COUNTED = ("released", "detained", "held")


def stock_has_no_since(data: Mapping[str, Any]) -> None:
    """A stock is on a day; only a cumulative total runs since one."""
    if data["measure"] == "stock" and "since" in data:
        raise BadValue("a stock with since", "a stock on a day, or measure: cumulative")


class TallyReported(Form):
    """Version 1."""

    rules = (stock_has_no_since,)

    by = PartyField("the state (or organisation) that it is about", required=True,
                    example="Belarus")
    of = Choice("what is counted", COUNTED, required=True, example="released")
    measure = Choice("a total over a period, or a stock on a day", ("cumulative", "stock"),
                     required=True, example="cumulative")
    since = DayField("the day a cumulative total begins with, where stated", example="2025-11")
    when = DayField("the day the tally is for", required=True, example="2025-12-13")
    total = QuantityField("the total stated", required=True, example="156")
    citizenships = by_citizenship()
    exhaustive = exhaustive()
    category = Choice("what kind of prisoners", CATEGORIES, load_default="unstated",
                      example="political")
    provenance = provenance()
    note = note()


KINDS = (
    Kind("TallyReported", "a source stated a total of its own", "tally", "tally",
         (TallyReported(),)),
)
