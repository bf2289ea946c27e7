"""`ledger record`: what is recorded, what is refused, and what is left behind."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from command_line import BAD, REPORT, closing, data_of, empty_folder, lines, record_article, run

from ledger import book
from ledger.cli import record as record_command
from ledger.encoding import normal
from ledger.examples import shipped
from ledger.intake import recording
from ledger.intake.recording import Outcome
from ledger.store import connect as connecting


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in an empty folder of its own."""
    return empty_folder(tmp_path, monkeypatch)


@pytest.fixture
def article(folder: Path) -> None:
    """The article's reports are in ./ledger.db."""
    record_article()


def test_record_twice() -> None:
    """The same file recorded twice adds nothing, and both times the counts say so."""
    first = run("record", "-", given=shipped.example("article"))
    assert first.stdout == (
        "13 reports seen: 13 recorded (positions 1–13), 0 recorded already, 0 refused\n"  # noqa: RUF001
    )
    assert first.stderr == "made a new ledger: ledger.db\n"
    second = run("record", "-", given=shipped.example("article"))
    assert second.stdout == "13 reports seen: 0 recorded, 13 recorded already, 0 refused\n"
    assert second.stderr == ""


def test_record_says_who(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who recorded is `--by`, else the variable, else the login name, else unknown."""
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("getpass.getuser", lambda: "login")
    run("record", "-", given=lines(REPORT))
    monkeypatch.setenv("LEDGER_RECORDER", "variable")
    run("record", "-", given=lines({**REPORT, "total": 1}))
    run("record", "-", "--by", "option", given=lines({**REPORT, "total": 2}))
    monkeypatch.delenv("LEDGER_RECORDER")
    monkeypatch.setattr("getpass.getuser", nobody)
    run("record", "-", given=lines({**REPORT, "total": 3}))
    who = [data_of("show", str(position))["recorded_by"] for position in range(1, 5)]
    assert who == ["login", "variable", "option", "unknown"]


def test_record_json() -> None:
    """JSON names every new event and every remark, and nothing else comes to stdout."""
    given = lines(REPORT, {**REPORT, "when": "0025-12-13"})
    envelope = json.loads(run("record", "-", "--format", "json", given=given).stdout)
    assert envelope["data"] | {"events": None} == {
        "seen": 2, "good": 2, "recorded": 2, "already": 0, "refused": 0, "dry_run": False,
        "refused_file": None, "events": None,
    }
    places = [(event["position"], event["stream_version"]) for event in envelope["data"]["events"]]
    assert places == [(1, 1), (2, 2)]
    assert envelope["diagnostics"] == [{
        "level": "note", "message": "the year 0025 is before 1800, perhaps a slip", "line": 2,
        "field": "when",
    }]


SOURCE = {"publisher": "Example Times", "url": "https://example.org/1"}
TALLY = {
    "kind": "TallyReported", "tally": "by-held", "by": "BY", "of": "held", "measure": "stock",
    "when": "2025-12-13", "total": 9, "provenance": SOURCE,
}
TWO_PASSPORTS = [{"person": "p-1", "citizenships": ["PL", "GB"]}]
TOMORROW, LATER = "2025-12-14", "2025-12-15"
"""The tests below record at noon of the day before the first."""

# what is changed in a report, and the field and the words of the note; no field: no note
ODD: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({}, "", ""),
    # numbers of one report that cannot all hold
    ({"total": 3, "citizenships": {"Poland": 3, "UK": 2}}, "citizenships",
     "these cannot all hold: total 3, citizenships 5"),
    ({"total": "up to 3", "citizenships": {"Poland": "at least 4"}}, "citizenships",
     "these cannot all hold: total from 0 to 3, citizenships at least 4"),
    ({"total": 14, "citizenships": {"Poland": 13}, "exhaustive": True}, "citizenships",
     "these cannot all hold: total 14, citizenships 13, and no other citizenship"),
    ({"total": 3, "destinations": {"Lithuania": 4}}, "destinations",
     "these cannot all hold: total 3, destinations 4"),
    ({"total": 1, "persons": [{"person": "p-1"}, {"person": "p-2"}]}, "persons",
     "these cannot all hold: total 1, persons 2"),
    ({**TALLY, "citizenships": {"Poland": 10}}, "citizenships",
     "these cannot all hold: total 9, citizenships 10"),
    ({"total": 5, "citizenships": {"Poland": 3, "UK": 2}}, "", ""),
    ({"total": 3, "citizenships": {"Poland": 1, "foreign": 3}}, "", ""),
    ({"total": 1, "citizenships": {"Poland": 1, "UK": 1}, "persons": TWO_PASSPORTS}, "", ""),
    ({"citizenships": {"Poland": 3, "UK": 2}}, "", ""),
    # days to come
    ({"when": "2052-12-13"}, "when",
     "2052-12-13 at stage done is after the day of recording (2025-12-13), perhaps a slip"),
    ({"when": LATER}, "when", f"{LATER} at stage done is after the day"),
    ({"when": "2026"}, "when", "2026 at stage done is after the day"),
    ({"when": TOMORROW}, "", ""),  # it has begun in the far east
    ({"when": "2025-12"}, "", ""),
    ({"when": "../2026"}, "", ""),
    ({"when": LATER, "stage": "promised"}, "", ""),
    ({**TALLY, "when": LATER}, "when", f"{LATER} is after the day of recording"),
    ({"provenance": {**SOURCE, "published": LATER}}, "provenance.published", f"{LATER} is after"),
    ({"provenance": {**SOURCE, "retrieved": LATER}}, "provenance.retrieved", f"{LATER} is after"),
    # what is no address
    *(({"provenance": {**SOURCE, "url": url}}, "provenance.url", f"'{url}' is no whole address")
      for url in ("www.example.org", "example.org/a", "https://", "see below")),
    ({"provenance": {**SOURCE, "url": "http://example.org"}}, "", ""),
    ({"provenance": {"publisher": "Example Times", "locator": "www.example.org"}}, "", ""),
    # what a value itself is flagged for
    ({"total": {"low": 5, "best": 12, "high": 9}}, "total", "best 12 is outside 5..9"),
    ({"when": "1025-12-13"}, "when", "the year 1025 is before 1800, perhaps a slip"),
)


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noon on 2025-12-13, in UTC."""
    monkeypatch.setattr(book, "now", lambda: datetime(2025, 12, 13, 12, tzinfo=UTC))


@pytest.mark.parametrize(("changes", "field", "says"), ODD)
@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_odd_reports_are_noted(
    changes: dict[str, Any], field: str, says: str, options: tuple[str, ...], noon: None
) -> None:
    """What is odd about a report is noted by line and field, and is recorded as it was written."""
    report = changes if "kind" in changes else {**REPORT, **changes}
    given = json.dumps([report], indent=1)
    arguments = ("record", "-", "--input", "yaml", *options)
    shown = json.loads(run(*arguments, "--format", "json", given=given).stdout)["diagnostics"]
    assert [(one["level"], one["field"]) for one in shown] == [("note", field)] * bool(field)
    if not field:
        return
    assert shown[0]["message"].startswith(says)
    name = field.rpartition(".")[2]
    line = next(n for n, text in enumerate(given.splitlines(), 1) if f'"{name}":' in text)
    assert shown[0]["line"] == line
    given = json.dumps([{**report, "note": "another"}], indent=1)
    assert f"line {line}: note: {field}: {says}" in run(*arguments, given=given).stderr


def test_odd_corrections_are_noted(noon: None) -> None:
    """A correction is looked at as the report is that it restates."""
    run("record", "-", given=lines(REPORT))
    source = {"publisher": "A", "url": "www.example.org"}
    restated = {"when": LATER, "by": "BY", "provenance": source}
    correction = {"kind": "ReportCorrected", "position": 1, "reason": "x",
                  "type": "PrisonersReleased", "report": restated}
    said = run("record", "-", given=lines(correction)).stderr
    assert f"line 1: note: report.when: {LATER} at stage done" in said
    assert "line 1: note: report.provenance.url: 'www.example.org' is no" in said


def test_notes_are_not_recorded(noon: None) -> None:
    """The bytes of an odd report are those of its fields: no note stands in the ledger."""
    odd = {**REPORT, "total": 3, "citizenships": {"Poland": 3, "UK": 2}}
    assert "note: " in run("record", "-", given=lines({**odd, "when": LATER})).stderr
    with closing("ledger.db") as database:
        ((entry,),) = database.execute("SELECT entry FROM events").fetchall()
    data = json.loads(entry)["data"]
    assert data["when"] == {"earliest": LATER, "edtf": LATER, "latest": LATER}
    assert data == normal("PrisonersReleased", {
        name: value for name, value in {**odd, "when": LATER}.items()
        if name not in ("kind", "development")
    })


def test_ranges_are_read_with_either_dash() -> None:
    """A range with the dash that pages print is the one of the keyboard, in the source's words."""
    words = ["5-9", "5 - 9", "5\u20139", "5 \u2013 9", "5\u00a0\u2013\u00a09"]
    run("record", "-", given=lines(*({**REPORT, "total": said} for said in words)))
    totals = [data_of("show", str(at))["data"]["total"] for at in range(1, len(words) + 1)]
    assert totals == [
        {"relation": "between", "low": 5, "high": 9, "said": said} for said in words
    ]


def test_all_or_none() -> None:
    """One refused report and nothing is recorded; the complaint names line and field."""
    result = run("record", "-", given=lines(REPORT, BAD), code=3)
    assert result.stdout == (
        "2 reports seen: 1 would be recorded, 0 recorded already, 1 refused\n"
    )
    assert "line 2: citizenships.Kongo: got 'Kongo', wanted" in result.stderr
    assert result.stderr.endswith("nothing was recorded (--keep-going records the good ones)\n")
    assert data_of("status")["position"] == 0


def test_dry_run_changes_nothing(article: None, folder: Path) -> None:
    """A dry run checks everything and leaves the database as it was, byte for byte."""
    run("status")
    before = (folder / "ledger.db").read_bytes()
    result = run("record", "-", "--dry-run", given=lines(REPORT, REPORT))
    assert result.stdout == (
        "2 reports seen: 1 would be recorded, 1 recorded already, 0 refused\n"
    )
    assert result.stderr == "dry run: nothing was recorded\n"
    assert run("record", "-", "--dry-run", "--keep-going", given=lines(BAD), code=3)
    assert (folder / "ledger.db").read_bytes() == before
    assert [file.name for file in folder.iterdir() if "refused" in file.name] == []


def test_dry_run_makes_no_ledger(folder: Path) -> None:
    """A dry run where there is no ledger yet makes none."""
    said = run("record", "-", "--dry-run", given=lines(REPORT)).stderr
    assert "there is no ledger at ledger.db yet" in said
    assert list(folder.iterdir()) == []


def test_keep_going_keeps_the_lines(folder: Path) -> None:
    """With --keep-going the good are recorded, and refused lines are written as they were."""
    torn = '{"kind": "Prisoners'
    (folder / "some.ndjson").write_text(lines(REPORT, torn, BAD))
    for name in ("some.refused.ndjson", "some.refused-2.ndjson"):
        result = run("record", "some.ndjson", "--keep-going", code=3)
        assert f"the refused ones are in {name}: mend them" in result.stderr
        assert (folder / name).read_text() == lines(torn, BAD)
    assert data_of("status")["position"] == 1


def test_keep_going_can_be_mended(folder: Path) -> None:
    """Refused YAML comes back with its complaints, and records once it is mended."""
    (folder / "some.yaml").write_text(json.dumps([REPORT, BAD]))
    data = data_of("record", "some.yaml", "--input", "yaml", "--keep-going", code=3)
    assert data["refused_file"] == "some.refused.yaml"
    text = (folder / "some.refused.yaml").read_text()
    assert "# citizenships.Kongo: got 'Kongo', wanted a country's name" in text
    (folder / "some.refused.yaml").write_text(text.replace("Kongo:", "Congo-Kinshasa:"))
    assert data_of("record", "some.refused.yaml")["recorded"] == 1


def test_keep_going_from_stdin(folder: Path) -> None:
    """Refused reports of stdin go to refused.ndjson, or where --refused says."""
    run("record", "-", "--keep-going", given=lines(BAD), code=3)
    run("record", "-", "--keep-going", "--refused", "mine", given=lines(BAD), code=3)
    assert (folder / "refused.ndjson").read_text() == (folder / "mine").read_text() == lines(BAD)


def test_refused_file_cannot_be_written() -> None:
    """What is recorded is told even where the refused ones cannot be written; that is exit 4."""
    arguments = ("record", "-", "--keep-going", "--refused", "no/such/folder")
    result = run(*arguments, given=lines(REPORT, BAD), code=4)
    assert "1 recorded (position 1)" in result.stdout
    assert "could not write the refused reports: no/such/folder: No such file" in result.stderr
    assert data_of(*arguments, given=lines(REPORT, BAD), code=4)["already"] == 1


def test_many_complaints_are_cut() -> None:
    """People see the first 50 complaints, JSON has all of them."""
    given = lines(*[BAD] * 70)
    said = run("record", "-", given=given, code=3).stderr
    assert said.count("got 'Kongo'") == 50
    assert "\n… and 20 more\n" in said
    envelope = json.loads(run("record", "-", "--format", "json", given=given, code=3).stdout)
    assert len(envelope["diagnostics"]) == 70


@pytest.mark.parametrize(
    ("options", "said", "position"),
    [
        ((), "stopped; nothing was recorded", 0),
        (("--keep-going",), "stopped; 4 reports were recorded", 4),
        (("--keep-going", "--dry-run"), "stopped; nothing was recorded", 0),
    ],
)
def test_interrupted(
    options: tuple[str, ...], said: str, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends with 130 and says truly what is in the ledger."""
    @contextmanager
    def third_chunk(_: object) -> Iterator[Any]:
        def show(outcome: Outcome) -> None:
            if outcome.seen == 6:
                raise KeyboardInterrupt
        yield show

    run("init")
    monkeypatch.setattr(record_command, "_progress", third_chunk)
    monkeypatch.setattr(recording, "CHUNK", 2)
    given = lines(*({**REPORT, "total": total} for total in range(9)))
    assert said in run("record", "-", *options, given=given, code=130).stderr
    assert data_of("status")["position"] == position


def test_torn_yaml_after_good_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """With --keep-going a file that cannot be read to its end says what was recorded before."""
    monkeypatch.setattr(recording, "CHUNK", 1)
    given = "---\n".join(json.dumps({**REPORT, "total": n}) + "\n" for n in range(2)) + "---\n{"
    result = run("record", "-", "--input", "yaml", "--keep-going", given=given, code=3)
    assert "cut short; 2 reports were recorded" in result.stderr
    assert "refused: line" in result.stderr


def test_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that somebody else is writing to ends with 4 and says so."""
    run("init")
    monkeypatch.setattr(connecting, "BUSY_TIMEOUT_MS", 1)
    with closing("ledger.db") as database:
        database.execute("BEGIN IMMEDIATE")
        said = run("record", "-", given=lines(REPORT), code=4).stderr
    assert said == "could not use sqlite:///ledger.db: database is locked\n"


def test_a_decision_that_is_repeated_in_the_same_words() -> None:
    """It is recorded already; where it does not count any more, that is said, with its position."""
    run("record", "-", given=lines(REPORT))
    ranks = [{"kind": "ReportRanked", "position": 1, "rank": rank, "reason": "r"}
             for rank in ("deprecated", "normal")]
    assert run("record", "-", given=lines(*ranks)).stderr == ""

    again = run("record", "-", given=lines(ranks[0]))

    assert "0 recorded, 1 recorded already" in again.stdout
    assert "recorded already at position 2 was withdrawn, replaced or ranked anew" in again.stderr
    assert run("record", "-", given=lines(ranks[1], REPORT)).stderr == ""
    new = run("record", "-", given=lines({**ranks[0], "reason": "once more"}))
    assert "1 recorded (position 4)" in new.stdout
