"""`ledger audit prove`, `consistency`, `check` and `export`.

Takes a ledger and its signed heads, and writes files for outsiders: proofs, the whole log. `check`
is what the outsider does with them: it takes files and a verifier key and opens no database.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from ledger.audit import exporting, proving
from ledger.audit.findings import Verdict
from ledger.audit.heads import HeadStore, open_heads
from ledger.cli.audit.options import bytes_of, heads_of, heads_option, key_option
from ledger.cli.look import LAST_POSITION
from ledger.cli.output import (
    Command,
    Diagnostic,
    Pairs,
    clean,
    examples,
    format_option,
    print_json,
    print_pairs,
    say,
)
from ledger.cli.progress import progress
from ledger.cli.start import database_option, open_to_read
from ledger.entry import parse
from ledger.errors import BadEntry, BadValue, CouldNot
from ledger.merkle import leaf_hash
from ledger.store.connect import reading
from ledger.store.leaves import Damaged
from ledger.tlog import check as checking
from ledger.tlog.head import Head, open_head
from ledger.tlog.note import VerifierKey
from ledger.tlog.proof import encode_consistency, encode_proof, stated_head
from ledger.tlog.tiles import CHECKPOINT

VERDICTS = {"ok": Verdict.OK, "tampered": Verdict.TAMPERED, "fork": Verdict.FORK,
            "could_not": Verdict.COULD_NOT}
STATUSES = {Verdict.OK: "ok", Verdict.COULD_NOT: "could_not"}
"""Of the envelope; both other verdicts are findings."""
DIES = "\b\nExit codes: 0 ok, 1 tampered, 3 refused, 4 could not, 5 fork or rollback."


def out_option(command: Command) -> Command:
    """Add `-o` to a command: where the proof goes."""
    return click.option("-o", "--output", "out", type=click.Path(path_type=Path, dir_okay=False),
                        help="Write it here instead of on stdout.")(command)


def tiles_option(command: Command) -> Command:
    """Add `--tiles` to a command: an export to prove from."""
    return click.option(
        "--tiles", metavar="DIR", type=click.Path(path_type=Path, file_okay=False, exists=True),
        help="Prove from this export and its head: no database is read, and few files.",
    )(command)


@click.command(short_help="Prove that one event is in the log.", epilog=examples(
    "ledger audit prove 7 --vkey log.vkey -o 7.tlog-proof",
    "ledger audit prove 7 --vkey log.vkey --tiles public/",
))
@click.argument("position", type=click.IntRange(1, LAST_POSITION))
@click.option("--size", type=click.IntRange(1, LAST_POSITION),
              help="Under the signed head of this size.  [default: the latest]")
@key_option
@heads_option
@tiles_option
@out_option
@database_option
def prove(
    database: str, position: int, size: int | None, key: VerifierKey, heads: str | None,
    tiles: Path | None, out: Path | None,
) -> None:
    """Write a proof that the event at POSITION is in the log, for somebody without it.

    The file is a C2SP tlog-proof; its `extra` line holds the event's exact bytes. From the database
    it reads every leaf hash, 1.5 seconds a million; from an export six files.
    """
    if tiles is not None and size is not None:
        raise click.UsageError("--size goes without --tiles: the head is that of the export")
    with _findings():
        if tiles is not None:
            read = exporting.reader_of(tiles)
            note = _checkpoint_in(tiles, key)
            proof = proving.prove_from_tiles(read, position, note)
        else:
            engine = open_to_read(database)
            note = _signed(open_heads(heads_of(database, heads)), key, size, position)
            with reading(engine) as connection:
                proof = proving.prove(connection, position, note)
    _deliver(encode_proof(proof), out, f"position {position:,} under {stated_head(note).size:,}")


@click.command(short_help="Prove that the log only grew.", epilog=examples(
    "ledger audit consistency 100 250 --vkey log.vkey -o grew.proof",
    "ledger audit consistency march.checkpoint --vkey log.vkey",
))
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="[NEW]", required=False)
@key_option
@heads_option
@tiles_option
@out_option
@database_option
def consistency(
    database: str, old: str, new: str | None, key: VerifierKey, heads: str | None,
    tiles: Path | None, out: Path | None,
) -> None:
    """Write a proof that the log under the head NEW begins with the log under the head OLD.

    Each is the size of a signed head, or a file with one: what an auditor was given earlier.
    Without NEW it is the latest head, or that of the export.
    """
    with _findings():
        if tiles is not None:
            older = _older(database, heads, key, old)
            newer = _checkpoint_in(tiles, key)
            if new is not None:
                raise BadValue(new, "no NEW with --tiles: it is the head of the export")
            read = exporting.reader_of(tiles)
            proof = proving.prove_consistency_from_tiles(read, older, newer)
        else:
            engine = open_to_read(database)
            older = _older(database, heads, key, old)
            newer = _newer(database, heads, key, new)
            with reading(engine) as connection:
                proof = proving.prove_consistency(connection, older, newer)
    grew = f"from {proof.old:,} to {stated_head(newer).size:,}"
    _deliver(encode_consistency(proof), out, grew)


@click.command(short_help="Check a proof or an export, offline.", epilog=examples(
    "ledger audit check 7.tlog-proof --vkey log.vkey",
    "ledger audit check public/ --vkey log.vkey --against march.checkpoint",
) + "\n\n" + DIES)
@click.argument("path", metavar="FILE|DIR", type=click.Path(path_type=Path))
@key_option
@click.option("--against", metavar="FILE", type=click.Path(path_type=Path),
              help="A signed head that you hold: what is checked must continue it.")
@click.option("--entry", metavar="FILE", type=click.Path(path_type=Path),
              help="The exact bytes of the event, for a proof that does not hold them.")
@format_option("table", "json")
def check(
    path: Path, key: VerifierKey, against: Path | None, entry: Path | None, format: str
) -> None:
    """Check a proof file or an exported folder with nothing but the log's verifier key.

    Opens no database. A proof shows one event, or that the log only grew; a folder is checked event
    by event. Nothing is shown by it about events after the signed head.
    """
    held = None if against is None else open_head(bytes_of(against), key)
    if entry is not None and path.is_dir():
        raise click.UsageError("--entry goes with the proof of one event, not with a folder")
    if path.is_dir():
        with progress("check") as show:
            checked = checking.check_export(
                exporting.reader_of(path), key, held=held, others=exporting.tiles_in(path),
                on_progress=show,
            )
    else:
        given = None if entry is None else bytes_of(entry)
        checked = checking.check_file(bytes_of(path), key, held=held, entry=given)
    _print_checked(checked, format)


@click.command(short_help="Write the whole log as files to publish.", epilog=examples(
    "ledger audit export public/ --vkey log.vkey",
))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--size", type=click.IntRange(1, LAST_POSITION),
              help="Up to the signed head of this size.  [default: the latest]")
@key_option
@heads_option
@format_option("table", "json")
@database_option
def export(
    database: str, folder: Path, size: int | None, key: VerifierKey, heads: str | None, format: str
) -> None:
    """Write the log up to a signed head to DIR, as static files in the tlog-tiles layout.

    A later export adds what is new; one that was stopped goes on. Personal fields are in it as
    digests only: what could be erased later is never exported.
    """
    store = open_heads(heads_of(database, heads))
    engine = open_to_read(database)
    note = _signed(store, key, size)

    def signed_root(size: int) -> bytes | None:
        known = store.at(key.name, size)
        return None if known is None else known.root

    with _findings(), progress("export") as show, reading(engine) as connection:
        done = exporting.export(connection, folder, note, signed_root, show)
    if format == "json":
        print_json({"folder": str(folder), "size": done.size, "before": done.before,
                    "written": done.written})
    else:
        click.echo(clean(f"{folder}: {done.size:,} entries, {done.before:,} of them before; "
                         f"{done.written:,} tiles written; no disclosures"))


COMMANDS: tuple[click.Command, ...] = (prove, consistency, check, export)


def _signed(store: HeadStore, key: VerifierKey, size: int | None, position: int = 0) -> str:
    """Return the note of a signed head, the latest where no size is given; its signature is good.

    Raises CouldNot where there is none, or none yet that covers the position.
    """
    known = store.latest(key.name) if size is None else store.at(key.name, size)
    if known is None:
        which = "a head" if size is None else f"a head of {size:,} entries"
        raise CouldNot(f"find {which} of {key.name}", f"none is in {store.place}; sign one first")
    head = open_head(known.note, key)
    if (head.size, head.root) != (known.size, known.root):
        raise CouldNot(f"use {store.place}", f"its head of {known.size:,} is not what was signed")
    if position > head.size:
        why = f"the signed head covers {head.size:,} events; sign a newer one first"
        raise CouldNot(f"prove position {position:,}", why)
    return known.note


def _older(database: str, heads: str | None, key: VerifierKey, old: str) -> str:
    if old.isdecimal():
        return _signed(open_heads(heads_of(database, heads)), key, _size(old))
    return _note_of(Path(old), key)


def _newer(database: str, heads: str | None, key: VerifierKey, new: str | None) -> str:
    if new is None or new.isdecimal():
        size = None if new is None else _size(new)
        return _signed(open_heads(heads_of(database, heads)), key, size)
    return _note_of(Path(new), key)


def _size(text: str) -> int:
    if (size := int(text[:20])) > LAST_POSITION:
        raise BadValue(text, f"a size up to {LAST_POSITION:,}")
    return size


def _checkpoint_in(tiles: Path, key: VerifierKey) -> str:
    return _note_of(tiles / CHECKPOINT, key)


def _note_of(path: Path, key: VerifierKey) -> str:
    raw = bytes_of(path)
    open_head(raw, key)
    return raw.decode()


def _deliver(text: str, out: Path | None, what: str) -> None:
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_bytes(text.encode())
        click.echo(clean(f"{out}: {what}"))


@contextmanager
def _findings() -> Iterator[None]:
    """End the command with exit code 1 where the ledger is not what was signed."""
    try:
        yield
    except (proving.NotAsSigned, Damaged) as found:
        say(str(found))
        raise click.exceptions.Exit(Verdict.TAMPERED.value) from None


def _print_checked(checked: checking.Checked, format: str) -> NoReturn:
    verdict = VERDICTS[checked.status]
    if format == "json":
        remarks = [] if verdict is Verdict.OK else [Diagnostic("finding", checked.message)]
        print_json(_as_data(checked, verdict), STATUSES.get(verdict, "finding"), remarks)
    elif verdict is Verdict.OK:
        click.echo(clean(f"ok: {checked.message}"))
        print_pairs(_details(checked.head, checked.entry))
    if verdict is not Verdict.OK:
        say(f"{verdict.word.replace('_', ' ')}: {checked.message}")
    raise click.exceptions.Exit(verdict.value)


def _details(head: Head | None, entry: bytes | None) -> Pairs:
    if head is not None:
        yield "root hash", head.root.hex()
    if entry is not None:
        yield "leaf hash", leaf_hash(entry).hex()
        for name, value in _fields(entry).items():
            yield name.replace("_", " "), str(value)


def _fields(entry: bytes) -> dict[str, Any]:
    try:
        fields = parse(entry)
    except BadEntry as refusal:
        return {"entry": f"{len(entry):,} bytes, {refusal}"}
    names = ("id", "stream", "stream_version", "type", "recorded_at", "recorded_by")
    return {name: fields[name] for name in names}


def _as_data(checked: checking.Checked, verdict: Verdict) -> dict[str, Any]:
    head, entry = checked.head, checked.entry
    return {
        "verdict": verdict.word,
        "message": clean(checked.message),
        "origin": None if head is None else head.origin,
        "size": None if head is None else head.size,
        "root_hash": None if head is None else head.root.hex(),
        "position": checked.position,
        "leaf_hash": None if entry is None else leaf_hash(entry).hex(),
        "event": None if entry is None else _fields(entry),
        "entry": None if entry is None else entry.decode(errors="replace"),
    }
