"""What an owner of the database can add where the table of events has lost its keys."""

from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import sqlalchemy as sa
import tampering as t
from appenders import now
from recording import record_example, recorded, release
from signers import SIGNER

from ledger import tables
from ledger.audit import chunks
from ledger.audit.against import Against
from ledger.audit.findings import Rule, Verdict
from ledger.audit.heads import open_heads
from ledger.audit.signing import Tampered, sign_head
from ledger.audit.verifying import Verification, verify
from ledger.entry import canonical
from ledger.errors import NotFound
from ledger.merkle import leaf_hash
from ledger.store.connect import connect, reading
from ledger.store.leaves import Damaged, read_entries
from ledger.store.read import read_head

SIZE, P = 13, 5
COLUMNS = [column.name for column in tables.events.c]


def make_anew(engine: sa.Engine, position: str = "position") -> None:
    """Put a table without any key in the place of that of the events."""
    t.unguard(engine)
    names = ", ".join(COLUMNS[1:])
    t.run(
        engine,
        f"CREATE TABLE anew AS SELECT {position} AS position, {names} FROM events"
        " ORDER BY position",
        "DROP TABLE events",
        "ALTER TABLE anew RENAME TO events",
    )


def forge(engine: sa.Engine, position: object) -> None:
    """Add a copy of an event, under another id and stream, at any position."""
    fields = t.entry_at(engine, P) | {"id": t.NOBODY, "stream": "development/never-was"}
    fields |= {"stream_version": 1}
    fields.pop("_sd", None)
    raw = canonical(fields)
    row: dict[str, Any] = {name: fields[name] for name in COLUMNS[1:-2]}
    row |= {"position": position, "entry": raw, "leaf_hash": leaf_hash(raw)}
    marks = ", ".join(f":{name}" for name in row)
    t.run(engine, f"INSERT INTO events ({', '.join(row)}) VALUES ({marks})", **row)


HEADS: dict[sa.Engine, Against] = {}
"""What somebody outside keeps of each ledger."""


def sign(engine: sa.Engine) -> None:
    """Record 13 events, and keep their head."""
    record_example(engine, "article")
    HEADS[engine] = t.head_of(engine)


def signed_on(url: str) -> sa.Engine:
    """Return an engine on such a ledger whose triggers are gone."""
    engine = connect(url)
    sign(engine)
    t.unguard(engine)
    return engine


def found_by(engine: sa.Engine, **options: Any) -> Verification:
    """Return what is said against the head that was kept."""
    return verify(engine, against=[HEADS[engine]], **options)


@pytest.fixture
def signed(engine: sa.Engine) -> sa.Engine:
    """A ledger of 13 events, of which somebody outside keeps the head."""
    sign(engine)
    return engine


@pytest.mark.parametrize("deep", [False, True])
def test_a_second_event_at_a_position(signed: sa.Engine, deep: bool) -> None:
    """Two events at one position are found, though the signed ones are all there."""
    make_anew(signed)
    forge(signed, P)

    done = found_by(signed, deep=deep)

    assert (done.verdict, done.position) == (Verdict.TAMPERED, P)
    assert Rule.POSITION in done.findings.counts
    with reading(signed) as connection, pytest.raises(Damaged, match="14 events are at 13"):
        read_entries(connection, 0, SIZE)


def test_an_event_without_a_position(signed: sa.Engine) -> None:
    """An event that has no position at all is one too many."""
    make_anew(signed)
    forge(signed, None)

    done = found_by(signed)

    assert done.verdict is Verdict.TAMPERED
    assert "14 events stand at 13 positions" in [finding.message for finding in done.found]


@pytest.mark.parametrize("position", [P + 0.5, "x", b"y", 2.0**60 + 0.5])
def test_a_position_that_is_no_number(sqlite_database: str, position: object) -> None:
    """Whatever SQLite keeps as a position, an event there is found; nothing breaks."""
    engine = connect(sqlite_database)
    sign(engine)
    make_anew(engine)
    forge(engine, position)

    for deep in (False, True):
        done = found_by(engine, deep=deep)
        assert done.verdict in (Verdict.TAMPERED, Verdict.FORK)
        assert Rule.POSITION in done.findings.counts
    engine.dispose()


