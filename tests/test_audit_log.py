"""`ledger audit log`: who recorded what, event by event, in every format."""

import csv
import json
from pathlib import Path

import pytest
from command_line import empty_folder, keep_record, record_article, run

LONG = """
- {kind: SourceAssessed, source: a-newspaper-with-a-rather-long-name-and-then-some-more-of-it,
   publisher: A Newspaper, reliability: B, reason: %s}
"""


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anna recorded 13 events, Ben four more, in ./ledger.db."""
    empty_folder(tmp_path, monkeypatch)
    record_article()
    keep_record()


def positions(*options: str) -> list[int]:
    """Return which events the log has under the options."""
    lines = run("audit", "log", "--format", "ndjson", *options).stdout.splitlines()
    return [json.loads(line)["position"] for line in lines]


ASKED: list[tuple[tuple[str, ...], list[int]]] = [
    ((), list(range(1, 18))),
    (("--by", "ben"), [14, 15, 16, 17]),
    (("--by", "nobody"), []),
    (("--type", "ReportCorrected", "--type", "LinkWithdrawn"), [14, 17]),
    (("--stream", "development/by-release-2025-12-13"), [2, 3, 14, 15, 16, 17]),
    (("--stream", "development/by-release-2025-12-13", "--by", "anna"), [2, 3]),
    (("--since", "2000-01-01", "--until", "9999-12-31"), list(range(1, 18))),
    (("--since", "9999-12-31"), []),
    (("--until", "2000-01-01T08:00Z"), []),
]


@pytest.mark.parametrize(("options", "wanted"), ASKED)
def test_what_is_asked_for(options: tuple[str, ...], wanted: list[int]) -> None:
    """Every condition that is given must hold; without one, the log is whole and in order."""
    assert positions(*options) == wanted


def test_a_span_includes_its_ends() -> None:
    """An event lies in the day, minute and microsecond in which it was recorded."""
    moment = json.loads(run("audit", "log", "--format", "ndjson").stdout.splitlines()[13])
    assert moment["position"] == 14
    at = moment["recorded_at"]
    for end in (at, at[:16], at[:10], at[:19] + "Z"):
        assert 14 in positions("--since", end.removesuffix("Z") if end == at else end)
        assert 14 in positions("--until", end)


def test_one_event() -> None:
    """A line of the log has position, time, person, type, stream and reason, and no more."""
    line = json.loads(run("audit", "log", "--type", "ReportRanked", "--format", "ndjson").stdout)
    assert list(line) == ["position", "recorded_at", "recorded_by", "type", "stream", "reason"]
    assert line | {"recorded_at": ""} == {
        "position": 16, "recorded_at": "", "recorded_by": "ben", "type": "ReportRanked",
        "stream": "development/by-release-2025-12-13", "reason": "older",
    }
    page = run("audit", "log", "--type", "ReportRanked").stdout
    when = line["recorded_at"][:19].replace("T", " ")
    assert page == (
        f"       16  {when}  ReportRanked, by ben\n"
        "           development/by-release-2025-12-13\n"
        "           older\n"
    )


def test_csv() -> None:
    """CSV has a header and the same rows; what has no reason has an empty cell."""
    rows = list(csv.DictReader(run("audit", "log", "--format", "csv").stdout.splitlines()))
    assert [int(row["position"]) for row in rows] == list(range(1, 18))
    assert (rows[0]["reason"], rows[15]["reason"]) == ("", "older")


@pytest.mark.parametrize("reason", ["word " * 40, "w" * 190])
def test_every_line_fits_a_terminal(reason: str) -> None:
    """No line is longer than 80 columns, whatever was recorded."""
    run("record", "-", given=LONG % reason)
    lines = run("audit", "log").stdout.splitlines()
    assert len(lines) > 17
    assert max(map(len, lines)) <= 80
    assert lines == [line.rstrip() for line in lines]


@pytest.mark.parametrize("options", [
    ("--since", "yesterday"), ("--since", "2025-12-13T4:43"), ("--until", "2025-12-13 99:99"),
    ("--until", "2025-12-13T08:00+02:00"), ("--since", "2025-12-13Tfoo"),
    ("--until", "2025-13-40"), ("--type", "Nothing"),
])
def test_refusals(options: tuple[str, ...]) -> None:
    """What is no day and no type is refused by name."""
    assert options[1] in run("audit", "log", *options, code=3).stderr


def test_an_erased_reason() -> None:
    """A reason that was erased reads [erased] in the log."""
    run("audit", "erase", "--position", "14", "--field", "/reason", "--reason", "r", "--basis", "b",
        "--yes")
    page = run("audit", "log", "--type", "ReportCorrected").stdout
    assert page.endswith("\n           [erased]\n")
    assert "misread" not in run("audit", "log").stdout
