"""The revisions make the tables of `ledger.tables`, and a record that no SQL can change."""

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from ledger import tables
from ledger.errors import CouldNot
from ledger.store.connect import connect, writing
from ledger.store.migrate import HEAD, VERSION_TABLE, revision_of, scripts, upgrade

ROOT = Path(__file__).parents[1]
EMPTY_ROOT = hashlib.sha256(b"").digest()

UPGRADE = """
import sys
from ledger.store.connect import connect
from ledger.store.migrate import upgrade
sys.stdin.read()
upgrade(connect(sys.argv[1]))
"""


@pytest.fixture
def plain(database: str) -> Iterator[sa.Engine]:
    """An engine of somebody who knows nothing of the ledger and its settings."""
    engine = sa.create_engine(database)
    with engine.begin() as connection:
        connection.execute(sa.insert(tables.events), [row(1, "a", 1), row(2, "b", 1)])
        connection.execute(sa.insert(tables.events), [row(3, "a", 2), row(4, "c", 1)])
        secret = {"position": 3, "digest": "d", "disclosure": "Anna"}
        connection.execute(sa.insert(tables.disclosures), [secret])
        connection.execute(sa.update(tables.tree_head).values(size=4, root=b"r"))
    yield engine
    engine.dispose()


def row(position: int, stream: str, stream_version: int, **other: object) -> dict[str, object]:
    """Return a row of `events`; the id and the bytes follow from the position."""
    entry = f"entry {position}".encode()
    usual = {"id": f"id-{position}", "type": "TalksHeld", "type_version": 1}
    rest = {"recorded_at": "2025-12-13T00:00:00.000000Z", "entry": entry, "leaf_hash": b"h"}
    keys = {"position": position, "stream": stream, "stream_version": stream_version}
    return {**usual, **rest, **keys, **other}


def contents(engine: sa.Engine) -> list[list[sa.Row[tuple[object, ...]]]]:
    """Return every row of the three guarded tables."""
    guarded = (tables.events, tables.disclosures, tables.tree_head)
    with engine.connect() as connection:
        return [list(connection.execute(sa.select(table).order_by(*table.primary_key)))
                for table in guarded]


def alembic_config(connection: sa.Connection | None = None) -> Config:
    """Return the configuration of the shipped revisions."""
    config = Config()
    config.set_main_option("script_location", str(scripts()))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def test_one_head() -> None:
    """The revisions are one line, and HEAD is its end."""
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [HEAD]


def test_upgrade_of_an_empty_database(empty_database: str) -> None:
    """An empty database has no revision; upgraded it has HEAD and the tree head of no events."""
    engine = connect(empty_database)
    with engine.connect() as connection:
        assert revision_of(connection) is None
    upgrade(engine)
    with engine.connect() as connection:
        assert revision_of(connection) == HEAD
        heads = connection.execute(sa.select(tables.tree_head)).all()
    assert heads == [(1, 0, EMPTY_ROOT, b"", "")]
    engine.dispose()


def test_upgrade_twice(plain: sa.Engine, database: str) -> None:
    """A second upgrade changes nothing."""
    before = contents(plain)
    engine = connect(database)
    upgrade(engine)
    assert contents(plain) == before
    engine.dispose()


def test_upgrade_finishes_what_an_older_version_began(engine: sa.Engine) -> None:
    """A ledger at an older revision is brought to HEAD."""
    with writing(engine) as connection:
        command.downgrade(alembic_config(connection), "0001")
        assert revision_of(connection) == "0001"
    upgrade(engine)
    with engine.connect() as connection:
        assert revision_of(connection) == HEAD


def test_upgrade_by_an_older_version_is_refused(engine: sa.Engine) -> None:
    """A ledger that a newer version has upgraded is left alone."""
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(CouldNot, match=f"revision 9999, this version knows {HEAD}"):
        upgrade(engine)


def test_downgrade_past_the_events_is_refused(engine: sa.Engine) -> None:
    """No revision drops the events, and a refused downgrade changes nothing."""
    with pytest.raises(RuntimeError, match="events are never deleted"), writing(engine) as c:
        command.downgrade(alembic_config(c), "base")
    with engine.connect() as connection:
        assert revision_of(connection) == HEAD
        assert sa.inspect(connection).has_table("events")


