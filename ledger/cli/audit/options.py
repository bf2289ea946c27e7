"""The options that the audit's commands share: the head store, the verifier key.

The head store lies outside of the ledger's database: whoever can change the ledger should not be
able to change what was signed about it.
"""

import os
from pathlib import Path
from typing import Any

import click

from ledger.cli.output import Command
from ledger.errors import BadFile, BadValue, CouldNot
from ledger.store.connect import connect, file_of
from ledger.tlog.note import VerifierKey, read_signer, read_verifier_key

HEADS_VARIABLE = "LEDGER_HEADS"
FILE_AT_MOST = 4_000_000
"""Bytes of a proof file: two notes and an entry at their largest are fewer."""


def heads_option(command: Command) -> Command:
    """Add `--heads` to a command, which is handed `heads`: what was given, or None."""
    return click.option(
        "--heads",
        metavar="URL|PATH",
        help="The head store: a SQLite file or a database URL, outside of the ledger."
        f"  [env: {HEADS_VARIABLE}; default: <ledger file>.heads]",
    )(command)


def heads_of(database: str, given: str | None) -> str:
    """Return where the head store of a ledger is; raises CouldNot where it has to be said."""
    chosen = given or os.environ.get(HEADS_VARIABLE)
    if chosen:
        return chosen
    file = file_of(connect(database))
    if file is None:
        why = f"a ledger on a server has no default; give --heads or set {HEADS_VARIABLE}"
        raise CouldNot("find the head store", why)
    return f"{file.resolve() if file.is_symlink() else file}.heads"  # one store, whatever its name


class KeyText(click.ParamType[VerifierKey]):
    """A verifier key, as text or in a file."""

    name = "VKEY|FILE"

    def convert(self, value: Any, param: Any, ctx: Any) -> VerifierKey:
        """Return the key; of a file with a signing key its public half."""
        if isinstance(value, VerifierKey):
            return value
        try:
            return read_key(value)
        except BadValue as refusal:
            if "+" in value:
                raise
            raise BadValue(value, f"{refusal.wanted}, or a file that holds one") from None


def key_option(command: Command) -> Command:
    """Add `--vkey` to a command, which is handed the key; `--key`, a signing key, will do too."""
    return click.option(
        "--vkey", "--key", "key", type=KeyText(), required=True,
        help="The log's verifier key, name+id+base64, or a file that holds it.",
    )(command)


def read_key(given: str) -> VerifierKey:
    """Return the key in the text, or in the file of that name; raises BadValue, BadFile."""
    text = _file_or_text(given).strip()
    return read_signer(text).key if text.startswith("PRIVATE+KEY+") else read_verifier_key(text)


def bytes_of(path: Path) -> bytes:
    """Return what is in a file that should be short; raises BadFile, OSError."""
    with path.open("rb") as file:
        raw = file.read(FILE_AT_MOST + 1)
    if len(raw) > FILE_AT_MOST:
        raise BadFile(f"{path} has more than {FILE_AT_MOST:,} bytes: no proof is that long")
    return raw


def _file_or_text(given: str) -> str:
    path = Path(given)
    try:
        is_file = path.is_file()
    except (OSError, ValueError):  # too long for a name, which a key may be
        is_file = False
    if not is_file:
        return given
    try:
        return bytes_of(path).decode()
    except UnicodeDecodeError:
        raise BadFile(f"{path} holds no key") from None
