"""How fast the full history is verified, beside a bare read with SHA-256, in turns.

    python -m benchmarks.verify [FILE] [--events 1000000] [--newer 10000] [--rounds 3]

FILE is a ledger of `benchmarks.world`; without one a world is made. The bare read is what nobody
can go below in Python: `SELECT entry`, and SHA-256 over each. All take turns in one run, each with
a connection of its own; the best of the rounds counts. Processor time is shown beside the time on
the clock, since verifying uses every core and a busy machine gives it fewer.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import sqlalchemy as sa

from benchmarks.memory import watching
from benchmarks.world import load
from ledger import tables
from ledger.audit.against import Against
from ledger.audit.findings import Verdict
from ledger.audit.proving import prove
from ledger.audit.verifying import verify
from ledger.merkle import (
    EMPTY,
    check_inclusion,
    extend,
    frontier_from_bytes,
    leaf_hash,
    root,
)
from ledger.store.connect import connect, reading
from ledger.store.leaves import read_leaf_hashes
from ledger.store.read import read_entry, read_head
from ledger.tlog.head import Head, open_head, sign_head
from ledger.tlog.note import KEY_SIZE, Signer
from ledger.tlog.proof import decode_proof, encode_proof

PAGE = 1_000
CHECKS = 100


def bare(url: str) -> None:
    """Read every entry and hash it."""
    engine = connect(url)
    query = sa.text("SELECT entry FROM events ORDER BY position")
    with reading(engine) as connection:
        if engine.dialect.name == "sqlite":  # the driver alone, nothing between
            cursor = connection.connection.cursor()
            cursor.execute(query.text)
            for (entry,) in iter(cursor.fetchone, None):
                sha256(b"\x00" + entry).digest()
        else:
            rows = connection.execution_options(yield_per=PAGE).execute(query)
            for page in rows.partitions():
                for (entry,) in page:
                    sha256(b"\x00" + entry).digest()
    engine.dispose()


def verified(
    url: str, head: Against, *, first: int = 1, workers: int = 1, deep: bool = False
) -> None:
    """Verify from a position on; the world must be found in order."""
    engine = connect(url)
    done = verify(engine, from_position=first, against=[head], workers=workers, deep=deep)
    engine.dispose()
    assert done.verdict is Verdict.OK, done.found


def head_at(url: str, size: int) -> Against:
    """Return the head of that size, as if it had been signed and kept."""
    engine = connect(url)
    frontier = EMPTY
    with reading(engine) as connection:
        whole = connection.execute(sa.select(tables.tree_head)).one()
        if size == whole.size:
            frontier = frontier_from_bytes(size, whole.frontier)
        for leaves in read_leaf_hashes(connection, frontier.size, size):
            frontier = extend(frontier, leaves)
    engine.dispose()
    return Against(size, root(frontier), "kept", frontier=frontier)


def processor() -> float:
    """Return the processor seconds of this process and of its children that ended."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, whose))


def best(runs: dict[str, Callable[[], None]], rounds: int) -> dict[str, tuple[float, float]]:
    """Return the least seconds on the clock and of the processor, over rounds in turn."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            began, spent = time.perf_counter(), processor()
            run()
            found[name].append((time.perf_counter() - began, processor() - spent))
    return {
        name: (min(clock for clock, _ in rows), min(spent for _, spent in rows))
        for name, rows in found.items()
    }


def main() -> None:
    """Print a line for each way to read the history."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", nargs="?", help="a ledger of benchmarks.world, or its URL")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--newer", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--deep", action="store_true", help="also with every entry parsed")
    options = parser.parse_args()
    url = options.file
    if url is None:
        url = str(Path(tempfile.mkdtemp(prefix="verify-")) / "world.db")
        load(connect(url), options.events, tell=True)
    with reading(connect(url)) as connection:
        size = read_head(connection).size
    whole, older = head_at(url, size), head_at(url, size - options.newer)
    cores = os.cpu_count() or 1
    runs: dict[str, Callable[[], None]] = {
        "bare read and SHA-256": lambda: bare(url),
        "verify, one process": lambda: verified(url, whole),
        f"verify, {cores} processes": lambda: verified(url, whole, workers=cores),
        f"verify {options.newer:,} newer": lambda: verified(
            url, older, first=older.size + 1),
    }
    if options.deep:
        runs[f"verify --deep, {cores} processes"] = lambda: verified(
            url, whole, workers=cores, deep=True)
    with watching() as memory:
        show(size, best(runs, options.rounds))
    print(f"  peak memory of a process: {max(memory.values()):,.0f} MiB")
    proofs(url, whole)


def proofs(url: str, head: Against) -> None:
    """Print how long it takes to prove one event from the database, and to check the proof."""
    signer = Signer("example.org/benchmark", bytes(range(KEY_SIZE)))
    note = sign_head(Head(signer.name, head.size, head.root), signer)
    engine = connect(url)
    with reading(engine) as connection:
        began = time.perf_counter()
        text = encode_proof(prove(connection, head.size // 2, note))
        proved = time.perf_counter() - began
        entry = read_entry(connection, head.size // 2)
    engine.dispose()
    began = time.perf_counter()
    for _ in range(CHECKS):
        proof = decode_proof(text)
        signed = open_head(proof.note, signer.key)
        assert check_inclusion(
            proof.index, signed.size, leaf_hash(entry), proof.hashes, signed.root)
    checked = (time.perf_counter() - began) / CHECKS
    print(f"  one proof from the database {proved:.2f} s; its check {checked * 1e3:.2f} ms,"
          " signature and all")


def show(size: int, spent: dict[str, tuple[float, float]]) -> None:
    """Print seconds, microseconds an event, and times as long as the bare read."""
    print(f"{size:,} events")
    print(f"  {'':<28}{'clock s':>9}{'processor s':>13}{'clock x':>9}{'processor x':>13}")
    (clock, cpu), *_ = spent.values()
    for name, (seconds, processor_seconds) in spent.items():
        print(f"  {name:<28}{seconds:>9.2f}{processor_seconds:>13.2f}"
              f"{seconds / clock:>9.2f}{processor_seconds / cpu:>13.2f}")


if __name__ == "__main__":
    main()