def test_two_upgrades_at_once(empty_database: str) -> None:
    """Several processes may upgrade one fresh database at the same moment."""
    command = [sys.executable, "-c", UPGRADE, empty_database]
    racers = [
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )
        for _ in range(3)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.close()
        racer.stdin = None
    said = [racer.communicate()[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0, 0], said
    assert said == ["", "", ""]
    engine = connect(empty_database)
    with engine.connect() as connection:
        assert revision_of(connection) == HEAD
    engine.dispose()


def test_models_are_what_is_migrated(engine: sa.Engine) -> None:
    """Alembic finds no difference between `ledger.tables` and a migrated database."""
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, tables.metadata) == []


def test_tables_are_what_is_migrated(empty_database: str) -> None:
    """Tables made from `ledger.tables` are the migrated ones in each column, key and collation."""
    engine = connect(empty_database)
    tables.metadata.create_all(engine)
    made = described_tables(engine)
    tables.metadata.drop_all(engine)
    upgrade(engine)
    assert described_tables(engine) == made
    engine.dispose()


def described_tables(engine: sa.Engine) -> Mapping[str, object]:
    """Return what the database says about each durable table."""
    inspector = sa.inspect(engine)
    return {
        name: [
            [{**column, "type": repr(column["type"])} for column in inspector.get_columns(name)],
            inspector.get_pk_constraint(name),
            sorted(map(str, inspector.get_unique_constraints(name))),
            sorted(map(str, inspector.get_indexes(name))),
            inspector.get_check_constraints(name),
        ]
        for name in tables.metadata.tables
    }


NEW = "position, id, stream, stream_version, type, type_version, recorded_at, entry, leaf_hash"


def insert(keys: str, verb: str = "INSERT", rest: str = "") -> str:
    """Return an INSERT into `events`; keys are position, id, stream, stream_version."""
    return f"{verb} INTO events ({NEW}) VALUES ({keys}, 'T', 1, 'now', 'forged', 'h') {rest}"


REPLACE = "INSERT OR REPLACE"
UPSERT = "ON CONFLICT ({}) DO UPDATE SET entry = 'forged'"

# What somebody with a plain connection may try, and a word of the refusal; `forged` becomes bytes.
ON_BOTH = {
    "UPDATE events SET entry = 'forged' WHERE position = 2": "UPDATE is refused",
    "UPDATE events SET position = position + 10": "UPDATE is refused",
    "DELETE FROM events WHERE position = 4": "DELETE is refused",
    "DELETE FROM events": "DELETE is refused",
    insert("1, 'id-5', 'a', 3"): "position",
    insert("0, 'id-5', 'a', 3"): "position",
    insert("-1, 'id-5', 'a', 3"): "position",
    insert("6, 'id-6', 'a', 3"): "position",
    insert("5, 'id-1', 'a', 3"): "id is taken|duplicate key",
    insert("5, 'id-5', 'a', 1"): "stream_version",
    insert("5, 'id-5', 'a', 2"): "stream_version",
    insert("5, 'id-5', 'a', 4"): "stream_version",
    insert("5, 'id-5', 'new', 2"): "stream_version",
    insert("5, 'id-5', 'new', 0"): "stream_version",
    insert("4, 'id-4', 'c', 1", rest=UPSERT.format("position")): "position|UPDATE",
    insert("5, 'id-1', 'a', 3", rest=UPSERT.format("id")): "id is taken|UPDATE",
    insert("5, 'id-5', 'a', 2", rest=UPSERT.format("stream, stream_version")): "version|UPDATE",
    "UPDATE disclosures SET disclosure = 'Olga'": "UPDATE is refused",
    "INSERT INTO disclosures VALUES (3, 'd', 'Olga')": "never changed|duplicate key",
    "INSERT INTO disclosures VALUES (3, 'd', 'Olga') "
    "ON CONFLICT (position, digest) DO UPDATE SET disclosure = 'Olga'": "never changed",
    "DELETE FROM tree_head": "DELETE is refused",
    "UPDATE tree_head SET size = 3": "only grows",
    "UPDATE tree_head SET root = 'forged'": "another root",
    "UPDATE tree_head SET id = 2": "tree_head_one_row",
    "INSERT INTO tree_head VALUES (1, 9, 'r', 'f', 'now')": "one row|duplicate key",
    "INSERT INTO tree_head VALUES (2, 9, 'r', 'f', 'now')": "tree_head",
}
ON_SQLITE = {
    insert("4, 'id-4', 'c', 1", REPLACE): "position",
    insert("5, 'id-1', 'a', 3", REPLACE): "id",
    insert("5, 'id-5', 'a', 2", REPLACE): "stream_version",
    insert("NULL, 'id-1', 'a', 3", REPLACE): "position",
    insert("5, 'id-5', 'a', 2.5", REPLACE): "stream_version",
    insert("4, 'id-4', 'c', 1", REPLACE).replace("(position", "(rowid"): "position",
    "UPDATE OR REPLACE events SET position = 1 WHERE position = 2": "UPDATE is refused",
    "INSERT OR REPLACE INTO disclosures VALUES (3, 'd', 'Olga')": "this one is there",
    "INSERT OR REPLACE INTO tree_head VALUES (1, 9, 'r', 'f', 'now')": "one row",
}
ON_POSTGRESQL = {
    "TRUNCATE events": "TRUNCATE is refused",
    "TRUNCATE disclosures": "TRUNCATE is refused",
    "TRUNCATE tree_head": "TRUNCATE is refused",
    "SET session_replication_role = replica; UPDATE events SET entry = 'forged'": "UPDATE",
    "SET session_replication_role = replica; TRUNCATE events": "TRUNCATE is refused",
    "SET session_replication_role = replica; " + insert("6, 'id-6', 'a', 3"): "wanted 5 to 5",
    "CREATE TEMPORARY TABLE events (position bigint); INSERT INTO events VALUES (5); "
    + insert("6, 'id-6', 'a', 3").replace("INTO events", "INTO public.events"): "wanted 5 to 5",
    "WITH forged AS (UPDATE events SET type = 'X' RETURNING 1) SELECT * FROM forged": "UPDATE",
    "MERGE INTO events USING (VALUES (1)) AS v (p) ON position = p "
    "WHEN MATCHED THEN UPDATE SET type = 'X'": "UPDATE is refused",
    insert("5, 'id-5', 'a', 3", rest=", (7, 'id-7', 'a', 4, 'T', 1, 'now', 'e', 'h')"): "5 to 7",
    insert("5, 'id-5', 'a', 4", rest=", (6, 'id-6', 'a', 3, 'T', 1, 'now', 'e', 'h')"): "of a",
}
ATTACKS = [
    *(("sqlite", *attack) for attack in (ON_BOTH | ON_SQLITE).items()),
    *(("postgresql", *attack) for attack in (ON_BOTH | ON_POSTGRESQL).items()),
]


