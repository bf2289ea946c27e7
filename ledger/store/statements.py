"""The SQL of an append, one text per database.

An append of one event is a handful of small statements under the one lock that everybody waits for;
handing the driver ready text instead of building each statement anew halves the time it is held
(`benchmarks/append`). The names are those of `tables`; a test compares them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

EVENT_COLUMNS = {
    "position": "bigint", "id": "text", "stream": "text", "stream_version": "integer",
    "type": "text", "type_version": "integer", "recorded_at": "text", "entry": "bytea",
    "leaf_hash": "bytea",
}
"""The columns with their types on PostgreSQL."""
DISCLOSURE_COLUMNS = {"position": "bigint", "digest": "text", "disclosure": "text"}
HEAD = ("size", "root", "frontier", "recorded_at")


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements of one append, in the order in which they run."""

    look: str
    """All that an append must know, in one round trip: the log's end, which of these ids are in the
    log, the last stream_version of these streams. Rows of (what, name, number, frontier).
    Parameters: all ids, all streams."""
    look_for_one: str
    """The same for one event. Parameters: its id, its stream."""
    insert_event: str
    """One event, or on SQLite one after the other. Parameters: EVENT_COLUMNS."""
    insert_events: str | None
    """All events at once, as an array for each column, so that the trigger that watches them runs
    once; None on SQLite."""
    insert_disclosure: str
    insert_disclosures: str | None
    move_head: str
    """Parameters: size, root, frontier, recorded_at."""


def _statements(placeholder: str, among: str, arrays: bool) -> Statements:
    def insert(table: str, columns: Mapping[str, str]) -> str:
        holders = ", ".join([placeholder] * len(columns))
        return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({holders})"

    def insert_many(table: str, columns: Mapping[str, str]) -> str | None:
        holders = ", ".join(f"{placeholder}::{type}[]" for type in columns.values())
        names = ", ".join(columns)
        return f"INSERT INTO {table} ({names}) SELECT * FROM unnest({holders})" if arrays else None

    def look(ids: str, streams: str) -> str:
        return (
            "SELECT 'head', recorded_at, size, frontier FROM tree_head"
            f" UNION ALL SELECT 'id', id, position, NULL FROM events WHERE id {ids}"
            " UNION ALL SELECT 'stream', stream, max(stream_version), NULL FROM events"
            f" WHERE stream {streams} GROUP BY stream"
        )

    return Statements(
        look=look(among, among),
        look_for_one=look(f"= {placeholder}", f"= {placeholder}"),
        insert_event=insert("events", EVENT_COLUMNS),
        insert_events=insert_many("events", EVENT_COLUMNS),
        insert_disclosure=insert("disclosures", DISCLOSURE_COLUMNS),
        insert_disclosures=insert_many("disclosures", DISCLOSURE_COLUMNS),
        move_head="UPDATE tree_head SET " + ", ".join(f"{name} = {placeholder}" for name in HEAD),
    )


STATEMENTS = {
    "sqlite": _statements("?", "IN (SELECT value FROM json_each(?))", arrays=False),
    "postgresql": _statements("%s", "= ANY(%s)", arrays=True),
}
