"""`ledger audit prove`, `consistency`, `check` and `export`: what they write, say and refuse."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from command_line import data_of, run
from signed_logs import STRANGER, VKEY, fill, rewrite, sign

from ledger.store.connect import connect


@pytest.fixture
def signed(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """A ledger of 20 events with signed heads of 5 and 12, and the commands of its audit."""
    engine = connect(database)
    fill(engine, 20)
    for size in (5, 12):
        sign(engine, size, tmp_path / "heads.db")
    engine.dispose()
    monkeypatch.chdir(tmp_path)
    Path("log.vkey").write_text(VKEY + "\n", "utf-8")
    monkeypatch.setenv("LEDGER_HEADS", str(tmp_path / "heads.db"))
    monkeypatch.setenv("LEDGER_DATABASE_URL", database)

    def audit(*arguments: str, code: int = 0) -> Result:
        return run("audit", *arguments, "--key", "log.vkey", code=code)

    return audit


def test_commands_prove_and_check(signed: Callable[..., Result]) -> None:
    """What `prove` and `consistency` write, `check` accepts, and says what it shows."""
    signed("prove", "7", "-o", "7.tlog-proof")
    assert Path("7.tlog-proof").read_text("utf-8") == signed("prove", "7").stdout
    assert "position 7" in signed("check", "7.tlog-proof").stdout
    shown = data_of("audit", "check", "7.tlog-proof", "--key", VKEY)
    assert (shown["verdict"], shown["position"], shown["size"]) == ("ok", 7, 12)
    assert shown["event"]["id"] == "e-6"
    signed("prove", "4", "--size", "5", "-o", "4.tlog-proof")
    signed("consistency", "5", "12", "-o", "grew")
    assert "from 5 to 12" in signed("check", "grew").stdout
    assert Path("grew").read_text("utf-8") == signed("consistency", "5").stdout


def test_commands_export_and_check(signed: Callable[..., Result]) -> None:
    """What `export` writes, `check` accepts, against a head that was held before."""
    assert "5 entries" in signed("export", "out", "--size", "5").stdout
    shutil.copy("out/checkpoint", "march.checkpoint")
    assert "12 entries, 5 of them before" in signed("export", "out").stdout
    assert "all 12 entries" in signed("check", "out").stdout
    signed("check", "out", "--against", "march.checkpoint")
    signed("prove", "7", "--tiles", "out", "-o", "7.tlog-proof")
    assert Path("7.tlog-proof").read_text("utf-8") == signed("prove", "7").stdout
    signed("consistency", "march.checkpoint", "-o", "grew")
    assert Path("grew").read_text("utf-8") == signed("consistency", "5", "--tiles", "out").stdout
    signed("check", "grew", "--against", "march.checkpoint")
    shutil.copy("march.checkpoint", "out/checkpoint")
    bundle = Path("out/tile/entries/000.p/5")
    bundle.write_bytes(bundle.read_bytes()[:-2] + b"!!")
    assert "position 5" in signed("check", "out", code=1).stderr


REFUSALS = {
    "a position that is not signed yet": (("prove", "13"), 4, "covers 12 events"),
    "a head that was never signed": (("prove", "3", "--size", "6"), 4, "a head of 6 entries"),
    "heads the wrong way round": (("consistency", "12", "5"), 3, "older head"),
    "a head that is no file": (("consistency", "no.checkpoint"), 4, "no.checkpoint"),
    "a file that is not there": (("check", "no.tlog-proof"), 4, "no.tlog-proof"),
    "a file that is no proof": (("check", "log.vkey"), 3, "begins with"),
    "a folder without an export": (("check", "."), 4, "no signed head"),
}


@pytest.mark.parametrize(("arguments", "code", "said"), REFUSALS.values(), ids=REFUSALS)
def test_commands_refuse(
    signed: Callable[..., Result], arguments: tuple[str, ...], code: int, said: str
) -> None:
    """What cannot be done is said in one sentence, with its own exit code."""
    result = signed(*arguments, code=code)
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_commands_tell_a_wrong_key(signed: Callable[..., Result]) -> None:
    """A proof under another key than the asker's is refused, and so is text that is no key."""
    signed("prove", "7", "-o", "7.tlog-proof")
    stranger = run("audit", "check", "7.tlog-proof", "--key", str(STRANGER.key), code=3)
    assert "not signed by" in stranger.stderr
    run("audit", "check", "7.tlog-proof", "--key", "no key", code=3)


def test_commands_find_an_altered_ledger(signed: Callable[..., Result]) -> None:
    """A ledger that is not what was signed proves and exports nothing, and says where."""
    engine = connect(os.environ["LEDGER_DATABASE_URL"])
    rewrite(engine, "UPDATE events SET entry = substr(entry, 2) WHERE position = 7")
    engine.dispose()
    assert "position 7" in signed("prove", "7", code=1).stderr
    assert "position 7" in signed("export", "out", code=1).stderr
    signed("prove", "6")
