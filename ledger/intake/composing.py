"""One report as written, made into what will be recorded: type, stream, normal form.

Takes a Draft; hands on a Candidate. Looks at nothing but the draft: whether it may follow the
history is `recording`'s question.
"""

import re
from dataclasses import dataclass
from typing import Any

from ledger.encoding import normal
from ledger.errors import BadReport, BadValue, Complaint
from ledger.events import STREAM, Data
from ledger.intake.reading import Draft
from ledger.kinds.keeping import SAME_STREAM
from ledger.kinds.kind import Kind
from ledger.kinds.registry import kind_named

SHORT_NAMES = {
    "development": "by-release-2025-12-13",
    "tally": "by-released-since-2025-11",
    "person": "p-3k7w",
    "source": "example-times",
    "listing": "ofac-sdn",
}
"""By category of streams: an example of a short name."""
CATEGORIES = tuple(SHORT_NAMES)
HEADER = ("kind", "id", "expected_version", "causation", "correlation")
"""Fields of a report that are about its recording, not part of its data."""
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_LABEL = re.compile(r"[!-~]{1,200}")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A report in the form of its type, not yet checked against any history."""

    line: int
    kind: Kind
    stream: str | None
    """None: the stream of the event at `data["position"]`."""
    data: Data
    id: str | None
    expected_version: int | None
    causation: str | None
    correlation: str | None


def read_draft(draft: Draft) -> Candidate:
    """Return the candidate that a draft makes; raises BadReport with every complaint."""
    try:
        kind = kind_named(draft.fields.get("kind"))
    except BadValue as refusal:
        raise BadReport([Complaint("kind", str(refusal))]) from None
    if kind.written_by is not None:
        why = f"{kind.type} is written by {kind.written_by}, wanted another kind"
        raise BadReport([Complaint("kind", why)])
    fields = {name: value for name, value in draft.fields.items() if value is not None}
    complaints: list[Complaint] = []
    header = _read_header(fields, complaints)
    stream = _read_stream(kind, fields, complaints)
    data: Data = {}
    try:
        data = normal(kind.type, _data_of(kind, fields))
    except BadReport as refusal:
        complaints += refusal.complaints
    except BadValue as refusal:
        complaints.append(Complaint("type", str(refusal)))
    if complaints:
        raise BadReport(complaints)
    return Candidate(draft.line, kind, stream, data, **header)


def _data_of(kind: Kind, fields: Data) -> Data:
    own = {name: value for name, value in fields.items() if name not in HEADER}
    for category in CATEGORIES:
        if category not in kind.form.parts:
            own.pop(category, None)
    if kind.type == "ReportCorrected" and "type_version" not in own and "type" in own:
        own["type_version"] = kind_named(own["type"]).type_version
    return own


def _read_header(fields: Data, complaints: list[Complaint]) -> dict[str, Any]:
    expected = fields.get("expected_version")
    if expected is not None and (type(expected) is not int or expected < 0):
        why = str(BadValue(expected, "the stream's last stream_version, or 0 for a new stream"))
        complaints.append(Complaint("expected_version", why))
    for name, pattern, wanted in (
        ("id", _UUID7, "a UUIDv7 in lower case"),
        ("causation", _LABEL, "the id of what caused it, without spaces"),
        ("correlation", _LABEL, "an id without spaces"),
    ):
        value = fields.get(name)
        if value is not None and not (isinstance(value, str) and pattern.fullmatch(value)):
            complaints.append(Complaint(name, str(BadValue(value, wanted))))
    return {name: fields.get(name) for name in HEADER if name != "kind"}


def _read_stream(kind: Kind, fields: Data, complaints: list[Complaint]) -> str | None:
    """Return the stream's full name; a report has it as `development: by-release-2025-12-13`."""
    given = [name for name in CATEGORIES if name in fields and name not in kind.form.parts]
    wanted = [kind.category] if kind.category != SAME_STREAM else given[:1]
    for name in given:
        if name not in wanted:
            complaints.append(Complaint(name, f"a {kind.type} belongs to a {kind.category}"))
    if not wanted:
        return None
    name = wanted[0]
    if name not in fields:
        what = f"is missing, wanted the {name}'s short name, as {SHORT_NAMES[name]}"
        complaints.append(Complaint(name, what))
        return None
    text = fields[name]
    stream = f"{name}/{str(text).removeprefix(name + '/')}"
    if not isinstance(text, str) or not STREAM.fullmatch(stream) or len(stream) > 200:
        why = f"small letters, digits, - _ . and /, at most 200 in all, as {SHORT_NAMES[name]}"
        complaints.append(Complaint(name, str(BadValue(text, why))))
        return None
    return stream
