"""Signing: what grew is signed, and what contradicts a signed head never is."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import sqlalchemy as sa
from appenders import now
from signers import (
    OTHER,
    SIGNER,
    complaints_about,
    cut_off,
    grow_tree_again,
    hashes,
    meddle,
    record,
    rewritten,
    root_over,
    sign,
    signed,
)

from ledger import tables
from ledger.audit.heads import Forked, HeadsLost, HeadStore, KnownHead, OriginFrozen, open_heads
from ledger.audit.publishing import Command
from ledger.audit.signing import Tampered, sign_head
from ledger.errors import CouldNot
from ledger.merkle import leaf_hash
from ledger.store.connect import connect
from ledger.tlog.head import Head, open_head
from ledger.tlog.head import sign_head as sign_note
from ledger.tlog.note import Signer

ORIGIN = SIGNER.name


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Where a head store may be made."""
    return str(tmp_path / "signed.heads")


@pytest.fixture
def heads(place: str) -> Iterator[HeadStore]:
    """A head store that nothing was signed in."""
    store = open_heads(place)
    yield store
    store.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where heads may be published."""
    return tmp_path / "published"


# Signing what grew.


def test_heads_of_a_growing_ledger(engine: sa.Engine, heads: HeadStore, folder: Path) -> None:
    """Each head covers all events then there, and says how many are new since the one before."""
    size = 0
    for number in range(1, 12):
        record(engine, *(f"{number}-{part}" for part in range(number)))
        size, before = size + number, size
        found = signed(engine, heads, folder=folder, full=number % 3 == 0)

        assert (found.known.size, found.before, found.is_new) == (size, before, True)
        assert found.known.root == root_over(hashes(engine))
    assert complaints_about(engine, heads, folder) == []


def test_nothing_new(engine: sa.Engine, heads: HeadStore, folder: Path) -> None:
    """Where nothing is new the head stays, and it is published again where it is missing."""
    assert sign(engine, heads, folder) is None
    record(engine, "a")
    first = signed(engine, heads, folder=folder)
    (folder / "heads" / "1").unlink()
    signed(engine, heads, folder=folder)
    assert complaints_about(engine, heads, folder) == []
    shutil.rmtree(folder)

    again = signed(engine, heads, folder=folder)
    assert (again.known, again.before, again.is_new) == (first.known, 1, False)
    assert len(list(heads.all(ORIGIN))) == 1
    assert complaints_about(engine, heads, folder) == []


def test_only_new_entries_are_read(engine: sa.Engine, heads: HeadStore) -> None:
    """A head costs the entries since the last one, with --full all of them."""
    record(engine, *"abcde")
    signed(engine, heads)
    record(engine, "f")

    read: list[int] = []

    def counted(entry: bytes) -> bytes:
        read.append(1)
        return leaf_hash(entry)

    with mock.patch("ledger.store.leaves.leaf_hash", counted):
        signed(engine, heads)
        assert len(read) == 1
        signed(engine, heads, full=True)
        assert len(read) == 1 + 6


# A ledger that was meddled with.


def tree(**values: object) -> sa.Executable:
    """Return an edit of the tree head alone."""
    return sa.update(tables.tree_head).values(**values)


def remove(position: int) -> sa.Executable:
    """Return the removal of one event."""
    return sa.delete(tables.events).where(tables.events.c.position == position)


FIVE_SIGNED_TWO_NEW: list[tuple[str, list[sa.Executable], bool, type[Exception], str]] = [
    ("cut off", [cut_off(3)], True, Forked, "cut off"),
    ("cut off, tree head left", [cut_off(3)], False, Forked, "cut off"),
    ("emptied", [cut_off(0)], True, Forked, "cut off"),
    ("rewritten", [rewritten(2, leaf_too=True)], True, Forked, "first 5 events"),
    ("last one rewritten", [rewritten(5, leaf_too=True)], True, Forked, "first 5 events"),
    ("one left out", [remove(2)], False, Tampered, "position 2: the event is gone"),
    ("new one altered", [rewritten(6, leaf_too=False)], True, Tampered, "position 6"),
    ("new one rewritten", [rewritten(6, leaf_too=True)], False, Tampered, "tree head"),
    ("new one gone", [remove(6)], False, Tampered, "position 6: the event is gone"),
    ("last new one gone", [remove(7)], False, Tampered, "position 7: the event is gone"),
    ("root altered", [tree(root=bytes(32))], False, Tampered, "tree head"),
    ("frontier altered", [tree(frontier=bytes(96))], False, Tampered, "tree head"),
    ("size altered", [tree(size=6)], False, Tampered, "position 7: tree_head covers 6"),
    ("size below what was signed", [tree(size=4)], False, Tampered, "position 5: tree_head"),
    ("size grown", [tree(size=9)], False, Tampered, "position 8: the event is gone"),
    ("tree head gone", [sa.delete(tables.tree_head)], False, Tampered, "tree_head is gone"),
]


@pytest.mark.parametrize(
    ("name", "edits", "tree_too", "refusal", "words"),
    FIVE_SIGNED_TWO_NEW, ids=[row[0] for row in FIVE_SIGNED_TWO_NEW],
)
def test_meddling(
    engine: sa.Engine, heads: HeadStore, folder: Path, name: str, edits: list[sa.Executable],
    tree_too: bool, refusal: type[Exception], words: str,
) -> None:
    """Nothing is signed for a ledger that was meddled with; a contradicted head freezes it."""
    record(engine, *"abcde")
    before = signed(engine, heads, folder=folder).known
    record(engine, *"fg")
    meddle(engine, *edits)
    if tree_too:
        grow_tree_again(engine)

    full = name == "one left out"  # below what was signed, and the tree head says nothing of it
    with pytest.raises(refusal, match=words):
        sign(engine, heads, folder, full=full)
    assert [*heads.all(ORIGIN)] == [before]
    assert open_head((folder / "checkpoint").read_bytes(), SIGNER.key).size == before.size
    assert (heads.frozen(ORIGIN) is not None) == (refusal is Forked)


@pytest.mark.parametrize(("leaf_too", "refusal"), [(False, Tampered), (True, Forked)])
def test_an_edit_of_signed_entries_alone(
    engine: sa.Engine, heads: HeadStore, leaf_too: bool, refusal: type[Exception]
) -> None:
    """An edit that leaves the tree head alone never gets into a head, and --full notices it."""
    record(engine, *"abcde")
    honest = hashes(engine)
    signed(engine, heads)
    meddle(engine, rewritten(2, leaf_too=leaf_too))
    record(engine, "f")

    known = signed(engine, heads).known
    assert (known.size, known.root) == (6, root_over([*honest, hashes(engine)[5]]))
    with pytest.raises(refusal):
        sign(engine, heads, full=True)


def test_a_first_head_of_a_broken_ledger(engine: sa.Engine, heads: HeadStore) -> None:
    """Before anything was signed, damage is refused and freezes nothing."""
    record(engine, *"abc")
    meddle(engine, tree(root=bytes(32)))

    with pytest.raises(Tampered):
        sign(engine, heads)
    assert (heads.latest(ORIGIN), heads.frozen(ORIGIN)) == (None, None)
    grow_tree_again(engine)
    assert signed(engine, heads).known.size == 3


def test_a_frozen_log(engine: sa.Engine, heads: HeadStore) -> None:
    """What is frozen stays so when the ledger is put right again; a new name may sign."""
    record(engine, *"abc")
    signed(engine, heads)
    with engine.connect() as connection:
        whole = [dict(row) for row in connection.execute(sa.select(tables.events)).mappings()]
    meddle(engine, cut_off(1))
    with pytest.raises(Forked) as fork:
        sign(engine, heads)

    meddle(engine, sa.insert(tables.events).values(whole[1:]))
    record(engine, "d")
    with pytest.raises(OriginFrozen, match="the ledger has 1"):
        sign(engine, heads)
    assert heads.frozen(ORIGIN) == fork.value.reason
    assert signed(engine, heads, signer=OTHER).known.size == 4


def test_a_fork_that_cannot_be_remembered(engine: sa.Engine, heads: HeadStore) -> None:
    """A fork is told of also where the head store does not take the freeze."""
    record(engine, *"abc")
    signed(engine, heads)
    meddle(engine, cut_off(1))

    full = CouldNot("use the head store", "the disk is full")
    with mock.patch.object(heads, "freeze", side_effect=full), pytest.raises(Forked) as fork:
        sign(engine, heads)
    assert "the ledger has 1" in str(fork.value)
    assert "the disk is full" in str(fork.value)


@pytest.mark.parametrize("regrown", [2, 3, 4])
def test_a_ledger_of_another_history(
    engine: sa.Engine, sqlite_template: Path, tmp_path: Path, heads: HeadStore, regrown: int
) -> None:
    """A second ledger under the same name is a fork, be it smaller, as large or larger."""
    record(engine, *"abc")
    signed(engine, heads)
    other = connect(str(shutil.copy(sqlite_template, tmp_path / "other.db")))
    record(other, *(f"other-{number}" for number in range(regrown)))

    with pytest.raises(Forked):
        sign(other, heads)
    with pytest.raises(OriginFrozen):
        sign(engine, heads)
    other.dispose()


# A head store that is not what it was.


def test_a_lost_head_store(engine: sa.Engine, heads: HeadStore, folder: Path) -> None:
    """A head that was published and is not in the store stops the signer, until it is restored."""
    record(engine, *"abc")
    signed(engine, heads, folder=folder)
    record(engine, "d")
    new = open_heads(folder.with_name("new.heads"))

    with pytest.raises(HeadsLost, match="size 3"):
        sign(engine, new, folder)
    assert (new.latest(ORIGIN), new.frozen(ORIGIN)) == (None, None)
    assert signed(engine, heads, folder=folder).known.size == 4
    new.close()


def test_a_published_head_with_another_root(
    engine: sa.Engine, heads: HeadStore, folder: Path
) -> None:
    """Two signed heads of one size with two roots are a fork, wherever the other one stands."""
    record(engine, *"abc")
    signed(engine, heads, folder=folder)
    other = sign_note(Head(ORIGIN, 3, bytes(32)), SIGNER)
    (folder / "checkpoint").write_text(other, "utf-8")

    with pytest.raises(Forked, match="another root"):
        sign(engine, heads, folder)
    assert heads.frozen(ORIGIN) is not None


def known_head(size: int, *, root: bytes, frontier: bytes) -> KnownHead:
    """Return a row of the head store that says what it likes, below a right signature."""
    note = sign_note(Head(ORIGIN, size, root), SIGNER)
    return KnownHead(size, root, frontier, "2026-01-01T00:00:00.000000Z", note)


@pytest.mark.parametrize(
    "latest",
    [
        known_head(1, root=b"\1" * 32, frontier=b"\2" * 32),
        known_head(2, root=b"\1" * 32, frontier=b"\1" * 31),
        KnownHead(1, b"\1" * 32, b"\1" * 32, "", "no note\n"),
        KnownHead(2, b"\1" * 32, b"\1" * 32, "", known_head(1, root=b"\1" * 32,
                                                          frontier=b"").note),
    ],
)
def test_an_altered_head_store(engine: sa.Engine, heads: HeadStore, latest: KnownHead) -> None:
    """A row of the store that its own signature does not cover is not gone on from."""
    record(engine, *"abc")
    heads.add(ORIGIN, latest, 0)

    with pytest.raises(CouldNot, match="go on from the latest head"):
        sign(engine, heads)
    assert heads.latest(ORIGIN) == latest


# Publishing.


def test_commands(engine: sa.Engine, heads: HeadStore, tmp_path: Path) -> None:
    """A command gets the note; one that fails is told of, after the others, and run again."""
    record(engine, "a")
    got = tmp_path / "got"
    places = [Command("false"), Command("no-such-command"), Command("'"), Command(f"tee {got}")]

    def run() -> None:
        sign_head(engine, heads, SIGNER, now, places)

    for _ in range(2):
        with pytest.raises(CouldNot, match="run false: it ended with 1: it said nothing"):
            run()
        known = heads.latest(ORIGIN)
        assert known is not None
        assert got.read_text("utf-8") == known.note
        got.unlink()


def test_a_folder_of_another_log(engine: sa.Engine, heads: HeadStore, folder: Path) -> None:
    """A folder that holds the heads of another log is not written to, and nothing is signed."""
    record(engine, "a")
    signed(engine, heads, folder=folder, signer=OTHER)

    with pytest.raises(CouldNot, match="publish in"):
        sign(engine, heads, folder)
    assert heads.latest(ORIGIN) is None


# Rivals.


@pytest.mark.parametrize("rival", [SIGNER, OTHER], ids=["same name", "other name"])
def test_a_faster_rival(engine: sa.Engine, heads: HeadStore, rival: Signer) -> None:
    """A signer whose head is taken by a rival goes on from the rival's, and signs what is left."""
    record(engine, *"abc")
    real: Callable[..., Any] = heads.add
    rivals: list[int] = []

    def add(*arguments: Any) -> None:
        if not rivals:
            rivals.append(1)
            record(engine, "d")
            signed(engine, heads, signer=rival)
            record(engine, "e")
        real(*arguments)

    with mock.patch.object(heads, "add", add):
        found = signed(engine, heads)
    by_rival = rival is SIGNER
    assert (found.known.size, found.before) == ((5, 4) if by_rival else (3, 0))
    assert found.known.root == root_over(hashes(engine)[: found.known.size])
