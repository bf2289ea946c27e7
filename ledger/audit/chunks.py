"""The events in chunks, each checked by itself, by this process or by several.

Takes tasks: ranges of positions that lie within one perfect subtree of CHUNK leaves; hands on parts
in their order. What a part says of its leaves is what the tree above needs, so parts can be checked
at the same time and put together one after the other. A chunk is one transaction: an erasure that
happens meanwhile is seen whole or not at all. The memory that is used does not depend on the log.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy import exc

from ledger.audit.entries import check_order, check_page
from ledger.audit.findings import Findings
from ledger.audit.sealed import check_sealed
from ledger.merkle import Frontier, extend
from ledger.processes import WorkerDied, in_order
from ledger.store.connect import scanning

CHUNK = 1 << 14
"""Leaves; a power of two, so that a chunk is a perfect subtree."""
PAGE = 1 << 10
"""Events in memory at once: 64 MiB if every entry is as large as it may be, mostly below 1 MiB."""
PAGE_OF_FILE = 1 << 8
"""How many of them are read at once where nobody far away is asked: what a processor can keep at
hand is checked faster."""


@dataclass(frozen=True, slots=True)
class Task:
    """Positions to check, within one chunk."""

    first: int
    last: int
    hashes: tuple[bytes, ...]
    """The frontier of the chunk's leaves before `first`."""
    stops: tuple[int, ...]
    """Positions after which the tree is asked for; among them `last`."""
    deep: bool
    """Whether every entry is parsed."""


@dataclass(slots=True)
class Part:
    """What the check of a task found."""

    reached: int
    """The last position that could be read."""
    findings: Findings = field(default_factory=Findings)
    frontiers: list[tuple[int, tuple[bytes, ...]]] = field(default_factory=list)
    """At each stop: the position, and the frontier of the chunk's leaves up to it."""
    first_at: bytes = b""
    last_at: bytes = b""
    failure: str | None = None
    """Why nothing after `reached` could be read."""


def tasks(
    first: int, last: int, frontier: Frontier, stops: Iterable[int], deep_from: int
) -> Iterator[Task]:
    """Yield the tasks from a position to another; the frontier is that of all leaves before."""
    wanted = deque(sorted({stop for stop in stops if first <= stop <= last}))
    within = (first - 1) % CHUNK
    hashes = frontier.hashes[len(frontier.hashes) - within.bit_count() :]
    while first <= last:
        end = min(last, (first - 1) // CHUNK * CHUNK + CHUNK)
        here = [wanted.popleft() for _ in range(sum(stop <= end for stop in wanted))]
        yield Task(first, end, hashes, tuple(sorted({*here, end})), end >= deep_from)
        first, hashes = end + 1, ()


def check(engine: sa.Engine, work: Iterator[Task], workers: int) -> Iterator[Part]:
    """Yield the part of each task, in order; checked by so many processes, of which this is one."""
    reached = 0
    with closing(in_order(engine, check_chunk, work, workers, here=True)) as checked:
        try:
            for part in checked:
                yield part
                reached = part.reached
        except WorkerDied:
            yield Part(reached, failure="a process that was checking died")


def check_chunk(engine: sa.Engine, task: Task) -> Part:
    """Return what the check of one task found; a database that cannot be read is a failure."""
    part = Part(task.first - 1)
    leaves: list[bytes] = []
    try:
        with scanning(engine) as connection:
            _check_events(connection, task, part, leaves)
    except (exc.DBAPIError, exc.TimeoutError) as failure:
        part.failure = str(getattr(failure, "orig", None) or failure).strip()
    part.frontiers = list(_frontiers(task, leaves))
    return part


def _check_events(
    connection: sa.Connection, task: Task, part: Part, leaves: list[bytes]
) -> None:
    """Check the events page by page, and put their leaf hashes behind the others."""
    author = b""
    page_size = min(PAGE, PAGE_OF_FILE) if connection.dialect.name == "sqlite" else PAGE
    for first in range(task.first, task.last + 1, page_size):
        last = min(first + page_size - 1, task.last)
        page, author = check_page(connection, first, last, author, task.deep, part.findings)
        check_sealed(connection, page, part.findings)
        if part.last_at and page.first_at:
            check_order(part.last_at, first, page.first_at, part.findings)
        part.first_at = part.first_at or page.first_at
        part.last_at = page.last_at or part.last_at
        part.reached = last
        leaves += page.leaves


def _frontiers(task: Task, leaves: Sequence[bytes]) -> Iterator[tuple[int, tuple[bytes, ...]]]:
    """Yield each stop that the leaves reach, and the frontier there."""
    frontier, done = Frontier((task.first - 1) % CHUNK, task.hashes), 0
    for stop in task.stops:
        here = stop - task.first + 1
        if here > len(leaves):
            return
        frontier, done = extend(frontier, leaves[done:here]), here
        yield stop, frontier.hashes
