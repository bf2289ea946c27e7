"""A world to erase in: one person named in many ways, and what is left when the person is gone."""

from typing import Any

import sqlalchemy as sa
from recording import SOURCE

from ledger import tables
from ledger.audit.erasing import Erasure, Find, erase
from ledger.book import writer
from ledger.entry import parse
from ledger.store.connect import reading
from ledger.store.read import read_entry, read_events

NAME = "Zygmunt Kowalczyk-Brzoza"
WHY = {"reason": "on request", "basis": "GDPR art. 17"}
WORLD = f"""
- {{kind: PersonIdentified, person: p-1, name: {NAME}, aliases: [Zyga, Siggi B.], born: 1970-01-02,
   provenance: {SOURCE}, note: seen in Minsk}}
- kind: PrisonersReleased
  development: by-release
  when: 2025-12-13
  by: Belarus
  total: at least 2
  persons:
    - {{name: {NAME}, person: p-1, citizenships: [Poland], note: a teacher}}
    - {{name: Olga Novak, person: p-2, note: the sister of {NAME}}}
  note: among them the teacher
  provenance: {SOURCE}
- kind: TalksHeld
  development: by-talks
  when: 2025-12-12
  parties: [Belarus, Poland]
  participants: [{{name: {NAME}, role: guest}}]
  provenance: {SOURCE}
- {{kind: PersonIdentified, person: p-9, name: Z. Brzoza, provenance: {SOURCE}}}
- {{kind: PersonsMerged, person: p-9, same_as: p-1, reason: one passport}}
- kind: ReportCorrected
  position: 2
  reason: Kowalczyk-Brzoza was spelt wrong
  type: PrisonersReleased
  report:
    when: 2025-12-13
    by: Belarus
    total: at least 3
    persons: [{{name: Zygmunt Kowalczyk, person: p-9, citizenships: [Poland]}}]
    provenance: {SOURCE}
- {{kind: ReportRanked, position: 6, rank: preferred, reason: Zyga said so}}
- {{kind: ReportRanked, position: 6, rank: normal, reason: older}}
"""
LEFT = {  # position to the sealed fields that stay when p-1 is erased
    2: {"/persons/1/name"}, 3: {"/participants/0/name"}, 8: {"/reason"},
}


def erased(engine: sa.Engine, find: Find, **options: Any) -> Erasure:
    """Erase as olga does."""
    return erase(engine, find, writer("olga"), **(WHY | options))


def disclosures(engine: sa.Engine) -> list[tuple[int, str, str]]:
    """Return what is not erased."""
    with reading(engine) as connection:
        return [tuple(row) for row in connection.execute(sa.select(tables.disclosures))]


def entries(engine: sa.Engine) -> list[tuple[bytes, bytes]]:
    """Return every entry and leaf hash."""
    e = tables.events.c
    with reading(engine) as connection:
        rows = connection.execute(sa.select(e.entry, e.leaf_hash).order_by(e.position))
        return [(row.entry, row.leaf_hash) for row in rows]


def sealed_left(engine: sa.Engine) -> dict[int, set[str]]:
    """Return position to the pointers of sealed fields that are still there."""
    with reading(engine) as connection:
        found = {}
        for event in read_events(connection):
            entry = parse(read_entry(connection, event.position))
            pointers = set(entry.get("_sd", {})) - set(event.erased)
            found[event.position] = pointers
    return {position: pointers for position, pointers in found.items() if pointers}
