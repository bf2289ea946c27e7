"""The export: files that anybody can check, made bit by bit, and every flipped byte in them."""

import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from command_line import environment
from signed_logs import SIGNER, VKEY, fill, no_root, offline, rewrite, sign, stored

from ledger.audit.exporting import HoldsAnother, export, reader_of, tiles_in
from ledger.audit.proving import (
    NotAsSigned,
    prove,
    prove_consistency,
    prove_consistency_from_tiles,
    prove_from_tiles,
)
from ledger.errors import CouldNot, LedgerError
from ledger.store.connect import connect, reading
from ledger.store.leaves import Damaged
from ledger.tlog.check import Checked, check_export
from ledger.tlog.head import Head, sign_head
from ledger.tlog.proof import stated_head
from ledger.tlog.tiles import ENTRIES, Tile, encode_entries, encode_hashes


def exported(
    engine: sa.Engine, folder: Path, size: int, before: tuple[int, ...] = ()
) -> dict[str, bytes]:
    """Export up to a size, after smaller ones were exported; return the files."""
    roots = {n: stated_head(sign(engine, n)).root for n in (*before, size)}
    with reading(engine) as connection:
        done = export(connection, folder, sign(engine, size), roots.get)
    assert done.size == size
    return files_in(folder)


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*")) if path.is_file()
    }


def checked(folder: Path, held: Head | None = None) -> Checked:
    return check_export(reader_of(folder), SIGNER.key, held=held, others=tiles_in(folder))


def ours(folder: Path) -> str:
    try:
        return checked(folder).status
    except LedgerError:
        return "refused"


def theirs(folder: Path) -> str:
    try:
        offline.check_folder(offline.Export(folder), offline.read_key(VKEY), None)
    except offline.Verdict as verdict:
        return {1: "tampered", 3: "refused", 4: "could_not", 5: "fork"}[verdict.args[0]]
    return "ok"


