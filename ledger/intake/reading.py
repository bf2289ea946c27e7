"""Files of reports, read one report at a time: NDJSON (a report a line) or YAML.

Takes bytes; hands on a Draft for each report, which knows its lines, or a BadDraft for one that
cannot be read. docs/recording.md describes the form. Nothing is guessed: a float, a key that
stands twice, text that is not UTF-8 are refused and named by their line.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import yaml

from ledger.errors import BadFile, shown
from ledger.intake.yaml_reading import TooDeep, Unread, construct, documents, line_of, place_of
from ledger.intake.yaml_refusals import not_yaml

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Draft:
    """One report as it was written, not yet looked at."""

    line: int
    """Where it begins; of reports handed over by a program, which of them it is."""
    fields: Fields
    raw: bytes | None = None
    """The line itself, where the file has one report a line."""
    nodes: tuple[yaml.Node, ...] = field(default=(), repr=False, compare=False)
    """In YAML: what it was read from, the report itself before what it shares with others."""

    def line_of(self, field: str) -> int:
        """Return the line of a field by its name (`persons.1.name`), as deep as it is known."""
        places = [place_of(node, field) for node in self.nodes]
        return max(places, key=lambda place: place[0])[1] if places else self.line


@dataclass(frozen=True, slots=True)
class BadDraft:
    """A report that cannot even be read as fields and values."""

    line: int
    """Where reading stopped."""
    why: str
    raw: bytes | None = None

    def line_of(self, field: str) -> int:
        """Return the line: no field of it is known."""
        return self.line


Drafts = Iterator[Draft | BadDraft]


def read_reports(file: BinaryIO, form: str | None = None) -> Drafts:
    """Yield the reports of a file; `form` is `ndjson`, `yaml` or None (the first byte decides).

    NDJSON is read a line at a time in constant memory; YAML a document at a time.
    Raises BadFile for a file that has no reports, or is no text at all.
    """
    first = _first_bytes(file)
    if form is None:
        form = "ndjson" if first.lstrip().startswith(b"{") else "yaml"
    return _not_empty(_read_ndjson(file) if form == "ndjson" else _read_yaml(file))


def _first_bytes(file: BinaryIO) -> bytes:
    first = file.read(4096)
    file.seek(0)
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadFile("it is UTF-16, wanted UTF-8", 1)
    if b"\x00" in first:
        line = first[: first.index(b"\x00")].count(b"\n") + 1
        raise BadFile("it holds a NUL byte, so it is no text; wanted NDJSON or YAML", line)
    return first.removeprefix(b"\xef\xbb\xbf")


def _not_empty(drafts: Drafts) -> Drafts:
    empty = True
    for draft in drafts:
        empty = False
        yield draft
    if empty:
        raise BadFile("no report in it; `ledger record --template KIND` prints one to fill in")


def _read_ndjson(file: BinaryIO) -> Drafts:
    for number, raw in enumerate(file, start=1):
        line = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
        if line.strip():
            yield _read_line(number, line.strip())


def _read_line(number: int, line: bytes) -> Draft | BadDraft:
    try:
        fields = json.loads(
            line.decode("utf-8"),
            object_pairs_hook=_once_each,
            parse_float=_refuse_float,
            parse_constant=_refuse_float,
        )
    except UnicodeDecodeError as refusal:
        why = f"got byte 0x{line[refusal.start]:02x} at column {refusal.start + 1}, wanted UTF-8"
        return BadDraft(number, why, line)
    except json.JSONDecodeError as refusal:
        why = f"not JSON: {refusal.msg.lower()} at column {refusal.colno}"
        ended = refusal.pos >= len(line.decode()) or refusal.msg.startswith("Unterminated")
        return BadDraft(number, why + (" (the line ends too early)" if ended else ""), line)
    except RecursionError:
        return BadDraft(number, "nested too deeply to be a report", line)
    except ValueError as refusal:
        return BadDraft(number, str(refusal), line)
    if not isinstance(fields, dict):
        return BadDraft(number, f"got {shown(fields)}, wanted a report: {{\"kind\": …}}", line)
    return Draft(number, fields, line)


def _once_each(pairs: Iterable[tuple[str, Any]]) -> Fields:
    fields: Fields = {}
    for name, value in pairs:
        if name in fields:
            raise ValueError(f"the key {name!r} stands twice, wanted it once")
        fields[name] = value
    return fields


def _refuse_float(text: str) -> Any:
    raise ValueError(f"got the number {text}, wanted whole numbers (or text in quotes)")


def _read_yaml(file: BinaryIO) -> Drafts:
    raw = file.read()
    try:
        for document in documents(raw):
            yield from _reports_in(document)
    except yaml.YAMLError as refusal:
        raise not_yaml(raw, refusal) from None
    except TooDeep as refusal:
        raise BadFile("nested too deeply to be reports", refusal.line) from None
    except RecursionError:  # through aliases
        raise BadFile("nested too deeply to be reports") from None


def _reports_in(document: yaml.Node) -> Drafts:
    """Yield the reports of one document: a list, one report, or shared fields and `reports`."""
    shared: Draft | None = None
    if isinstance(document, yaml.MappingNode):
        by_name = {getattr(key, "value", None): value for key, value in document.value}
        reports = by_name.get("reports")
        if reports is None:
            yield _draft(document)
            return
        rest = [pair for pair in document.value if pair[1] is not reports]
        head = _draft(yaml.MappingNode(document.tag, rest, document.start_mark))
        if isinstance(head, BadDraft):
            yield head
            return
        shared, document = head, reports
    if not isinstance(document, yaml.SequenceNode):
        got = f"got {shown(document.value)}, " if isinstance(document, yaml.ScalarNode) else ""
        yield BadDraft(line_of(document), f"{got}wanted a list of reports")
        return
    for node in document.value:
        yield _draft(node, shared)


def _draft(node: yaml.Node, shared: Draft | None = None) -> Draft | BadDraft:
    try:
        fields = construct(node)
    except Unread as refusal:
        return BadDraft(refusal.line, str(refusal))
    if not isinstance(fields, dict):
        why = f"got {shown(fields)}, wanted a report: its fields and values"
        return BadDraft(line_of(node), why)
    if shared is None:
        return Draft(line_of(node), fields, nodes=(node,))
    whole = _with_shared(shared.fields, fields)
    return Draft(line_of(node), whole, nodes=(node, *shared.nodes))


def _with_shared(shared: Fields, own: Fields) -> Fields:
    """Return the report's own fields over the shared ones; inside `provenance` field by field."""
    fields = {**shared, **own}
    if isinstance(shared.get("provenance"), Mapping) and isinstance(own.get("provenance"), Mapping):
        fields["provenance"] = {**shared["provenance"], **own["provenance"]}
    return fields
