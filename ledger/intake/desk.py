"""The desk: what a file's reports are checked against while the append lock is held.

Takes Candidates (from `composing`) one after the other; hands the accepted ones to the store. It
knows the streams that the file touches as they will be once the reports before are recorded.
"""

from collections.abc import Callable, Iterable

import sqlalchemy as sa

from ledger.developments import (
    Development,
    check_may_follow,
    check_one_family,
    evolve,
    still_holds,
)
from ledger.encoding import compose, encode, says_the_same
from ledger.entry import canonical
from ledger.errors import BadReport, Complaint, IdConflict, MayNotFollow, WrongExpectedVersion
from ledger.events import Data, NewEvent, RecordedEvent
from ledger.intake.composing import Candidate
from ledger.kinds.sealing import Salts
from ledger.store.append import Clock, Receipt, append
from ledger.store.read import read_head, read_streams, streams_at, with_ids

MOMENT = "2000-01-01T00:00:00.000000Z"
STREAMS_AT_MOST = 20_000
"""Streams kept in mind at once; beyond that they are read again."""


class Stream:
    """One stream as the desk knows it: folded, and searchable by content."""

    def __init__(self, name: str, events: Iterable[RecordedEvent]) -> None:
        self.development = Development(name)
        self.by_content: dict[tuple[str, bytes], int] = {}
        self.with_erasures: list[RecordedEvent] = []
        for event in events:
            self.add(event)

    def add(self, event: RecordedEvent) -> None:
        """Take one more event into account."""
        self.development = evolve(self.development, event)
        self.by_content.setdefault((event.type, canonical(event.data)), event.position)
        if event.erased:
            self.with_erasures.append(event)

    def position_of(self, type: str, data: Data) -> int | None:
        """Return where this stands already, word for word (an erased value counts as equal)."""
        if (position := self.by_content.get((type, canonical(data)))) is not None:
            return position
        for event in self.with_erasures:
            if event.type == type and says_the_same(event, data):
                return event.position
        return None


