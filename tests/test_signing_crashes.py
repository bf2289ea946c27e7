"""Signers that die by SIGKILL or race: one history is signed, and the next run mends the rest."""

import signal
from pathlib import Path

import pytest
import sqlalchemy as sa
from signers import (
    SIGNER,
    STEPS,
    append_often,
    complaints_about,
    ended,
    hashes,
    record,
    root_over,
    sign_and_die,
    sign_often,
    signed,
    started,
)

from ledger.audit.heads import open_heads
from ledger.tlog.head import Head, open_head

ORIGIN = SIGNER.name
SIGNERS, EVENTS = 3, 100


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Where a head store may be made."""
    return str(tmp_path / "signed.heads")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where heads may be published."""
    return tmp_path / "published"


@pytest.mark.parametrize("step", STEPS)
def test_death_at_a_step(
    engine: sa.Engine, database: str, place: str, folder: Path, step: str
) -> None:
    """Whatever step a signer dies at, what is there is whole, and the next run mends the rest."""
    heads = open_heads(place)
    record(engine, *"abc")
    first = signed(engine, heads, folder=folder).known
    record(engine, *"de")

    assert ended(started(sign_and_die, database, place, folder, step)) == -signal.SIGKILL

    is_remembered = list(STEPS).index(step) >= list(STEPS).index("after it is remembered")
    assert [known.size for known in heads.all(ORIGIN)] == ([3, 5] if is_remembered else [3])
    published = open_head((folder / "checkpoint").read_bytes(), SIGNER.key)
    assert published in (Head(ORIGIN, 3, first.root), Head(ORIGIN, 5, root_over(hashes(engine))))

    assert signed(engine, heads, folder=folder).is_new != is_remembered
    assert complaints_about(engine, heads, folder) == []
    heads.close()


def test_death_at_the_first_head(
    engine: sa.Engine, database: str, place: str, folder: Path
) -> None:
    """A signer that dies while it makes its store leaves nothing that the next one stumbles on."""
    record(engine, *"abc")
    for step in ("in the midst of remembering", "after it is remembered"):
        assert ended(started(sign_and_die, database, place, folder, step)) == -signal.SIGKILL
    heads = open_heads(place)

    assert not signed(engine, heads, folder=folder).is_new
    assert complaints_about(engine, heads, folder) == []
    heads.close()


def test_racing_signers(
    engine: sa.Engine, database: str, place: str, folder: Path
) -> None:
    """Signers that race sign one history while it grows, and the checkpoint never goes back."""
    processes = [started(append_often, database, place, EVENTS), *(
        started(sign_often, database, place, folder, EVENTS) for _ in range(SIGNERS)
    )]
    seen = [0]
    while any(process.is_alive() for process in processes):
        if (folder / "checkpoint").exists():
            seen.append(open_head((folder / "checkpoint").read_bytes(), SIGNER.key).size)
    assert [ended(process) for process in processes] == [0] * len(processes)

    assert seen == sorted(seen)
    heads = open_heads(place)
    assert complaints_about(engine, heads, folder) == []
    sizes = [known.size for known in heads.all(ORIGIN)]
    assert sizes[-1] == EVENTS
    assert len(sizes) >= EVENTS // 10
    heads.close()
