"""Events to bytes and back: normal form, sealing, the canonical entry, upcasting.

Takes a report's fields (from `intake`) and hands on a NewEvent; takes stored bytes (from `store`)
and hands on a RecordedEvent. The bytes are those of `entry`; an entry is never re-serialised.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import orjson

from ledger.entry import ENTRY_LIMIT, FORMAT, STRICT, dumped, outside, parse
from ledger.errors import (
    BadEntry,
    BadReport,
    BadValue,
    Complaint,
    EntryTooLarge,
    UnreadableEvent,
)
from ledger.events import Data, NewEvent, RecordedEvent, new_event
from ledger.kinds.kind import Kind
from ledger.kinds.registry import KINDS, kind_named
from ledger.kinds.sealing import Salts, Sealed, digest, seal, unseal, with_erased

_DATA_TO_ID = b',"format":"%b","id":' % FORMAT.encode()


def normal(type: str, data: Any) -> Data:
    """Return the normal form of an event's data; raises BadReport with every complaint."""
    return _normal(KINDS[type], data)


def compose(
    type: str,
    stream: str,
    data: Any,
    *,
    id: str,
    salts: Salts,
    causation: str | None = None,
    correlation: str | None = None,
) -> NewEvent:
    """Return the event that records the data: in normal form, personal fields sealed.

    Raises BadReport for data that the type's form refuses.
    """
    kind = KINDS[type]
    public = _normal(kind, data)
    disclosures: dict[str, str] = {}
    if not kind.form.is_public(public):
        public, disclosures = seal(public, _personal(kind, public), salts)
    return new_event(
        id, stream, type, kind.type_version, public, disclosures, causation, correlation,
        _data_to_id(public, id),
    )


def encode(
    event: NewEvent, stream_version: int, recorded_at: str, recorded_by: str
) -> tuple[bytes, dict[str, str]]:
    """Return the entry, and digest to disclosure for its sealed fields.

    The event comes from `compose`, whose forms let no value outside of the format's domain pass:
    that is not looked for again here, under the append lock.
    Raises EntryTooLarge over 65,535 bytes and BadValue for text with lone surrogates.
    """
    return encode_in(event, stream_version, recording(recorded_at, recorded_by))


def recording(recorded_at: str, recorded_by: str) -> bytes:
    """Return what stands between id and stream in every entry of one append."""
    return b"".join((
        b',"recorded_at":', dumped(recorded_at), b',"recorded_by":', dumped(recorded_by),
        b',"stream":',
    ))


def encode_in(
    event: NewEvent, stream_version: int, recording: bytes
) -> tuple[bytes, dict[str, str]]:
    """Return the same as `encode` for one of many events of an append."""
    digests: dict[str, str] = {}
    before = b"{"
    if event.disclosures or event.causation is not None or event.correlation is not None:
        digests = {digest(text): text for text in event.disclosures.values()}
        before = _before_data(event, digests)
    raw = b"".join((
        before,
        _data_to_id(event.data, event.id) if event.canonical is None else event.canonical,
        recording,
        dumped(event.stream),
        b',"stream_version":',
        dumped(stream_version),
        _typed(event.type, event.type_version),
    ))
    if len(raw) > ENTRY_LIMIT:
        raise EntryTooLarge(event.stream, len(raw), ENTRY_LIMIT)
    return raw, digests


def _before_data(event: NewEvent, digests: Iterable[str]) -> bytes:
    """Return the beginning of an entry: what is sealed in it, and what caused it."""
    fields: Data = {}
    if event.disclosures:
        fields["_sd"] = dict(zip(event.disclosures, digests, strict=True))
    if event.causation is not None:
        fields["causation"] = event.causation
    if event.correlation is not None:
        fields["correlation"] = event.correlation
    return dumped(fields)[:-1] + b","


def _data_to_id(data: Data, id: str) -> bytes:
    """Return the middle of an entry, as bytes that take no more room than they need.

    Those of orjson have room to spare until it is cut off, which takes longer than a copy.
    """
    try:
        data_bytes, id_bytes = orjson.dumps(data, option=STRICT), orjson.dumps(id, option=STRICT)
    except orjson.JSONEncodeError as refusal:
        raise outside(data, refusal) from None
    return b"".join((b'"data":', data_bytes, _DATA_TO_ID, id_bytes))


