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
    """All that an append must know, in one round trip: the log's end, the largest id in the log,
    the last stream_version of these streams. Rows of (what, name, number, frontier).
    Parameter: all streams."""
    look_for_one: str
    """The same for one event, with its id instead of the largest one where it is in the log.
    Parameters: its id, its stream."""
    insert_event: str
    """One event, or on SQLite one after the other. Parameters: EVENT_COLUMNS."""
    insert_events: str | None
    """All events at once, as one JSON array of rows with bytes in hexadecimal, so that the trigger
    that watches them runs once; None on SQLite."""
    insert_disclosure: str
    insert_disclosures: str | None
    insert_event_and_move_head: str | None
    """One event and the new head in one round trip; None on SQLite, where nothing is far away.
    Parameters: those of `move_head`, then those of `insert_event`."""
    move_head: str
    """Parameters: size, root, frontier, recorded_at."""


def _statements(placeholder: str, among: str, at_once: bool) -> Statements:
    def insert(table: str, columns: Mapping[str, str]) -> str:
        holders = ", ".join([placeholder] * len(columns))
        return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({holders})"

    def insert_many(table: str, columns: Mapping[str, str]) -> str | None:
        if not at_once:
            return None
        values = ", ".join(
            f"decode(r->>{i}, 'hex')" if type == "bytea" else f"(r->>{i})::{type}"
            for i, type in enumerate(columns.values())
        )
        return (
            f"INSERT INTO {table} ({', '.join(columns)})"
            f" SELECT {values} FROM json_array_elements({placeholder}::json) AS r"
        )

    def look(id: str, streams: str) -> str:
        return (
            "SELECT 'head', recorded_at, size, frontier FROM tree_head"
            f" UNION ALL SELECT 'id', {id}"
            " UNION ALL SELECT 'stream', stream, max(stream_version), NULL FROM events"
            f" WHERE stream {streams} GROUP BY stream"
        )

    move_head = "UPDATE tree_head SET " + ", ".join(f"{name} = {placeholder}" for name in HEAD)
    insert_event = insert("events", EVENT_COLUMNS)
    both = f"WITH moved AS ({move_head}) {insert_event}" if at_once else None
    return Statements(
        look=look("max(id), 0, NULL FROM events", among),
        look_for_one=look(
            f"id, 0, NULL FROM events WHERE id = {placeholder}", f"= {placeholder}"
        ),
        insert_event=insert_event,
        insert_events=insert_many("events", EVENT_COLUMNS),
        insert_disclosure=insert("disclosures", DISCLOSURE_COLUMNS),
        insert_disclosures=insert_many("disclosures", DISCLOSURE_COLUMNS),
        insert_event_and_move_head=both,
        move_head=move_head,
    )


STATEMENTS = {
    "sqlite": _statements("?", "IN (SELECT value FROM json_each(?))", at_once=False),
    "postgresql": _statements("%s", "= ANY(%s)", at_once=True),
}
