"""A page is checked as a whole: what that must not overlook, whatever a column can hold."""

import pytest
import sqlalchemy as sa
import tampering as t
from recording import record_example

from ledger import tables
from ledger.audit.findings import Rule
from ledger.audit.verifying import verify
from ledger.store.connect import connect

P = 7


@pytest.fixture
def unguarded(engine: sa.Engine) -> sa.Engine:
    """A ledger with a shipped example, its triggers gone."""
    record_example(engine, "article")
    t.unguard(engine)
    return engine


def swap_disclosures(engine: sa.Engine, changed: dict[str, object]) -> tuple[int, str]:
    """Change the first disclosure; return its position and digest."""
    with engine.begin() as connection:
        query = sa.select(t.D.position, t.D.digest).order_by(t.D.position, t.D.digest).limit(1)
        position, digest = connection.execute(query).one()
        this = (t.D.position == position) & (t.D.digest == digest)
        connection.execute(sa.update(tables.disclosures).where(this).values(changed))
    return position, digest


@pytest.mark.parametrize("text", ["WyJ4Il0", "WyJ4Il0.WyJ4Il0", "==.", ".", "", "ü", "WyJ4I"])
def test_other_text_is_no_disclosure(unguarded: sa.Engine, text: str) -> None:
    """A disclosure that was replaced is found, also by text that base64 does not know."""
    position, _ = swap_disclosures(unguarded, {"disclosure": text})
    done = verify(unguarded)
    assert (done.position, done.findings.counts) == (position, {Rule.ALTERED: 1})


@pytest.mark.parametrize("digest", ["", "=", "a=b", "x" * 43])
def test_disclosure_under_another_digest(unguarded: sa.Engine, digest: str) -> None:
    """A disclosure that was moved to another digest is stray, and missed where it was."""
    position, _ = swap_disclosures(unguarded, {"digest": digest})
    done = verify(unguarded)
    assert done.position == position
    assert done.findings.counts == {Rule.STRAY: 1, Rule.MISSING: 1}


@pytest.mark.parametrize(("column", "value"), [
    ("stream_version", "stream_version + 0.5"), ("stream_version", "x'31'"),
    ("type_version", "type_version + 0.25"), ("type_version", "'one'"),
    ("type", "type || x'00'"), ("stream", "stream || x'ff'"), ("id", "id || x'0a'"),
])
def test_whatever_sqlite_holds_in_a_column(
    sqlite_database: str, column: str, value: str
) -> None:
    """SQLite takes any value in any column; one that is not what the entry says is a finding."""
    engine = connect(sqlite_database)
    record_example(engine, "article")
    t.unguard(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE events SET {column} = {value} WHERE position = {P}")
    assert Rule.COLUMN in verify(engine).findings.counts
