"""`ledger record`: what is recorded, what is refused, and what is left behind."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import BAD, REPORT, closing, data_of, empty_folder, lines, record_article, run

from ledger.cli import record as record_command
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
