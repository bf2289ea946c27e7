"""At a terminal: long work shows a bar, and ends as it does where nobody watches."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import run, signed_folder

WAIT = 60
SIGN = ("audit", "head", "--key", "key")
VKEY = ("--vkey", "vkey")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a ledger of 13 events, a key, and a head, signed and published."""
    return signed_folder(tmp_path, monkeypatch)


def at_a_terminal(*arguments: str) -> tuple[int, str]:
    """Run the program with a terminal in place of all its pipes; return exit code and output."""
    ours, its = os.openpty()
    command = [sys.executable, "-m", "ledger", *arguments]
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env={
        **os.environ, "TERM": "xterm", "COLUMNS": "120",
    }) as process:
        os.close(its)
        said = b""
        try:
            while piece := os.read(ours, 65_536):
                said += piece
        except OSError:  # Linux says so when the other end is closed
            pass
        code = process.wait(WAIT)
    os.close(ours)
    return code, said.decode()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("arguments", "bar"), [
    (("projections", "rebuild"), "rebuild"),
    (("projections", "rebuild", "--check"), "rebuild"),
    (("projections", "catch-up"), ""),
    (("audit", "verify", *VKEY, "--projections"), "verify"),
    (SIGN, ""),
    (("audit", "export", "tree", *VKEY), "export"),
    (("answer", "releases", "--state", "Belarus"), ""),
])
def test_long_work_shows_a_bar(arguments: tuple[str, ...], bar: str) -> None:
    """Whatever shows a bar, with how many events are done, ends well."""
    run("projections", "rebuild")
    code, said = at_a_terminal(*arguments)
    assert (code, "Traceback" in said) == (0, False), said
    assert not bar or (f"{bar} " in said and " events" in said)


@pytest.mark.usefixtures("here")
def test_an_export_is_checked_under_a_bar() -> None:
    """So does the check of an export."""
    assert at_a_terminal("audit", "export", "tree", *VKEY)[0] == 0
    code, said = at_a_terminal("audit", "check", "tree", "--key", "vkey")
    assert (code, "Traceback" in said) == (0, False), said
    assert "check " in said
