"""Which developments are the same as which others?

Reads the streams of developments; two rows per merge that stands, one in each direction. Which
developments they lead to however many merges lie between is followed in the answer.
"""

import sqlalchemy as sa

from ledger.developments import Development
from ledger.projections.projection import Key, Projection, Said, answer_table
from ledger.tables import Name

merges = answer_table(
    "merges", "development",
    "Two rows per merge, one for each of the two developments: which other one is the same.",
    sa.Column("same_as", Name, primary_key=True),
    # Read in one look-up for each development, whichever of the two the merge was recorded in.
    sa.Index("merges_by_development", "development", "position_from", "position_until", "same_as"),
)


def of_ties(development: Development) -> Said:
    """Return both directions of each merge with a development that this one is the same as."""
    return {("merges", pair): {} for pair in both_directions(development)}


def both_directions(one: Development) -> list[Key]:
    """Return each merge that stands in the stream as two pairs, one in each direction."""
    others = one.merges.values()
    return [pair for other in others for pair in ((one.stream, other), (other, one.stream))]


MERGES = Projection(
    "merges",
    1,
    "Which developments are the same as which others?",
    "development",
    (merges,),
    of_ties=of_ties,
)
