"""What it costs to take in one more event, in a short log and in a long one.

    python -m benchmarks.catch_up [--events 1000 1000000] [--times 200]

For each length a world is generated and every projection built; then one report at a time is
recorded and taken in by all of them, as `ledger projections catch-up` does. Medians.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.world import load
from ledger.book import new_id, new_salt, now, workers
from ledger.encoding import compose, normal
from ledger.events import NewEvent
from ledger.projections.registry import PROJECTIONS
from ledger.rebuild import catch_up, rebuild_all
from ledger.store.append import append
from ledger.store.connect import connect, writing

REPORT = {
    "when": "2025-12-13", "by": "BY", "act": "release", "total": 12, "citizenships": {"PL": 1},
    "provenance": {"publisher": "A Newspaper", "url": "https://example.org/a"},
}


def one_more(stream: str) -> NewEvent:
    """Return one more report of a development."""
    return compose("PrisonersReleased", stream, normal("PrisonersReleased", REPORT),
                   id=new_id(), salts=new_salt)


def measure(file: Path, events: int, times: int) -> float:
    """Return the median milliseconds of catching all projections up after one event."""
    engine = connect(str(file))
    load(engine, events)
    rebuild_all(engine, PROJECTIONS, now, workers=workers())
    spent = []
    for number in range(times):
        event = one_more(f"development/one-more-{number % 20}")
        with writing(engine) as connection:
            append(connection, [event], recorded_by="benchmark", clock=now)
        began = time.perf_counter()
        runs = [catch_up(engine, projection, now) for projection in PROJECTIONS]
        spent.append(time.perf_counter() - began)
        assert all(run.outcome == "ok" for run in runs)
    engine.dispose()
    return statistics.median(spent) * 1000


def main() -> None:
    """Print a line for each length, and the ratio to the first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, nargs="+", default=[1_000, 1_000_000])
    parser.add_argument("--times", type=int, default=200)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="catch-up-"))
    first = None
    try:
        for events in options.events:
            median = measure(folder / f"{events}.db", events, options.times)
            first = first or median
            print(f"{events:>12,} events: {median:8.2f} ms for all projections"
                  f" {median / first:6.2f} x")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
