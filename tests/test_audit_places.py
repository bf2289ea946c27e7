"""Where heads, proofs and keys are kept, and what becomes of them in other people's hands."""

import os
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from command_line import closing, data_of, run, signed_folder
from signed_logs import offline
from tampering import E, change, rehash, rewrite, unguard

from ledger.cli.main import ledger
from ledger.examples import shipped
from ledger.store.connect import connect
from ledger.tlog.head import Head, sign_head
from ledger.tlog.note import read_signer

SIZE = 13
HUGE = "9" * 20
VERIFY = ("audit", "verify", "--vkey", "vkey")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a ledger, a key, and a signed head over its first 13 events in ./public."""
    return signed_folder(tmp_path, monkeypatch)


def forge() -> None:
    """Rewrite an event and everything that follows from it."""
    engine = connect("ledger.db")
    unguard(engine)
    rewrite(engine, 5, {"recorded_by": "x"})
    rehash(engine)
    engine.dispose()


# Heads.


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_head_in_a_mail(here: Path, end: str) -> None:
    """A head is found as it stands in a mail, and compared like any other."""
    note = (here / "public" / "checkpoint").read_text("utf-8")
    mail = f"From: ops\nSubject: head\n\n{note}\n-- \nthe ledger of example.org/log\n"
    (here / "head.eml").write_bytes(mail.replace("\n", end).encode())
    assert data_of(*VERIFY, "--against", "head.eml")["heads_matched"] == 1

    (here / "altered.eml").write_text(mail.replace("\n13\n", "\n12\n"), "utf-8")
    assert data_of(*VERIFY, "--against", "altered.eml", code=1)["rules"] == {"head": 1}
    forge()
    run(*VERIFY, "--against", "head.eml", code=5)


def test_a_head_in_a_proof(here: Path) -> None:
    """The ledger's own proofs beside its heads are heads to compare with, and no alarm."""
    run("record", "-", "--by", "ben", given=shipped.example("wider"))
    run("audit", "head", "--key", "key")
    run("audit", "prove", "7", "--vkey", "vkey", "-o", "public/7.tlog-proof")
    run("audit", "consistency", "13", "--vkey", "vkey", "-o", "public/grew")
    (here / "ledger.db.heads").unlink()
    assert data_of(*VERIFY, "--against", "public")["signed_size"] == 52