@pytest.mark.parametrize(("database", "statement", "refusal"), ATTACKS, indirect=["database"])
def test_the_record_refuses(plain: sa.Engine, statement: str, refusal: str) -> None:
    """The database itself refuses whatever would change, delete or skip a row of the record."""
    before = contents(plain)
    with pytest.raises(sa.exc.IntegrityError, match=refusal), plain.begin() as connection:
        connection.exec_driver_sql(statement)
    assert contents(plain) == before


def test_the_record_grows(plain: sa.Engine) -> None:
    """What follows the record is taken: the next rows, a further disclosure, a larger tree head."""
    with plain.begin() as connection:
        said = b'{"data":{"digests":["d"],"position":3}}'
        erasure = row(5, "a", 3, type="PersonalDataErased", entry=said)
        next_rows = [erasure, row(6, "a", 4), row(7, "d", 1)]
        connection.execute(sa.insert(tables.events), next_rows)
        more = {"position": 5, "digest": "d", "disclosure": "Olga"}
        connection.execute(sa.insert(tables.disclosures), [more])
        connection.execute(sa.delete(tables.disclosures).where(tables.disclosures.c.position == 3))
        connection.execute(sa.update(tables.tree_head).values(size=7, root=b"s"))
    events, disclosures, heads = contents(plain)
    assert [event.position for event in events] == [1, 2, 3, 4, 5, 6, 7]
    assert disclosures == [(5, "d", "Olga")]
    assert heads[0].size == 7


def test_an_empty_insert_is_no_gap(plain: sa.Engine) -> None:
    """An INSERT of no rows is taken."""
    with plain.begin() as connection:
        connection.exec_driver_sql("INSERT INTO events SELECT * FROM events WHERE position > 99")


READERS = ("ledger_recorder", "ledger_analyst", "ledger_auditor")
EVERYBODY = (*READERS, "ledger_eraser")
NEXT = insert("5, 'id-5', 'a', 3")

