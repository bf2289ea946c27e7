"""Which persons are the same as which others?

Reads the streams of persons; two rows per merge that stands, one in each direction. Names are never
copied here: a person is a key.
"""

import sqlalchemy as sa

from ledger.developments import Development
from ledger.projections.merges import both_directions
from ledger.projections.projection import Projection, Said, answer_table
from ledger.tables import Name

person_merges = answer_table(
    "person_merges", "person",
    "Two rows per merge, one for each of the two persons: which other one is the same.",
    sa.Column("same_as", Name, primary_key=True),
    sa.Index("person_merges_by_person", "person", "position_from", "position_until", "same_as"),
)


def of_ties(person: Development) -> Said:
    """Return both directions of each merge with a person that this one is the same as."""
    return {("person_merges", pair): {} for pair in both_directions(person)}


PERSONS = Projection(
    "persons",
    1,
    "Which persons are the same as which others?",
    "person",
    (person_merges,),
    of_ties=of_ties,
)
