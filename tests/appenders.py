"""Processes that append to a ledger, follow it, and die where they are told to.

A Nursery imports the ledger once and forks a Worker whenever a test asks for one, so that a process
costs milliseconds. A worker answers JSON lines over a socket; when it is killed, what it had sent
can still be read. The last part, `complaints_about`, is what tests hold every log against.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import sqlalchemy as sa

import ledger
from ledger import tables
from ledger.encoding import compose
from ledger.entry import parse
from ledger.errors import LedgerError
from ledger.events import Data, NewEvent
from ledger.kinds.sealing import digest
from ledger.store.append import append
from ledger.store.connect import connect, reading, run_bare, writing
from ledger.store.read import Selection, read_events

SECONDS_AT_MOST = 120
"""How long a test waits for a worker that has hung."""

DAY = {"edtf": "2025-12-13", "earliest": "2025-12-13", "latest": "2025-12-13"}
RELEASE: Data = {
    "when": DAY,
    "provenance": {"publisher": "Straight Arrow News", "url": "https://example.org/a"},
    "by": {"country": {"code": "BY", "said": "Belarus"}},
    "total": {"relation": "exact", "low": 123, "high": 123},
    "citizenships": [],
    "exhaustive": False,
    "destinations": [],
    "persons": [{"name": "A. Name", "citizenships": []}],
    "category": "political",
    "stage": "done",
    "act": "release",
}
"""A report in normal form with one sealed field."""


def release(id: str, stream: str, total: int = 123, name: str = "A. Name") -> NewEvent:
    """Return an event whose public part says `total` and whose sealed part says `name`."""
    data = RELEASE | {
        "total": {"relation": "exact", "low": total, "high": total},
        "persons": [{"name": name, "citizenships": []}],
    }
    salt = sha256(id.encode()).digest()[:16]
    return compose("PrisonersReleased", stream, data, id=id, salts=lambda: salt)


def now() -> datetime:
    """Return the time now."""
    return datetime.now(UTC)


Batch = dict[str, Any]
"""`events`: pairs of id and stream; `expected`: as for `append`."""


def batches(name: str, group: str, seed: str, count: int | None = None) -> Iterator[Batch]:
    """Yield batches of 1 to 5 events over the worker's own stream and three that the group shares.

    The same for the same arguments. Only the own stream has an expected version.
    """
    chance = Random(seed)
    own, in_own, made = f"development/{group}-{name}", 0, 0
    while count is None or made < count:
        events = [
            [f"{group}-{name}-{made}-{number}", chance.choice(
                [own, *(f"development/{group}-shared-{n}" for n in range(3))]
            )]
            for number in range(chance.randint(1, 5))
        ]
        yield {"events": events, "expected": {own: in_own}}
        in_own += sum(stream == own for _, stream in events)
        made += 1


# What a worker does.

Send = Callable[[Any], None]


def append_batch(engine: sa.Engine, batch: Batch) -> list[list[Any]]:
    """Append one batch in one transaction and return its receipts."""
    events = [release(id, stream) for id, stream in batch["events"]]
    with writing(engine) as connection:
        receipts = append(
            connection, events, recorded_by="worker", clock=now, expected=batch["expected"]
        )
    return [[r.position, r.id, r.stream, r.stream_version, r.recorded_at] for r in receipts]


def do_append(engine: sa.Engine, send: Send, plan: list[Batch]) -> None:
    """Append batch after batch; answer once, with receipts or the refusal of each."""
    answers: list[Any] = []
    for batch in plan:
        try:
            answers.append(append_batch(engine, batch))
        except LedgerError as refusal:
            answers.append({"refused": type(refusal).__name__} | vars(refusal))
    send(answers)


def do_append_on(engine: sa.Engine, send: Send, name: str, group: str, seed: str) -> None:
    """Append without end, and acknowledge each batch after its commit."""
    for batch in batches(name, group, seed):
        send(append_batch(engine, batch))


def do_follow(engine: sa.Engine, send: Send, after: int, stop: socket.socket) -> None:
    """Read what comes after the last position seen, until told to stop; then once more."""
    seen: list[list[Any]] = []
    told = False
    while True:
        last = seen[-1][0] if seen else after
        with reading(engine) as connection:
            for event in read_events(connection, Selection(after=last), page=7):
                seen.append([event.position, event.id, event.stream, event.stream_version])
        if told:
            break
        told = bool(select.select([stop], [], [], 0.001)[0])
    send(seen)


STEPS: Mapping[str, tuple[str, str]] = {
    "before the insert": ("before_cursor_execute", "INSERT INTO events"),
    "after the insert": ("after_cursor_execute", "INSERT INTO events"),
    "after the disclosures": ("after_cursor_execute", "INSERT INTO disclosures"),
    "after the tree update": ("after_cursor_execute", "UPDATE tree_head"),
    "before the commit": ("commit", ""),
    "after the commit": ("", ""),
}
"""A step of an append to the engine's event that marks it, and the statement it is about."""