def test_a_position_between_two(postgres_database: str) -> None:
    """On PostgreSQL a position of another type is found, too."""
    engine = connect(postgres_database)
    sign(engine)
    make_anew(engine, "CAST(position AS NUMERIC)")
    forge(engine, Decimal(P) + Decimal("0.5"))

    done = found_by(engine)

    assert done.verdict is Verdict.TAMPERED
    assert Rule.POSITION in done.findings.counts
    engine.dispose()


def test_nothing_newer_to_compare_with(signed: sa.Engine) -> None:
    """What no head covers, and does not reach the row of tree_head, was compared with nothing."""
    record_example(signed, "wider")

    done = found_by(signed, from_position=SIZE + 1, to=SIZE + 5)

    assert done.verdict is Verdict.COULD_NOT
    assert done.failure is not None
    assert "so nothing signed was compared; verify up to 52" in done.failure
    assert found_by(signed, from_position=SIZE + 1).verdict is Verdict.OK


def test_long_names_that_begin_alike(engine: sa.Engine) -> None:
    """Where a column differs from the entry far behind its beginning, the difference is shown."""
    stream = "development/" + "a-long-name-" * 10
    recorded(engine, release(f"{stream.removeprefix('development/')}one"))
    t.unguard(engine)
    t.change(engine, 1, stream=f"{stream}two")

    said = [finding.message for finding in verify(engine).found if finding.rule == Rule.COLUMN]

    assert said == ["the column stream has '…long-name-two', the entry says '…long-name-one'"]


@pytest.mark.parametrize("position", [P + 0.5, "x", None])
def test_a_disclosure_beside_all_positions(sqlite_database: str, position: object) -> None:
    """A disclosure at what is no position belongs to no event, between two pages as well."""
    engine = signed_on(sqlite_database)
    t.run(
        engine,
        "CREATE TABLE anew (position INTEGER, digest TEXT, disclosure TEXT)",
        "INSERT INTO anew SELECT * FROM disclosures",
        "DROP TABLE disclosures",
        "ALTER TABLE anew RENAME TO disclosures",
    )
    t.run(engine, "INSERT INTO disclosures VALUES (:position, 'd', 'e')", position=position)
    for page in (1, P, 256):
        with mock.patch.object(chunks, "PAGE_OF_FILE", page):
            done = found_by(engine, deep=True)
        assert (done.verdict, set(done.findings.counts)) == (Verdict.TAMPERED, {Rule.STRAY}), page
    engine.dispose()


def test_a_disclosure_between_two_positions(postgres_database: str) -> None:
    """On PostgreSQL, too, where the column was given another type."""
    engine = signed_on(postgres_database)
    t.run(
        engine,
        "ALTER TABLE disclosures ALTER COLUMN position TYPE numeric",
        "INSERT INTO disclosures VALUES (5.5, 'd', 'e')",
    )
    done = found_by(engine)
    assert (done.verdict, set(done.findings.counts)) == (Verdict.TAMPERED, {Rule.STRAY})
    assert [finding.position for finding in done.found if finding.position is not None] == []
    engine.dispose()


def test_a_second_tree_head(postgres_database: str, tmp_path: Path) -> None:
    """Of two rows of tree_head, even alike, none is believed, and none is signed."""
    engine = signed_on(postgres_database)
    t.run(
        engine,
        "ALTER TABLE tree_head DROP CONSTRAINT tree_head_pkey",
        "INSERT INTO tree_head SELECT * FROM tree_head",
    )
    done = found_by(engine)
    assert done.verdict is Verdict.TAMPERED
    assert [finding.message for finding in done.found] == ["tree_head has 2 rows"]
    heads = open_heads(tmp_path / "heads")
    with pytest.raises(Tampered, match="tree_head has 2 rows"):
        sign_head(engine, heads, SIGNER, now)
    heads.close()
    with reading(engine) as connection, pytest.raises(NotFound, match="2 rows"):
        read_head(connection)
    engine.dispose()
