"""Folds in processes of their own: one that only folds, and ones that are killed at a step.

Takes what can be pickled, or a database and steps; hands on rows by key, or which step was reached.
"""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, count, groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import sqlalchemy as sa

import ledger
from ledger.book import now
from ledger.events import RecordedEvent
from ledger.projections.projection import Fold, Projection, columns_of
from ledger.projections.releases import RELEASES
from ledger.rebuild import catch_up, rebuild
from ledger.store.connect import connect

Keyed = dict[tuple[Any, ...], dict[str, Any]]
"""Rows by table and primary key."""
WORK: dict[str, Callable[..., object]] = {"catch_up": catch_up, "rebuild": rebuild}


def folded_rows(projections: Sequence[Projection], events: Iterable[RecordedEvent]) -> Keyed:
    """Return the rows that the shared fold makes of the events for projections of one category."""
    (category,) = {projection.category for projection in projections}
    fold, by_name = Fold(projections), attrgetter("stream")
    for stream, own in groupby(sorted(events, key=by_name), key=by_name):
        if stream.startswith(f"{category}/"):
            fold.take(stream, own)
    assert fold.stalls == {}
    found: Keyed = {}
    for table in chain.from_iterable(projection.tables for projection in projections):
        for row in fold.rows[table.name]:
            named = dict(zip(columns_of(table), row, strict=True))
            place = (table.name, *(named[column.name] for column in table.primary_key))
            assert place not in found
            found[place] = named
    return found


def spawned(work: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Return what the work makes of each job in one new process that has inherited nothing."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return [future.result() for future in [pool.submit(work, *job) for job in jobs]]


def killed_at(url: str, steps: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int, bool]]:
    """Yield (what, step, was killed) for processes that fold `releases`, one after the other.

    Each is killed before that statement or commit, counted from 0. They are forked from one that
    has imported everything, so that each costs milliseconds.
    """
    path = os.pathsep.join([*sys.path, str(Path(ledger.__file__).parents[1])])
    with subprocess.Popen(
        [sys.executable, __file__, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        for what, step in steps:
            parent.stdin.write(json.dumps([what, step]) + "\n")
            parent.stdin.flush()
            yield what, step, json.loads(parent.stdout.readline()) == signal.SIGKILL
        parent.stdin.close()


def main(url: str) -> None:
    """Fork a process for each line on stdin; print the signal that ended it."""
    for line in sys.stdin:
        what, step = json.loads(line)
        child = os.fork()
        if child == 0:
            fold_and_die(url, what, step)
        _, status = os.waitpid(child, 0)
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, flush=True)


def fold_and_die(url: str, what: str, step: int) -> None:
    """Fold `releases` and kill this very process at the step."""
    engine, steps = connect(url), count()

    def die(*_: Any) -> None:
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(engine, "before_cursor_execute", die)
    sa.event.listen(engine, "commit", die)
    try:
        WORK[what](engine, RELEASES, now)
    finally:
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
