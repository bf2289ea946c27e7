"""The SQL of an append, one text per database.

An append of one event is a handful of small statements under the one lock that everybody waits for;
handing the driver ready text instead of building each statement anew halves the time it is held
(`benchmarks/append`). The names are those of `tables`; a test compares them.
"""

from dataclasses import dataclass

EVENT_COLUMNS = (
    "position", "id", "stream", "stream_version", "type", "type_version", "recorded_at", "entry",
    "leaf_hash",
)
DISCLOSURE_COLUMNS = ("position", "digest", "disclosure")
HEAD = ("size", "root", "frontier", "recorded_at")


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements of one append, in the order in which they run."""

    look: str
    """All that an append must know, in one round trip: the log's end, which of these ids are in the
    log, the last stream_version of these streams. Rows of (what, name, number, frontier).
    Parameters: all ids, all streams."""
    insert_event: str
    insert_disclosure: str
    move_head: str
    """Parameters: size, root, frontier, recorded_at."""


def _statements(placeholder: str, among: str) -> Statements:
    def insert(table: str, columns: tuple[str, ...]) -> str:
        holders = ", ".join([placeholder] * len(columns))
        return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({holders})"

    return Statements(
        look="SELECT 'head', recorded_at, size, frontier FROM tree_head"
        f" UNION ALL SELECT 'id', id, position, NULL FROM events WHERE id {among}"
        " UNION ALL SELECT 'stream', stream, max(stream_version), NULL FROM events"
        f" WHERE stream {among} GROUP BY stream",
        insert_event=insert("events", EVENT_COLUMNS),
        insert_disclosure=insert("disclosures", DISCLOSURE_COLUMNS),
        move_head="UPDATE tree_head SET " + ", ".join(f"{name} = {placeholder}" for name in HEAD),
    )


STATEMENTS = {
    "sqlite": _statements("?", "IN (SELECT value FROM json_each(?))"),
    "postgresql": _statements("%s", "= ANY(%s)"),
}
