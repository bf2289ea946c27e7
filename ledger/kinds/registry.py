"""All kinds by their type name: the one table that says which event types exist."""

from collections.abc import Mapping
from types import MappingProxyType

from ledger.errors import BadValue
from ledger.kinds import coded, custody, diplomacy, keeping, sanctions, tallies
from ledger.kinds.kind import Kind

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.type: kind
        for room in (custody, diplomacy, sanctions, tallies, coded, keeping)
        for kind in room.KINDS
    }
)

_PLAIN = {type.casefold(): type for type in KINDS}


def kind_named(words: object) -> Kind:
    """Return the kind of that name; `prisoners released` and `PrisonersReleased` are one."""
    if isinstance(words, str):
        plain = words.casefold().replace(" ", "").replace("_", "").replace("-", "")
        if plain in _PLAIN:
            return KINDS[_PLAIN[plain]]
    known = ", ".join(kind.type for kind in KINDS.values() if kind.written_by is None)
    raise BadValue("nothing" if words is None else words, f"one of {known}")
