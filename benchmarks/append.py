"""How fast reports are appended, beside the `eventsourcing` library, in one run on one disk.

    python -m benchmarks.append [--events 40000] [--postgres URL]

Both store the same report, and both work in two steps that are timed apart. *Make*: here the report
is validated against its marshmallow form, sealed where it names a person, and put into canonical
bytes; there an aggregate triggers an event, unchecked. *Store*: here the entry is hashed into the
tree and inserted under triggers that check order and uniqueness; there `Application.save` stores
one event a transaction, `EventStore.put` 1,000. Here one connection is kept, as by
`Book.connected`; there the application's own pool keeps it. The two take turns, transaction by
transaction, so that a busy machine slows both; times are medians. *Strict x* is the reading of the
budget that is hardest on the ledger: its make and store together, against the other library's store
alone.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
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


Seconds = tuple[float, float]
"""To make the events, and to store them."""
Timed = Callable[[list[dict[str, Any]]], Seconds]


def ours(url: str) -> Timed:
    """Return a function that records reports in one transaction, on a kept connection."""
    engine = connect(url)
    upgrade(engine)
    kept = engine.connect()  # as `Book.connected` keeps one
    batches = count()

    def record(batch: list[dict[str, Any]]) -> Seconds:
        number = next(batches)
        began = time.perf_counter()
        events = [
            compose("PrisonersReleased", f"development/by-{number}-{index % 50}", report,
                    id=new_id(), salts=new_salt)
            for index, report in enumerate(batch)
        ]
        made = time.perf_counter()
        with writing(kept) as connection:
            append(connection, events, recorded_by="benchmark", clock=now)
        return made - began, time.perf_counter() - made

    return record


def theirs(env: dict[str, str]) -> Timed:
    """Return a function that stores the same reports: one with `save`, several with `put`."""
    application: Application[Any] = Application(env=env)

    def store(batch: list[dict[str, Any]]) -> Seconds:
        began = time.perf_counter()
        release = Release(batch[0])
        for report in batch[1:]:
            release.again(report)
        events = release.collect_events() if len(batch) > 1 else []
        made = time.perf_counter()
        if events:
            application.events.put(events)
        else:
            application.save(release)
        return made - began, time.perf_counter() - made

    return store


def measure(timed: dict[str, Timed], size: int, transactions: int) -> dict[str, Seconds]:
    """Return microseconds an event to make and to store, medians over the transactions."""
    found: dict[str, list[Seconds]] = {name: [] for name in timed}
    start = 0
    for number in range(transactions + transactions // 10):
        for name, run in timed.items():
            start += size
            spent = run(reports(size, start, names="names" in name))
            if number >= transactions // 10:  # the first ones warm up
                found[name].append(spent)
    return {
        name: (
            statistics.median(make for make, _ in rows) * 1e6 / size,
            statistics.median(store for _, store in rows) * 1e6 / size,
        )
        for name, rows in found.items()
    }


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
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--postgres", help="URL of an empty database")
    options = parser.parse_args()
    for name, url, env in places(options.postgres):
        record, store = ours(url), theirs(env)
        print(f"{name}, microseconds an event")
        for size, transactions in ((BATCH, options.events // BATCH), (1, options.events // 40)):
            timed = {"ledger": record, "ledger, with names": record, "eventsourcing": store}
            show(f"{size:,} a transaction", measure(timed, size, transactions))


def show(title: str, spent: dict[str, Seconds]) -> None:
    """Print the times, events a second, and how many times as fast as the other library."""
    base_make, base_store = spent["eventsourcing"]
    columns = f"{'make':>8}{'store':>8}{'stored/s':>10}{'store x':>9}{'both x':>8}{'strict x':>10}"
    print(f"  {title:<22}{columns}")
    for name, (make, store) in spent.items():
        both = make + store
        ratios = f"{base_store / store:>9.2f}{(base_make + base_store) / both:>8.2f}"
        if name != "eventsourcing":
            ratios += f"{base_store / both:>10.2f}"
        print(f"    {name:<20}{make:>8.1f}{store:>8.1f}{1e6 / store:>10,.0f}{ratios}")


if __name__ == "__main__":
    main()
