"""A run: what one rebuild, check or catch-up of a projection did.

Takes what folding gave; hands on the row by which the run is remembered.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from ledger.projections.answer_tables import Drift
from ledger.projections.digests import Sums, digest_of
from ledger.store.runs import RunRecord


@dataclass(slots=True)
class Run:
    """What one rebuild or catch-up did."""

    projection: str
    how: str
    """rebuild, check or catch_up."""
    started_at: str
    ended_at: str = ""
    position: int = 0
    """The last position that is in the tables now."""
    events: int = 0
    """Events that were read."""
    folded: int = 0
    """Of these, the events that had to be folded: what the others give was known."""
    rows: int = 0
    """Rows that they give."""
    drift: int = 0
    """Rows that the live tables held otherwise."""
    drifts: list[Drift] = field(default_factory=list)
    """The first of them."""
    stalled_at: int | None = None
    """The position that could not be applied."""
    cause: str | None = None
    sums: Sums | None = None
    """Of the rows by table, for the digest; None: a catch-up folds only what changed."""

    @property
    def outcome(self) -> str:
        """ok, drift or stalled."""
        return "stalled" if self.stalled_at else "drift" if self.drift else "ok"

    @property
    def digest(self) -> str | None:
        """The digest of the rows that the events up to `position` give, whoever folds them.

        None for a catch-up, and where an event could not be applied.
        """
        return None if self.sums is None or self.stalled_at else digest_of(self.sums)

    def add(self, sums: Mapping[str, int], *, less: Mapping[str, int] | None = None) -> None:
        """Take the sums of rows into the digest, and those of rows that they replace out of it."""
        if self.sums is not None:
            for table, number in sums.items():
                self.sums[table] = self.sums.get(table, 0) + number - (less or {}).get(table, 0)

    def record(self) -> RunRecord:
        """Return the run as it is remembered."""
        named = [asdict(drift) for drift in self.drifts]
        detail = json.dumps(named, default=repr) if named else None
        if self.stalled_at is not None:
            detail = f"position {self.stalled_at}: {self.cause}"
        return RunRecord(
            self.projection, self.how, self.started_at, self.ended_at, self.outcome,
            self.position, self.events, self.rows, self.drift, self.digest,
            self.folded, detail,
        )
