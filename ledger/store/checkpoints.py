"""Checkpoints: the last position that is in a projection's tables, written with its rows."""

from dataclasses import dataclass

import sqlalchemy as sa

from ledger import tables


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a projection has come, and when it was last rebuilt."""

    position: int
    rebuilt_at: str
    stalled_at: int | None = None
    """The position that the projection cannot apply, and why."""
    stall_cause: str | None = None


def read_checkpoint(connection: sa.Connection, projection: str, version: int) -> Checkpoint | None:
    """Return the projection's checkpoint; None where this version of it was never built."""
    c = tables.checkpoints.c
    query = sa.select(c.position, c.rebuilt_at, c.stalled_at, c.stall_cause).where(
        c.projection == projection, c.projection_version == version
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else Checkpoint(*row)


_FILLED = sa.select(
    tables.checkpoints.c.projection,
    tables.checkpoints.c.projection_version,
    tables.checkpoints.c.position,
)


def read_filled(connection: sa.Connection) -> dict[tuple[str, int], int]:
    """Return the position of every projection's checkpoint, by name and version."""
    rows = connection.execute(_FILLED).all()
    return {(name, version): position for name, version, position in rows}


def write_checkpoint(
    connection: sa.Connection, projection: str, version: int, checkpoint: Checkpoint
) -> None:
    """Set the projection's checkpoint, whatever version's it was before."""
    table = tables.checkpoints
    connection.execute(sa.delete(table).where(table.c.projection == projection))
    connection.execute(
        sa.insert(table).values(
            projection=projection,
            projection_version=version,
            position=checkpoint.position,
            rebuilt_at=checkpoint.rebuilt_at,
            stalled_at=checkpoint.stalled_at,
            stall_cause=checkpoint.stall_cause,
        )
    )
