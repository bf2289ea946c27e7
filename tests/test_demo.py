"""`ledger demo` and the README: each command prints the table that it stands beside."""

import re
import shlex
from pathlib import Path

import pytest
from command_line import ROOT, empty_folder, run

from ledger.examples.shipped import example

README = (ROOT / "README.md").read_text("utf-8")


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the demo prints; its ledger is ./ledger-demo.db."""
    empty_folder(tmp_path, monkeypatch)
    monkeypatch.setattr("shutil.which", lambda name: f"/somewhere/{name}")
    return run("demo").stdout


def asked(page: str) -> list[tuple[str, list[str]]]:
    """Return the commands on a page, as they would be typed, with the arguments of each."""
    commands = re.findall(r"^\$ (ledger (?:.*\\\n)?.*)$", page, re.M)
    return [(command, shlex.split(command.replace("\\\n", ""))[1:]) for command in commands]


def tables(page: str) -> list[str]:
    """Return the tables on a page: header, line and rows."""
    return re.findall(r"^(.+\n─+\n(?:(?!```).+\n)+)", page, re.M)


def test_commands_print_the_tables_above_them(told: str) -> None:
    """The command under each table of numbers prints that table, word for word."""
    first, second, _ = tables(told)
    commands = [arguments for _, arguments in asked(told)]
    assert first in run(*commands[0]).stdout
    assert second in run(*commands[1]).stdout
    assert [arguments[2] for arguments in commands] == [
        "answer", "answer", "history", "explain", "answer"
    ]
    assert all(run(*arguments).stdout for arguments in commands)
    assert told.index(first) < told.index(commands[0][-1], told.index(first)) < told.index(second)


def test_readme_shows_what_the_demo_prints(told: str) -> None:
    """The tables and commands of the README are those of the demo, and 67 claims are 39 reports."""
    shown = README.partition("## What it shows")[2].partition("\n## ")[0]
    assert tables(shown) == tables(told)
    assert asked(shown) == asked(told)[:2]
    for said in re.findall(r"^Any other citizenship.*$", shown, re.M):
        assert f"{said}\n" in told
    claims = re.findall(r"\bC\d{3}\b", example("wider").decode())
    assert f"{len(set(claims))} further claims" in " ".join(shown.split())
    assert f"{len(set(claims))} further claims" in told
    assert "39 reports recorded" in told
    assert "in 39 reports" in shown


def test_readme_ends_the_dispute(told: str) -> None:
    """The report that the README ranks down ends the dispute, with the number that it says."""
    (rank,) = re.findall(r"^- \{kind: ReportRanked.*$", README, re.M)
    Path("rank.yaml").write_text(rank, "utf-8")
    for command in re.findall(r"^ledger (--db ledger-demo\.db .*)$", README, re.M):
        run(*command.split())
    (_, arguments) = asked(told)[1]
    page = run(*arguments).stdout
    assert "yes" not in page
    assert "\nPL  Poland             1     12  " in page
    assert "Poland is 1 to 12" in README


def test_demo_fits_a_terminal(told: str) -> None:
    """Nothing that the demo prints is wider than 80 columns."""
    assert max(map(len, told.splitlines())) <= 80


def test_contradictions_are_mutual(told: str) -> None:
    """Whom a report contradicts, contradicts it; every report in the table has somebody."""
    rows = re.findall(r"^(\d+) .*  ([\d, ]+)$", tables(told)[2], re.M)
    against = {at: others.split(", ") for at, others in rows}
    assert list(against) == ["2", "42", "43", "45", "49"]
    assert all(at in against[other] for at, others in against.items() for other in others)