@lru_cache(maxsize=64)
def _typed(type: str, type_version: int) -> bytes:
    """Return the end of an entry."""
    return b',"type":%b,"type_version":%b}' % (dumped(type), dumped(type_version))


def decode(position: int, raw: bytes, disclosures: Mapping[str, str] | None) -> RecordedEvent:
    """Return the event in an entry, upcast, its personal fields put back: inverse of `encode`.

    A sealed field whose disclosure is gone reads `[erased]`; without disclosures at all (None) the
    sealed fields are left out, as they are in the entry. Raises UnreadableEvent.
    """
    try:
        return _decoded(position, parse(raw), disclosures)
    except BadEntry as refusal:
        raise UnreadableEvent(position, refusal.why) from None
    except (LookupError, TypeError, ValueError, AttributeError) as refusal:
        raise UnreadableEvent(position, f"{type(refusal).__name__} {refusal}") from None


def _decoded(
    position: int, entry: Data, disclosures: Mapping[str, str] | None
) -> RecordedEvent:
    data = entry["data"]
    erased: tuple[str, ...] = ()
    if disclosures is not None and "_sd" in entry:
        erased = unseal(data, entry["_sd"], disclosures)
    version, data = upcast(entry["type"], entry["type_version"], data)
    return RecordedEvent(
        position,
        entry["id"],
        entry["stream"],
        entry["stream_version"],
        entry["type"],
        version,
        entry["recorded_at"],
        entry["recorded_by"],
        data,
        entry.get("causation"),
        entry.get("correlation"),
        erased,
    )


def upcast(type: str, version: int, data: Data) -> tuple[int, Data]:
    """Return the newest type_version and the data in its shape, one step at a time."""
    kind = KINDS.get(type)
    if kind is None:
        raise BadEntry(f"this version of the ledger does not know the type {type}")
    if not 1 <= version <= kind.type_version:
        known = f"this version of the ledger reads up to {kind.type_version}"
        raise BadEntry(f"{type} has type_version {version}, {known}")
    if version < kind.type_version:
        for step in kind.upcasts[version - 1 :]:
            data = step(data)
    if type == "ReportCorrected":
        inner_version, report = upcast(data["type"], data["type_version"], data["report"])
        data = {**data, "type_version": inner_version, "report": report}
    return kind.type_version, data


def says_the_same(recorded: RecordedEvent, data: Data) -> bool:
    """Return whether a recorded event has this normal form as its content; erased counts as equal.

    So a file that is recorded again after an erasure does not bring the erased value back.
    """
    if not recorded.erased:
        return recorded.data == data
    masked = data
    for pointer in recorded.erased:
        masked = with_erased(masked, pointer.split("/")[1:])
    return recorded.data == masked


def _normal(kind: Kind, data: Any) -> Data:
    fields = kind.form.normal(data)
    return _with_normal_report(fields) if kind.type == "ReportCorrected" else fields


def _with_normal_report(fields: Data) -> Data:
    try:
        kind = kind_named(fields["type"])
    except BadValue as refusal:
        raise BadReport([Complaint("type", str(refusal))]) from None
    if not kind.is_report:
        raise BadReport([Complaint("type", f"got {kind.type}, wanted the type of a report")])
    if fields["type_version"] != kind.type_version:
        why = f"got {fields['type_version']}, wanted {kind.type_version}"
        raise BadReport([Complaint("type_version", why)])
    try:
        return {**fields, "type": kind.type, "report": kind.form.normal(fields["report"])}
    except BadReport as refusal:
        inner = [Complaint(f"report.{c.field}".rstrip("."), c.message) for c in refusal.complaints]
        raise BadReport(inner) from None


def _personal(kind: Kind, data: Data) -> Sealed:
    """Return where the personal fields of an event are; in a correction also the report's."""
    personal = kind.form.sealed
    if kind.type == "ReportCorrected":
        return {**personal, "report": KINDS[data["type"]].form.sealed}
    return personal
