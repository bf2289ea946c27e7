"""How long an answer about one state or one development takes, as of any earlier position.

    python -m benchmarks.as_of [--events 1000 100000 1000000] [--file FILE] [--asks 300] [--plans]

Each question is asked about states and developments drawn at random, each time as of a position
drawn at random, of generated worlds of several sizes on SQLite (`benchmarks.world`). `rows` is how
many rows the answer has; a page of an explanation is what people are shown unless they ask for
more. Milliseconds are of the wall clock; `cpu` is the time that the asking thread was running,
which other work on the machine disturbs less. The quiet state has the same few developments in
every world: what it costs more in a larger one is what the rest of the log costs. The busiest has a
ninth of the log. `all answers` are those about a state or a development that is drawn at random.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import sqlalchemy as sa

from benchmarks.world import QUIET, STATES, load, moment
from ledger.answers.answer import position_at
from ledger.answers.coded_events import coded_events
from ledger.answers.disputes import disputes
from ledger.answers.exchanges import exchanges
from ledger.answers.explaining import PAGE, explain_releases
from ledger.answers.people import people
from ledger.answers.releases import releases
from ledger.answers.sanctions import sanctions
from ledger.answers.talks import talks
from ledger.answers.tallies import tallies
from ledger.book import now
from ledger.projections.coded_events import coded_events as coded_table
from ledger.projections.registry import PROJECTIONS
from ledger.projections.releases import releases as releases_table
from ledger.projections.sanctions import sanctions as sanctions_table
from ledger.projections.talks import talks as talks_table
from ledger.rebuild import rebuild_all
from ledger.store.connect import connect, reading

Ask = Callable[[sa.Connection, str, int], Any]
WARM_UP = 20


class Question(NamedTuple):
    """A question and what it is asked about."""

    name: str
    ask: Ask
    about: str
    """`state`, `quiet`, `busiest`, or the answer table whose developments are drawn."""


def _of_state(answer: Callable[..., Any], **fixed: Any) -> Ask:
    return lambda connection, state, at: answer(connection, state=state, as_of=at, **fixed)


def _of_one(answer: Callable[..., Any], **fixed: Any) -> Ask:
    return lambda connection, one, at: answer(connection, development=one, as_of=at, **fixed)


LISTED: dict[str, Callable[..., Any]] = {
    "releases": releases, "tallies": tallies, "disputes": disputes, "sanctions": sanctions,
    "talks": talks, "people": people,
}
ONE: dict[str, tuple[Callable[..., Any], sa.Table]] = {
    "releases": (releases, releases_table), "disputes": (disputes, releases_table),
    "sanctions": (sanctions, sanctions_table), "talks": (talks, talks_table),
    "exchanges": (exchanges, talks_table), "people": (people, releases_table),
    "coded_events": (coded_events, coded_table),
}
QUESTIONS = (
    *(Question(f"{name}, quiet state", _of_state(ask), "quiet") for name, ask in LISTED.items()),
    Question("explain all, quiet state", _of_state(explain_releases), "quiet"),
    *(Question(f"{name}, one development", _of_one(ask), table.name)
      for name, (ask, table) in ONE.items()),
    Question("releases, a state", _of_state(releases), "state"),
    Question("releases by state, a state", _of_state(releases, by="state"), "state"),
    Question("releases by day, a state", _of_state(releases, by="day"), "state"),
    Question("releases in 90 days, a state",
             _of_state(releases, since="2024-06-01", until="2024-08-30"), "state"),
    *(Question(f"{name}, a state", _of_state(ask), "state")
      for name, ask in LISTED.items() if name != "releases"),
    Question("explain a page, a state", _of_state(explain_releases, limit=PAGE), "state"),
    Question("explain a page of PL, a state",
             _of_state(explain_releases, citizenship="PL", limit=PAGE), "state"),
    Question("explain all, a state", _of_state(explain_releases), "state"),
    *(Question(f"{name}, busiest state", _of_state(ask), "busiest")
      for name, ask in LISTED.items()),
)


class Timed(NamedTuple):
    """What one question cost, in milliseconds."""

    wall: list[float]
    cpu: list[float]
    rows: list[int]


@contextmanager
def world(events: int, file: str | None) -> Iterator[sa.Engine]:
    """Open a world with its answer tables: a file that is there, or one that is made."""
    with tempfile.TemporaryDirectory(prefix="as-of-") as folder:
        engine = connect(file or str(Path(folder) / "ledger.db"))
        if file is None:
            load(engine, events, tell=True)
            rebuild_all(engine, PROJECTIONS, now)
        yield engine
        engine.dispose()


def drawn(connection: sa.Connection, about: str, count: int, rng: Random) -> list[str]:
    """Return states or developments, each as often as it comes."""
    if about == "quiet":
        return [QUIET] * count
    if about == "busiest":
        return [STATES[0]] * count
    if about == "state":
        return rng.choices(STATES, k=count)
    table = sa.table(about, sa.column("stream"))
    streams = sorted(set(connection.scalars(sa.select(table.c.stream))))
    return rng.choices(streams, k=count)


def measured(
    connection: sa.Connection, question: Question, asks: int, size: int, rng: Random
) -> Timed:
    """Ask so many times and return what each took."""
    found = Timed([], [], [])
    for number, about in enumerate(drawn(connection, question.about, asks + WARM_UP, rng)):
        at = rng.randint(size // 10, size)
        began, ran = time.perf_counter(), time.thread_time()
        answer = question.ask(connection, about, at)
        ran, began = time.thread_time() - ran, time.perf_counter() - began
        if number >= WARM_UP:
            found.wall.append(began * 1e3)
            found.cpu.append(ran * 1e3)
            found.rows.append(len([*answer]))
    return found


def moments(connection: sa.Connection, asks: int, size: int, rng: Random) -> Timed:
    """Find the position that a time means, so many times."""
    found = Timed([], [], [])
    for _ in range(asks):
        text = moment(rng.randint(1, size), size).isoformat()
        began, ran = time.perf_counter(), time.thread_time()
        position_at(connection, text)
        found.cpu.append((time.thread_time() - ran) * 1e3)
        found.wall.append((time.perf_counter() - began) * 1e3)
        found.rows.append(1)
    return found


def share(values: Sequence[Any], part: float) -> Any:
    """Return the value that so large a part of the values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def plans(engine: sa.Engine, connection: sa.Connection, question: Question, size: int) -> list[str]:
    """Return the query plans of all statements of a question."""
    ran: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, sql: str, parameters: Any, *_: Any) -> None:
        ran.append((sql, parameters))

    about = drawn(connection, question.about, 1, Random(1))[0]
    sa.event.listen(engine, "before_cursor_execute", note)
    question.ask(connection, about, size)
    sa.event.remove(engine, "before_cursor_execute", note)
    return [
        str(row[3])
        for sql, parameters in ran
        for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters)
    ]


