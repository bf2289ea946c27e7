"""The page for auditors against what it describes."""

import re
import shutil
import textwrap
from pathlib import Path

import pytest
from command_line import data_of, run, signed_folder

PAGE = (Path(__file__).parents[1] / "docs" / "audit.md").read_text("utf-8")


def block(language: str) -> str:
    """Return the first fenced block of a language on the page."""
    found = re.search(rf"^( *)```{language}\n(.*?)^\1```$", PAGE, re.M | re.S)
    assert found is not None
    return textwrap.dedent(found[2])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a ledger, a key, and a signed head over its first 13 events."""
    return signed_folder(tmp_path, monkeypatch)


def test_other_tool(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page's check by somebody else's library reads an export, and refuses another key."""
    (here / "incidents.vkey").write_text((here / "vkey").read_text())
    shutil.rmtree("public")
    run("audit", "export", "public", "--vkey", "vkey")
    exec(block("python"), {})
    assert capsys.readouterr().out == "example.org/log 13\n"
    other = run("audit", "keygen", "--origin", "example.org/log", "-o", "other").stdout
    (here / "incidents.vkey").write_text(other)
    with pytest.raises(RuntimeError, match="no signature"):
        exec(block("python"), {})


def test_going_on_after_a_freeze(here: Path) -> None:
    """A second key signs the log in places of its own, from the boundary on that is recorded."""
    run("audit", "keygen", "--origin", "example.org/log-2", "-o", "second")
    run("record", "-", "--by", "anna", given=block("yaml"))
    sign = ("audit", "head", "--key", "second", "--heads", "second.heads")
    run(*sign, "--publish", "public", code=4)
    assert data_of(*sign, "--publish", "second-public")["size"] == 14


def test_every_exit_code_is_on_the_page() -> None:
    """The page has a line for each exit code of `ledger audit verify`."""
    said = run("audit", "verify", "--help").stdout
    codes = re.findall(r"(\d) (?:ok|tampered|misused|could not verify|fork)", said)
    assert codes == ["0", "1", "2", "4", "5"]
    assert re.findall(r"^\| (\d) \|", PAGE, re.M) == codes
