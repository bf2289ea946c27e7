"""Ledgers without events, as many as a test wants, on SQLite or on PostgreSQL.

Takes the templates of conftest.py; hands on context managers that open a copy and remove it.
"""

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import postgres
import pytest
import sqlalchemy as sa

from ledger.store.connect import connect

KINDS = ("sqlite", "postgresql")
Fresh = Callable[[], AbstractContextManager[sa.Engine]]
"""Opens a ledger without events."""


def opener(request: pytest.FixtureRequest, kind: str, folder: Path) -> Fresh:
    """Return what opens fresh, migrated ledgers on the database of that kind."""
    if kind == "sqlite":
        file: Path = request.getfixturevalue("sqlite_template")
        return lambda: _on_sqlite(file, folder / uuid.uuid4().hex)
    admin: sa.Engine = request.getfixturevalue("postgres_admin")
    template: str = request.getfixturevalue("postgres_template")
    return lambda: _on_postgresql(admin, template)


@contextmanager
def _on_sqlite(template: Path, folder: Path) -> Iterator[sa.Engine]:
    folder.mkdir()
    engine = connect(f"sqlite:///{shutil.copy(template, folder / 'ledger.db')}")
    try:
        yield engine
    finally:
        engine.dispose()
        shutil.rmtree(folder)


@contextmanager
def _on_postgresql(admin: sa.Engine, template: str) -> Iterator[sa.Engine]:
    with postgres.copied(admin, template) as name:
        engine = connect(postgres.named(admin, name))
        try:
            yield engine
        finally:
            engine.dispose()