def show(name: str, timed: Timed) -> None:
    """Print one line of the table."""
    rows = f"{share(timed.rows, 0.5):>7,}{share(timed.rows, 0.99):>8,}"
    wall = f"{share(timed.wall, 0.5):>9.2f}{share(timed.wall, 0.99):>9.2f}"
    cpu = f"{share(timed.cpu, 0.5):>9.2f}{share(timed.cpu, 0.99):>9.2f}"
    print(f"  {name:<32}{rows}{wall}{cpu}", flush=True)


def kind_of(question: Question) -> str:
    """Return what an answer is about; empty for an explanation, and for a state by its rank."""
    if question.about in ("quiet", "busiest") or question.name.startswith("explain"):
        return ""
    return "a state" if question.about == "state" else "one development"


def show_together(answers: dict[str, list[Timed]]) -> None:
    """Print a line for the answers about states, about developments, and about either."""
    kinds = {kind: timed for kind, timed in answers.items() if kind}
    for kind, timed in kinds.items():
        show(f"all answers, {kind}", pooled(timed))
    if len(kinds) > 1:
        show("all answers", pooled([one for timed in kinds.values() for one in timed]))


def pooled(many: Sequence[Timed]) -> Timed:
    """Return what all of them cost, as if it were one question."""
    return Timed(*(list(chain(*of_each)) for of_each in zip(*many, strict=True)))


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--file", help="a world that was made and rebuilt before")
    parser.add_argument("--asks", type=int, default=300)
    parser.add_argument("--only", default="", help="questions whose name contains this")
    parser.add_argument("--plans", action="store_true", help="print the query plans instead")
    options = parser.parse_args()
    for events in options.events:
        with world(events, options.file) as engine, reading(engine) as connection:
            chosen = [question for question in QUESTIONS if options.only in question.name]
            if options.plans:
                for question in chosen:
                    print(question.name)
                    for step in plans(engine, connection, question, events):
                        print(f"    {step}")
                continue
            print(f"{events:,} events, milliseconds")
            print(f"  {'':<32}{'rows 50':>7}{'99':>8}{'50 %':>9}{'99 %':>9}{'cpu 50':>9}{'99':>9}")
            rng = Random(events)
            show("as-of time to position", moments(connection, options.asks, events, rng))
            answers: dict[str, list[Timed]] = {}
            for question in chosen:
                timed = measured(connection, question, options.asks, events, rng)
                show(question.name, timed)
                answers.setdefault(kind_of(question), []).append(timed)
            show_together(answers)


if __name__ == "__main__":
    main()
