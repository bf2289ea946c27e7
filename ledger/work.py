"""Work: one projection that is being rebuilt, checked or caught up.

Takes what folding gives; hands on the Run that is to be remembered, and what has to be mended.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa

from ledger.folding import Folded
from ledger.projections.answer_tables import EXAMPLES, AnswerTables
from ledger.projections.projection import Projection
from ledger.run import Run
from ledger.store.checkpoints import Checkpoint
from ledger.store.connect import changing
from ledger.store.folds import KnownFold, write_folds
from ledger.store.locks import Check

MENDED_IN_PLACE = 10_000
"""Streams that differ, at most, where the live tables are mended; beyond, they are made anew."""


@dataclass(slots=True)
class Work:
    """A projection that is being rebuilt or caught up."""

    projection: Projection
    run: Run
    check_lock: Check
    served: Checkpoint | None = None
    """Of the live tables; None where there are none of this version."""
    is_whole: bool = True
    """Whether they have their keys and indexes."""
    drifted: set[str] = field(default_factory=set)
    """Streams whose live rows are not what the events say."""
    learned: list[KnownFold] = field(default_factory=list)
    """What folding pieces gave that was not known, and is not kept yet."""

    @property
    def live(self) -> AnswerTables:
        """The tables that answers read."""
        return AnswerTables(self.projection)

    @property
    def side(self) -> AnswerTables:
        """The tables beside them."""
        return AnswerTables(self.projection, side=True)

    @property
    def is_made_anew(self) -> bool:
        """Whether the tables are filled on the side and put in place."""
        if self.served is None or not self.is_whole or len(self.drifted) > MENDED_IN_PLACE:
            return True
        return not all(isinstance(stream, str) for stream in self.drifted)  # no event's, then

    def stalled_before(self, position: int) -> bool:
        """Whether an event up to that position could not be applied."""
        return self.run.stalled_at is not None and self.run.stalled_at <= position

    def heed(self, folded: Folded) -> None:
        """Add what folding some streams gave."""
        name, run = self.projection.name, self.run
        if name not in folded.counts:
            return
        run.events += folded.events
        run.folded += folded.events - folded.recalled.get(name, 0)
        if run.how != "check":  # which writes nothing
            self.learned += folded.learned.get(name, ())
        run.rows += folded.counts[name]
        run.add({table.name: folded.sums.get(table.name, 0) for table in self.projection.tables})
        stop = folded.stalls.get(name)
        if stop and (run.stalled_at is None or stop.position < run.stalled_at):
            run.stalled_at, run.cause = stop.position, stop.cause
        if drifted := folded.drifted.get(name):
            run.drift += drifted.count
            run.drifts += drifted.named[: EXAMPLES - len(run.drifts)]
            self.drifted |= drifted.streams

    def keep(self, connection: sa.Connection) -> None:
        """Keep what was learned; it is true whatever becomes of this rebuild."""
        write_folds(connection, self.projection.name, self.learned)
        self.learned = []


@contextmanager
def changing_for(engine: sa.Engine, works: Iterable[Work]) -> Iterator[sa.Connection]:
    """Open a transaction that writes for these; raises CouldNot where one is no longer ours."""
    with changing(engine) as connection:
        for work in works:
            work.check_lock()
        yield connection