# What a role may do; whoever is not named is told `permission denied`.
MAY: Mapping[str, tuple[str, ...]] = {
    "SELECT * FROM events": EVERYBODY,
    "SELECT * FROM tree_head": EVERYBODY,
    "SELECT * FROM checkpoints": EVERYBODY,
    f"SELECT * FROM {VERSION_TABLE}": EVERYBODY,
    "SELECT * FROM answer": READERS,
    "SELECT * FROM disclosures": ("ledger_recorder", "ledger_auditor", "ledger_eraser"),
    NEXT: ("ledger_recorder", "ledger_eraser"),
    "INSERT INTO disclosures VALUES (4, 'd', 'Olga')": ("ledger_recorder",),
    "UPDATE tree_head SET size = 5": ("ledger_recorder", "ledger_eraser"),
    "SELECT * FROM tree_head FOR UPDATE": ("ledger_recorder", "ledger_eraser"),
    "UPDATE events SET type = 'X'": (),
    "DELETE FROM events": (),
    "TRUNCATE events": (),
    "UPDATE disclosures SET disclosure = 'Olga'": (),
    "DELETE FROM disclosures WHERE position = 99": ("ledger_eraser",),
    "DELETE FROM tree_head": (),
    "INSERT INTO checkpoints VALUES ('releases', 1, 1, 'now')": (),
    "DELETE FROM answer": (),
    f"UPDATE {VERSION_TABLE} SET version_num = '0001'": (),
    "DROP TABLE events": (),
    "ALTER TABLE events DISABLE TRIGGER ALL": (),
}


@pytest.mark.parametrize("role", EVERYBODY)
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_grants(plain: sa.Engine, role: str) -> None:
    """Each role of PostgreSQL may do what it is for, and nothing else."""
    with plain.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE answer (state text)")
    for statement, roles in MAY.items():
        with plain.connect() as connection:
            connection.exec_driver_sql(f"SET LOCAL ROLE {role}")
            if role in roles:
                connection.exec_driver_sql(statement)
                continue
            with pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner"):
                connection.exec_driver_sql(statement)


def test_roles_may_be_missing(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who may not create a missing role gets a warning that names it, and no refusal."""
    revision = ScriptDirectory.from_config(alembic_config()).get_revision("0002")
    monkeypatch.setattr(revision.module, "ROLES", ("ledger_one", "ledger_two"))
    engine = connect(postgres_database)
    with engine.connect() as connection, Operations.context(MigrationContext.configure(connection)):
        connection.exec_driver_sql("SET LOCAL ROLE ledger_recorder")
        revision.module.upgrade()
    assert "ledger_one, ledger_two are missing" in caplog.text
    engine.dispose()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an unpacked wheel, built from an unpacked source distribution."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    build(ROOT, "sdist", source)
    subprocess.run(["tar", "-xf", next(source.glob("*.tar.gz"))], cwd=source, check=True)
    build(next(source.glob("*/pyproject.toml")).parent, "wheel", built)
    with zipfile.ZipFile(next(built.glob("*.whl"))) as archive:
        archive.extractall(built)
    return built


def build(folder: Path, target: str, out: Path) -> None:
    """Build the target with the tool that pyproject.toml names."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def test_the_wheel_holds_the_revisions(wheel: Path) -> None:
    """Every file of `migrations/` is in the wheel; the tests are not."""
    shipped = {path.relative_to(wheel / "ledger/_migrations").as_posix()
               for path in (wheel / "ledger/_migrations").rglob("*.*")}
    mine = {path.relative_to(ROOT / "migrations").as_posix()
            for path in (ROOT / "migrations").rglob("*.*") if "__pycache__" not in path.parts}
    assert {"env.py", "script.py.mako", "versions/0001_the_record.py"} <= shipped
    assert shipped == mine
    assert not (wheel / "tests").exists()


def test_the_wheel_migrates(wheel: Path, tmp_path: Path) -> None:
    """An installed wheel upgrades a database with its own revisions, in a folder with any name."""
    place = wheel.rename(wheel.with_name("100% of a wheel"))
    look = "import ledger.store.migrate as m; print(m.scripts())"
    said = subprocess.run(
        [sys.executable, "-c", look + UPGRADE, f"sqlite:///{tmp_path / 'ledger.db'}"],
        cwd=tmp_path, env={"PYTHONPATH": str(place)}, input="", capture_output=True, text=True,
    )
    place.rename(wheel)
    assert (said.returncode, said.stderr) == (0, "")
    assert Path(said.stdout.strip()) == place / "ledger" / "_migrations"
    engine = connect(str(tmp_path / "ledger.db"))
    with engine.connect() as connection:
        assert revision_of(connection) == HEAD
    engine.dispose()
