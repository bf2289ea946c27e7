"""Logs with signed heads for tests: in memory, in a database, as files; and both who check them."""

import importlib.util
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

import sqlalchemy as sa
from appenders import now, release

from ledger.audit.heads import KnownHead, open_heads
from ledger.errors import LedgerError
from ledger.merkle import (
    EMPTY,
    extend,
    frontier_to_bytes,
    leaf_hash,
    prove_consistency,
    prove_inclusion,
    root,
    subtree_over,
)
from ledger.store.append import append
from ledger.store.connect import reading, writing
from ledger.store.leaves import read_entries
from ledger.tlog.check import check_file
from ledger.tlog.head import Head, sign_head
from ledger.tlog.note import Signer
from ledger.tlog.proof import ConsistencyProof, InclusionProof

SCRIPT = Path(__file__).parents[1] / "scripts" / "verify_offline.py"

SIGNER = Signer("example.org/ledger", bytes(range(32)))
VKEY = str(SIGNER.key)
STRANGER = Signer("example.org/ledger", bytes(32))
"""Another key under the same name."""

SMALL_WORLD = 130
ENTRIES = [b'{"entry":%d}' % number for number in range(SMALL_WORLD)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
SUBTREE = cache(subtree_over(LEAVES))


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_offline", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


offline = _script()


@cache
def note_of(size: int, signer: Signer = SIGNER) -> str:
    """Return the signed head over the first entries of the small world."""
    return sign_head(Head(signer.name, size, SUBTREE(0, size)), signer)


def proof_of(index: int, size: int) -> InclusionProof:
    """Return the proof of one entry of the small world."""
    hashes = tuple(prove_inclusion(index, size, SUBTREE))
    return InclusionProof(index, hashes, note_of(size), ENTRIES[index])


def growth_of(old: int, new: int) -> ConsistencyProof:
    """Return the proof that the small world only grew."""
    hashes = tuple(prove_consistency(old, new, SUBTREE))
    return ConsistencyProof(old, hashes, note_of(old), note_of(new))


def ours(raw: bytes, entry: bytes | None = None) -> str:
    """Return what the ledger's own check says of a proof file: a status, or refused."""
    try:
        return check_file(raw, SIGNER.key, entry=entry).status
    except LedgerError:
        return "refused"


def theirs(raw: bytes, entry: bytes | None = None) -> str:
    """Return the same of the script that knows nothing of the ledger."""
    names = {code: word.split()[0] for code, word in offline.WORDS.items()}
    try:
        offline.check_bytes(raw, offline.read_key(VKEY), None, entry)
    except offline.Verdict as verdict:
        name: str = names[verdict.args[0]]
        return name.replace("could", "could_not")
    return "ok"


CHECKERS: Sequence[Callable[[bytes], str]] = (ours, theirs)


def fill(engine: sa.Engine, count: int, name: str = "e") -> None:
    """Append so many events in one transaction."""
    events = [release(f"{name}-{number}", "development/a") for number in range(count)]
    with writing(engine) as connection:
        append(connection, events, recorded_by="tester", clock=now)


def fill_bare(engine: sa.Engine, count: int) -> None:
    """Put many rows that are no events into a new SQLite ledger: only entry and leaf hash fit."""
    rows = [
        (position, f"{position}", "s", position, "T", 1, "", entry, leaf_hash(entry))
        for position, entry in ((n, b"entry %d" % n) for n in range(1, count + 1))
    ]
    with writing(engine) as connection:
        unguard(connection)
        connection.exec_driver_sql("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def stored(engine: sa.Engine, size: int) -> list[bytes]:
    """Return the first entries of a ledger."""
    with reading(engine) as connection:
        return [entry for entry, _ in read_entries(connection, 0, size)]


def sign(engine: sa.Engine, size: int, heads: Path | None = None) -> str:
    """Return a signed head over the first entries of a ledger, remembered in a head store."""
    frontier = extend(EMPTY, map(leaf_hash, stored(engine, size)))
    note = sign_head(Head(SIGNER.name, size, root(frontier)), SIGNER)
    if heads is not None:
        store = open_heads(heads)
        latest = store.latest(SIGNER.name)
        known = KnownHead(size, root(frontier), frontier_to_bytes(frontier), "now", note)
        store.add(SIGNER.name, known, 0 if latest is None else latest.size)
        store.close()
    return note


def no_root(size: int) -> bytes | None:
    """Know of no head that was signed before."""
    return None


def unguard(connection: sa.Connection) -> None:
    """Take the triggers away that keep events as they are, as an owner can."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("ALTER TABLE events DISABLE TRIGGER ALL")
        return
    triggers = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    for (name,) in triggers.all():
        connection.exec_driver_sql(f"DROP TRIGGER {name}")


def rewrite(engine: sa.Engine, statement: str) -> None:
    """Run a statement that the triggers would have refused."""
    with writing(engine) as connection:
        unguard(connection)
        connection.exec_driver_sql(statement)