class Desk:
    """Checks candidates against the history and appends those that may follow it."""

    def __init__(
        self,
        connection: sa.Connection,
        recorded_by: str,
        clock: Clock,
        new_id: Callable[[], str],
        salts: Salts,
    ) -> None:
        self._connection = connection
        self._recorded_by = recorded_by
        self._clock, self._new_id, self._salts = clock, new_id, salts
        self._streams: dict[str, Stream] = {}
        self._stream_at: dict[int, str] = {}
        self._by_id: dict[str, RecordedEvent] = {}
        self._position = read_head(connection).size
        self._accepted: list[NewEvent] = []

    def open(self, candidates: Iterable[Candidate]) -> None:
        """Look up everything that the candidates touch, in three queries."""
        candidates = list(candidates)
        if len(self._streams) > STREAMS_AT_MOST:
            self._streams.clear()
        at = {c.data["position"] for c in candidates if "position" in c.data}
        self._stream_at |= streams_at(self._connection, sorted(at - self._stream_at.keys()))
        ids = [candidate.id for candidate in candidates if candidate.id is not None]
        self._by_id |= with_ids(self._connection, ids)
        named = {candidate.stream for candidate in candidates if candidate.stream}
        named |= {self._stream_at[position] for position in at if position in self._stream_at}
        named |= {other for candidate in candidates if (other := _other_stream(candidate))}
        for name, events in read_streams(self._connection, named - self._streams.keys()).items():
            self._streams[name] = Stream(name, events)

    def take(self, candidate: Candidate) -> int | None:
        """Accept the candidate, or return the position at which it is recorded already.

        Raises BadReport, MayNotFollow, IdConflict, WrongExpectedVersion, EntryTooLarge.
        """
        name = candidate.stream or self._stream_of(candidate.data["position"])
        stream = self._stream(name)
        if (position := self._recorded_at(candidate, stream)) is not None:
            return position
        self._check(candidate, stream)
        event = compose(
            candidate.kind.type,
            name,
            candidate.data,
            id=candidate.id or self._new_id(),
            salts=self._salts,
            causation=candidate.causation,
            correlation=candidate.correlation,
        )
        # Here, where the report can still be named; the time is as long as the one it will have.
        encode(event, stream.development.stream_version + 1, MOMENT, self._recorded_by)
        self._join(event, candidate.data, stream)
        return None

    def still_holds(self, candidate: Candidate, position: int) -> bool:
        """Return whether what is recorded already is still what counts."""
        now = self._stream(self._stream_at[position]).development
        return still_holds(now, position, candidate.kind.type, candidate.data)

    def close(self) -> list[Receipt]:
        """Append what was accepted since the last close and return the receipts."""
        accepted, self._accepted = self._accepted, []
        if not accepted:
            return []
        return append(
            self._connection, accepted, recorded_by=self._recorded_by, clock=self._clock
        )

    def _stream(self, name: str) -> Stream:
        if name not in self._streams:
            self._streams[name] = Stream(name, read_streams(self._connection, [name])[name])
        return self._streams[name]

    def _stream_of(self, position: int) -> str:
        if position not in self._stream_at:
            known = f"from 1 to {self._position}" if self._position else "(it has no event yet)"
            why = f"got {position}, wanted a position of this ledger {known}"
            raise BadReport([Complaint("position", why)])
        return self._stream_at[position]

    def _recorded_at(self, candidate: Candidate, stream: Stream) -> int | None:
        """With an id the id decides, otherwise the content."""
        if candidate.id is None:
            position = stream.position_of(candidate.kind.type, candidate.data)
            if position is not None:
                self._stream_at[position] = stream.development.stream
            return position
        recorded = self._by_id.get(candidate.id)
        if recorded is None:
            return None
        where = (recorded.stream, recorded.type)
        if where == (stream.development.stream, candidate.kind.type) and says_the_same(
            recorded, candidate.data
        ):
            self._stream_at[recorded.position] = recorded.stream
            return recorded.position
        raise IdConflict(candidate.id, recorded.position)

    def _check(self, candidate: Candidate, stream: Stream) -> None:
        development = stream.development
        expected = candidate.expected_version
        if expected is not None and expected != development.stream_version:
            raise WrongExpectedVersion(development.stream, development.stream_version, expected)
        check_may_follow(development, candidate.kind.type, candidate.data)
        other = _other_stream(candidate)
        if other is None:
            return
        found = self._stream(other).development
        if found.stream_version == 0:
            raise MayNotFollow(development.stream, f"{other} is not in this ledger")
        if "same_as" in candidate.data:
            check_one_family(development, found)
            self._check_no_circle(development.stream, found)

    def _check_no_circle(self, stream: str, target: Development) -> None:
        """Two developments merged into each other would leave neither to be counted."""
        seen = set()
        pending = [target]
        while pending:
            development = pending.pop()
            if development.stream == stream:
                raise MayNotFollow(stream, f"{target.stream} is merged into it already")
            if development.stream not in seen:
                seen.add(development.stream)
                pending += [self._stream(name).development for name in development.merges.values()]

    def _join(self, event: NewEvent, data: Data, stream: Stream) -> None:
        """Treat the event as recorded at the position it will get under the lock."""
        self._accepted.append(event)
        self._position += 1
        development = stream.development
        self._stream_at[self._position] = development.stream
        recorded = RecordedEvent(
            self._position,
            event.id,
            development.stream,
            development.stream_version + 1,
            event.type,
            event.type_version,
            "",
            self._recorded_by,
            data,
        )
        stream.add(recorded)
        self._by_id[event.id] = recorded


def _other_stream(candidate: Candidate) -> str | None:
    """Return the stream that the candidate names beside its own."""
    if candidate.kind.type == "DevelopmentsLinked":
        return str(candidate.data["to"])
    same_as = candidate.data.get("same_as")
    return None if same_as is None else str(same_as)
