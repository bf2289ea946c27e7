"""A generated world: as many recorded events as a benchmark asks for, of every type.

    python -m benchmarks.world FILE --events 1000000 [--seed 7]

Takes a count and a seed; hands on NewEvents, or a filled ledger. The same count and seed give the
same bytes: ids, salts and times come from the seed. Half of the events are rows of coded data sets,
each a stream of its own; the other half are developments with several reports, which contradict,
correct, withdraw, link and merge each other (`benchmarks/stories.py` tells them). States are spread
unevenly: of 194, the busiest has a ninth of everything. One more, `QUIET`, has a few developments
among the first events and none later: an answer about it shows what the rest of the log costs.
"""

import argparse
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from random import Random

import sqlalchemy as sa

from benchmarks.stories import QUIET, STATES, Draft, Story, Teller
from ledger import tables
from ledger.encoding import compose
from ledger.events import NewEvent
from ledger.kinds.sealing import digest
from ledger.store.append import append
from ledger.store.connect import connect, writing
from ledger.store.migrate import upgrade

__all__ = ["QUIET", "SEED", "STATES", "drafts", "load", "moment"]

SEED = 7
BATCH = 1_000
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
"""When the first event is recorded; the last one is recorded `SPAN` later."""
SPAN = timedelta(days=700)
SHARES = {
    "coded": 50, "release": 13, "detention": 7, "sanction": 9, "talk": 9, "statement": 4,
    "tally": 2, "person": 4, "source": 2,
}
"""Of a hundred events."""


def drafts(count: int, seed: int = SEED) -> Iterator[NewEvent]:
    """Yield the events of a fresh ledger in their order: position 1 first.

    Several stories are told at a time; each learns the positions of its own events, so that a
    correction names the right one.
    """
    rng = Random(seed)
    teller = Teller(rng, count)
    at_once = max(4, min(200, count // 2_000))
    lanes: dict[str, list[Story]] = {lane: [] for lane in SHARES}
    names, weights = list(SHARES), list(SHARES.values())
    for position, lane in enumerate(rng.choices(names, weights, k=count), start=1):
        teller.position = position
        stories = lanes[lane]
        slot = rng.randrange(at_once)
        if slot >= len(stories):
            slot = len(stories)
            stories.append(teller.story(lane))
        draft = next(stories[slot], None)
        if draft is None:
            stories[slot] = teller.story(lane)
            draft = next(stories[slot])
        event = _composed(draft, position, rng)
        if draft.seen is not None:
            draft.seen[:] = [position, *map(digest, event.disclosures.values())]
        yield event


def load(engine: sa.Engine, count: int, seed: int = SEED, *, tell: bool = False) -> None:
    """Fill a database without a ledger with the events, 1,000 a transaction."""
    upgrade(engine)
    events = drafts(count, seed)
    began = time.perf_counter()
    done = 0
    while batch := list(islice(events, BATCH)):
        clock = partial(moment, done + 1, count)
        with writing(engine) as connection:
            for part in _parts(batch):
                append(connection, part, recorded_by="benchmark", clock=clock)
                _erase(connection, part)
        done += len(batch)
        if tell and done % 20_000 == 0:
            spent = time.perf_counter() - began
            print(f"\r{done:>12,} events, {done / spent:,.0f} a second", end="", flush=True)
    if tell:
        print()


def moment(position: int, count: int) -> datetime:
    """Return when the position is recorded in a world of so many events; one time a batch."""
    return FIRST + SPAN * ((position - 1) // BATCH * BATCH / max(count, 1))


def _composed(draft: Draft, position: int, rng: Random) -> NewEvent:
    return compose(draft.type, draft.stream, draft.data, id=_id(position, rng),
                   salts=lambda: rng.randbytes(16))


def _id(position: int, rng: Random) -> str:
    """Return a UUIDv7 whose time goes up with the position."""
    stamp = f"{1_704_067_200_000 + position:012x}"
    bits = f"{rng.getrandbits(74):019x}"
    variant = "89ab"[int(bits[0], 16) & 3]
    return f"{stamp[:8]}-{stamp[8:]}-7{bits[1:4]}-{variant}{bits[4:7]}-{bits[7:]}"


def _parts(batch: list[NewEvent]) -> Iterator[list[NewEvent]]:
    """Yield the batch cut before each erasure: what is erased must have been there."""
    starts = [at for at, event in enumerate(batch) if event.type == "PersonalDataErased"]
    for begin, end in pairwise(sorted({0, *starts, len(batch)})):
        yield batch[begin:end]


def _erase(connection: sa.Connection, batch: list[NewEvent]) -> None:
    """Delete what the batch says is erased, in its transaction."""
    d = tables.disclosures.c
    for event in batch:
        if event.type == "PersonalDataErased":
            theirs = (d.position == event.data["position"]) & d.digest.in_(event.data["digests"])
            connection.execute(sa.delete(tables.disclosures).where(theirs))


def main() -> None:
    """Make a ledger file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", help="a new SQLite file, or the URL of an empty database")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    if "://" not in options.file and Path(options.file).exists():
        parser.error(f"{options.file} exists already")
    load(connect(options.file), options.events, options.seed, tell=True)


if __name__ == "__main__":
    main()
