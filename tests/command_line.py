"""Running the command line in tests: in this process, and as a shell does in one of its own."""

import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ledger.cli.main import ledger
from ledger.examples import shipped

ROOT = Path(__file__).parents[1]

REPORT = {
    "kind": "PrisonersReleased",
    "development": "by-release-2025-12-13",
    "when": "2025-12-13",
    "by": "Belarus",
    "provenance": {"publisher": "Example Times", "url": "https://example.org/1"},
}
BAD = {**REPORT, "citizenships": {"Kongo": 3}}
KEEPING = """
- kind: ReportCorrected
  position: 2
  reason: misread
  type: PrisonersReleased
  report:
    when: 2025-12-13
    by: Belarus
    act: pardon
    total: at least 123
    citizenships: {Australia: 2, Britain: at least 1, Latvia: some}
    provenance: {publisher: Example Times, url: https://example.org/2}
- kind: PrisonersReleased
  development: by-release-2025-12-13
  when: 2025-12-13
  by: Belarus
  total: 456
  provenance: {publisher: Example Post, url: https://example.org/3}
- {kind: ReportRanked, position: 15, rank: deprecated, reason: older}
- {kind: LinkWithdrawn, development: by-release-2025-12-13, position: 3, reason: not said}
"""


def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder, in an environment that says nothing about ledgers; return it."""
    for name in ("LEDGER_DATABASE_URL", "LEDGER_RECORDER"):
        monkeypatch.delenv(name, raising=False)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def signed_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with a ledger of 13 events, a key, and a head, signed and published."""
    here = empty_folder(tmp_path, monkeypatch)
    monkeypatch.delenv("LEDGER_HEADS", raising=False)
    record_article()
    key = run("audit", "keygen", "--origin", "example.org/log", "-o", "key").stdout
    (here / "vkey").write_text(key)
    run("audit", "head", "--key", "key", "--publish", "public")
    return here


def run(*arguments: str, given: str | bytes | None = None, code: int = 0) -> Result:
    """Run the command line; it ends with the code, by itself and without a traceback."""
    result = CliRunner().invoke(ledger, list(arguments), input=given)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code == code, result.output
    return result


def data_of(*arguments: str, code: int = 0, given: str | bytes | None = None) -> Any:
    """Run with --format json and return the data of the envelope."""
    envelope = json.loads(run(*arguments, "--format", "json", code=code, given=given).stdout)
    assert list(envelope) == ["version", "status", "data", "diagnostics"]
    assert envelope["version"] == 1
    return envelope["data"]


def lines(*reports: object) -> str:
    """Return the reports as NDJSON; a text is a line as it stands."""
    return "".join(
        (report if isinstance(report, str) else json.dumps(report)) + "\n" for report in reports
    )


def record_article() -> None:
    """Record the article's reports in ./ledger.db."""
    run("record", "-", "--by", "anna", given=shipped.example("article"))


def keep_record() -> None:
    """Correct the article's release, report it again, rank that down, and withdraw the link."""
    run("record", "-", "--by", "ben", given=KEEPING)


@contextmanager
def closing(file: str) -> Iterator[sqlite3.Connection]:
    """Open a SQLite file behind the ledger's back, commit and close it."""
    connection = sqlite3.connect(file)
    try:
        yield connection
        connection.commit()
    finally:
        connection.close()


def command(*arguments: str) -> list[str]:
    """Return the command line that runs the ledger in a process of its own."""
    return [sys.executable, "-m", "ledger", *arguments]


def environment() -> dict[str, str]:
    """Return the environment of a process that finds this checkout."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
