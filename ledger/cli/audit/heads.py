"""`ledger audit keygen` and `ledger audit head`.

Takes a key file, a ledger and its head store; prints the verifier key, or the head that was signed.
"""

import os
import secrets
from pathlib import Path
from typing import Any, NoReturn

import click

from ledger.audit.findings import Verdict
from ledger.audit.heads import PRIVATE, Forked, HeadsLost, HeadStore, OriginFrozen, open_heads
from ledger.audit.publishing import Command, Folder, Publication
from ledger.audit.signing import Signed, Tampered, sign_head
from ledger.book import now
from ledger.cli.audit.options import heads_of, heads_option
from ledger.cli.output import (
    Diagnostic,
    examples,
    format_option,
    print_json,
    print_pairs,
    say,
)
from ledger.cli.start import database_option, open_to_read
from ledger.errors import BadValue, CouldNot, LedgerError
from ledger.tlog.note import KEY_SIZE, Signer, VerifierKey, read_signer, write_signer

KEY_AT_MOST = 10_000
"""Characters of a key file; whatever is longer is none."""
OTHERS = 0o077
"""The permissions that a key file gives to nobody."""
FROZEN = (
    "Nothing is signed under this name any more. Keep the ledger and the head store as they are,"
    " find out what happened with `ledger audit verify`, and tell those who hold signed heads. To"
    " go on afterwards, make a key with a new name (`ledger audit keygen --origin NAME/2`)."
)


@click.command(epilog=examples(
    "ledger audit keygen --origin example.org/incidents -o incidents.key",
))
@click.option("--origin", required=True, metavar="NAME",
              help="The ledger's name for ever, as example.org/incidents; no spaces, no plus.")
@click.option("-o", "--output", "file", required=True, metavar="FILE",
              type=click.Path(path_type=Path), help="Where the key goes; never overwritten.")
@format_option("table", "json")
def keygen(origin: str, file: Path, format: str) -> None:
    """Make a key that signs tree heads, and print its public half.

    The file is readable by you alone; keep it away from the ledger's database. Give the printed
    verifier key to everybody who is to check heads, by a way that nobody can meddle with. Ed25519,
    in the form of C2SP signed notes.
    """
    signer = Signer(origin, secrets.token_bytes(KEY_SIZE))
    _write_key(file, write_signer(signer))
    if format == "json":
        print_json({"origin": origin, "vkey": str(signer.key), "file": str(file)})
    else:
        click.echo(str(signer.key))
        say(f"wrote the signing key to {file}; the line on stdout is the verifier key")


@click.command(epilog=examples(
    "ledger audit head --key incidents.key --publish /mnt/audit",
    "ledger audit head --key incidents.key --command 'mail auditor@example.org'",
    "ledger audit head --key incidents.key --full --format json",
))
@click.option("--key", "key_file", required=True, metavar="FILE",
              type=click.Path(path_type=Path), help="The signing key that keygen made.")
@heads_option
@click.option("--publish", "folders", multiple=True, metavar="DIR",
              type=click.Path(path_type=Path, file_okay=False),
              help="A folder for the signed heads: checkpoint and heads/<size>. Repeatable.")
@click.option("--command", "commands", multiple=True, metavar="CMD",
              help="A command that gets the signed head on its stdin. Repeatable.")
@click.option("--full", is_flag=True,
              help="Hash all entries again, not only those since the last head.")
@format_option("table", "json")
@database_option
def head(
    database: str,
    key_file: Path,
    heads: str | None,
    folders: tuple[Path, ...],
    commands: tuple[str, ...],
    full: bool,
    format: str,
) -> None:
    """Sign what the ledger commits to now, remember it and publish it.

    Refuses, for good, if the ledger no longer continues what was signed before. Where nothing is
    new, the latest head is published again. Doing it twice, or at once, is fine.

    \b
    Exit codes: 0 signed or nothing new, 1 the ledger contradicts itself,
    4 could not, 5 fork or rollback.
    """
    if not all(command.strip() for command in commands):
        raise click.UsageError("--command needs a command, got nothing")
    signer = read_key(key_file)
    engine = open_to_read(database)
    store = open_heads(heads_of(database, heads))
    click.get_current_context().call_on_close(store.close)
    places: list[Publication] = [*map(Folder, folders), *map(Command, commands)]
    try:
        signed = sign_head(engine, store, signer, now, places, full=full)
    except (Forked, HeadsLost, OriginFrozen) as refusal:
        _stop(Verdict.FORK, refusal, format)
    except Tampered as refusal:
        _stop(Verdict.TAMPERED, refusal, format)
    if signed is not None and signed.before == 0:
        say("the first head of this name in this store; were there others, it was lost")
    if format == "json":
        print_json(None if signed is None else _as_data(signed, signer.key, store))
    elif signed is None:
        say("nothing is recorded yet, so nothing was signed")
    else:
        print_pairs((name.replace("_", " "), str(value))
                    for name, value in _as_data(signed, signer.key, store).items()
                    if name not in ("vkey", "note", "new"))


def read_key(file: Path) -> Signer:
    """Return the signer in the file; raises CouldNot if others may read it or it holds none."""
    doing = f"use the key {file}"
    with file.open(encoding="utf-8", errors="replace") as opened:
        if os.fstat(opened.fileno()).st_mode & OTHERS:
            raise CouldNot(doing, f"others can read it; make another one, or chmod 600 {file}")
        text = opened.read(KEY_AT_MOST)
    try:
        return read_signer(text)
    except BadValue as refusal:
        raise CouldNot(doing, str(refusal)) from None


def _write_key(file: Path, text: str) -> None:
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE)
    except FileExistsError:
        raise CouldNot(f"write the key to {file}", "the file is there already") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(f"{text}\n")
            opened.flush()
            os.fsync(descriptor)
    except OSError as failure:
        file.unlink()  # half a key is none, and would be in the way of the next one
        raise CouldNot(f"write the key to {file}", str(failure.strerror)) from None


def _as_data(signed: Signed, key: VerifierKey, store: HeadStore) -> dict[str, Any]:
    known = signed.known
    return {
        "origin": key.name,
        "size": known.size,
        "root_hash": known.root.hex(),
        "signed_at": known.signed_at,
        "new": signed.is_new,
        "new_events": known.size - signed.before,
        "heads": store.place,
        "vkey": str(key),
        "note": known.note,
    }


def _stop(verdict: Verdict, refusal: LedgerError, format: str) -> NoReturn:
    """Say loudly what was found, and end with the verdict's exit code."""
    word = verdict.word
    say(f"{word.upper().replace('_', ' ')}: {refusal}")
    say("No head was signed.")
    if not isinstance(refusal, Tampered | HeadsLost):
        say(FROZEN)
    if format == "json":
        print_json(None, word, [Diagnostic(word, str(refusal))])
    raise click.exceptions.Exit(verdict.value)


COMMANDS: tuple[click.Command, ...] = (keygen, head)
