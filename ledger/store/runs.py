"""Runs: what every rebuild and catch-up did; rows are added, never changed."""

from dataclasses import dataclass

import sqlalchemy as sa

from ledger import tables


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One row of the table `runs`."""

    projection: str
    how: str
    started_at: str
    ended_at: str
    outcome: str
    position: int
    events: int
    rows: int
    drift: int
    digest: str | None
    """Of the rows that the events up to the position give; None for a catch-up or a stall."""
    folded: int | None
    """Of the events, those that had to be folded; None for a run of an earlier version."""
    detail: str | None
    """The rows that drifted, or the cause of a stall."""


def write_run(connection: sa.Connection, run: RunRecord) -> None:
    """Add a run."""
    values = {name: getattr(run, name) for name in RunRecord.__slots__}
    connection.execute(sa.insert(tables.runs).values(values))


def last_run(connection: sa.Connection, projection: str, outcome: str | None) -> RunRecord | None:
    """Return the latest run of a projection (with that outcome); None where there was none."""
    c = tables.runs.c
    query = sa.select(*(c[name] for name in RunRecord.__slots__)).where(c.projection == projection)
    if outcome is not None:
        query = query.where(c.outcome == outcome)
    row = connection.execute(query.order_by(c.id.desc()).limit(1)).one_or_none()
    return None if row is None else RunRecord(*row)


def last_rebuild(connection: sa.Connection, projection: str) -> RunRecord | None:
    """Return the latest rebuild of a projection that has a digest; None where there was none."""
    c = tables.runs.c
    query = sa.select(*(c[name] for name in RunRecord.__slots__)).where(
        c.projection == projection, c.how == "rebuild", c.digest.is_not(None)
    )
    row = connection.execute(query.order_by(c.id.desc()).limit(1)).one_or_none()
    return None if row is None else RunRecord(*row)


def runs_since(connection: sa.Connection, moment: str) -> list[RunRecord]:
    """Return the runs that began at that time or later, in their order; looks at all of them."""
    c = tables.runs.c
    query = sa.select(*(c[name] for name in RunRecord.__slots__)).where(c.started_at >= moment)
    return [RunRecord(*row) for row in connection.execute(query.order_by(c.id))]