def do_append_and_die(engine: sa.Engine, send: Send, step: str, batch: Batch) -> None:
    """Append a batch and kill this very process at the step."""
    moment, beginning = STEPS[step]

    def die(connection: Any, cursor: Any = None, statement: str = "", *_: Any) -> None:
        if statement.startswith(beginning):
            os.kill(os.getpid(), signal.SIGKILL)

    if moment:
        sa.event.listen(engine, moment, die)
    receipts = append_batch(engine, batch)
    die(None)
    send(receipts)


def do_append_and_die_after(engine: sa.Engine, send: Send, call: int, batch: Batch) -> None:
    """Append a batch and kill this very process after so many statements of the driver's own."""
    calls = count(1)

    def run(*arguments: Any) -> list[Any]:
        rows = run_bare(*arguments)
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return rows

    with mock.patch("ledger.store.append.run_bare", run):
        send(append_batch(engine, batch))


JOBS: Mapping[str, Callable[..., None]] = {
    job.__name__: job
    for job in (do_append, do_append_on, do_follow, do_append_and_die, do_append_and_die_after)
}


def serve(channel: socket.socket) -> None:
    """Do what is asked on the channel until it is closed."""

    def send(answer: Any) -> None:
        channel.sendall(json.dumps(answer).encode() + b"\n")

    send(os.getpid())
    engines: dict[str, sa.Engine] = {}
    for line in channel.makefile("rb", buffering=0):
        if not line.strip():
            continue  # the word to stop, read by somebody else or too late
        request = json.loads(line)
        job, url = request.pop("do"), request.pop("url")
        if url not in engines:
            engines[url] = connect(url)
        if job == "do_follow":
            request["stop"] = channel
        JOBS[job](engines[url], send, **request)


def run_nursery(control: socket.socket) -> None:
    """Fork a worker for every channel that comes in; end when nobody is left to ask."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries the dead
    while True:
        message, (*channels,), _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        if os.fork() == 0:
            control.close()
            channel = socket.socket(fileno=channels[0])
            try:
                serve(channel)
            except BrokenPipeError:
                pass  # nobody listens any more
            except BaseException:
                # An answer, so that whoever waits for a death does not take a mistake for one.
                channel.sendall(json.dumps({"broken": traceback.format_exc()}).encode() + b"\n")
            os._exit(0)
        os.close(channels[0])


# What a test holds.


class Worker:
    """A process that appends or follows; `hear` returns None when it is dead."""

    def __init__(self, channel: socket.socket, url: str) -> None:
        channel.settimeout(SECONDS_AT_MOST)
        self._channel, self._url = channel, url
        self._answers = channel.makefile("rb")
        self.pid = int(self.hear())

    def tell(self, do: Callable[..., None], **request: Any) -> None:
        """Ask for a job and do not wait for its answer."""
        line = json.dumps({"do": do.__name__, "url": self._url, **request})
        self._channel.sendall(line.encode() + b"\n")

    def stop(self) -> None:
        """Tell a follower that nothing more will come."""
        self._channel.sendall(b"\n")

    def hear(self) -> Any:
        """Return the next answer; a line that its writer's death cut off is none."""
        try:
            line = self._answers.readline()
        except ConnectionResetError:
            return None
        return json.loads(line) if line.endswith(b"\n") else None

    def ask(self, do: Callable[..., None], **request: Any) -> Any:
        """Ask for a job and return its answer."""
        self.tell(do, **request)
        return self.hear()

    def kill(self) -> None:
        """Kill the process: no handler runs, nothing is flushed."""
        os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Hang up, upon which the process ends."""
        self._answers.close()
        self._channel.close()


class Nursery:
    """Makes workers; a context manager that ends them all."""

    def __enter__(self) -> "Nursery":
        self._workers: list[Worker] = []
        self._control, theirs = socket.socketpair()
        path = str(Path(ledger.__file__).parents[1])
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()], env={**os.environ, "PYTHONPATH": path},
        )
        theirs.close()
        return self

    def worker(self, url: str) -> Worker:
        """Return a new process that works on the database."""
        ours, theirs = socket.socketpair()
        socket.send_fds(self._control, [b"+"], [theirs.fileno()])
        theirs.close()
        worker = Worker(ours, url)
        self._workers.append(worker)
        return worker

    def __exit__(self, *_: object) -> None:
        self._control.close()
        for worker in self._workers:
            worker.close()
        self._process.wait(SECONDS_AT_MOST)


# What must hold of every log at any moment.


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """Return the root as RFC 6962 section 2.1 words it, in the plainest way."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256().digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    halves = tree_hash(leaves[:split]) + tree_hash(leaves[split:])
    return sha256(b"\x01" + halves).digest()


