"""Which developments are the same as which others, and which persons?

Reads the streams of developments, and those of persons; two rows per merge that stands, one in each
direction. Where merges lead, however many lie between, is followed in the answer. Names are never
copied here: a person is a key.
"""

from functools import partial

import sqlalchemy as sa

from ledger.developments import Development
from ledger.projections.projection import Projection, Said, answer_table
from ledger.tables import Name


def _merge_table(name: str, key: str) -> sa.Table:
    return answer_table(
        name, key,
        f"Two rows per merge, one for each of the two {key}s: which other one is the same.",
        sa.Column("same_as", Name, primary_key=True),
        # Read in one look-up for each, whichever of the two streams the merge was recorded in.
        sa.Index(f"{name}_by_{key}", key, "position_from", "position_until", "same_as"),
    )


def of_ties(table: str, one: Development) -> Said:
    """Return both directions of each merge with what this one is the same as."""
    others = one.merges.values()
    pairs = [pair for other in others for pair in ((one.stream, other), (other, one.stream))]
    return {(table, pair): {} for pair in pairs}


merges = _merge_table("merges", "development")
person_merges = _merge_table("person_merges", "person")

MERGES = Projection(
    "merges",
    1,
    "Which developments are the same as which others?",
    "development",
    (merges,),
    of_ties=partial(of_ties, merges.name),
)
PERSONS = Projection(
    "persons",
    1,
    "Which persons are the same as which others?",
    "person",
    (person_merges,),
    of_ties=partial(of_ties, person_merges.name),
)
