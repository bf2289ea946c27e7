"""What an owner of the database can do to the record, and what the audit says to it."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
import tampering as t
from recording import record_example, recorded, release

from ledger import tables
from ledger.audit.against import Against, from_files, from_store, in_order
from ledger.audit.findings import Findings, Rule, Verdict
from ledger.audit.heads import KnownHead, open_heads
from ledger.audit.verifying import Verification, verify
from ledger.merkle import EMPTY, extend, frontier_to_bytes, root
from ledger.store.connect import connect
from ledger.tlog.head import Head, sign_head
from ledger.tlog.note import Signer

FIRST, SIZE = 13, 52
"""The size at the first signed head, and at the second."""
P = 20
"""An event between the two."""
TAMPERED, FORK, OK = Verdict.TAMPERED, Verdict.FORK, Verdict.OK
AGO = "2001-01-01T00:00:00.000000Z"


@pytest.fixture
def heads(engine: sa.Engine) -> list[Against]:
    """A ledger without guards, and the two heads that were signed over it."""
    record_example(engine, "article")
    first = t.head_of(engine)
    record_example(engine, "wider")
    second = t.head_of(engine)
    assert (first.size, second.size) == (FIRST, SIZE)
    t.unguard(engine)
    return [first, second]


def rehashed(act: Callable[[sa.Engine], None]) -> Callable[[sa.Engine], None]:
    """Return the act with all hashes computed anew after it."""
    def acts(engine: sa.Engine) -> None:
        act(engine)
        t.rehash(engine)
    return acts


def column(**columns: object) -> Callable[[sa.Engine], None]:
    """Return the act that changes columns of one event."""
    return lambda engine: t.change(engine, P, **columns)


def rewrite(**changes: object) -> Callable[[sa.Engine], None]:
    """Return the act that changes an entry and its derived columns."""
    return lambda engine: t.rewrite(engine, P, changes)


def with_leaf(act: Callable[[sa.Engine], None]) -> Callable[[sa.Engine], None]:
    """Return the act with leaf hashes computed anew, and the tree head left alone."""
    def acts(engine: sa.Engine) -> None:
        with engine.connect() as connection:
            head = connection.execute(sa.select(tables.tree_head)).one()
        act(engine)
        t.rehash(engine)
        with engine.begin() as connection:
            connection.execute(sa.update(tables.tree_head).values(head._asdict()))
    return acts


def flip_entry(engine: sa.Engine) -> None:
    """Change one letter of an entry."""
    with engine.begin() as connection:
        raw = bytes(connection.scalar(sa.select(t.E.entry).where(t.E.position == P)) or b"")
        connection.execute(sa.update(tables.events).where(t.E.position == P)
                           .values(entry=raw.replace(b'"recorded_by":"t', b'"recorded_by":"T')))


def regrow(engine: sa.Engine) -> None:
    """Cut the log and let it grow over its old size with something else."""
    t.delete_after(engine, FIRST + 2)
    t.rehash(engine)
    for number in range(SIZE):
        recorded(engine, release(f"regrown-{number}"))


def swap(engine: sa.Engine) -> None:
    """Let two events change places."""
    for old, new in ((P, 1_000), (P + 1, P), (1_000, P + 1)):
        t.move(engine, old, new)


def rewrite_all(engine: sa.Engine) -> None:
    """Replace who recorded everything."""
    for position in range(1, SIZE + 1):
        t.rewrite(engine, position, {"recorded_by": "somebody else"})


def cut(engine: sa.Engine) -> None:
    """Delete the last events."""
    t.delete_after(engine, 40)


def _delete(engine: sa.Engine, position: int) -> None:
    with engine.begin() as connection:
        connection.execute(sa.delete(tables.events).where(t.E.position == position))
        connection.execute(sa.delete(tables.disclosures).where(t.D.position == position))


def _tree_head(engine: sa.Engine, **values: object) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(tables.tree_head).values(values))


def _delete_head(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.delete(tables.tree_head))


def _sealed(connection: sa.Connection) -> tuple[int, str]:
    row = connection.execute(
        sa.select(t.D.position, t.D.digest).order_by(t.D.position, t.D.digest)).first()
    assert row is not None
    return row.position, row.digest


def _alter_sealed(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        position, digest = _sealed(connection)
        connection.execute(
            sa.update(tables.disclosures)
            .where(t.D.position == position, t.D.digest == digest).values(disclosure="WyJhIl0"))


def _delete_sealed(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        position, digest = _sealed(connection)
        connection.execute(sa.delete(tables.disclosures)
                           .where(t.D.position == position, t.D.digest == digest))


def _stray(engine: sa.Engine, position: int) -> None:
    with engine.begin() as connection:
        connection.execute(sa.insert(tables.disclosures).values(
            position=position, digest="A" * 43, disclosure="WyJhIl0"))


# What was done; the verdict; the first position that may be wrong.
ATTACKS: dict[str, tuple[Callable[[sa.Engine], None], Verdict, int | None]] = {
    "column id": (column(id=t.NOBODY), TAMPERED, P),
    "column stream": (column(stream="development/another"), TAMPERED, P),
    "column stream_version": (column(stream_version=99), TAMPERED, P),
    "column type": (column(type="StatementMade"), TAMPERED, P),
    "column type_version": (column(type_version=9), TAMPERED, P),
    "column recorded_at": (column(recorded_at=AGO), TAMPERED, P),
    "column leaf_hash": (column(leaf_hash=bytes(32)), TAMPERED, P),
    "column entry": (flip_entry, TAMPERED, P),
    "column position": (lambda e: t.move(e, P, 1_000), TAMPERED, P),
    "no JSON": (column(entry=b"\xff no JSON"), TAMPERED, P),
    "entry and leaf hash": (with_leaf(rewrite(recorded_by="x")), TAMPERED, FIRST + 1),
    "entry, leaf hash and tree head": (rehashed(rewrite(recorded_by="x")), FORK, FIRST + 1),
    "delete": (lambda e: _delete(e, P), TAMPERED, P),
    "delete and renumber": (
        rehashed(lambda e: t.delete_and_renumber(e, P, SIZE)), FORK, FIRST + 1),
    "truncate": (cut, FORK, 41),
    "truncate, tree head too": (rehashed(cut), FORK, FIRST + 1),
    "truncate and regrow": (regrow, FORK, FIRST + 1),
    "an old backup": (rehashed(lambda e: t.delete_after(e, FIRST)), FORK, FIRST + 1),
    "everything deleted": (rehashed(lambda e: t.delete_after(e, 0)), FORK, 1),
    "swap": (rehashed(swap), FORK, FIRST + 1),
    "insert backdated": (rehashed(lambda e: t.insert_at(e, P, SIZE)), FORK, FIRST + 1),
    "replace everything": (rehashed(rewrite_all), FORK, 1),
    "tree head root": (lambda e: _tree_head(e, root=bytes(32)), TAMPERED, None),
    "tree head size": (lambda e: _tree_head(e, size=51), TAMPERED, 52),
    "tree head gone": (_delete_head, TAMPERED, None),
    "sealed value altered": (_alter_sealed, TAMPERED, 1),
    "sealed value deleted": (_delete_sealed, TAMPERED, 1),
    "stray disclosure of an event": (lambda e: _stray(e, P), TAMPERED, P),
    "stray disclosure of none": (lambda e: _stray(e, 1_000), TAMPERED, 1_000),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_told(engine: sa.Engine, heads: list[Against], name: str) -> None:
    """Each act gets the verdict and the position that belong to it."""
    act, verdict, position = ATTACKS[name]
    act(engine)
    done = verify(engine, against=heads)
    assert (done.verdict, done.position) == (verdict, position), done.found


def test_range_is_told(engine: sa.Engine, heads: list[Against]) -> None:
    """Where only a root differs the events between two heads are named, and nothing narrower."""
    act, _, _ = ATTACKS["entry and leaf hash"]
    act(engine)
    assert verify(engine, against=heads).findings.place() == (FIRST + 1, SIZE)


def test_renumbered_events_are_a_range(engine: sa.Engine) -> None:
    """A gap at the end of the log does not explain why a root before it differs."""
    heads = []
    for name in ("article", "wider"):
        record_example(engine, name)
        heads.append(t.head_of(engine))
    recorded(engine, release("one-more"))
    heads.append(t.head_of(engine))
    t.unguard(engine)
    t.delete_and_renumber(engine, P, SIZE + 1)
    done = verify(engine, against=heads)
    assert (done.verdict, done.findings.place()) == (FORK, (FIRST + 1, SIZE))


def test_nothing_done_is_ok(engine: sa.Engine, heads: list[Against]) -> None:
    """A ledger that nobody touched is ok to its size, and both heads are matched."""
    done = verify(engine, against=heads)
    assert (done.verdict, done.size, done.heads, done.newer, done.found) == (OK, SIZE, 2, 0, [])


# What cannot be caught.


def test_change_after_the_last_head_is_not_caught(
    engine: sa.Engine, heads: list[Against]
) -> None:
    """A consistent change of events that no signed head covers passes; they are counted."""
    done = verify_after(engine, rehashed(rewrite(recorded_by="x")), heads[:1])
    assert (done.verdict, done.signed, done.newer) == (OK, FIRST, SIZE - FIRST)


def test_replaced_history_without_head_is_not_caught(
    engine: sa.Engine, heads: list[Against]
) -> None:
    """A history that was replaced whole passes where nobody kept a head, and none is matched."""
    done = verify_after(engine, rehashed(rewrite_all), [])
    assert (done.verdict, done.heads) == (OK, 0)


def test_false_content_is_not_caught(engine: sa.Engine, heads: list[Against]) -> None:
    """A report that is false, or claims an old day, passes: integrity is not truth."""
    done = verify_after(engine, lambda e: recorded(e, release("never-was", when="1999-01-01")),
                        heads)
    assert (done.verdict, done.newer) == (OK, 1)


def test_claimed_time_is_bounded_by_heads(engine: sa.Engine, heads: list[Against]) -> None:
    """An event may claim any time between the heads around it, and none outside of these."""
    signed = [Against(h.size, h.root, h.kept, "2040-01-01T00:00:00.000000Z", h.frontier)
              for h in heads[:1]]
    done = verify(engine, against=signed)
    assert (done.verdict, done.position) == (TAMPERED, FIRST + 1)
    assert {finding.rule for finding in done.found} == {Rule.TIME}
    signed = [Against(h.size, h.root, h.kept, AGO, h.frontier) for h in heads[1:]]
    done = verify(engine, against=signed)
    assert (done.verdict, done.position) == (TAMPERED, SIZE)


def verify_after(
    engine: sa.Engine, act: Callable[[sa.Engine], object], heads: list[Against]
) -> Verification:
    """Do the act and verify."""
    act(engine)
    return verify(engine, against=heads)


# Heads.

SIGNER = Signer("example.org/log", bytes(range(32)))


def test_head_note_with_another_size_is_a_finding(tmp_path: Path) -> None:
    """A note that was changed after it was signed is a finding, and no head."""
    note = sign_head(Head("example.org/log", 5, bytes(32)), SIGNER)
    (tmp_path / "5").write_text(note.replace("\n5\n", "\n6\n"))
    found = Findings()
    assert list(from_files(tmp_path, SIGNER.key, found)) == []
    assert [finding.rule for finding in found.first()] == [Rule.HEAD]


def test_store_that_contradicts_its_notes_is_a_finding(tmp_path: Path) -> None:
    """What a head store says beside a signed note must be what the note says."""
    frontier = extend(EMPTY, [bytes(32)] * 5)
    note = sign_head(Head("example.org/log", 5, root(frontier)), SIGNER)
    store = open_heads(tmp_path / "heads")
    for after, head in ((0, KnownHead(5, root(frontier), frontier_to_bytes(frontier), AGO, note)),
                        (5, KnownHead(6, bytes(32), b"", AGO, note))):
        store.add("example.org/log", head, after)
    found = Findings()
    heads = in_order(from_store(store, SIGNER.key, found), found)
    store.close()
    assert [head.size for head in heads] == [5]
    assert found.counts == {Rule.HEAD: 2}


def test_two_roots_of_one_size_are_a_fork(engine: sa.Engine, heads: list[Against]) -> None:
    """Two signed heads of one size with different roots are a fork, whatever the ledger holds."""
    done = verify(engine, against=[*heads, Against(SIZE, bytes(32), "a letter")])
    assert done.verdict is FORK


# Damage on disk.


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bits_on_disk(sqlite_database: str, tmp_path: Path, seed: int) -> None:
    """A bit that flips in an entry or a leaf hash is found; elsewhere it may do no harm."""
    engine = connect(sqlite_database)
    record_example(engine, "article")
    record_example(engine, "wider")
    head = t.head_of(engine)
    with engine.connect() as connection:
        kept = [bytes(value) for row in connection.execute(sa.select(t.E.entry, t.E.leaf_hash))
                for value in row]
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    whole = (tmp_path / "ledger.db").read_bytes()
    rng = random.Random(seed)
    tails = [whole.find(value[-24:]) for value in rng.sample(kept, 12)]
    inside = [at + rng.randrange(24) for at in tails if at >= 0]
    assert len(inside) >= 10
    for at in inside:
        assert flipped(whole, at, tmp_path, rng, head) is not Verdict.OK, at
    for _ in range(15):
        assert flipped(whole, rng.randrange(len(whole)), tmp_path, rng, head) in Verdict


def flipped(
    whole: bytes, at: int, folder: Path, rng: random.Random, head: Against
) -> Verdict:
    """Return the verdict on a copy of the file in which one bit is another."""
    copy = bytearray(whole)
    copy[at] ^= 1 << rng.randrange(8)
    file = folder / "flipped.db"
    file.write_bytes(copy)
    engine = connect(str(file))
    try:
        return verify(engine, against=[head]).verdict
    finally:
        engine.dispose()
        for name in ("flipped.db-wal", "flipped.db-shm"):
            (folder / name).unlink(missing_ok=True)


def test_restored_file_is_a_rollback(sqlite_database: str, tmp_path: Path) -> None:
    """A file that was copied back from before is a rollback, though nothing in it is wrong."""
    engine = connect(sqlite_database)
    record_example(engine, "article")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(tmp_path / "ledger.db", tmp_path / "backup.db")
    heads = [t.head_of(engine)]
    record_example(engine, "wider")
    heads.append(t.head_of(engine))
    engine.dispose()
    old = connect(str(tmp_path / "backup.db"))
    done = verify(old, against=heads)
    old.dispose()
    assert (done.verdict, done.position) == (FORK, FIRST + 1)
