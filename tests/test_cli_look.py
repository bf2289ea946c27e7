"""`ledger status`, `show` and `history`: what stands there, as people and programs read it."""

import hashlib
import json
from pathlib import Path

import pytest
from command_line import (
    REPORT,
    closing,
    data_of,
    empty_folder,
    keep_record,
    lines,
    record_article,
    run,
)

from ledger.examples import shipped


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in an empty folder of its own."""
    return empty_folder(tmp_path, monkeypatch)


@pytest.fixture
def article(folder: Path) -> None:
    """The article's reports are in ./ledger.db."""
    record_article()


@pytest.fixture
def kept(article: None) -> None:
    """… with a correction, a second report that is deprecated, and a withdrawn link."""
    keep_record()


def test_status(article: None) -> None:
    """`status` says where the ledger is and what it commits to, in every format the same."""
    status = data_of("status")
    assert list(status) == [
        "database", "revision", "position", "tree_size", "root_hash", "recorded_at",
        "behind",
    ]
    assert (status["position"], status["tree_size"], len(status["root_hash"])) == (13, 13, 64)
    assert f"\nroot hash    {status['root_hash']}\n" in run("status").stdout
    header, row = run("status", "--format", "csv").stdout.splitlines()
    assert dict(zip(header.split(","), row.split(","), strict=True)) == {
        name: str(value) for name, value in status.items()
    }


def test_status_of_nothing() -> None:
    """An empty ledger commits to the hash of nothing, and was never written to."""
    run("init")
    assert data_of("status") | {"recorded_at": None} == data_of("status")
    assert data_of("status")["root_hash"] == hashlib.sha256().hexdigest()
    assert "recorded at  never\n" in run("status").stdout


def test_status_finds_a_lost_event(article: None) -> None:
    """A tree head that does not fit the log is a finding."""
    with closing("ledger.db") as database:
        database.execute("DROP TRIGGER IF EXISTS events_no_delete")
        for (name,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'events'"
        ).fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.execute("DELETE FROM events WHERE position = 13")
    result = run("status", "--format", "json", code=1)
    assert json.loads(result.stdout)["status"] == "finding"
    assert "the tree head covers 13 events, but the last position is 12" in result.stderr


SHOWN = """\
PrisonersReleased
people were freed, or their release was ordered, promised, refused

when              2025-12-13
by                Belarus
total             123
citizenships
  Australia       at least 1
  United Kingdom  at least 1 (“Britain”)
  Lithuania       at least 1
  Poland          at least 1
  United States   at least 1
persons           Ales Bialiatski* (person person/p-3k7w; note Nobel peace
                  laureate*)
"""


def test_show(article: None) -> None:
    """`show` is a page that people can read: numbers in words, personal values marked."""
    page = run("show", "2").stdout
    event = data_of("show", "2")
    assert page.startswith(SHOWN)
    assert "\nposition   2\nstream     development/by-release-2025-12-13, event 1 of it\n" in page
    assert f"\nrecorded   {event['recorded_at']} by anna\n" in page
    assert f"\nleaf hash  {event['leaf_hash']}\n" in page
    assert page.endswith("\n* personal: stands in the entry as a digest only, and can be erased\n")


def test_show_json(article: None) -> None:
    """JSON has the whole event, which of its fields are personal, and sorted keys."""
    event = data_of("show", "2")
    assert event["personal"] == [
        "/note", "/persons/0/name", "/persons/0/note", "/persons/1/name", "/persons/1/note"
    ]
    assert event["data"]["persons"][0]["name"] == "Ales Bialiatski"
    assert list(event["data"]) == sorted(event["data"])


@pytest.mark.parametrize("asked", [("--entry",), ("--format", "entry")])
def test_show_entry(asked: tuple[str, ...], article: None) -> None:
    """`show --entry` prints the recorded bytes and nothing else: the leaf hash is over them."""
    entry = run("show", "2", *asked).stdout_bytes
    assert json.loads(entry)["type"] == "PrisonersReleased"
    assert hashlib.sha256(b"\0" + entry).hexdigest() == data_of("show", "2")["leaf_hash"]


