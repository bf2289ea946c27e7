"""All projections that are shipped, in the order in which they are listed."""

from ledger.errors import BadValue
from ledger.projections.projection import Projection
from ledger.projections.releases import RELEASES

PROJECTIONS: tuple[Projection, ...] = (RELEASES,)


def projection_named(name: str) -> Projection:
    """Return the projection of that name; raises BadValue."""
    for projection in PROJECTIONS:
        if projection.name == name:
            return projection
    raise BadValue(name, "one of " + ", ".join(projection.name for projection in PROJECTIONS))