def complaints_about(engine: sa.Engine) -> list[str]:
    """Return what is wrong with a log: gaps, columns, hashes, order of time, disclosures, tree."""
    with reading(engine) as connection:
        query = sa.select(tables.events).order_by(tables.events.c.position)
        rows = [row._asdict() for row in connection.execute(query)]
        head = connection.execute(sa.select(tables.tree_head)).one()._asdict()
        disclosures = connection.execute(sa.select(tables.disclosures)).all()
    held: dict[int, set[str]] = {}
    for position, name, disclosure in disclosures:
        held.setdefault(position, set()).add(name if name == digest(disclosure) else "altered")
    return [*_about_rows(rows), *_about_disclosures(rows, held), *_about_head(rows, head)]


def _about_rows(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    versions: dict[str, int] = {}
    last = ""
    for position, row in enumerate(rows, start=1):
        where, entry = f"position {row['position']}", parse(row["entry"])
        versions[row["stream"]] = versions.get(row["stream"], 0) + 1
        if row["position"] != position:
            yield f"{where} stands where {position} should"
        if row["stream_version"] != versions[row["stream"]]:
            yield f"{where} leaves a gap in its stream"
        if row["recorded_at"] < last:
            yield f"{where} was recorded before its predecessor"
        if row["leaf_hash"] != sha256(b"\x00" + row["entry"]).digest():
            yield f"{where} has the leaf hash of another entry"
        for name in row.keys() - {"position", "entry", "leaf_hash"}:
            if row[name] != entry[name]:
                yield f"{where} has another {name} than its entry"
        last = row["recorded_at"]


def _about_disclosures(
    rows: Sequence[Mapping[str, Any]], held: Mapping[int, set[str]]
) -> Iterator[str]:
    for row in rows:
        if set(parse(row["entry"]).get("_sd", {}).values()) != held.get(row["position"], set()):
            yield f"position {row['position']} has other disclosures than digests"
    for position in held.keys() - {row["position"] for row in rows}:
        yield f"position {position} has disclosures and no entry"


def _about_head(rows: Sequence[Mapping[str, Any]], head: Mapping[str, Any]) -> Iterator[str]:
    if head["size"] != len(rows):
        yield f"the tree head says {head['size']} of {len(rows)}"
    if head["root"] != tree_hash([row["leaf_hash"] for row in rows]):
        yield "the tree head has another root"
    if head["recorded_at"] != (rows[-1]["recorded_at"] if rows else ""):
        yield "the tree head has another time"


def wait_a_little(chance: Random, milliseconds: int) -> None:
    """Sleep for up to so many milliseconds."""
    time.sleep(chance.uniform(0, milliseconds / 1000))


if __name__ == "__main__":
    run_nursery(socket.socket(fileno=int(sys.argv[1])))