def test_erased_is_shown_as_erased(article: None) -> None:
    """Where a personal value was erased, people and programs read [erased]."""
    run("audit", "erase", "--position", "2", "--reason", "asked", "--basis", "law", "--yes")
    assert "persons           [erased] (person person/p-3k7w; note [erased])" in run(
        "show", "2"
    ).stdout
    assert "persons [erased], [erased];" in run("history", "by-release-2025-12-13").stdout
    event = data_of("show", "2")
    assert event["erased"] == event["personal"]


HISTORY = """\
14  {minute} UTC  ReportCorrected, recorded by ben
    position 2; reason misread*
      total: 123 → at least 123
      citizenships Australia: at least 1 → 2
      citizenships Lithuania: - at least 1
      citizenships Poland: - at least 1
      citizenships United States: - at least 1
"""
STANDING = """\
What stands now
14  PrisonersReleased: Example Times
    when 2025-12-13; by Belarus; total at least 123; citizenships Australia 2,
    United Kingdom at least 1 (“Britain”), Latvia at least 1 (“some”); stage
    done; act pardon
15  PrisonersReleased, deprecated, does not count: Example Post
 5  development/us-by-potash-2025-12-13 is in exchange for this one: Straight
    Arrow News, 2025-12-13

* personal"""


def test_history(kept: None) -> None:
    """`history` tells the stream in order: what was corrected from what, and what stands now."""
    page = run("history", "by-release-2025-12-13").stdout
    minute = data_of("show", "14")["recorded_at"][:16].replace("T", " ")
    assert page.startswith("development/by-release-2025-12-13\n\n 2  ")
    assert HISTORY.format(minute=minute) in page
    assert "      act: release → pardon\n" in page
    assert "      citizenships Latvia: + at least 1 (“some”)\n" in page
    assert "\n    corrected by position 14\n" in page
    assert "\n    position 15; rank deprecated; reason older*\n" in page
    assert "\n    withdrawn by position 17\n" in page
    assert STANDING in page


def test_history_json(kept: None) -> None:
    """JSON tells the same: changes, what is gone, what stands and whether it counts."""
    history = data_of("history", "by-release-2025-12-13")
    assert [event["position"] for event in history["events"]] == [2, 3, 14, 15, 16, 17]
    assert "total: 123 → at least 123" in history["events"][2]["changes"]
    assert history["gone"] == [
        {"position": 2, "how": "corrected", "by": 14}, {"position": 3, "how": "withdrawn", "by": 17}
    ]
    standing = [(row["position"], row["rank"], row["counts"]) for row in history["reports"]]
    assert standing == [(14, "normal", True), (15, "deprecated", False)]
    csv = run("history", "by-release-2025-12-13", "--format", "csv").stdout.splitlines()
    assert csv[0] == "position,stream_version,recorded_at,recorded_by,type,summary"
    assert len(csv) == 7


def test_history_by_short_name(article: None) -> None:
    """A stream's short name is enough where one category has it, and refused where two have."""
    short = run("history", "by-released-since-2025-11").stdout
    assert short == run("history", "tally/by-released-since-2025-11").stdout
    tally = shipped.example("article").decode().replace(
        "tally: by-released-since-2025-11", "tally: by-release-2025-12-13"
    )
    run("record", "-", given=tally)
    said = run("history", "by-release-2025-12-13", code=3).stderr
    assert "wanted one of development/by-release-2025-12-13, tally/by-release-2025-12-13" in said
    run("history", "development/by-release-2025-12-13")


@pytest.mark.parametrize("name", shipped.NAMES)
def test_every_page_fits_a_terminal(name: str) -> None:
    """Whatever stands in the examples fits 80 columns, without a space at a line's end."""
    for example in shipped.NAMES[: shipped.NAMES.index(name) + 1]:
        run("record", "-", given=shipped.example(example))
    events = [data_of("show", str(at)) for at in range(1, data_of("status")["position"] + 1)]
    pages = [run("show", str(event["position"])).stdout for event in events]
    pages += [run("history", stream).stdout for stream in {event["stream"] for event in events}]
    for line in (line for page in pages for line in page.splitlines()):
        assert len(line) <= 80
        assert line == line.rstrip()


def test_markup_is_text() -> None:
    """Square brackets and colons in a report are printed as they stand."""
    run("record", "-", given=lines({**REPORT, "note": "[bold]x[/bold] :smile: [/]"}))
    assert "[bold]x[/bold] :smile: [/]*" in run("show", "1").stdout
