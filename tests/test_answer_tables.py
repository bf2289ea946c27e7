"""Answer tables as such: what they can hold, and in which order, on every database."""

from collections import defaultdict

import pytest
import sqlalchemy as sa

from ledger.projections.answer_tables import AnswerTables, put_in_place
from ledger.projections.projection import Rows, columns_of
from ledger.projections.registry import PROJECTIONS
from ledger.projections.releases import RELEASES, releases
from ledger.store.connect import changing, reading

TABLES = [table for projection in PROJECTIONS for table in projection.tables]


def test_any_number_of_reports_may_disagree(engine: sa.Engine) -> None:
    """A row that names thousands of reports has room in the table and in its indexes."""
    positions = " ".join(str(7919 * n % 1_000_003) for n in range(5_000))
    given = {
        "stream": "development/r", "position_from": 1, "position_until": None, "stage": "done",
        "released_by": "BY", "valid_from": None, "valid_until": None, "low": 1, "high": 2,
        "other_high": 2, "disputed": True, "positions": positions, "reports": 5_000,
    }
    rows: Rows = defaultdict(list, releases=[tuple(given[c] for c in columns_of(releases))])
    live, side = AnswerTables(RELEASES), AnswerTables(RELEASES, side=True)
    with changing(engine) as connection:
        side.make(connection)
        side.write(connection, rows)
        put_in_place(connection, live, side)
        live.forget(connection, ["development/r"])
        live.write(connection, rows)
    with reading(engine) as connection:
        assert connection.scalar(sa.select(releases.c.positions)) == positions


@pytest.mark.parametrize("table", TABLES, ids=[table.name for table in TABLES])
def test_text_is_compared_byte_by_byte(table: sa.Table) -> None:
    """A server's own order of letters changes no answer."""
    dialect = sa.make_url("postgresql+psycopg://").get_dialect()()
    types = [column.type.compile(dialect=dialect) for column in table.c]
    assert [text for text in types if text.startswith("TEXT") and "COLLATE" not in text] == []
