"""What SQLite lets a column hold: each kind of value that does not belong there is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
import tampering as t
from command_line import closing, data_of, run, signed_folder
from recording import record_example

from ledger.audit.findings import Verdict
from ledger.audit.verifying import verify
from ledger.examples import shipped
from ledger.store.connect import connect

SIZE = 52
P = 20
VERIFY = ("audit", "verify", "--vkey", "vkey")


@pytest.fixture
def engine(sqlite_database: str) -> Iterator[sa.Engine]:
    """A SQLite ledger with both shipped examples, without guards."""
    engine = connect(sqlite_database)
    record_example(engine, "article")
    record_example(engine, "wider")
    t.unguard(engine)
    yield engine
    engine.dispose()


def run_sql(engine: sa.Engine, *statements: str) -> None:
    """Run statements behind the ledger's back."""
    with engine.begin() as connection:
        for statement in statements:
            assert connection.exec_driver_sql(statement).rowcount


AS_BLOB = "CAST({0} AS BLOB)"
EVENTS = [
    *((name, AS_BLOB) for name in ("id", "stream", "type", "recorded_at")),
    *((name, "CAST(CAST({0} AS TEXT) AS BLOB)") for name in ("stream_version", "type_version")),
    *((name, "'abc'") for name in ("stream_version", "type_version", "leaf_hash")),
    ("entry", "CAST({0} AS TEXT)"), ("entry", "7"), ("leaf_hash", "7"), ("recorded_at", "x''"),
    ("recorded_at", "'2026-11-25T07:42:57'"), ("recorded_at", "7"), ("stream", "''"),
]


@pytest.mark.parametrize("position", [1, P, SIZE])
@pytest.mark.parametrize(("column", "value"), EVENTS)
def test_event(engine: sa.Engine, column: str, value: str, position: int) -> None:
    """A column of an event that holds the right bytes as another kind of value is a finding."""
    head = t.head_of(engine, "2040-01-01T00:00:00.000000Z")
    new = value.format(column)
    run_sql(engine, f"UPDATE events SET {column} = {new} WHERE position = {position}")
    for deep in (False, True):
        done = verify(engine, against=[head], deep=deep)
        assert (done.verdict, done.findings.place()) == (Verdict.TAMPERED, (position, position))


@pytest.mark.parametrize(("column", "value"), [
    ("digest", AS_BLOB), ("disclosure", AS_BLOB), ("digest", "x''"), ("disclosure", "7"),
    ("position", "x'31'"), ("position", "'abc'"), ("position", "9000000000000000"),
])
def test_disclosure(engine: sa.Engine, column: str, value: str) -> None:
    """A disclosure that no question finds, or that is none, is a finding."""
    run_sql(engine, f"UPDATE disclosures SET {column} = {value.format(column)}"
                    " WHERE position = (SELECT min(position) FROM disclosures)"
                    " AND digest = (SELECT digest FROM disclosures ORDER BY position, digest)")
    done = verify(engine, against=[t.head_of(engine)])
    assert (done.verdict, done.position) == (Verdict.TAMPERED, 1)


@pytest.mark.parametrize(("column", "value"), [
    ("size", "'abc'"), ("size", "x'31'"), ("size", "1.5"), ("size", "-1"),
    ("size", "9000000000000000"), ("root", "'abc'"), ("root", "7"), ("frontier", "7"),
    ("frontier", "x'00'"), ("recorded_at", AS_BLOB), ("recorded_at", "'abc'"),
])
def test_tree_head(engine: sa.Engine, column: str, value: str) -> None:
    """A tree head of other kinds of values is a finding."""
    head = t.head_of(engine)
    run_sql(engine, f"UPDATE tree_head SET {column} = {value.format(column)}")
    assert verify(engine, against=[head]).verdict is Verdict.TAMPERED


@pytest.mark.parametrize("far", [10**8, 9 * 10**15])
def test_far_position(engine: sa.Engine, far: int) -> None:
    """An event at a position far away makes nobody look at all positions up to there."""
    head = t.head_of(engine)
    t.move(engine, SIZE, far)
    run_sql(engine, f"UPDATE tree_head SET size = {far}")
    for against in ([], [head]):
        done = verify(engine, against=against)
        assert (done.verdict, done.findings.place()) == (Verdict.TAMPERED, (SIZE, SIZE))
        assert any(finding.position == far for finding in done.found)


