"""All projections that are shipped, in the order in which they are listed."""

from ledger.errors import BadValue
from ledger.projections.coded_events import CODED_EVENTS
from ledger.projections.disputes import DISPUTES
from ledger.projections.exchanges import EXCHANGES
from ledger.projections.merges import MERGES, PERSONS
from ledger.projections.people import PEOPLE
from ledger.projections.projection import Projection
from ledger.projections.releases import RELEASES
from ledger.projections.sanctions import SANCTIONS
from ledger.projections.talks import TALKS
from ledger.projections.tallies import TALLIES

PROJECTIONS: tuple[Projection, ...] = (
    RELEASES, CODED_EVENTS, DISPUTES, TALLIES, SANCTIONS, TALKS, EXCHANGES, PEOPLE, MERGES, PERSONS,
)


def projection_named(name: str) -> Projection:
    """Return the projection of that name; raises BadValue."""
    for projection in PROJECTIONS:
        if projection.name == name:
            return projection
    raise BadValue(name, "one of " + ", ".join(projection.name for projection in PROJECTIONS))
