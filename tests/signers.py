"""Processes that sign heads, race each other, and die where they are told to.

Each is forked from a server that has imported the ledger once, so that it costs milliseconds.
"""

import multiprocessing as mp
import os
import signal
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from pkgutil import resolve_name
from typing import Any
from unittest import mock

import sqlalchemy as sa
from appenders import append_batch, now

from ledger import tables
from ledger.audit.heads import HeadStore, open_heads
from ledger.audit.publishing import Folder
from ledger.audit.signing import Signed, sign_head
from ledger.merkle import EMPTY, Frontier, extend, frontier_to_bytes, leaf_hash, root
from ledger.store.connect import connect, reading
from ledger.tlog.head import Head, open_head
from ledger.tlog.note import Signer

SIGNER = Signer("example.org/incidents", sha256(b"a seed for tests").digest())
OTHER = Signer("example.org/incidents/2", sha256(b"another seed").digest())

_processes = mp.get_context("forkserver")
_processes.set_forkserver_preload([__name__])
SECONDS_AT_MOST = 120


def record(engine: sa.Engine, *names: str) -> None:
    """Record one small event a name, all at once."""
    events = [[name, f"development/{name}"] for name in names]
    append_batch(engine, {"events": events, "expected": {}})


def sign(
    engine: sa.Engine, heads: HeadStore, folder: Path | None = None, *, signer: Signer = SIGNER,
    full: bool = False,
) -> Signed | None:
    """Sign the head by the real clock, and publish it in the folder if there is one."""
    places = [] if folder is None else [Folder(folder)]
    return sign_head(engine, heads, signer, now, places, full=full)


def signed(engine: sa.Engine, heads: HeadStore, **options: Any) -> Signed:
    """Sign a ledger that is not empty."""
    found = sign(engine, heads, **options)
    assert found is not None
    return found


def complaints_about(engine: sa.Engine, heads: HeadStore, folder: Path) -> list[str]:
    """Return what is wrong with what was signed: heads of other histories, files that differ."""
    leaves = hashes(engine)
    wrong = []
    for known in heads.all(SIGNER.name):
        head = Head(SIGNER.name, known.size, root_over(leaves[: known.size]))
        if open_head(known.note, SIGNER.key) != head or known.root != head.root:
            wrong.append(f"the head of size {known.size} is of another history")
        if (folder / "heads" / str(known.size)).read_text("utf-8") != known.note:
            wrong.append(f"the file of size {known.size} is another note")
    files = {path.name for path in (folder / "heads").iterdir()}
    if files != {str(known.size) for known in heads.all(SIGNER.name)}:
        wrong.append(f"other files than heads: {files}")
    latest = heads.latest(SIGNER.name)
    if latest is None or (folder / "checkpoint").read_text("utf-8") != latest.note:
        wrong.append("the checkpoint is not the latest head")
    return wrong


def hashes(engine: sa.Engine) -> list[bytes]:
    """Return the hash of every entry as it is stored now."""
    query = sa.select(tables.events.c.entry).order_by(tables.events.c.position)
    with reading(engine) as connection:
        return [leaf_hash(entry) for entry in connection.scalars(query)]


def root_over(leaves: list[bytes]) -> bytes:
    """Return the root of the tree over the leaf hashes."""
    return root(extend(EMPTY, leaves))


# Meddling, as the owner of the database can.


def meddle(engine: sa.Engine, *statements: sa.Executable) -> None:
    """Change the ledger behind its back: its triggers are gone or off from then on."""
    find = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    with engine.connect() as connection, connection.begin():
        if connection.dialect.name == "sqlite":
            for name in connection.exec_driver_sql(find).scalars().all():
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            for table in ("events", "tree_head"):
                connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for statement in statements:
            connection.execute(statement)