def test_a_folder_that_cannot_be_read(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder within that nobody may look into is no reason to leave its heads out."""
    (here / "public" / "closed").mkdir()
    really = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return really(path)

    monkeypatch.setattr(os, "scandir", scandir)
    said = run(*VERIFY, "--against", "public", code=4).stderr
    assert "closed: Permission denied" in said


def test_an_empty_place_is_a_misuse(here: Path) -> None:
    """A variable that is not set is no folder to look through."""
    assert "--against needs" in run(*VERIFY, "--against", "", code=2).stderr


def test_a_link_to_the_ledger_has_its_head_store(here: Path) -> None:
    """Whoever comes by another name finds what was signed."""
    (here / "link.db").symlink_to(here / "ledger.db")
    forge()
    run("audit", "head", "--key", "key", "--db", "link.db", code=5)
    assert not (here / "link.db.heads").exists()


def test_published_heads_stay(here: Path) -> None:
    """Where the checkpoint is gone, the heads beside it still say that the store was lost."""
    note = (here / "public" / "heads" / "13").read_bytes()
    (here / "ledger.db.heads").unlink()
    (here / "public" / "checkpoint").unlink()
    forge()
    said = run("audit", "head", "--key", "key", "--publish", "public", code=5).stderr
    assert "is not in the head store" in said
    assert (here / "public" / "heads" / "13").read_bytes() == note


def test_a_head_of_another_time(here: Path) -> None:
    """A head store that says when it was signed in no possible way is a finding, and no crash."""
    with closing("ledger.db.heads") as store:
        store.execute("DROP TRIGGER heads_update")
        store.execute("UPDATE heads SET signed_at = '9999-12-31T23:59:59.999999Z'")
    assert data_of(*VERIFY)["verdict"] == "ok"


def test_a_head_of_another_root(here: Path) -> None:
    """What the store says of a head and the head do not agree on is named."""
    with closing("ledger.db.heads") as store:
        store.execute("DROP TRIGGER heads_update")
        store.execute("UPDATE heads SET root = x'00'")
    said = [finding["message"] for finding in data_of(*VERIFY, code=1)["findings"]]
    assert any("the note is of another root" in message for message in said)


def test_tampering_counts_where_tables_cannot_be_compared(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answer tables that cannot be locked are not compared; what was found is said all the same."""
    run("projections", "rebuild")
    engine = connect("ledger.db")
    unguard(engine)
    change(engine, 5, type="TalksHeld")
    engine.dispose()

    def rebuild(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied", "ledger.db.releases.lock")

    monkeypatch.setattr("ledger.cli.audit.verifying.rebuild", rebuild)
    data = data_of(*VERIFY, "--projections", code=1)
    assert (data["position"], data["rules"]) == (5, {"column": 1})
    assert "could not be compared: " in data["failure"]


def mailbox(name: str, *parts: str) -> list[str]:
    """Write the parts into a file, and return what is said against the heads in it."""
    Path(name).write_text("".join(parts), "utf-8")
    result = CliRunner().invoke(ledger, [*VERIFY, "--against", name])
    return [str(result.exit_code), result.stdout]


def test_every_head_in_a_mailbox(here: Path) -> None:
    """Wherever a head stands in a long file, and whatever stands around it, it is compared."""
    good = (here / "public" / "checkpoint").read_text("utf-8")
    signer = read_signer((here / "key").read_text("utf-8"))
    evil = sign_head(Head(signer.name, SIZE, bytes(32)), signer)
    filling = ("x" * 76 + "\n") * 15_000

    assert mailbox("long", good, "\n", filling, "\n", evil)[0] == "5"
    assert mailbox("signed off", "hi\n\n", good, "— Anna, desk\n")[0] == "0"
    assert mailbox("signed off twice", good, "\nlater:\n\n", evil, "— Anna, desk\n")[0] == "5"
    assert mailbox("marked", "\ufeff", good)[0] == "0"
    assert mailbox("stacked", "before:\n", "\n".join(good.split("\n")[:3]), "\n", good)[0] == "0"
    assert mailbox("endless", f"{signer.name}\n13\n{'A' * 43}=\n" * 20_000, "\n", good)[0] == "0"


def test_what_is_not_looked_through_is_named(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is too long and a link to another folder are said to be passed over."""
    monkeypatch.setattr("ledger.audit.against.FILE_AT_MOST", 1_000)
    (here / "public" / "long").write_text("x" * 1_001)
    (here / "public" / "link").symlink_to(here)
    said = "\n".join(data_of(*VERIFY, "--against", "public")["not_covered"])
    assert "public/long (it is longer than 1,000 bytes)" in said
    assert "public/link (a link to a folder is not followed)" in said


def test_a_published_head_in_the_wrong_place(here: Path) -> None:
    """A file in the way of a head that is to be published is told of before anything is signed."""
    heads = here / "public" / "heads"
    (heads / "52").write_bytes((heads / "13").read_bytes())
    run("record", "-", "--by", "ben", given=shipped.example("wider"))
    said = run("audit", "head", "--key", "key", "--publish", "public", code=4).stderr
    assert "its heads/52 is a head of size 13" in said


# Proofs and keys.


def test_an_entry_goes_with_one_proof(here: Path) -> None:
    """An entry to compare with a whole log, or with its growth, is a misuse and not passed over."""
    run("record", "-", "--by", "ben", given=shipped.example("wider"))
    run("audit", "head", "--key", "key")
    run("audit", "export", "out", "--vkey", "vkey")
    run("audit", "consistency", "13", "--vkey", "vkey", "-o", "grew")
    for path, code in (("out", 2), ("grew", 3)):
        asked = (path, "--vkey", "vkey", "--entry", "vkey")
        assert "the proof of one event" in run("audit", "check", *asked, code=code).stderr
        assert offline.main([path, "--key", "vkey", "--entry", "vkey"]) == 3


@pytest.mark.parametrize("arguments", [
    ("prove", "5", "--size", HUGE), ("prove", HUGE), ("export", "out", "--size", HUGE),
    ("consistency", HUGE), ("consistency", "13", HUGE),
])
def test_a_size_that_no_log_has(here: Path, arguments: tuple[str, ...]) -> None:
    """It is refused as what it is, and never with the code of a ledger that was changed."""
    code = 3 if arguments[0] == "consistency" else 2
    assert HUGE in run("audit", *arguments, "--vkey", "vkey", code=code).stderr


def test_an_export_has_one_head(here: Path) -> None:
    """A proof from an export is under its head: another size is a misuse."""
    run("audit", "export", "out", "--vkey", "vkey")
    asked = ("prove", "5", "--size", "9", "--tiles", "out", "--vkey", "vkey")
    assert "--size goes without --tiles" in run("audit", *asked, code=2).stderr


def test_half_a_key_is_none(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that could not be written leaves no file in the way of the next one."""
    def fsync(_: int) -> None:
        raise OSError(28, "No space left on device")

    asked = ("audit", "keygen", "--origin", "example.org/a", "-o", "a.key")
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", fsync)
        assert "write the key to a.key: No space" in run(*asked, code=4).stderr
    run(*asked)


@pytest.mark.parametrize("origin", ["a" * 1_001, "example.org/\u202elog", "example.org/l\u200bog"])
def test_a_name_is_for_people_to_compare(here: Path, origin: str) -> None:
    """A name that nobody can read whole, or that is not what it looks like, is refused."""
    asked = ("audit", "keygen", "--origin", origin, "-o", "a.key")
    assert "all of them visible" in run(*asked, code=3).stderr
    assert not (here / "a.key").exists()


def test_a_key_file_that_is_not_there(here: Path) -> None:
    """A text that is no key may have been meant as a file's name."""
    said = run("audit", "check", "vkey", "--vkey", "no.vkey", code=3).stderr
    assert "got 'no.vkey', wanted a verifier key: name+id+base64, or a file that holds one" in said


# Events that are not of the format any more.


def edited(position: int, old: bytes, new: bytes) -> None:
    """Change the bytes of one entry behind the ledger's back."""
    engine = connect("ledger.db")
    unguard(engine)
    with engine.connect() as connection:
        entry = connection.scalar(sa.select(E.entry).where(E.position == position)) or b""
    change(engine, position, entry=entry.replace(old, new))
    assert old in entry
    engine.dispose()


def test_an_event_that_was_changed_cannot_be_shown(here: Path) -> None:
    """What reads a changed event says so; its exact bytes can still be printed."""
    run("record", "-", "--by", "ben", given="""
- {kind: ReportRanked, position: 2, rank: deprecated, reason: x}
""")
    edited(2, b'"low":', b'"lo":')
    edited(14, b'"position":2', b'"position":0')
    for asked in (("show", "2"), ("history", "by-release-2025-12-13")):
        said = run(*asked, code=4).stderr
        assert "an event there was changed" in said
        assert "`ledger audit verify` says which" in said
    assert '"lo":' in run("show", "2", "--entry").stdout
    assert run("audit", "verify", code=1).stdout.startswith("TAMPERED at position 2: ")
