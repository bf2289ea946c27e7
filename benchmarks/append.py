"""How fast reports are appended, beside the `eventsourcing` library, in one run on one disk.

    python -m benchmarks.append [--events 20000] [--rounds 5] [--postgres URL]

Both store the same report. Here it is validated against its marshmallow form, sealed where it names a
person, put into canonical bytes, hashed into the tree, and checked for order by the database itself;
there `Application.save` stores one event a transaction and `EventStore.put` 1,000 of them. The rounds
alternate, so that a busy machine slows both; the ratio is that of the medians.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from ledger.book import new_id, new_salt, now
from ledger.encoding import compose, normal
from ledger.store.append import append
from ledger.store.connect import connect, writing
from ledger.store.migrate import upgrade

BATCH = 1_000
Timed = Callable[[list[dict[str, Any]]], float]


class Release(Aggregate):
    """The same report as an event of the other library."""

    @event("Reported")
    def __init__(self, report: dict[str, Any]) -> None:
        self.report = report

    @event("ReportedAgain")
    def again(self, report: dict[str, Any]) -> None:
        """Take a further report."""
        self.report = report


def reports(count: int, start: int, *, names: bool) -> list[dict[str, Any]]:
    """Return realistic reports in normal form, as an importer makes them."""
    return [
        normal(
            "PrisonersReleased",
            {
                "when": f"2025-{number % 12 + 1:02}-{number % 28 + 1:02}",
                "by": "BY",
                "act": "release",
                "total": number % 200 + 10,
                "citizenships": {"PL": 1, "UA": {"relation": "at_least", "low": 2}},
                "persons": [{"name": f"Person {number}"}] if names else [],
                "provenance": {
                    "publisher": "A Newspaper",
                    "url": f"https://example.org/{number}",
                    "published": "2025-12-13",
                },
            },
        )
        for number in range(start, start + count)
    ]


def ours(url: str) -> Timed:
    """Return a function that records reports in one transaction and returns its seconds."""
    engine = connect(url)
    upgrade(engine)
    batches = iter(range(10**9))

    def record(batch: list[dict[str, Any]]) -> float:
        number = next(batches)
        began = time.perf_counter()
        events = [
            compose("PrisonersReleased", f"development/by-{number}-{index % 50}", report,
                    id=new_id(), salts=new_salt)
            for index, report in enumerate(batch)
        ]
        with writing(engine) as connection:
            append(connection, events, recorded_by="benchmark", clock=now)
        return time.perf_counter() - began

    return record


def theirs_put(env: dict[str, str]) -> Timed:
    """Return a function that puts a batch of events and returns its seconds."""
    application: Application[Any] = Application(env=env)

    def put(batch: list[dict[str, Any]]) -> float:
        release = Release(batch[0])
        for report in batch[1:]:
            release.again(report)
        events = release.collect_events()
        began = time.perf_counter()
        application.events.put(events)
        return time.perf_counter() - began

    return put


def theirs_save(env: dict[str, str]) -> Timed:
    """Return a function that saves one event and returns its seconds."""
    application: Application[Any] = Application(env=env)

    def save(batch: list[dict[str, Any]]) -> float:
        release = Release(batch[0])
        began = time.perf_counter()
        application.save(release)
        return time.perf_counter() - began

    return save


def measure(timed: dict[str, Timed], size: int, count: int, rounds: int) -> dict[str, float]:
    """Return events a second for each, the median over alternating rounds."""
    speeds: dict[str, list[float]] = {name: [] for name in timed}
    start = 0
    for _ in range(rounds + 1):  # the first warms up and is left out
        for name, run in timed.items():
            seconds = 0.0
            for _ in range(max(1, count // size)):
                start += size
                seconds += run(reports(size, start, names="names" in name))
            speeds[name].append(max(1, count // size) * size / seconds)
    return {name: statistics.median(found[1:]) for name, found in speeds.items()}


def places(postgres: str | None) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield name, our URL and the other library's settings for each database."""
    folder = Path(tempfile.mkdtemp(prefix="append-"))
    yield "SQLite", str(folder / "ours.db"), {
        "PERSISTENCE_MODULE": "eventsourcing.sqlite",
        "SQLITE_DBNAME": str(folder / "theirs.db"),
    }
    if postgres:
        from sqlalchemy import make_url

        url = make_url(postgres)
        yield "PostgreSQL", postgres, {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": str(url.database),
            "POSTGRES_HOST": str(url.host or url.query.get("host", "")),
            "POSTGRES_PORT": str(url.port or 5432),
            "POSTGRES_USER": str(url.username or ""),
            "POSTGRES_PASSWORD": str(url.password or ""),
        }


def main() -> None:
    """Print a table for each database."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--postgres", help="URL of an empty database")
    options = parser.parse_args()
    for name, url, env in places(options.postgres):
        record, put, save = ours(url), theirs_put(env), theirs_save(env)
        print(f"{name}, events a second (median of {options.rounds})")
        batch = measure(
            {"ledger": record, "ledger, with names": record, "EventStore.put": put},
            BATCH, options.events, options.rounds,
        )
        show(f"{BATCH:,} a transaction", batch, "EventStore.put")
        single = measure(
            {"ledger": record, "ledger, with names": record, "Application.save": save},
            1, options.events // 40, options.rounds,
        )
        show("1 a transaction", single, "Application.save")


def show(title: str, speeds: dict[str, float], base: str) -> None:
    """Print the speeds and their ratios to the base."""
    print(f"  {title}")
    for name, speed in speeds.items():
        print(f"    {name:<22}{speed:>10,.0f}   x {speed / speeds[base]:.2f}")


if __name__ == "__main__":
    main()