def test_index_that_says_something_else(sqlite_database: str, tmp_path: Path) -> None:
    """A stream that an index spells otherwise is found by SQLite's own check, with --deep."""
    engine = connect(sqlite_database)
    record_example(engine, "article")
    head = t.head_of(engine)
    with engine.connect() as connection:
        stream = str(t.entry_at(engine, 13)["stream"]).encode()
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    file = tmp_path / "ledger.db"
    raw = file.read_bytes()
    places = [at for at in range(len(raw)) if raw.startswith(stream, at)]
    for at in places:  # in the entry, in the row, in the index, and in another event's link
        file.write_bytes(raw[:at + 12] + b"~" + raw[at + 13:])
        engine = connect(sqlite_database)
        done = verify(engine, against=[head], deep=True)
        assert done.verdict is not Verdict.OK, at
        engine.dispose()
        for name in ("ledger.db-wal", "ledger.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)


def test_index_that_misses_a_row(engine: sa.Engine) -> None:
    """An index that holds fewer rows than there are events is a finding, without more reading."""
    head = t.head_of(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA writable_schema = ON")
        connection.exec_driver_sql(
            "CREATE TABLE bare (stream TEXT, stream_version INTEGER,"
            " UNIQUE (stream, stream_version))")
        root = connection.exec_driver_sql(
            "SELECT rootpage FROM sqlite_master WHERE tbl_name = 'bare' AND type = 'index'"
        ).scalar_one()
        name = next(
            index for _, index, *_ in connection.exec_driver_sql("PRAGMA index_list(events)")
            if connection.exec_driver_sql(f"PRAGMA index_info({index})").all()[0][2] == "stream"
        )
        connection.exec_driver_sql(
            f"UPDATE sqlite_master SET rootpage = {root} WHERE name = '{name}'")
    engine.dispose()
    done = verify(engine, against=[head])
    assert (done.verdict, done.findings.counts) == (Verdict.TAMPERED, {"database": 1})


# The commands.


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a signed ledger whose answers were built, all without guards."""
    folder = signed_folder(tmp_path, monkeypatch)
    run("record", "-", "--by", "ben", given=shipped.example("wider"))
    run("audit", "head", "--key", "key")
    run("projections", "rebuild")
    for name in ("ledger.db", "ledger.db.heads"):
        engine = connect(name)
        t.unguard(engine)
        engine.dispose()
    return folder


def change(file: str, statement: str) -> None:
    """Change something in a database behind its back."""
    with closing(file) as connection:
        assert connection.execute(statement).rowcount


@pytest.mark.parametrize("statement", [
    "DELETE FROM tree_head", "UPDATE tree_head SET size = 'abc'",
    "UPDATE events SET position = 9000000000000000 WHERE position = 52",
    "UPDATE checkpoints SET position = 'abc'", "UPDATE checkpoints SET position = 400",
    "UPDATE checkpoints SET position = -1",
    "UPDATE releases SET low = CAST('x' AS BLOB)", "UPDATE releases SET low = 'abc'",
])
def test_damage_is_a_finding(here: Path, statement: str) -> None:
    """Whatever kind of value stands there, the command says what is wrong and ends with 1."""
    change("ledger.db", statement)
    data = data_of(*VERIFY, "--projections", code=1)
    assert data["verdict"] == "tampered"


@pytest.mark.parametrize("column", ["digest", "disclosure"])
def test_disclosure_that_would_stay_behind(here: Path, column: str) -> None:
    """Nothing is erased while a disclosure is there that no question finds."""
    change("ledger.db", f"UPDATE disclosures SET {column} = CAST({column} AS BLOB)")
    ask = ("audit", "erase", "--person", "p-3k7w", "--reason", "r", "--basis", "b")
    for more in ("--dry-run", "--yes"):
        assert "is no text; verify this ledger" in run(*ask, more, code=4).output
    run(*VERIFY, code=1)


@pytest.mark.parametrize("statement", [
    "UPDATE heads SET size = 'abc' WHERE size = 52", "UPDATE heads SET root = 'abc'",
    "UPDATE heads SET signed_at = x'00'", "UPDATE heads SET note = x'00'",
    "UPDATE heads SET frontier = 5",
])
def test_head_store_of_other_values(here: Path, statement: str) -> None:
    """A head store with other kinds of values cannot be used, by any command."""
    change("ledger.db.heads", statement)
    for command in (VERIFY, ("audit", "head", "--key", "key"),
                    ("audit", "prove", "2", "--vkey", "vkey"),
                    ("audit", "export", "out", "--vkey", "vkey")):
        assert "it was altered" in run(*command, code=4).output


@pytest.mark.parametrize("statement", [
    "UPDATE heads SET signed_at = 'garbage'", "UPDATE heads SET signed_at = '2026-01-01'",
])
def test_head_store_of_no_times(here: Path, statement: str) -> None:
    """A head store that says something else beside a signed note is a finding."""
    change("ledger.db.heads", statement)
    assert data_of(*VERIFY, code=1)["rules"].keys() == {"head"}