CHECKERS = (ours, theirs)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 600])
def test_export_is_whole(engine: sa.Engine, tmp_path: Path, size: int) -> None:
    """An export holds every entry and every tile of the signed head, and nothing else."""
    fill(engine, size + 3)
    entries = stored(engine, size)
    files = exported(engine, tmp_path / "out", size)
    assert [check(tmp_path / "out") for check in CHECKERS] == ["ok", "ok"]
    bundles = [Tile(ENTRIES, n, min(256, size - 256 * n)).path for n in range(-(-size // 256))]
    got = b"".join(files[path] for path in bundles)
    assert got == encode_entries(entries)
    tiles = [path.replace("entries", "0") for path in bundles]
    above = [Tile(1, 0, size // 256).path] if size >= 256 else []
    assert set(files) == {"checkpoint", *bundles, *tiles, *above}


def test_steps_make_the_same_export_as_one(engine: sa.Engine, tmp_path: Path) -> None:
    """An export that grew step by step holds what one made at once holds."""
    fill(engine, 600)
    roots = {n: stated_head(sign(engine, n)).root for n in (3, 200, 256, 300, 600)}
    written = []
    for size in roots:
        with reading(engine) as connection:
            done = export(connection, tmp_path / "steps", sign(engine, size), roots.get)
        written.append((done.before, done.size, done.written))
        assert [check(tmp_path / "steps") for check in CHECKERS] == ["ok", "ok"]
    whole = exported(engine, tmp_path / "whole", 600)
    steps = files_in(tmp_path / "steps")
    assert {path: steps[path] for path in whole} == whole
    assert set(steps) - set(whole) == {"tile/1/000.p/1"}, "earlier heads still need these"
    assert written == [(0, 3, 2), (3, 200, 2), (200, 256, 3), (256, 300, 2), (300, 600, 5)]


def test_export_again_writes_nothing(sqlite_database: str, tmp_path: Path) -> None:
    """A second export of the same head leaves every file as it is."""
    engine = connect(sqlite_database)
    fill(engine, 300)
    exported(engine, tmp_path / "out", 300)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    with reading(engine) as connection:
        done = export(connection, tmp_path / "out", sign(engine, 300), no_root)
    assert (done.before, done.written) == (300, 0)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == times
    engine.dispose()


class Killed(BaseException):
    """What a test raises in place of a kill: nothing catches it."""


@pytest.mark.parametrize("before", [0, 200])
def test_killed_export_goes_on(
    sqlite_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """An export that stops before any of its writes is completed by the next one."""
    engine = connect(sqlite_database)
    fill(engine, 520)
    roots = {n: stated_head(sign(engine, n)).root for n in (200, 520)}
    note = sign(engine, 520)
    whole = exported(engine, tmp_path / "whole", 520, (200,))
    replace, left = Path.replace, 0

    def dies(self: Path, target: Path) -> Path:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        return replace(self, target)

    for step in range(9):
        folder = tmp_path / f"{step}"
        if before:
            exported(engine, folder, before)
        with monkeypatch.context() as patch, reading(engine) as connection:
            left = step
            patch.setattr(Path, "replace", dies)
            try:
                export(connection, folder, note, roots.get)
            except Killed:
                head = folder / "checkpoint"
                at = stated_head(head.read_text("utf-8")).size if head.exists() else 0
                assert at == before
        with reading(engine) as connection:
            export(connection, folder, note, roots.get)
        assert ours(folder) == "ok"
        assert {p: raw for p, raw in files_in(folder).items() if p != ".writing"} == whole
    engine.dispose()


EXPORT_AND_DIE = """
import os, signal, sys
from pathlib import Path
from ledger.audit.exporting import export
from ledger.store.connect import connect, reading

def step(done, of):
    if done >= int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)

with reading(connect(sys.argv[1])) as connection:
    export(connection, Path(sys.argv[2]), Path(sys.argv[3]).read_text("utf-8"), {}.get, step)
"""


def test_export_killed_by_the_system_goes_on(sqlite_database: str, tmp_path: Path) -> None:
    """A process that is killed while it exports leaves a folder that the next one completes."""
    engine = connect(sqlite_database)
    fill(engine, 900)
    (tmp_path / "note").write_text(sign(engine, 900), "utf-8")
    for at in (256, 512, 900):
        arguments = [sqlite_database, str(tmp_path / "out"), str(tmp_path / "note"), str(at)]
        died = subprocess.run([sys.executable, "-c", EXPORT_AND_DIE, *arguments], env=environment())
        assert died.returncode == -signal.SIGKILL
        assert not (tmp_path / "out/checkpoint").exists()
    exported(engine, tmp_path / "out", 900)
    assert [check(tmp_path / "out") for check in CHECKERS] == ["ok", "ok"]
    engine.dispose()


@pytest.fixture(scope="module")
def export_of_300(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """An export of 300 entries under `out`, made once."""
    folder = tmp_path_factory.mktemp("export")
    engine = connect(f"sqlite:///{shutil.copy(sqlite_template, folder / 'ledger.db')}")
    fill(engine, 300)
    exported(engine, folder / "out", 300)
    engine.dispose()
    return folder / "out"


@pytest.mark.parametrize("check", CHECKERS)
def test_flipped_bytes_are_found(
    export_of_300: Path, tmp_path: Path, check: Callable[[Path], str]
) -> None:
    """One flipped bit in any file of the export is found, wherever it is."""
    chance = random.Random(300)
    folder = shutil.copytree(export_of_300, tmp_path / "out")
    for path, raw in files_in(folder).items():
        ends = [0, 1, 2, 3, len(raw) - 1]
        for at in {*ends, *(chance.randrange(len(raw)) for _ in range(12))}:
            flipped = bytearray(raw)
            flipped[at] ^= 1 << chance.randrange(8)
            (folder / path).write_bytes(flipped)
            assert check(folder) in ("tampered", "refused"), (path, at)
        (folder / path).write_bytes(raw)
    assert check(folder) == "ok"


def test_position_of_a_flipped_byte_is_named(export_of_300: Path, tmp_path: Path) -> None:
    """The check says at which position an entry was altered, also where only its length was."""
    folder = shutil.copytree(export_of_300, tmp_path / "out")
    bundle = folder / "tile/entries/001.p/44"
    raw = bundle.read_bytes()
    at, position = 0, 257
    while at < len(raw):
        for place in (at, at + 1, at + 2, at + 40):
            bundle.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
            found = checked(folder)
            assert (found.status, found.position) == ("tampered", position)
            assert f"position {position}" in found.message
        at += 2 + int.from_bytes(raw[at : at + 2], "big")
        position += 1
    assert position == 301


@pytest.mark.parametrize("check", CHECKERS)
def test_cut_and_missing_files_are_found(
    export_of_300: Path, tmp_path: Path, check: Callable[[Path], str]
) -> None:
    """A file that is gone, empty, cut or longer makes no good export."""
    folder = shutil.copytree(export_of_300, tmp_path / "out")
    for path, raw in files_in(folder).items():
        (folder / path).unlink()
        assert check(folder) == "could_not", path
        for other in (b"", raw[:-1], raw + b"\x00"):
            (folder / path).write_bytes(other)
            assert check(folder) in ("tampered", "refused"), path
        (folder / path).write_bytes(raw)
    assert check(tmp_path / "nothing") == "could_not"


@pytest.mark.parametrize("check", CHECKERS)
def test_consistent_forgery_is_found(
    export_of_300: Path, tmp_path: Path, check: Callable[[Path], str]
) -> None:
    """An export whose entries and tiles were all made anew is not what was signed."""
    folder = shutil.copytree(export_of_300, tmp_path / "out")
    hashes = folder / "tile/0/001.p/44"
    forged = [b"forged %d" % number for number in range(44)]
    (folder / "tile/entries/001.p/44").write_bytes(encode_entries(forged))
    hashes.write_bytes(encode_hashes(offline.leaf(entry) for entry in forged))
    assert check(folder) == "tampered"


def test_held_head_must_be_the_beginning(engine: sa.Engine, tmp_path: Path) -> None:
    """An export is compared with a head that the asker holds, without any proof."""
    fill(engine, 300)
    exported(engine, tmp_path / "out", 290)
    for size in (1, 200, 256, 257, 290):
        held = stated_head(sign(engine, size))
        assert checked(tmp_path / "out", held).status == "ok"
        forked = checked(tmp_path / "out", Head(held.origin, size, bytes(32)))
        assert forked.status == "fork"
    later = checked(tmp_path / "out", stated_head(sign(engine, 300)))
    assert later.status == "fork"
    assert "rolled back" in later.message


def test_tiles_of_earlier_heads_are_checked(engine: sa.Engine, tmp_path: Path) -> None:
    """A partial tile of an earlier head must be how the present one begins."""
    fill(engine, 20)
    exported(engine, tmp_path / "out", 10)
    files = exported(engine, tmp_path / "out", 20, (10,))
    assert {"tile/0/000.p/10", "tile/entries/000.p/10"} <= set(files)
    for path, raw in ((path, files[path]) for path in files if path.endswith(".p/10")):
        for altered in (raw[:-1] + b"?", raw[:-1], raw + b"?", raw):
            (tmp_path / "out" / path).write_bytes(altered)
            said = "ok" if altered == raw else "tampered"
            assert [check(tmp_path / "out") for check in CHECKERS] == [said] * 2


def test_tiles_beyond_the_head_are_named(engine: sa.Engine, tmp_path: Path) -> None:
    """Tiles that no signed head covers are not called good."""
    fill(engine, 20)
    exported(engine, tmp_path / "out", 10)
    (tmp_path / "out/tile/0/000.p/11").write_bytes(bytes(32 * 11))
    assert "1 tiles beyond" in checked(tmp_path / "out").message


def test_another_log_is_refused(
    engine: sa.Engine, tmp_path: Path, sqlite_template: Path
) -> None:
    """A folder that holds another log, or a later head, is left as it is."""
    other = connect(f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'other.db')}")
    fill(engine, 30)
    fill(other, 30, "other")
    folder = tmp_path / "out"
    before = exported(other, folder, 20)
    with reading(engine) as connection:
        for size, roots in ((30, {}), (30, {20: bytes(32)}), (20, {}), (10, {})):
            with pytest.raises(HoldsAnother, match="nothing in it was changed"):
                export(connection, folder, sign(engine, size), roots.get)
        (folder / "checkpoint").unlink()
        with pytest.raises(HoldsAnother, match="another tile"):
            export(connection, folder, sign(engine, 20), no_root)
    assert {**files_in(folder), "checkpoint": before["checkpoint"]} == before
    other.dispose()


def test_altered_ledger_is_not_exported(engine: sa.Engine, tmp_path: Path) -> None:
    """Nothing is written of a ledger that is not what was signed."""
    fill(engine, 20)
    note = sign(engine, 20)
    rewrite(engine, "UPDATE events SET leaf_hash = (SELECT leaf_hash FROM events WHERE position"
                    " = 1) WHERE position = 2")
    with reading(engine) as connection, pytest.raises(NotAsSigned, match="verify this ledger"):
        export(connection, tmp_path / "out", note, no_root)
    assert files_in(tmp_path / "out") == {}


def test_altered_entry_is_not_exported(engine: sa.Engine, tmp_path: Path) -> None:
    """An entry that does not hash to its leaf is named and not written."""
    fill(engine, 20)
    note = sign(engine, 20)
    rewrite(engine, "UPDATE events SET entry = substr(entry, 2) WHERE position = 7")
    with reading(engine) as connection, pytest.raises(Damaged, match=r"^position 7: "):
        export(connection, tmp_path / "out", note, no_root)
    assert files_in(tmp_path / "out") == {}


def test_damaged_export_does_not_grow(engine: sa.Engine, tmp_path: Path) -> None:
    """An export whose last tile was altered is not built upon."""
    fill(engine, 20)
    files = exported(engine, tmp_path / "out", 10)
    root = stated_head(files["checkpoint"].decode()).root
    (tmp_path / "out/tile/0/000.p/10").write_bytes(bytes(320))
    with reading(engine) as connection, pytest.raises(HoldsAnother, match="damaged"):
        export(connection, tmp_path / "out", sign(engine, 20), {10: root}.get)


def test_two_exports_do_not_write_one_folder(engine: sa.Engine, tmp_path: Path) -> None:
    """A second export to a folder is turned away while the first is at it."""
    fill(engine, 3)
    note, said = sign(engine, 3), []

    def second(done: int, of: int) -> None:
        with reading(engine) as connection, pytest.raises(CouldNot, match="another export") as no:
            export(connection, tmp_path / "out", note, no_root)
        said.append(no.value)

    with reading(engine) as connection:
        export(connection, tmp_path / "out", note, no_root, second)
    assert len(said) == 1


def test_empty_log_is_not_exported(engine: sa.Engine, tmp_path: Path) -> None:
    """A head without entries is nothing to publish."""
    with reading(engine) as connection, pytest.raises(CouldNot):
        export(connection, tmp_path / "out", sign(engine, 0), no_root)
    note = sign_head(Head(SIGNER.name, 0, offline.tree([])), SIGNER)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/checkpoint").write_text(note, "utf-8")
    assert [check(tmp_path / "out") for check in CHECKERS] == ["could_not", "could_not"]


def test_no_disclosure_is_exported(engine: sa.Engine, tmp_path: Path) -> None:
    """Personal fields stand in an export as digests only."""
    fill(engine, 3)
    assert all(b"A. Name" not in raw for raw in exported(engine, tmp_path / "out", 3).values())


def test_proofs_from_an_export_are_those_from_the_database(
    engine: sa.Engine, tmp_path: Path
) -> None:
    """Whether a proof is made from tiles or from the database, it is the same."""
    fill(engine, 300)
    exported(engine, tmp_path / "out", 300)
    note, old, read = sign(engine, 300), sign(engine, 270), reader_of(tmp_path / "out")
    with reading(engine) as connection:
        for position in (1, 2, 255, 256, 257, 299, 300):
            assert prove_from_tiles(read, position, note) == prove(connection, position, note)
        grown = prove_consistency(connection, old, note)
    assert prove_consistency_from_tiles(read, old, note) == grown
    (tmp_path / "out/tile/0/000").unlink()
    with pytest.raises(CouldNot, match="tile/0/000 is missing"):
        prove_from_tiles(read, 5, note)
    (tmp_path / "out/tile/0/000").write_bytes(bytes(256 * 32))
    with pytest.raises(NotAsSigned):
        prove_from_tiles(read, 5, note)
