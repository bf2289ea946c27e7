"""Databases for the tests: fresh, migrated, one for each test, on SQLite and on PostgreSQL.

Each is a copy of one that was migrated once: a copied file, or CREATE DATABASE … TEMPLATE.
"""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import postgres
import pytest
import sqlalchemy as sa
from fresh_ledgers import KINDS, Fresh, opener
from recording import record_example

from ledger import folding
from ledger.book import now
from ledger.projections.registry import PROJECTIONS
from ledger.rebuild import rebuild_all
from ledger.store.connect import connect
from ledger.store.migrate import upgrade

# How long an example takes says nothing about whether it is right; and the folder may be read-only.
hypothesis.settings.register_profile(
    "ledger",
    deadline=None,
    database=None,
    suppress_health_check=[
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.function_scoped_fixture,
    ],
)
hypothesis.settings.load_profile("ledger")

# A shell starts what runs in its background deaf to Ctrl-C, and deaf are all processes under it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL server's maintenance database, as a superuser."""
    with postgres.running() as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def postgres_admin(postgres_url: str) -> Iterator[sa.Engine]:
    """An engine that creates and drops databases."""
    engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def postgres_template(postgres_admin: sa.Engine) -> Iterator[str]:
    """The name of a migrated database that nobody is connected to."""
    with postgres.copied(postgres_admin) as name:
        engine = connect(postgres.named(postgres_admin, name))
        upgrade(engine)
        engine.dispose()
        yield name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file that nobody has open."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    engine = connect(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture
def empty_postgres_database(postgres_admin: sa.Engine) -> Iterator[str]:
    """The URL of a PostgreSQL database without any table."""
    with postgres.copied(postgres_admin) as name:
        yield postgres.named(postgres_admin, name)


@pytest.fixture
def postgres_database(postgres_admin: sa.Engine, postgres_template: str) -> Iterator[str]:
    """The URL of a fresh, migrated PostgreSQL database."""
    with postgres.copied(postgres_admin, postgres_template) as name:
        yield postgres.named(postgres_admin, name)


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path) -> str:
    """The URL of a fresh, migrated SQLite file."""
    path = shutil.copy(sqlite_template, tmp_path / "ledger.db")
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh, migrated database, on SQLite and on PostgreSQL in turn."""
    fixture = "sqlite_database" if request.param == "sqlite" else "postgres_database"
    return str(request.getfixturevalue(fixture))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without any table, on SQLite and on PostgreSQL in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    return str(request.getfixturevalue("empty_postgres_database"))


@pytest.fixture
def engine(database: str) -> Iterator[sa.Engine]:
    """An engine on a fresh, migrated database, on SQLite and on PostgreSQL in turn."""
    engine = connect(database)
    yield engine
    engine.dispose()


@pytest.fixture(params=KINDS)
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Fresh:
    """Opens a fresh, migrated ledger each time, on SQLite and on PostgreSQL in turn."""
    return opener(request, request.param, tmp_path)


@pytest.fixture
def built(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> sa.Engine:
    """A ledger in pieces of a few events, all of whose tables are built."""
    monkeypatch.setattr(folding, "EVENTS", 7)
    monkeypatch.setattr(folding, "PIECE", 3)
    record_example(engine, "wider")
    rebuild_all(engine, PROJECTIONS, now)
    return engine
