"""Scheduled runs: what became of every slot of every schedule.

A slot is the moment at which a command was due. One name and slot has one row, which is inserted
before the command starts: whoever inserts it runs the command, and nobody else does.
"""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ledger import tables

RUNNING = "running"
BY_SCHEDULE, CATCHING_UP, BY_HAND = "schedule", "catch_up", "trigger"
"""How a run came about."""


@dataclass(frozen=True, slots=True)
class ScheduledRun:
    """One row of the table `scheduled_runs`; times are text in UTC with six digits."""

    name: str
    slot: str
    how: str
    outcome: str
    """running, ok, failed, missed or coalesced."""
    slots: int = 1
    """The slots that the row stands for; a row of a downtime stands for many."""
    started_at: str | None = None
    ended_at: str | None = None
    exit_code: int | None = None
    detail: str | None = None


def add_run(connection: sa.Connection, run: ScheduledRun) -> bool:
    """Add a row; returns False where that name and slot has one already."""
    values = {name: getattr(run, name) for name in ScheduledRun.__slots__}
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(tables.scheduled_runs).values(values).on_conflict_do_nothing()
    # Not the rowcount, which an INSERT does not have on every driver.
    added = connection.execute(insert.returning(tables.scheduled_runs.c.id))
    return added.first() is not None


def end_run(
    connection: sa.Connection, name: str, slot: str, ended_at: str, exit_code: int, detail: str
) -> None:
    """Say how a running command ended; nothing happens where its end was told already."""
    c = tables.scheduled_runs.c
    ended = sa.update(tables.scheduled_runs).where(
        c.name == name, c.slot == slot, c.outcome == RUNNING
    )
    outcome = "ok" if exit_code == 0 else "failed"
    connection.execute(ended.values(
        ended_at=ended_at, outcome=outcome, exit_code=exit_code, detail=detail or None
    ))


def forget_run(connection: sa.Connection, name: str, slot: str) -> None:
    """Remove the row of a command that was not started after all."""
    c = tables.scheduled_runs.c
    connection.execute(sa.delete(tables.scheduled_runs).where(
        c.name == name, c.slot == slot, c.outcome == RUNNING
    ))


def end_abandoned(connection: sa.Connection, ended_at: str, why: str) -> int:
    """End the running rows of schedulers that are no more; returns how many there were."""
    c = tables.scheduled_runs.c
    left = sa.update(tables.scheduled_runs).where(c.outcome == RUNNING, c.how != BY_HAND)
    return connection.execute(left.values(ended_at=ended_at, outcome="failed", detail=why)).rowcount


def last_slot(connection: sa.Connection, name: str) -> str | None:
    """Return the latest slot of a schedule that has a row; runs by hand have no slot."""
    c = tables.scheduled_runs.c
    latest = sa.select(sa.func.max(c.slot)).where(c.name == name, c.how != BY_HAND)
    slot: str | None = connection.scalar(latest)
    return slot


def names_with_runs(connection: sa.Connection) -> list[str]:
    """Return the names of the schedules that have rows, sorted."""
    name = tables.scheduled_runs.c.name
    return [*connection.scalars(sa.select(name).distinct().order_by(name))]


def read_runs(connection: sa.Connection, name: str | None, limit: int) -> list[ScheduledRun]:
    """Return the latest rows, the newest slot first, of one schedule or of all."""
    c = tables.scheduled_runs.c
    query = sa.select(*(c[column] for column in ScheduledRun.__slots__))
    if name is not None:
        query = query.where(c.name == name)
    query = query.order_by(c.slot.desc(), c.id.desc()).limit(limit)
    return [ScheduledRun(*row) for row in connection.execute(query)]
