"""What docs/audit.md says that nobody can notice: it is so, and whoever kept a head does notice."""

from pathlib import Path

import pytest
import sqlalchemy as sa
import tampering as t
from recording import record_example, recorded, release
from signers import SIGNER, signed

from ledger.audit.against import Against, from_store, in_order
from ledger.audit.findings import Findings, Verdict
from ledger.audit.heads import open_heads
from ledger.audit.verifying import verify
from ledger.store.connect import connect
from ledger.store.migrate import upgrade

P = 5


def heads_in(place: Path) -> list[Against]:
    """Return the heads in a store, whose signatures hold."""
    found = Findings()
    store = open_heads(place)
    heads = list(from_store(store, SIGNER.key, found))
    store.close()
    assert not found
    return heads


def sign(engine: sa.Engine, place: Path) -> None:
    """Sign the ledger's head in a store of its own."""
    store = open_heads(place)
    signed(engine, store)
    store.close()


def test_the_signing_key_where_nobody_kept_a_head(engine: sa.Engine, tmp_path: Path) -> None:
    """Whoever owns ledger, head store and key can make another history; a kept head shows it."""
    record_example(engine, "article")
    sign(engine, tmp_path / "heads")
    (kept,) = heads_in(tmp_path / "heads")
    t.unguard(engine)
    t.rewrite(engine, P, {"recorded_by": "somebody else"})
    t.rehash(engine)
    (tmp_path / "heads").unlink()
    sign(engine, tmp_path / "heads")

    theirs = heads_in(tmp_path / "heads")
    assert verify(engine, against=theirs, deep=True).verdict is Verdict.OK
    assert verify(engine, against=[kept]).verdict is Verdict.FORK
    found = Findings()
    in_order([kept, *theirs], found)
    assert "two roots were signed for size 13" in found.first()[0].message


def test_two_histories_for_two_readers(tmp_path: Path) -> None:
    """Each of two readers finds the history good that is shown to that one, until they compare."""
    for reader, total in (("one", 1), ("other", 2)):
        engine = connect(str(tmp_path / f"{reader}.db"))
        upgrade(engine)
        recorded(engine, release("by-release", total=total))
        sign(engine, tmp_path / f"{reader}.heads")
        shown = heads_in(tmp_path / f"{reader}.heads")
        assert verify(engine, against=shown, deep=True).verdict is Verdict.OK
        engine.dispose()
    both = [head for reader in ("one", "other") for head in heads_in(tmp_path / f"{reader}.heads")]
    found = Findings()
    in_order(both, found)
    assert "two roots were signed for size 1" in found.first()[0].message


@pytest.mark.parametrize(("position", "verdict"), [(14, Verdict.OK), (13, Verdict.FORK)])
def test_events_that_no_head_covers(
    engine: sa.Engine, tmp_path: Path, position: int, verdict: Verdict
) -> None:
    """What is newer than the last head can be replaced, what it covers cannot."""
    record_example(engine, "article")
    sign(engine, tmp_path / "heads")
    heads = heads_in(tmp_path / "heads")
    record_example(engine, "wider")
    t.unguard(engine)
    t.rewrite(engine, position, {"recorded_by": "somebody else"})
    t.rehash(engine)
    assert verify(engine, against=heads, deep=True).verdict is verdict
