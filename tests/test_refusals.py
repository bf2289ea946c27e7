"""What a person may get wrong: each mistake has its refusal, its exit code, and writes nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from recording import record_text, recorded, release

from ledger.book import new_id, new_salt, now
from ledger.cli.main import ledger
from ledger.encoding import compose
from ledger.store.append import append
from ledger.store.connect import connect, reading, writing
from ledger.store.read import read_head

GOOD: dict[str, Any] = {
    "kind": "PrisonersReleased",
    "development": "by-release",
    "when": "2025-12-13",
    "by": "Belarus",
    "total": 5,
    "provenance": {"publisher": "A Newspaper", "url": "https://example.org/a"},
}
TALLY = {
    **{name: value for name, value in GOOD.items() if name != "development"},
    "kind": "TallyReported",
    "tally": "by",
    "of": "released",
    "measure": "cumulative",
}
TARGET = {"kind": "sector", "name": "potash"}
SANCTION = {
    "kind": "SanctionsLifted",
    "development": "us",
    "when": "2025-12-13",
    "stage": "agreed",
    "sender": "US",
    "target": TARGET,
    "provenance": GOOD["provenance"],
}

TALKS = (
    "- {kind: TalksHeld, development: talks, when: 2025-12-12, parties: [BY, US],"
    " provenance: {publisher: A, locator: p}}\n"
)


def line(base: dict[str, object] = GOOD, /, **changes: object) -> bytes:
    """One report as a line of NDJSON, with changes; None leaves a field out."""
    fields = {**base, **changes}
    return json.dumps({n: v for n, v in fields.items() if v is not None}).encode() + b"\n"


def provenance(**changes: object) -> bytes:
    """A report whose provenance is changed."""
    return line(provenance={**GOOD["provenance"], **changes})


def raw(text: str) -> bytes:
    """A text as it stands in the file."""
    return text.encode() + b"\n"


# name, the file, what the refusal says (all of these)
TABLE: tuple[tuple[str, bytes, tuple[str, ...]], ...] = (
    # not a file of reports
    ("empty file", b"", ("no report in it",)),
    ("blank file", b"\n  \n\n", ("no report in it",)),
    ("only comments", b"# nothing\n", ("no report in it",)),
    ("binary file", bytes(range(256)) * 8, ("no text",)),
    ("zip file", b"PK\x03\x04\x14\x00\x00\x00\x08\x00", ("no text",)),
    ("UTF-16", line().decode().encode("utf-16"), ("UTF-16", "UTF-8")),
    ("Latin-1", line(by="T\u00fcrkiye").replace(b"\\u00fc", b"\xfc"), ("line 1", "0xfc", "UTF-8")),
    ("Latin-1 in YAML", b"- kind: a\n  by: T\xfcrkiye\n",
     ("line 2: not YAML: got byte 0xfc at column 8, wanted UTF-8",)),
    ("truncated line", line()[:60], ("line 1", "not JSON", "too early")),
    ("truncated file", line() + line(development="b")[:-20], ("line 2", "not JSON")),
    ("not JSON", raw("{kind: PrisonersReleased}{"), ("line 1", "not JSON")),
    ("a list", raw('{"kind"') , ("line 1", "not JSON")),
    ("CSV", raw("kind,when,total\nrelease,2025,5"), ("line 1", "wanted a list of reports")),
    ("broken YAML", raw("- kind: [a, b\n  when: x: y"), ("not YAML",)),
    ("a word", raw("hello"), ("line 1", "wanted a list of reports")),
    ("a list of words", raw("- hello\n- world"), ("line 1", "wanted a report")),
    ("a YAML tag", raw("- !!python/object:os.system {kind: a}"),
     ("line 1: got the tag !!python/object:os.system, wanted no tags",)),
    ("a tag on a text", raw("- kind: TalksHeld\n  note: !!python/object x"),
     ("line 2: got the tag !!python/object, wanted no tags",)),
    ("a harmless tag", raw("- kind: TalksHeld\n  note: !!str x"), ("line 2: got the tag !!str",)),
    ("a tag of one's own", raw("- kind: TalksHeld\n  note: !mine x"),
     ("line 2: got the tag !mine",)),
    ("a tag on a key", raw("- kind: TalksHeld\n  !!str note: x"), ("line 2: got the tag !!str",)),
    ("a tab", raw("provenance:\n\tpublisher: A"),
     ("line 2: not YAML: got a tab at column 1, wanted spaces",)),
    ("a tab after a word", raw("kind: TalksHeld\n\twhen: 2025"),
     ("line 2: not YAML: got a tab at column 1, wanted spaces",)),
    ("a control character", raw("- kind: \u00e9\u00e9\n  note: a\x1b[1m"),
     ("line 2: not YAML: got the character U+001B at column 10, wanted text without",)),
    ("no blank after a colon", raw("kind: a\nwhen: b\ntotal:123\nby: c"),
     ("line 3: not YAML: got 'total:123', wanted a blank after the colon: 'total: 123'",)),
    ("no blank in the last line", raw("kind: a\ntotal:123"),
     ("line 2: not YAML: got 'total:123'",)),
    ("no blank in the first line", raw("- kind:a\n  total: 1"),
     ("line 1: not YAML: got '- kind:a', wanted a blank after the colon: 'kind: a'",)),
    ("no colon", raw("kind: a\ntotal 123\nby: c"),
     ("line 2: not YAML: got 'total 123', wanted a field and its value",)),
    ("a second colon", raw("kind: a\nnote: he said: no"),
     ("line 2: not YAML: got ':' at column 14, wanted text with a colon in quotes",)),
    ("a character with a meaning", raw("kind: a\nnote: @b"),
     ("line 2: not YAML: got '@' at column 7, wanted text that begins with it in quotes",)),
    ("an open quotation mark", raw('kind: a\nnote: "b\nby: c'), ("line 4: not YAML", "line 2")),
    ("nested without end", b'{"a":' * 100_000, ("line 1", "nested too deeply")),
    ("nested YAML", b"- " + b"[" * 5_000 + b"]" * 5_000, ("line 1", "nested too deeply")),
    ("nested YAML without end", b"[" * 100_000, ("line 1", "nested too deeply")),
    ("nested by dashes", b"- " * 3_000, ("line 1", "nested too deeply")),
    ("nested by lines", b"".join(b" " * n + b"a:\n" for n in range(3_000)),
     ("nested too deeply",)),
    ("nested by aliases", b"".join(b"- &a%d [*a%d]\n" % (n + 1, n) for n in range(3_000))
     .replace(b"[*a0]", b"[]"), ("nested too deeply",)),
    # not a report
    ("a country as an organisation", line(by={"organisation": "Belarus"}),
     ("line 1: by: got 'Belarus', wanted an organisation; the country is written without",)),
    ("a code as an organisation", line(by={"organisation": "BY"}), ("by: got 'BY'",)),
    ("unknown field of a line", line(citizenships=[{"citizenship": "PL", "cuont": 3}]),
     ("citizenships.0.cuont: is not a field here, wanted one of citizenship, count, destination",)),
    ("duplicate key", raw('{"kind": "TalksHeld", "kind": "TalksHeld"}'), ("'kind'", "twice")),
    ("duplicate key in YAML", raw("- kind: TalksHeld\n  kind: TalksHeld"),
     ("line 2: the key 'kind' stands twice",)),
    ("float", line(total=1.5), ("line 1", "1.5", "whole numbers")),
    ("float in YAML", raw("- kind: TalksHeld\n  total: 1.5"),
     ("line 2: got the number 1.5, wanted whole numbers",)),
    ("exponent", raw(line().decode().replace("5,", "1e3,")), ("line 1", "1e3", "whole numbers")),
    ("NaN", raw(line().decode().replace("5,", "NaN,")), ("line 1", "NaN", "whole numbers")),
    ("no kind", line(kind=None), ("kind", "PrisonersReleased")),
    ("unknown kind", line(kind="PrisonersEaten"), ("kind", "'PrisonersEaten'", "TalksHeld")),
    ("kind is a number", line(kind=7), ("kind", "7")),
    ("a kind nobody may write", line(kind="PersonalDataErased"), ("written by",)),
    ("no stream", line(development=None), ("development", "is missing")),
    ("a stream in capitals", line(development="Minsk 2025"), ("development", "'Minsk 2025'")),
    ("a stream of another kind", line(tally="x"), ("tally", "development")),
    ("a stream that is a number", line(development=5), ("development", "5")),
    ("an endless stream name", line(development="x" * 300), ("development", "at most 200")),
    ("unknown field", line(totle=5), ("totle", "total")),
    ("unknown field inside", provenance(editor="me"), ("provenance.editor", "publisher")),
    # values
    ("missing day", line(when=None), ("when", "is missing")),
    ("impossible day", line(when="2025-02-30"), ("when", "2025-02-30")),
    ("month 13", line(when="2025-13-01"), ("when", "2025-13-01")),
    ("day first", line(when="13.12.2025"), ("when", "13.12.2025", "2025-12-13")),
    ("a day in words", line(when="since November"), ("when", "since November")),
    ("an interval backwards", line(when="2025-12-13/2025-11-01"), ("when", "2025-12-13")),
    ("a day that is a list", line(when=["2025"]), ("when",)),
    ("unknown country", line(by="Ruritania"), ("by", "'Ruritania'", "organisation")),
    ("ambiguous country", line(citizenships={"Congo": 1}), ("citizenships.Congo: ", "CD", "CG")),
    ("a code in small letters", line(by="by"), ("by", "'by'")),
    ("a citizenship twice", line(citizenships={"UK": 1, "Britain": 2}), ("GB", "twice")),
    ("low above high", line(total={"low": 9, "high": 5}), ("total", "low 9", "high 5")),
    ("between backwards", line(total="between 9 and 5"), ("total", "low 9")),
    ("negative", line(total=-1), ("total", "-1")),
    ("a number in letters", line(total="dozens"), ("total", "'dozens'", "at least 5")),
    ("a huge number", line(total=2**60), ("total", "2^53")),
    ("true as a number", line(total=True), ("total", "True")),
    ("a relation of its own", line(total={"relation": "roughly", "low": 1}), ("total", "roughly")),
    ("an exact nothing", line(total={"relation": "exact", "low": 3}), ("total",)),
    ("text as a flag", line(exhaustive="yes please"), ("exhaustive", "true or false")),
    ("unknown stage", line(stage="maybe"), ("stage", "'maybe'", "promised")),
    ("unknown act", line(act="teleport"), ("act", "'teleport'", "pardon")),
    ("persons as text", line(persons="many"), ("persons: got 'many'",)),
    ("a birthday", line(persons=[{"name": "A", "born": "1980"}]), ("persons.0.born",)),
    ("no provenance", line(provenance=None), ("provenance", "is missing")),
    ("provenance as text", line(provenance="Reuters"), ("provenance", "'Reuters'", "publisher")),
    ("no publisher", line(provenance={"url": "https://a.example"}), ("provenance.publisher",)),
    ("nowhere to find it", line(provenance={"publisher": "A"}), ("document_sha256", "look it up")),
    ("a blank publisher", provenance(publisher="  "), ("provenance.publisher", "not blank")),
    ("a wrong hash", provenance(document_sha256="abc"), ("document_sha256", "64 hexadecimal")),
    ("a wrong grade", provenance(grade={"source": "Z"}), ("grade.source", "A, B, C, D, E, F")),
    ("lone surrogate", line(note="a\ud800b"), ("note", "U+D800")),
    ("NUL", line(note="a\x00b"), ("note", "U+0000")),
    ("escape sequence", line(note="\x1b[31mred"), ("note", "U+001B")),
    ("endless text", line(note="x" * 3_000), ("note", "2,000 characters")),
    ("70 KB entry", line(
        persons=[{"name": "x" * 190, "person": f"person/p-{n}" + "y" * 150} for n in range(400)]
    ), ("line 1", "65,535", "bytes")),
    ("too many items", line(persons=[{}] * 2_000), ("persons", "1,000")),
    ("no stage for sanctions", line(SANCTION, stage=None), ("stage", "is missing", "agreed")),
    ("a sector as a person", line(SANCTION, target={**TARGET, "kind": "person"}), ("person: …",)),
    ("a stock since", line(TALLY, measure="stock", since="2025"), ("stock with since",)),
    ("a coded event without quotes", line(
        GOOD, kind="CodedEvent", dataset="GDELT", table_version="1", code=841, by=None, total=None
    ), ("code", "841", "text")),
    # what the history forbids
    ("wrong expected version", line(expected_version=3), ("stream_version 0", "expected 3")),
    ("expected version as text", line(expected_version="3"), ("expected_version", "'3'")),
    ("an id that is none", line(id="42"), ("id", "'42'", "UUIDv7")),
    ("an id of another version", line(id="c3d3a4b0-0000-4000-8000-000000000000"), ("UUIDv7",)),
    ("one id, two contents", line(id="01a209df-ec5b-7617-a2b6-3bb5ec5b6de7")
        + line(id="01a209df-ec5b-7617-a2b6-3bb5ec5b6de7", total=6), ("line 2", "other content")),
    ("another family", line() + line(SANCTION, development="by-release"), ("custody reports",)),
    ("correcting nothing", raw('{"kind": "ReportRetracted", "position": 9, "reason": "x"}'),
        ("position: got 9, wanted a position of this ledger from 1 to 1",)),
    ("position zero", raw('{"kind": "ReportRetracted", "position": 0, "reason": "x"}'),
        ("position", "0")),
    ("no reason", raw('{"kind": "ReportRetracted", "position": 1}'), ("reason", "is missing")),
    ("ranking twice", line() + 2 * b""
        + raw('{"kind": "ReportRanked", "position": 2, "rank": "normal", "reason": "x"}'),
        ("is normal already",)),
    ("a rank of its own", raw('{"kind": "ReportRanked", "position": 1, "rank": "best"}'),
        ("rank", "'best'", "preferred")),
    ("merged into itself", line() + raw(
        '{"kind": "DevelopmentsMerged", "development": "by-release", "same_as": "by-release",'
        ' "reason": "x"}'), ("merged into itself",)),
    ("merged with what is of another family", line() + line(SANCTION) + raw(
        '{"kind": "DevelopmentsMerged", "development": "by-release", "same_as": "us",'
        ' "reason": "x"}'),
        ("line 3: development/by-release: holds custody reports and development/us sanctions",)),
    ("merged into nothing", line() + raw(
        '{"kind": "DevelopmentsMerged", "development": "by-release", "same_as": "no-such",'
        ' "reason": "x"}'), ("development/no-such is not in this ledger",)),
    ("linked to nothing", line() + raw(json.dumps({
        "kind": "DevelopmentsLinked", "development": "by-release", "link": "follows",
        "to": "no-such", "provenance": GOOD["provenance"]})), ("no-such is not in this ledger",)),
    ("correcting to what is no report", line() + raw(
        '{"kind": "ReportCorrected", "position": 2, "reason": "x", "type": "ReportRanked",'
        ' "report": {}}'), ("ReportRanked",)),
    ("a correction that is wrong itself", line() + raw(
        '{"kind": "ReportCorrected", "position": 2, "reason": "x", "type": "PrisonersReleased",'
        ' "report": {"when": "2025-14"}}'), ("report.when", "2025-14")),
)  # fmt: skip


@pytest.fixture
def database_with_one(sqlite_database: str) -> str:
    """A ledger with one event, so that "nothing was written" is not about an empty one."""
    engine = connect(sqlite_database)
    recorded(engine, release("there-already", total=1))
    engine.dispose()
    return sqlite_database


def head_of(database: str) -> tuple[int, bytes]:
    """Tree size and root."""
    engine = connect(database)
    with reading(engine) as connection:
        head = read_head(connection)
    engine.dispose()
    return head.size, head.root


def test_the_table_is_long_enough() -> None:
    """At least 60 mistakes are tried, each by its own name."""
    names = [name for name, _, _ in TABLE]
    assert len(set(names)) == len(names) >= 60


@pytest.mark.parametrize(("file", "says"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE])
def test_a_mistake_is_refused_by_name(
    file: bytes, says: tuple[str, ...], database_with_one: str, tmp_path: Path
) -> None:
    """A bad file is refused with what, got and wanted; exit code 2 or 3; nothing is written."""
    before = head_of(database_with_one)
    path = tmp_path / "reports"
    path.write_bytes(file)

    result = CliRunner().invoke(ledger, ["--db", database_with_one, "record", str(path)])

    said = " ".join(result.output.split())
    assert result.exit_code in (2, 3), said
    assert "Traceback" not in said
    assert isinstance(result.exception, SystemExit)
    for part in says:
        assert " ".join(part.split()) in said
    assert head_of(database_with_one) == before


@pytest.mark.parametrize("keep_going", [False, True])
def test_the_other_lines_are_as_promised(
    keep_going: bool, database_with_one: str, tmp_path: Path
) -> None:
    """One bad line among many: all or none by default; with --keep-going all but the bad one."""
    lines = [line(development=f"r-{number}") for number in range(2_500)]
    lines[1_699] = line(development="bad", when="2025-02-30")
    path = tmp_path / "reports.ndjson"
    path.write_bytes(b"".join(lines))
    options = ["--keep-going"] if keep_going else []

    result = CliRunner().invoke(ledger, ["--db", database_with_one, "record", *options, str(path)])

    assert result.exit_code == 3
    assert "line 1700" in result.output.replace("1,700", "1700")
    assert head_of(database_with_one)[0] == (2_500 if keep_going else 1)


# the report as YAML, and what stands before the words of each of its refusals
LINES: tuple[tuple[str, str, list[str]], ...] = (
    ("a field", "{head}\nby: Ruritania\ntotal: 3\n{source}", ["line 4: by: "]),
    ("a missing field", "\n{head}\ntotal: 3\n{source}", ["line 2: by: is missing"]),
    ("a blank field", "{head}\ntotal: 3\n{source}\nby:", ["line 8: by: is missing"]),
    ("an unknown field", "{head}\nby: BY\ntotle: 3\n{source}", ["line 5: totle: "]),
    ("inside provenance", "{head}\nby: BY\nprovenance:\n  publisher: A\n  url: u\n  grade:\n"
     "    source: B\n    information: 9", ["line 10: provenance.grade.information: "]),
    ("missing inside", "{head}\nby: BY\nprovenance:\n\n  url: u",
     ["line 5: provenance.publisher: is missing"]),
    ("inside a list", "{head}\nby: BY\npersons:\n  - name: A\n  - person: p-1\n    born: 1970\n"
     "{source}", ["line 8: persons.1.born: "]),
    ("a list in a list", "{head}\nby: BY\npersons:\n  - name: A\n    citizenships:\n      - BY\n"
     "      - Ruritania\n{source}", ["line 9: persons.0.citizenships.1: "]),
    ("a single one", "{head}\nby: BY\npersons:\n  name: A\n  citizenships: Ruritania\n{source}",
     ["line 7: persons.citizenships: "]),
    ("a mapping", "{head}\nby: BY\ncitizenships:\n  Poland: 1\n  Ruritania: 2\n  U.S.: many\n"
     "{source}", ["line 7: citizenships.Ruritania: ", "line 8: citizenships.U.S.: "]),
    ("lines of a breakdown", "{head}\nby: BY\ncitizenships:\n  - citizenship: Poland\n"
     "  - count: 1\n    citizenship: Ruritania\n{source}",
     ["line 8: citizenships.1.citizenship: "]),
    ("several, from above to below", "{head}\ntotal: many\nby: Ruritania\n{source}",
     ["line 4: total: ", "line 5: by: "]),
    ("the head", "expected_version: x\n{head}\nby: BY\n{source}", ["line 1: expected_version: "]),
    ("shared fields", "provenance:\n  publisher: A\n  url: u\n  published: 2025-13\nby: Ruritania\n"
     "reports:\n  - kind: PrisonersReleased\n    development: x\n    when: 2025-12-13\n"
     "    provenance: {{publisher: ' '}}",
     ["line 4: provenance.published: ", "line 5: by: ", "line 10: provenance.publisher: "]),
    ("another document", "{head}\nby: BY\n{source}\n---\n{head}\nby: Ruritania\n{source}",
     ["line 12: by: "]),
    ("a correction", "kind: ReportCorrected\nposition: 1\nreason: x\ntype: PrisonersReleased\n"
     "report:\n  when: 2025\n  by: Ruritania\n  {inline}", ["line 7: report.by: "]),
    ("of an empty ledger", "kind: ReportRetracted\nreason: x\nposition: 3",
     ["line 3: position: got 3, wanted a position of this ledger (it has no event yet)"]),
)
HEAD = "kind: PrisonersReleased\ndevelopment: x\nwhen: 2025-12-13"
INLINE = "provenance: {publisher: A, url: u}"


@pytest.mark.parametrize(("text", "says"), [row[1:] for row in LINES], ids=[r[0] for r in LINES])
def test_a_refusal_names_the_line_of_its_field(
    text: str, says: list[str], sqlite_database: str
) -> None:
    """In YAML a refusal names the field's own line, and one that is missing that of its parent."""
    source = INLINE.replace("{", "\n  ").replace(", ", "\n  ").replace("}", "")
    filled = text.format(head=HEAD, source=source, inline=INLINE)
    engine = connect(sqlite_database)
    outcome = record_text(engine, filled)
    engine.dispose()

    found = [str(remark) for refusal in outcome.refusals for remark in refusal.remarks]
    assert len(found) == len(says), found
    assert [one[: len(start)] for one, start in zip(found, says, strict=True)] == says


