"""What a check that folds everything has to do before any projection has a say.

Takes an engine with live answer tables; reads events and rows by several processes, and folds
nothing. A module of its own, since a worker process imports what it is to do.
"""

import sqlalchemy as sa

from ledger.encoding import decode
from ledger.folding import Part, no_collections, parts
from ledger.processes import in_order
from ledger.projections.answer_tables import AnswerTables
from ledger.projections.registry import PROJECTIONS
from ledger.store.connect import reading
from ledger.store.read import entries_between, read_head


def without_folds(engine: sa.Engine, part: Part) -> int:
    """Read and parse the events of a part, read its live rows; return how many events there are."""
    with no_collections(), reading(engine) as connection:
        which = part.category, part.after, part.until, part.up_to
        entries = entries_between(connection, *which)
        count = sum(1 for _ in (decode(at, raw, None) for _, at, raw in entries))
        for projection in PROJECTIONS:
            if projection.name in part.projections:
                rows = AnswerTables(projection).read(connection, part.after, part.until)
                assert rows == {name: list(of_table) for name, of_table in rows.items()}
    return count


def check_without_folds(engine: sa.Engine, workers: int) -> None:
    """Do for every part what a check does, but no fold."""
    with reading(engine) as connection:
        head = read_head(connection).size
        every = list(parts(connection, PROJECTIONS, head, compare=True))
    assert sum(in_order(engine, without_folds, every, workers, here=True)) > 0