def rewritten(position: int, *, leaf_too: bool) -> sa.Executable:
    """Return the edit of one entry, with or without its leaf hash."""
    e = tables.events.c
    entry = b'{"rewritten":true}'
    values: dict[str, Any] = {"entry": entry}
    if leaf_too:
        values["leaf_hash"] = leaf_hash(entry)
    return sa.update(tables.events).where(e.position == position).values(values)


def cut_off(after: int) -> sa.Executable:
    """Return the removal of all events after a position."""
    return sa.delete(tables.events).where(tables.events.c.position > after)


def grow_tree_again(engine: sa.Engine) -> None:
    """Make the tree head that of the entries, as an attacker would who knows how."""
    leaves = hashes(engine)
    frontier: Frontier = extend(EMPTY, leaves)
    values = {"size": frontier.size, "root": root(frontier),
              "frontier": frontier_to_bytes(frontier)}
    meddle(engine, sa.update(tables.tree_head).values(values))


# Processes.

INSERT = "INSERT INTO heads"
SIGNING, PUBLISHING = "ledger.audit.signing", "ledger.audit.publishing"
FILES = "ledger.store.files"
STEPS: Mapping[str, tuple[str, int, bool]] = {
    "after the look at the store": (f"{SIGNING}._latest", 1, True),
    "after the reading": (f"{SIGNING}._grown", 1, True),
    "after the signature": (f"{SIGNING}.tlog.sign_head", 1, True),
    "before it is remembered": ("ledger.audit.heads.HeadStore.add", 1, False),
    "in the midst of remembering": (INSERT, 1, True),
    "after it is remembered": ("ledger.audit.heads.HeadStore.add", 1, True),
    "before the head's file is on disk": (f"{FILES}.os.fsync", 1, False),
    "before the head's file has its name": (f"{FILES}.os.replace", 1, False),
    "after the head's file": (f"{PUBLISHING}._write", 1, True),
    "before the checkpoint has its name": (f"{FILES}.os.replace", 2, False),
    "after the checkpoint has its name": (f"{FILES}.os.replace", 2, True),
    "after the publication": (f"{SIGNING}._publish", 1, True),
}
"""A step to the function or the statement that marks it, which call of it, and whether it is done
by then."""


def sign_and_die(url: str, heads: str, folder: Path, step: str) -> None:
    """Sign and publish, and kill this very process at the step."""
    target, call, after = STEPS[step]
    calls = 0

    def die_if_due(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)

    def marked(*arguments: Any, **options: Any) -> Any:
        if not after:
            die_if_due()
        answer = real(*arguments, **options)
        if after:
            die_if_due()
        return answer

    def seen(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith(INSERT):
            die_if_due()

    if target == INSERT:
        sa.event.listen(sa.Engine, "after_cursor_execute", seen)
        sign(connect(url), open_heads(heads), folder)
    else:
        real = resolve_name(target)
        with mock.patch(target, marked):
            sign(connect(url), open_heads(heads), folder)


def sign_often(url: str, heads: str, folder: Path, goal: int) -> None:
    """Sign and publish again and again, until so many events are signed."""
    engine, store = connect(url), open_heads(heads)
    size = 0
    while size < goal:
        found = sign(engine, store, folder)
        size = 0 if found is None else found.known.size


def append_often(url: str, heads: str, goal: int) -> None:
    """Append event by event, and wait now and then until some of them are signed."""
    engine, store = connect(url), open_heads(heads)
    for number in range(goal):
        record(engine, f"e{number}")
        while number % 10 == 9 and not any(store.all(SIGNER.name, after=number - 9)):
            time.sleep(0.001)


def started(job: Callable[..., None], *arguments: Any) -> Any:
    """Return a process of its own that does the job."""
    process = _processes.Process(target=job, args=arguments, daemon=True)
    process.start()
    return process


def ended(process: Any) -> int | None:
    """Return how the process ended: its exit code, or minus the signal that killed it."""
    process.join(SECONDS_AT_MOST)
    code: int | None = process.exitcode
    process.close()
    return code