def test_a_merge_that_stands_may_be_taken_back(engine: sa.Engine) -> None:
    """A merge of two families that was recorded before stays, and can be withdrawn."""
    recorded(engine, release("a") + TALKS)
    with writing(engine) as connection:
        merge = compose("DevelopmentsMerged", "development/a", {
            "same_as": "development/talks", "reason": "one bus",
        }, id=new_id(), salts=new_salt)
        append(connection, [merge], recorded_by="anna", clock=now)
    again = "- {kind: DevelopmentsMerged, development: talks, same_as: a, reason: one bus}"
    (refusal,) = record_text(engine, again).refusals
    assert "talks: holds talks reports and development/a custody reports" in str(refusal)
    recorded(engine, release("a", total=3) + "- {kind: MergeWithdrawn, position: 3, reason: two}")


def test_postgresql_refuses_the_same(engine: sa.Engine) -> None:
    """A refusal in the last of many reports leaves nothing behind, on either database."""
    outcome = record_text(engine, release("a", total=1) + release("b", total=2, by="Ruritania"))

    assert not outcome.written
    assert [str(refusal)[:12] for refusal in outcome.refusals] == ["line 10: by:"]
    with reading(engine) as connection:
        assert read_head(connection).size == 0



def test_an_entry_too_large_does_not_stop_the_others(
    database_with_one: str, tmp_path: Path
) -> None:
    """With --keep-going an entry over the limit is named by its line, the others recorded."""
    many = [{"name": "x" * 190, "person": f"p-{n}" + "y" * 150} for n in range(400)]
    path = tmp_path / "reports.ndjson"
    path.write_bytes(line(development="a") + line(persons=many) + line(development="b"))

    arguments = ["--db", database_with_one, "record", "--keep-going", str(path)]
    result = CliRunner().invoke(ledger, arguments)

    assert result.exit_code == 3
    assert "line 2" in result.output
    assert "65,535" in result.output
    assert head_of(database_with_one)[0] == 3
